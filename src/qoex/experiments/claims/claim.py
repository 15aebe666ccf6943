"""A claim of the paper as data, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from qoex.experiments.claims.readings import Tables
from qoex.experiments.claims.verdict import ClaimVerdict, Finding, JudgedNumber


class Rule(Protocol):
    """How a statement is judged by tables; every kind of statement has one."""

    @property
    def reads(self) -> tuple[tuple[str, str, str], ...]:
        """Table, scheme and column of all that it reads."""
        ...

    def judge(self, tables: Tables) -> Finding:
        """Return the verdict; LackingError where a table lacks what is needed."""
        ...


@dataclass(frozen=True)
class Claim:
    """One quantitative or directional statement of section VI.

    Attributes:
        id: stable; the section and a few words.
        place: where it stands in the paper.
        statement: what it says, in our words and with our names of the schemes.
        paper: the paper's value, or the direction, as text.
        rule: how it is judged.
        note: how the statement was read, where it can be read otherwise; shown always.
        why: why it is not met; shown where it is not. It holds only what follows from the paper
            or from the model, and numbers of ours stand among the judged numbers instead, so that
            other seeds cannot make it false.
        trade: schemes beside which ``proposed`` is shown in QoE, utilities and welfare, for a
            claim on costs or usage.
    """

    id: str
    place: str
    statement: str
    paper: str
    rule: Rule
    note: str = ""
    why: str = ""
    trade: tuple[str, ...] = ()

    @property
    def section(self) -> str:
        """The section of the paper that it stands in, "VI-A"."""
        return self.id.partition(".")[0]


@dataclass(frozen=True)
class ClaimOutcome:
    """A claim judged on one set of tables.

    Attributes:
        tables: names of the tables.
        finding: the verdict with its numbers and what decided.
        companions: what ``proposed`` and the schemes compared deliver, where the claim is on costs.
    """

    tables: tuple[str, ...]
    finding: Finding
    companions: tuple[JudgedNumber, ...] = ()


@dataclass(frozen=True)
class Judged:
    """A claim with what the tables say of it.

    Attributes:
        claim: the statement.
        main: judged on the tables that follow the paper's Table III (or its Table V).
        variant: judged on their variants, where there are any; it changes no verdict.
    """

    claim: Claim
    main: ClaimOutcome
    variant: ClaimOutcome | None = None

    @property
    def verdict(self) -> ClaimVerdict:
        """The verdict, from the main tables."""
        return self.main.finding.verdict

    @property
    def ours(self) -> tuple[JudgedNumber, ...]:
        """The numbers behind it; none where a table is missing."""
        return self.main.finding.numbers

    @property
    def reason(self) -> str:
        """A clause on what decided it."""
        return self.main.finding.reason

    @property
    def companions(self) -> tuple[JudgedNumber, ...]:
        """What the schemes compared deliver, for a claim on costs."""
        return self.main.companions

    @property
    def why(self) -> str:
        """Why the paper's statement is not met; nothing where it is, or no number was there.

        Where the claim says nothing of that, for it is met with enough seeds, it is the reason.
        """
        if not self.ours or self.verdict is ClaimVerdict.AGREES:
            return ""
        return self.claim.why or f"{self.reason[:1].upper()}{self.reason[1:]}."
