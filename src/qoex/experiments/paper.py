"""Section VI of the paper as data: every sweep behind its figures.

The paper does not say how many providers stand beside the varying number of users (Figs. 6a, 7) or
how many users beside the varying number of providers (Figs. 6b, 8); here they are 3 and 15, the
middle of Table III's lists. Nor does it say in what market Fig. 5 varies one demand; here it is one
of 2 providers and 3 users, the size of section VI-B, both drawn at random and as in Table IV.

All random sweeps draw the same 5 × 25 pairs for a seed and take the first ones, so that adding a
user or a provider adds nothing else, and figures speak of the same markets.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import as_file, files

from qoex.experiments.measure import SchemeCase
from qoex.experiments.sweep import Sweep
from qoex.files.market_files import read_scenario
from qoex.scenario.sampling import TABLE_III

PROPOSED = SchemeCase("proposed", "proposed")

# Section VI-C, in the paper's order, and the social optimum to judge them by.
SCHEME_CASES = (
    PROPOSED,
    SchemeCase("ratio-5", "ratio", {"total": 5.0}),
    SchemeCase("ratio-1", "ratio", {"total": 1.0}),
    SchemeCase("token", "token"),
    SchemeCase("only-f", "only_f"),
    SchemeCase("only-b", "only_b"),
    SchemeCase("welfare", "welfare"),
)

# Table III but for the lower ends of compute and latency budgets, which are raised so far that
# every draw can serve 25 users: over the 5 providers of 1000 seeds the least factor on capacities
# that would do was at most 0.85.
AMPLE = replace(TABLE_III, compute_capacity=(18.0, 30.0), latency_budget=(900.0, 1500.0))

_DRAWN = (5, 25)

# Section VI-A lists these values; Table III the numbers of users and providers.
_USERS = (5, 10, 15, 20, 25)
_PROVIDERS = (1, 2, 3, 4, 5)
_PERFORMANCE_GAPS = (1e-11, 1e-9, 1e-7, 1e-5, 1e-3)
_OUTPUT_TOKENS = (300, 600, 900, 1200, 1500)
_LATENCY_BUDGETS = (300, 600, 900, 1200, 1500)


def paper_sweeps() -> tuple[Sweep, ...]:
    """Return all sweeps of section VI: those on Table III first, then their variants."""
    sizes = (
        Sweep(
            name="users",
            title="Figs. 6a and 7: number of users",
            vary="users",
            values=_USERS,
            schemes=SCHEME_CASES,
            drawn=_DRAWN,
        ),
        Sweep(
            name="providers",
            title="Figs. 6b and 8: number of providers",
            vary="providers",
            values=_PROVIDERS,
            schemes=SCHEME_CASES,
            drawn=_DRAWN,
        ),
    )
    demands = tuple(
        Sweep(
            name=name,
            title=title,
            vary=vary,
            values=values,
            schemes=(PROPOSED,),
            providers=2,
            users=3,
            drawn=_DRAWN,
        )
        for name, title, vary, values in (
            (
                "accuracy",
                "Fig. 5a-c: accuracy of one demand",
                "performance_gap",
                _PERFORMANCE_GAPS,
            ),
            (
                "output-tokens",
                "Fig. 5d-f: output tokens of one demand",
                "output_tokens",
                _OUTPUT_TOKENS,
            ),
            (
                "latency-budget",
                "Fig. 5g-i: latency budget of one demand",
                "latency_budget",
                _LATENCY_BUDGETS,
            ),
        )
    )
    with as_file(files("qoex") / "data" / "table_iv.toml") as path:
        case = read_scenario(path)
    return (
        *demands,
        *sizes,
        *(
            sweep.replace(
                name=f"{sweep.name}-ample",
                title=f"{sweep.title}, capacities ample",
                ranges=AMPLE,
                overload="refuse",
            )
            for sweep in sizes
        ),
        *(
            sweep.replace(
                name=f"{sweep.name}-table-iv",
                title=f"{sweep.title}, in the market of Table IV",
                scenario=case,
                drawn=None,
            )
            for sweep in demands
        ),
    )
