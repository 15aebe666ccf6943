"""One iteration of Algorithm 1, and the utilities at the rewards that it leads to."""

from __future__ import annotations

from math import log, sqrt

from qoex.kernels import Booleans, Floats, kernel
from qoex.kernels.arguments import Provider, RootDemand, Supply, Trials, Users
from qoex.kernels.provider import answer, provider_of


@kernel
def pair_qoe(
    m: int, root_reward: Floats, demand: RootDemand, provider: Provider, floor: Booleans
) -> float:
    """Return user m's QoE at one provider, which answers these root rewards (M) exactly.

    ``floor`` (M booleans) is scratch.
    """
    x, y = answer(root_reward, demand, provider, floor)
    if floor[m]:
        return 0.0
    h = float(demand.work[m]) * x + float(demand.traffic[m]) * y
    return max(float(demand.budget[m]) - h / float(root_reward[m]), 0.0)


@kernel
def fill_utilities(
    rewards: Floats,
    demand: RootDemand,
    profit_factor: Floats,
    supply: Supply,
    floor: Booleans,
    root_reward: Floats,
    total: Floats,
    utility: Floats,
) -> None:
    """Fill ``utility`` (M) with what users have at these rewards, providers answering exactly.

    Scratch: floor, root_reward and total (M each).
    """
    providers, users = demand.budget.shape
    for m in range(users):
        total[m] = 0.0
        utility[m] = 0.0
    for n in range(providers):
        for m in range(users):
            root_reward[m] = sqrt(float(rewards[n, m]))
        own = RootDemand(demand.work[n], demand.traffic[n], demand.budget[n])
        x, y = answer(root_reward, own, provider_of(supply, n), floor)
        for m in range(users):
            if demand.budget[n, m] > 0.0 and not floor[m]:
                h = float(demand.work[n, m]) * x + float(demand.traffic[n, m]) * y
                qoe = max(float(demand.budget[n, m]) - h / float(root_reward[m]), 0.0)
                total[m] += qoe
                utility[m] -= float(rewards[n, m]) * qoe
    for m in range(users):
        utility[m] += float(profit_factor[m]) * log(1.0 + float(total[m]))


@kernel
def utility_with(n: int, j: int, reward: Floats, qoe: Floats, mu: float) -> float:
    """Return the user's utility with trial j at provider n and trial 0 (stay) elsewhere.

    Sums run over the providers in the same order for every trial, so that equal trials tie exactly.
    """
    total = 0.0
    paid = 0.0
    for k in range(reward.shape[0]):
        i = j if k == n else 0
        total += float(qoe[k, i])
        paid += float(reward[k, i]) * float(qoe[k, i])
    return mu * log(1.0 + total) - paid


@kernel
def perturb(
    rewards: Floats,
    root_rewards: Floats,
    demand: RootDemand,
    supply: Supply,
    terms: Users,
    step: Floats,
    simultaneous: bool,
    floor: Booleans,
    trials: Trials,
    moved: Floats,
) -> None:
    """Fill ``moved`` (N×M) with the rewards after one iteration (lines 8 to 26 of Algorithm 1).

    step (M) and the bounds of ``terms`` are rewards, not roots. root_rewards (N×M) has to hold √R;
    it is left as it was if users move at once, else it is √ of ``moved``. Scratch: floor (M) and
    trials.
    """
    reward, qoe = trials.reward, trials.qoe
    providers, users = demand.budget.shape
    for m in range(users):
        mu = float(terms.mu[m])
        for n in range(providers):
            for j in range(3):
                reward[n, j] = 0.0
                qoe[n, j] = 0.0
            if demand.budget[n, m] > 0.0:
                stay = float(rewards[n, m])
                reward[n, 0] = stay
                reward[n, 1] = min(stay + float(step[m]), float(terms.high[m]))
                reward[n, 2] = max(float(terms.low[m]), stay - float(step[m]))
                kept = root_rewards[n, m]
                for j in range(3):
                    root_rewards[n, m] = sqrt(float(reward[n, j]))
                    qoe[n, j] = pair_qoe(
                        m,
                        root_rewards[n],
                        RootDemand(demand.work[n], demand.traffic[n], demand.budget[n]),
                        provider_of(supply, n),
                        floor,
                    )
                root_rewards[n, m] = kept
        for n in range(providers):
            moved[n, m] = reward[n, 0]
            if demand.budget[n, m] > 0.0:
                now = utility_with(n, 0, reward, qoe, mu)
                up = utility_with(n, 1, reward, qoe, mu)
                down = utility_with(n, 2, reward, qoe, mu)
                if now <= up and down <= now:
                    moved[n, m] = reward[n, 1]
                elif now <= down and up <= now:
                    moved[n, m] = reward[n, 2]
        if not simultaneous:
            for n in range(providers):
                root_rewards[n, m] = sqrt(float(moved[n, m]))
