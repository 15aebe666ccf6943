"""The sentence in which a certificate says what it found."""

from __future__ import annotations

from typing import NamedTuple


class Findings(NamedTuple):
    """What the sentence is about.

    Attributes:
        holds: whether the solution is an equilibrium to the tolerance.
        regret: money.
        relative_regret: the same, of the largest utility.
        kkt_residual: the largest of a provider's conditions.
        consistency: share by which reported QoE or utilities are off.
        outside_bounds: share of a bound by which a reward misses it.
        worst_user: name of the user with the largest regret.
        exact: whether the regret is what this user gains, and not an upper bound only.
        unique: whether no other equilibrium is near by; None if that is not known.
    """

    holds: bool
    regret: float
    relative_regret: float
    kkt_residual: float
    consistency: float
    outside_bounds: float
    worst_user: str
    exact: bool
    unique: bool | None = None


def sentence(found: Findings, tolerance: float) -> str:
    """Say in one sentence what was certified, or the first reason why it was not."""
    if found.holds:
        alone = {True: "; no other is near it", False: "; it is not the only one", None: ""}
        return (
            f"An equilibrium: by other rewards no user gains more than {found.regret:.1e} "
            f"({found.relative_regret:.1e} of the largest utility), and every allocation is "
            f"optimal to {found.kkt_residual:.1e}{alone[found.unique]}."
        )
    if not found.outside_bounds <= tolerance:
        reason = f"a reward misses its bounds by a share of {found.outside_bounds:.1e}"
    elif not found.kkt_residual <= tolerance:
        reason = f"an allocation is optimal to {found.kkt_residual:.1e} only"
    elif not found.consistency <= tolerance:
        reason = (
            f"QoE or utilities are not those of the allocation (they differ by a share of "
            f"{found.consistency:.1e})"
        )
    elif not found.exact:
        reason = f"{found.worst_user} may gain up to {found.regret:.4g} by other rewards"
    else:
        reason = f"{found.worst_user} gains {found.regret:.4g} by other rewards"
    return f"Not an equilibrium: {reason}."
