"""The mechanisms that section VI-C compares, and two more to judge them by; one function each.

Every scheme takes a market and returns a Solution; :func:`run` calls one by its name. The paper
leaves much of them open; where it does, the docstring of the scheme says what is chosen here.

The rewards of ``ratio`` and ``token`` are not clipped to a user's box: R^min and R^max belong to
the reward game, and these are other mechanisms. Nor are the implied rewards of ``welfare``.

References:
    H. Wu, M. Xu, Z. Xiong, L. Gao, H. Pan, D. Niyato, T.-T. Chan, "A QoE-Driven Personalized
    Incentive Mechanism Design for AIGC Services in Resource-Constrained Edge Networks"
    (section VI-C).

    F. P. Kelly, A. K. Maulloo, D. K. H. Tan, "Rate control for communication networks: shadow
    prices, proportional fairness and stability", Journal of the Operational Research Society 49,
    1998 (welfare by prices, and users that take them).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from qoex.equilibrium.evaluation import BehaviourModel
from qoex.equilibrium.solver import solve, solve_prices
from qoex.errors import InfeasibleMarketError, InvalidInputError, UnavailableSchemeError
from qoex.game.outcome import outcome_of, provider_utility, user_utility
from qoex.game.provider import capacity_state, check_rewards
from qoex.game.solution import Solution, Status
from qoex.model.feasibility import require_feasible
from qoex.model.market import BoolArray, FloatArray, Market
from qoex.model.tokens import Tokens

TOTAL_REWARD = 5.0  # R_total of the paper's "Ratio1", money per ms; its "Ratio2" has 1

# Money per ms of QoE and token. The paper prices tokens "similar to ChatGPT" and gives no number.
# Output tokens are commonly listed at four times the price of input tokens, and the level makes
# the reward of a thousand tokens each way 0.5, half of R_total of "Ratio2".
INPUT_PRICE = 1e-4
OUTPUT_PRICE = 4e-4

# Work (or traffic) that stands for none at all, as a share of capacity × latency budget. The reward
# that it calls for and the latency that it causes go with its cube root, 1e-20, and round away.
_NEXT_TO_NOTHING = 1e-60

Scheme = Callable[..., Solution]


def proposed(market: Market) -> Solution:
    """Return the canonical equilibrium of the paper's mechanism (eq. 10, eq. 11).

    Raises:
        InfeasibleMarketError: a provider cannot serve all of its users.
    """
    return replace(solve(market), method="proposed")


def ratio(market: Market, *, total: float = TOTAL_REWARD) -> Solution:
    """Return what follows if every user splits a fixed total reward in proportion to its work.

    The paper says "proportionally", not to what; here it is to the work a_nm. A pair without work
    is thus offered nothing and gets a QoE of zero, but a user whose demands are all without work
    splits the total equally. Providers answer exactly, both resources together (Theorem 2).

    Args:
        market: N providers × M users.
        total: R_total, money per ms, not negative.

    Raises:
        InfeasibleMarketError: a provider cannot serve all of its users.
        InvalidInputError: the total is negative or not finite.
    """
    _not_negative("total", total)
    weight = np.where(market.work.sum(axis=0) > 0, market.work, market.present)
    sums = weight.sum(axis=0)  # zero for a user without any demand
    return _fixed_rewards(market, total * weight / np.where(sums > 0, sums, 1.0), "ratio")


def token(
    market: Market,
    tokens: Tokens | None,
    *,
    input_price: float = INPUT_PRICE,
    output_price: float = OUTPUT_PRICE,
) -> Solution:
    """Return what follows if rewards are R = input_price·x_in + output_price·x_out.

    The default prices are an assumption (see INPUT_PRICE). Providers answer exactly, both
    resources together (Theorem 2).

    Args:
        market: N providers × M users.
        tokens: token counts, N×M each.
        input_price: money per ms of QoE and input token, not negative.
        output_price: money per ms of QoE and output token, not negative.

    Raises:
        UnavailableSchemeError: there are no token counts.
        InfeasibleMarketError: a provider cannot serve all of its users.
        InvalidInputError: token counts of another shape, or a price or count negative or not
            finite.
    """
    if tokens is None:
        raise UnavailableSchemeError(
            "the token scheme needs input_tokens and output_tokens of every demand, and a market "
            "in array form (or one of direct work and traffic) carries no token counts"
        )
    _not_negative("input_price", input_price)
    _not_negative("output_price", output_price)
    for name, count in (("input", tokens.input_tokens), ("output", tokens.output_tokens)):
        if count.shape != market.work.shape:
            raise InvalidInputError(
                f"{name}_tokens has shape {count.shape}; it must be {market.work.shape} "
                "(providers × users)"
            )
    rewards = input_price * tokens.input_tokens + output_price * tokens.output_tokens
    return _fixed_rewards(market, rewards, "token")


def only_f(market: Market) -> Solution:
    """Return the equilibrium if bandwidth is split equally and only compute is optimised.

    M_n users have a demand at provider n, and each has B = W/M_n of its bandwidth, used or not.
    That takes bM_n/W of the latency budget, and the reward game is played over what is left of it,
    with compute as the only resource. The paper's "equally distributed among MUs" could also mean
    all users of the market; the two differ only where demands are absent.

    A demand whose budget is used up by the split alone cannot be served: it holds nothing, pays
    nothing, and is named in ``notes``; the shares of the others stay W/M_n. Costs and provider
    utility count all bandwidth handed out, and its price is its cost. A demand that needs no
    compute has its QoE for the least reward.

    Raises:
        InfeasibleMarketError: the demands left need more compute than there is; the shortfall
            named is of compute alone, bandwidth being split as it is.
    """
    return _equal_split(market, "only_f", shared="bandwidth", optimised="compute")


def only_b(market: Market) -> Solution:
    """Return the equilibrium if compute is split equally and only bandwidth is optimised.

    All that :func:`only_f` says holds with the two resources exchanged.

    Raises:
        InfeasibleMarketError: the demands left need more bandwidth than there is.
    """
    return _equal_split(market, "only_b", shared="compute", optimised="bandwidth")


def welfare(market: Market) -> Solution:
    """Return the social optimum: the greatest Σ μ ln(1+ΣQ) − Σ cf − Σ dB under C1 and C2.

    Rewards only move money, so a planner needs none. Those reported are implied: paying
    p_m = μ_m/(1+ΣQ_m) to every provider makes the providers choose this allocation themselves.

    Raises:
        InfeasibleMarketError: a provider cannot serve all of its users.
    """
    return solve_prices(market, BehaviourModel.WELFARE, method="welfare")


def price_taking(market: Market) -> Solution:
    """Return the equilibrium of users who do not reckon with their own impact on capacity prices.

    It is the limit of a large market, where no user alone moves a price.

    Raises:
        InfeasibleMarketError: a provider cannot serve all of its users.
    """
    return solve_prices(market, BehaviourModel.PRICE_TAKING, method="price_taking")


SCHEMES: dict[str, Scheme] = {
    "proposed": proposed,
    "ratio": ratio,
    "token": token,
    "only_f": only_f,
    "only_b": only_b,
    "welfare": welfare,
    "price_taking": price_taking,
}

# These take the token counts after the market; all others take the market alone.
TOKEN_SCHEMES = frozenset({"token"})


def run(name: str, market: Market, tokens: Tokens | None = None, **options: float) -> Solution:
    """Return what the scheme of that name makes of a market.

    Args:
        name: a key of SCHEMES.
        market: N providers × M users.
        tokens: token counts (N×M each), for the schemes that price tokens.
        options: keyword arguments of the scheme (``options_of``); the others are at their default.

    Raises:
        InvalidInputError: there is no scheme of that name, or no such option of it.
        UnavailableSchemeError: the scheme needs token counts and there are none.
        InfeasibleMarketError: the scheme cannot serve the demands within the capacities.
    """
    known = options_of(name)
    for option in options:
        if option not in known:
            raise InvalidInputError(
                f"{name} has no option {option!r}; it has {', '.join(known) or 'none'}"
            )
    scheme = SCHEMES[name]
    given = (market, tokens) if name in TOKEN_SCHEMES else (market,)
    return scheme(*given, **options)


def options_of(name: str) -> tuple[str, ...]:
    """Return the names of a scheme's keyword arguments.

    Raises:
        InvalidInputError: there is no scheme of that name.
    """
    if name not in SCHEMES:
        raise InvalidInputError(
            f"there is no scheme named {name!r}; the schemes are {', '.join(SCHEMES)}"
        )
    parameters = inspect.signature(SCHEMES[name]).parameters.values()
    return tuple(item.name for item in parameters if item.kind is item.KEYWORD_ONLY)


def _not_negative(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise InvalidInputError(f"{name} is {value!r}; it must be a finite number, zero or more")


def _fixed_rewards(market: Market, rewards: FloatArray, method: str) -> Solution:
    require_feasible(market)
    rewards = check_rewards(market, rewards)
    return outcome_of(market, rewards, status=Status.EXACT, method=method, steps=0)


_Resource = Literal["compute", "bandwidth"]
_DEMANDED = {"compute": "work", "bandwidth": "traffic"}


def _equal_split(
    market: Market, method: str, *, shared: _Resource, optimised: _Resource
) -> Solution:
    capacity: FloatArray = getattr(market, f"{shared}_capacity")
    share = (capacity / np.maximum(market.present.sum(axis=1), 1))[:, None]
    budget = market.latency_budget - getattr(market, _DEMANDED[shared]) / share
    served = market.present & (budget > 0)

    # A market has no pair that demands nothing but time, so where only the shared resource is
    # needed, next to nothing of the other one is played for, and taken back below.
    demanded: FloatArray = getattr(market, _DEMANDED[optimised])
    free = served & (demanded == 0)
    sliver = _NEXT_TO_NOTHING * budget * getattr(market, f"{optimised}_capacity")[:, None]
    reduced = market.replace(
        **{
            _DEMANDED[shared]: np.zeros_like(demanded),
            _DEMANDED[optimised]: np.where(served, np.where(free, sliver, demanded), 0.0),
            "latency_budget": np.where(served, budget, 0.0),
        }
    )
    try:
        played = solve(reduced)
    except InfeasibleMarketError as error:
        by_rule: dict[str, Any] = {f"{shared}_needed": None}
        raise InfeasibleMarketError(
            [replace(item, **by_rule) for item in error.shortfalls]
        ) from None

    rewards = np.where(free, market.reward_min, played.rewards)
    qoe = np.where(free, budget, played.qoe)
    allocation: dict[str, FloatArray] = {
        shared: np.where(served, share, 0.0),
        optimised: np.where(free, 0.0, getattr(played, optimised)),
    }
    cost: FloatArray = getattr(market, f"{shared}_cost")
    changes: dict[str, Any] = {
        **allocation,
        f"{shared}_state": capacity_state(allocation[shared].sum(axis=1), cost, cost, capacity),
        "method": method,
        "rewards": rewards,
        "qoe": qoe,
        "user_utility": user_utility(market, rewards, qoe),
        "provider_utility": provider_utility(market, rewards, qoe, **allocation),
        "notes": (*played.notes, *_unserved_notes(market, served, shared)),
    }
    return replace(played, **changes)


def _unserved_notes(market: Market, served: BoolArray, shared: str) -> list[str]:
    notes = []
    for provider, unserved in zip(market.provider_names, market.present & ~served, strict=True):
        if unserved.any():
            names = ", ".join(market.user_names[m] for m in np.flatnonzero(unserved))
            notes.append(
                f"{provider} does not serve {names}: an equal share of its {shared} "
                "uses up the whole latency budget"
            )
    return notes
