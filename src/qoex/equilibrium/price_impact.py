"""How far a user's own reward moves a provider's capacity prices (theory, section 5).

With F′, W′ and G of the pairs at the floor and the weights ω of the two capacities, a rise du of a
user's root reward moves the prices by the solution of

    dx = ω_f(√a du + G dy)/F′,   dy = ω_b(√b du + G dx)/W′,

so its own impact on its latency is e = √a dx/du + √b dy/du = aE1 + bE2 + √(ab)E3 with three
coefficients per provider that no longer depend on the user.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qoex.model.market import FloatArray


@dataclass(frozen=True)
class PriceImpact:
    """The coefficients of every provider and their derivatives.

    Attributes:
        coefficients: 3×N, (E1, E2, E3).
        by_omega: 2×3×N, derivative by ω_f and ω_b.
        by_room: 2×3×N, derivative by F′ and W′.
        by_cross: 3×N, derivative by G.
    """

    coefficients: FloatArray
    by_omega: FloatArray
    by_room: FloatArray
    by_cross: FloatArray


def impact(
    omega_f: FloatArray, omega_b: FloatArray, room_f: FloatArray, room_b: FloatArray, g: FloatArray
) -> PriceImpact:
    """Return E1 = ω_f W′/D, E2 = ω_b F′/D and E3 = 2ω_f ω_b G/D, where D = F′W′ − ω_f ω_b G².

    All arguments are N long: the weights, then F′, W′ and G of the pairs at the floor.
    """
    zero = np.zeros_like(g)
    both = omega_f * omega_b
    determinant = room_f * room_b - both * g * g
    numerator = np.stack([omega_f * room_b, omega_b * room_f, 2.0 * both * g])
    # Rows: by ω_f, ω_b, F′, W′ and G.
    numerator_by = np.array(
        [
            [room_b, zero, 2.0 * omega_b * g],
            [zero, room_f, 2.0 * omega_f * g],
            [zero, omega_b, zero],
            [omega_f, zero, zero],
            [zero, zero, 2.0 * both],
        ]
    )
    determinant_by = np.stack([-omega_b * g * g, -omega_f * g * g, room_b, room_f, -2.0 * both * g])
    derivative = numerator_by / determinant
    derivative -= numerator * determinant_by[:, None, :] / determinant**2
    return PriceImpact(numerator / determinant, derivative[:2], derivative[2:4], derivative[4])
