"""Why a cycle kept the last decision: a cause and its values, worded where they are shown."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any


class CycleEnding(StrEnum):
    """How a cycle ended; all but the first keep the last good decision in force."""

    DECIDED = "decided"
    EMPTY = "empty"  # no user can be served by anyone
    INFEASIBLE = "infeasible"  # demands beyond the capacities, and beyond admission
    NOT_SOLVED = "not-solved"  # the solver found no equilibrium
    NOT_CERTIFIED = "not-certified"  # what it found is none
    DEADLINE = "deadline"  # it took too long
    WORKER_STARTING = "worker-starting"  # the process that solves was not ready in time
    WORKER_FAILED = "worker-failed"  # it died, or met what it did not expect

    @property
    def is_reproducible(self) -> bool:
        """Whether it follows from the log alone, not from the clock or the machine."""
        return self not in (
            CycleEnding.DEADLINE,
            CycleEnding.WORKER_STARTING,
            CycleEnding.WORKER_FAILED,
        )


class Cause(Enum):
    """What kept a decision in force: a code, which databases hold, the ending, and the words.

    In the words stand the values of the cause, with how each is shown.
    """

    NO_PROVIDER = ("no-provider", CycleEnding.EMPTY, "no provider is active")
    NO_USER = ("no-user", CycleEnding.EMPTY, "no user is active")
    NO_DEMAND = (
        "no-demand",
        CycleEnding.EMPTY,
        "no active user demands anything of an active provider",
    )
    INCOMPLETE = (
        "incomplete",
        CycleEnding.EMPTY,
        "no demand can be served; each lacks something that the market needs",
    )
    NOTHING_FITS = (
        "nothing-fits",
        CycleEnding.INFEASIBLE,
        "the capacities serve none of the demands",
    )
    LITTLE_FITS = (
        "little-fits",
        CycleEnding.INFEASIBLE,
        "the capacities serve so little that {away:share} of the demands would have to be turned "
        "away; {most:share} may be",
    )
    SHORT = ("short", CycleEnding.INFEASIBLE, "{shortage:shortage}")
    NOT_SOLVED = ("not-solved", CycleEnding.NOT_SOLVED, "{status:status}")
    NOT_CERTIFIED = ("not-certified", CycleEnding.NOT_CERTIFIED, "{findings:findings}")
    TOO_LATE = ("too-late", CycleEnding.DEADLINE, "no decision was found within {seconds:.3g} s")
    NOT_READY = (
        "not-ready",
        CycleEnding.WORKER_STARTING,
        "the process that solves was not ready within {seconds:.3g} s",
    )
    KILLED = (
        "killed",
        CycleEnding.WORKER_FAILED,
        "the process that solves was ended by signal {signal}",
    )
    EXITED = ("exited", CycleEnding.WORKER_FAILED, "the process that solves ended with code {code}")
    SILENT = ("silent", CycleEnding.WORKER_FAILED, "the process that solves stopped answering")
    ERROR = ("error", CycleEnding.WORKER_FAILED, "the solver met an error ({error})")
    # Of databases before version 0002, which hold sentences; it may go with any ending.
    TOLD = ("told", CycleEnding.WORKER_FAILED, "{sentence}")

    def __init__(self, code: str, ending: CycleEnding, words: str) -> None:
        self.code = code
        self.ending = ending
        self.words = words

    def kept(self, **values: Any) -> Kept:
        """Return the reason that this cause is, with its values."""
        return Kept(self.ending, self, {name: _plain(value) for name, value in values.items()})


_CAUSES = {cause.code: cause for cause in Cause}


@dataclass(frozen=True)
class Kept:
    """Why the last decision was kept.

    Attributes:
        ending: of the cycle.
        cause: what exactly it was.
        values: of the cause, as JSON has them; numbers that are not finite are text.
    """

    ending: CycleEnding
    cause: Cause
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """The cause in words."""
        return _WORDS.format(self.cause.words, **self.values)

    def __str__(self) -> str:
        return f"{self.ending}: {self.sentence}"

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "ending": self.ending.value,
            "cause": self.cause.code,
            "values": dict(self.values),
        }

    @classmethod
    def told(cls, words: str) -> Kept:
        """Return what the words of a database before version 0002 say: an ending, a sentence."""
        ending, _, sentence = words.partition(": ")
        return cls(CycleEnding(ending), Cause.TOLD, {"sentence": sentence})

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Kept:
        """Return what a document says.

        Raises:
            ValueError: an ending or a cause is none that this version knows.
        """
        cause = _CAUSES.get(document["cause"])
        if cause is None:
            raise ValueError(f"{document['cause']!r} is no cause for which a cycle is kept")
        return cls(CycleEnding(document["ending"]), cause, document["values"])


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _share(value: float) -> str:
    from qoex.text.numbers import percent

    return percent(value)


def _status(value: str) -> str:
    from qoex.game.solution import Status

    return Status(value).sentence


def _shortage(value: Mapping[str, Any]) -> str:
    from qoex.errors import Shortfall, shortage

    first = [
        Shortfall(item["provider"], *(_number(item[name]) for name in _LACKS))
        for item in value["first"]
    ]
    return shortage(first, value["providers"], float(value["capacity_factor"]))


def _number(value: Any) -> Any:
    return None if value is None else float(value)


def _findings(value: Mapping[str, Any]) -> str:
    from qoex.certificate import CERTIFIED
    from qoex.certificate.words import Findings, sentence

    found = Findings(
        holds=False,
        regret=float(value["regret"]),
        relative_regret=float(value["relative_regret"]),
        kkt_residual=float(value["kkt_residual"]),
        consistency=float(value["consistency"]),
        outside_bounds=float(value["outside_bounds"]),
        worst_user=value["worst_user"],
        exact=value["exact"],
    )
    return sentence(found, CERTIFIED)


_LACKS = (
    "capacity_factor",
    "compute_capacity",
    "bandwidth_capacity",
    "compute_needed",
    "bandwidth_needed",
)
_SHOWN: Mapping[str, Callable[[Any], str]] = {
    "share": _share,
    "status": _status,
    "shortage": _shortage,
    "findings": _findings,
}


class _Words(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        shown = _SHOWN.get(format_spec)
        return shown(value) if shown is not None else str(super().format_field(value, format_spec))


_WORDS = _Words()
