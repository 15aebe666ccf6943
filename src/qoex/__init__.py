"""qoex, the QoE exchange: a market engine for edge LLM services.

The public names below are loaded when they are first used, so that importing the package is free::

    import qoex

    market = qoex.read_market("market.toml")
    solution = qoex.solve(market)
    print(qoex.certify(market, solution).sentence())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qoex.admission import Admission, admit
    from qoex.best_reply import best_reply_equilibrium, regret
    from qoex.calibration import Inference, Observations, infer_parameters, read_observations
    from qoex.certificate import Certificate
    from qoex.equilibrium import solve
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
    from qoex.multiplicity import certify_with_multiplicity as certify
    from qoex.perturbation import dual_perturbation
    from qoex.provider import ProviderAnswer, answer_rewards
    from qoex.sampling import sample_scenario
    from qoex.scenario import Scenario
    from qoex.schemes import SCHEMES
    from qoex.solution import Regime, Solution, Status
    from qoex.solution_file import read_solution, write_solution

# Public name → module, or module:name where the two differ. No public name is that of a module:
# importing the module would put it in the name's place.
_HOMES = {
    "Admission": "admission",
    "Certificate": "certificate",
    "InfeasibleMarketError": "errors",
    "Inference": "calibration",
    "InvalidInputError": "errors",
    "Market": "market",
    "Metrics": "metrics",
    "Observations": "calibration",
    "ProviderAnswer": "provider",
    "QoexError": "errors",
    "Regime": "solution",
    "SCHEMES": "schemes",
    "Scenario": "scenario",
    "ScenarioError": "errors",
    "Solution": "solution",
    "Status": "solution",
    "UnavailableSchemeError": "errors",
    "admit": "admission",
    "answer_rewards": "provider",
    "best_reply_equilibrium": "best_reply",
    "capacity_factor": "feasibility",
    "certify": "multiplicity:certify_with_multiplicity",
    "dual_perturbation": "perturbation",
    "infer_parameters": "calibration",
    "price_of_anarchy": "metrics",
    "read_market": "files",
    "read_observations": "calibration",
    "read_scenario": "files",
    "read_solution": "solution_file",
    "regret": "best_reply",
    "sample_scenario": "sampling",
    "score": "metrics",
    "solve": "equilibrium",
    "write_market": "files",
    "write_scenario": "files",
    "write_solution": "solution_file",
}

__all__ = [
    "SCHEMES",
    "Admission",
    "Certificate",
    "InfeasibleMarketError",
    "Inference",
    "InvalidInputError",
    "Market",
    "Metrics",
    "Observations",
    "ProviderAnswer",
    "QoexError",
    "Regime",
    "Scenario",
    "ScenarioError",
    "Solution",
    "Status",
    "UnavailableSchemeError",
    "admit",
    "answer_rewards",
    "best_reply_equilibrium",
    "capacity_factor",
    "certify",
    "dual_perturbation",
    "infer_parameters",
    "price_of_anarchy",
    "read_market",
    "read_observations",
    "read_scenario",
    "read_solution",
    "regret",
    "sample_scenario",
    "score",
    "solve",
    "write_market",
    "write_scenario",
    "write_solution",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'qoex' has no attribute {name!r}")
    module, _, attribute = home.partition(":")
    return getattr(import_module(f"qoex.{module}"), attribute or name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
