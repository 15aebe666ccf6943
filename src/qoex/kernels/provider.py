"""A provider's exact answer to the rewards it is offered (eq. 8 with C1 and C2).

With multipliers λ, ρ of the capacities let x = √(c+λ) and y = √(d+ρ), the capacity prices, and let
t = (√a x + √b y)/κ be the root of the reward at which a pair's QoE is zero. Then s = max(√R, t),
f = s√a/x and B = s√b/y. The pairs with √R < t are *at the floor*: only C1 keeps them served.
"""

from __future__ import annotations

from math import sqrt

from qoex.kernels import Booleans, Floats, kernel
from qoex.kernels.arguments import Provider, RootDemand, Supply


@kernel
def binding_prices(
    sum_f: float,
    sum_b: float,
    room_f: float,
    room_b: float,
    cross: float,
    root_c: float,
    root_d: float,
) -> tuple[float, float]:
    """Return the least x = max(√c, (S_f + yG)/F′) and y = max(√d, (S_b + xG)/W′).

    S_f and S_b are Σ√(Ra) and Σ√(Rb) off the floor; at the floor a′ = a/κ and so on, and
    F′ = F − Σa′ (room_f), W′ = W − Σb′ (room_b), G = Σ√(ab)/κ (cross).
    """
    x = max(root_c, (sum_f + root_d * cross) / room_f)
    y = max(root_d, (sum_b + root_c * cross) / room_b)
    if (x > root_c or y > root_d) and cross > 0.0:
        if (sum_b + x * cross) / room_b <= root_d:
            y = root_d
        elif (sum_f + y * cross) / room_f <= root_c:
            x = root_c
        else:
            determinant = room_f * room_b - cross * cross
            x = (room_b * sum_f + cross * sum_b) / determinant
            y = (room_f * sum_b + cross * sum_f) / determinant
    return x, y


@kernel
def answer(
    root_reward: Floats, demand: RootDemand, provider: Provider, floor: Booleans
) -> tuple[float, float]:
    """Return a provider's capacity prices (x, y) and fill ``floor`` (M booleans).

    The floor only grows as prices grow, so: solve, enlarge the floor, repeat until it stands.
    The market must be feasible, which keeps every denominator positive whatever the floor.
    """
    users = root_reward.shape[0]
    root_work, root_traffic, budget = demand.work, demand.traffic, demand.budget
    root_c = sqrt(provider.c)
    root_d = sqrt(provider.d)
    for m in range(users):
        floor[m] = False
    while True:
        sum_f = 0.0
        sum_b = 0.0
        room_f = provider.compute
        room_b = provider.bandwidth
        cross = 0.0
        for m in range(users):
            if budget[m] > 0.0:
                ra = float(root_work[m])
                rb = float(root_traffic[m])
                if floor[m]:
                    k = float(budget[m])
                    room_f -= ra * ra / k
                    room_b -= rb * rb / k
                    cross += ra * rb / k
                else:
                    u = float(root_reward[m])
                    sum_f += u * ra
                    sum_b += u * rb
        x, y = binding_prices(sum_f, sum_b, room_f, room_b, cross, root_c, root_d)
        grown = False
        for m in range(users):
            if budget[m] > 0.0 and not floor[m]:
                h = float(root_work[m]) * x + float(root_traffic[m]) * y
                if root_reward[m] * budget[m] < h:
                    floor[m] = True
                    grown = True
        if not grown:
            return x, y


@kernel
def provider_of(supply: Supply, n: int) -> Provider:
    """Return what one of the providers has."""
    return Provider(
        float(supply.c[n]),
        float(supply.d[n]),
        float(supply.compute[n]),
        float(supply.bandwidth[n]),
    )
