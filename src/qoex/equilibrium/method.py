"""The method's tolerances and limits, apart from what it works on and from where it stands."""

from __future__ import annotations

from dataclasses import dataclass

# On the relative error of every capacity price. Rewards then hold to about 1e-11, well inside the
# 1e-8 promised, and the roundings of a few hundred terms stay below it.
TOLERANCE = 1e-12
MAX_SWEEPS = 2000


@dataclass(frozen=True)
class NewtonMethod:
    """A safeguarded semismooth Newton method in the 2N capacity prices (theory, section 6).

    Attributes:
        tolerance: bound on the relative error of every capacity price.
        max_sweeps: passes over the users allowed.
        exact: whether at the end no pair may cross its threshold, however few it matters to.
        rounding: |ln(capacity/use)| that rounding alone leaves. With hardly any room to spare a
            price cannot be told to the tolerance from sums of doubles; then this is as good as it
            gets.
        first_sweeps: from this sweep on a pair that crosses its threshold, and is near it, becomes
            an unknown; before, prices are too far off for the crossing to mean anything.
        many: of this many users some cross all the time while prices settle, which means nothing
            unless a sweep is slow. Prices respond more smoothly to many, too.
        slow: a sweep is that leaves more than this share of the error.
        most_at_once: where more pairs than this would become unknowns at once, prices are still on
            their way.
        close: error from which on a search goes on with the derivatives it has, as long as steps
            are fast.
        fast: a step is that leaves no more than this share of the error: after two such steps the
            cube of the error at ``close`` is left, the tolerance.
        backtracks: of a line search, in a game.
        patience: steps without progress (10 % off the best merit) before a restart, in a game.
        backtracks_without_impact: where users have no impact there is no restart, so it pays to
            search for longer,
        patience_without_impact: and to wait for longer.
        most_jumps: steps over the kink z = 1 that one capacity may take between restarts.
        most_detours: where users have no impact there are no best responses to start from. There a
            detour of short steps, taken whatever the merit, leads out of a cycle; detours and line
            searches take turns.
        rise: by how much ln of a price rises in a jump, relative to ln(use/capacity): use falls a
            little more slowly than the price rises.
        trials: how often a step is tried out with a sample of the users.
        longest: largest rise of z in a step: the linear model is good for a price ratio of e³, not
            for more.
    """

    tolerance: float = TOLERANCE
    max_sweeps: int = MAX_SWEEPS
    exact: bool = True
    rounding: float = 2e-15
    first_sweeps: int = 4
    many: int = 256
    slow: float = 0.1
    most_at_once: int = 32
    close: float = 1e-4
    fast: float = 1e-2
    backtracks: int = 2
    patience: int = 3
    backtracks_without_impact: int = 6
    patience_without_impact: int = 6
    most_jumps: int = 6
    most_detours: int = 16
    rise: float = 1.2
    trials: int = 2
    longest: float = 3.0
