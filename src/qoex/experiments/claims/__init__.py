"""Every statement of section VI that can be judged, and the judging of it by tables.

``claim`` says what a claim is, ``changes``, ``levels``, ``reductions`` and ``case`` are the kinds
there are, each with the rule of its verdict, ``section_vi_a`` and ``section_vi_c`` are the list,
``judge`` judges it. Tables are read and nothing is ever solved.
"""

from __future__ import annotations

from qoex.experiments.claims.claim import Claim, Judged, Outcome, Rule
from qoex.experiments.claims.judge import COMPANIONS, judge, judged_frame
from qoex.experiments.claims.section_vi_a import SECTION_VI_A
from qoex.experiments.claims.section_vi_b import SECTION_VI_B
from qoex.experiments.claims.section_vi_c_providers import SECTION_VI_C_PROVIDERS
from qoex.experiments.claims.section_vi_c_users import SECTION_VI_C_USERS
from qoex.experiments.claims.verdict import Finding, Number, Verdict

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
    "Finding",
    "Judged",
    "Number",
    "Outcome",
    "Rule",
    "Verdict",
    "judge",
    "judged_frame",
]
