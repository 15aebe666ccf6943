"""Every statement of section VI that can be judged, and the judging of it by tables.

``claim`` says what a claim is, ``changes``, ``levels``, ``reductions`` and ``case`` are the kinds
there are, each with the rule of its verdict, ``section_vi_a`` and ``section_vi_c`` are the list,
``judge`` judges it, and ``judged_file`` keeps it. Tables are read and nothing is ever solved.
"""

from __future__ import annotations

from qoex.experiments.claims.claim import Claim, ClaimOutcome, Judged, Rule
from qoex.experiments.claims.judge import COMPANIONS, judge
from qoex.experiments.claims.judged_file import judged_frame, read_claims, write_claims
from qoex.experiments.claims.section_vi_a import SECTION_VI_A
from qoex.experiments.claims.section_vi_b import SECTION_VI_B
from qoex.experiments.claims.section_vi_c_providers import SECTION_VI_C_PROVIDERS
from qoex.experiments.claims.section_vi_c_users import SECTION_VI_C_USERS
from qoex.experiments.claims.verdict import ClaimVerdict, Finding, JudgedNumber

CLAIMS: tuple[Claim, ...] = (
    *SECTION_VI_A,
    *SECTION_VI_B,
    *SECTION_VI_C_USERS,
    *SECTION_VI_C_PROVIDERS,
)

__all__ = [
    "CLAIMS",
    "COMPANIONS",
    "Claim",
    "ClaimOutcome",
    "ClaimVerdict",
    "Finding",
    "Judged",
    "JudgedNumber",
    "Rule",
    "judge",
    "judged_frame",
    "read_claims",
    "write_claims",
]
