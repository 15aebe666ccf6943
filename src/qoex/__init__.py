"""qoex, the QoE exchange: a market engine for edge LLM services.

The public names below are loaded when they are first used, so that importing the package is free::

    import qoex

    market = qoex.read_market("market.toml")
    solution = qoex.equilibrium(market)
    print(qoex.certify(market, solution).sentence())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qoex.admission import Admission, admit
    from qoex.best_reply import BestReply, best_reply, best_reply_equilibrium, regret
    from qoex.certificate import Certificate
    from qoex.equilibrium import equilibrium
    from qoex.errors import (
        InfeasibleMarketError,
        InvalidInputError,
        QoexError,
        ScenarioError,
        UnavailableSchemeError,
    )
    from qoex.feasibility import capacity_factor
    from qoex.files import read_market, read_scenario, write_market, write_scenario
    from qoex.market import Market
    from qoex.metrics import Metrics, price_of_anarchy, score
    from qoex.multiplicity import certify
    from qoex.perturbation import dual_perturbation
    from qoex.provider import ProviderAnswer, answer_rewards
    from qoex.sampling import sample_scenario
    from qoex.scenario import Scenario
    from qoex.schemes import SCHEMES
    from qoex.solution import Regime, Solution, Status

_HOMES = {
    "admission": ("Admission", "admit"),
    "best_reply": ("BestReply", "best_reply", "best_reply_equilibrium", "regret"),
    "certificate": ("Certificate",),
    "equilibrium": ("equilibrium",),
    "errors": (
        "InfeasibleMarketError",
        "InvalidInputError",
        "QoexError",
        "ScenarioError",
        "UnavailableSchemeError",
    ),
    "feasibility": ("capacity_factor",),
    "files": ("read_market", "read_scenario", "write_market", "write_scenario"),
    "market": ("Market",),
    "metrics": ("Metrics", "price_of_anarchy", "score"),
    "multiplicity": ("certify",),
    "perturbation": ("dual_perturbation",),
    "provider": ("ProviderAnswer", "answer_rewards"),
    "sampling": ("sample_scenario",),
    "scenario": ("Scenario",),
    "schemes": ("SCHEMES",),
    "solution": ("Regime", "Solution", "Status"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'qoex' has no attribute {name!r}")
    return getattr(import_module(f"qoex.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*sorted(_HOME_OF), "__version__"]
