"""The public names, and where they live; they are loaded when they are first used."""

from .calibration import (
    Inference as Inference,
)
from .calibration import (
    Observations as Observations,
)
from .calibration import (
    infer_parameters as infer_parameters,
)
from .calibration import (
    read_observations as read_observations,
)
from .certificate import Certificate as Certificate
from .equilibrium.multiplicity import certify as certify
from .equilibrium.solver import solve as solve
from .errors import (
    InfeasibleMarketError as InfeasibleMarketError,
)
from .errors import (
    InvalidInputError as InvalidInputError,
)
from .errors import (
    QoexError as QoexError,
)
from .errors import (
    ScenarioError as ScenarioError,
)
from .errors import (
    UnavailableSchemeError as UnavailableSchemeError,
)
from .files.market_files import (
    read_market as read_market,
)
from .files.market_files import (
    read_scenario as read_scenario,
)
from .files.market_files import (
    write_market as write_market,
)
from .files.market_files import (
    write_scenario as write_scenario,
)
from .files.solution_json import read_solution as read_solution
from .files.solution_json import write_solution as write_solution
from .game.best_response import best_response_equilibrium as best_response_equilibrium
from .game.best_response import regret as regret
from .game.metrics import Metrics as Metrics
from .game.metrics import price_of_anarchy as price_of_anarchy
from .game.metrics import score as score
from .game.provider import ProviderAnswer as ProviderAnswer
from .game.provider import answer_rewards as answer_rewards
from .game.solution import Regime as Regime
from .game.solution import Solution as Solution
from .game.solution import Status as Status
from .game.solution import UnsolvedMarketError as UnsolvedMarketError
from .mechanisms.dual_perturbation import dual_perturbation as dual_perturbation
from .mechanisms.schemes import SCHEMES as SCHEMES
from .model.admission import Admission as Admission
from .model.admission import admit as admit
from .model.feasibility import capacity_factor as capacity_factor
from .model.market import Market as Market
from .scenario import Scenario as Scenario
from .scenario.sampling import sample_scenario as sample_scenario

__version__: str
__all__: list[str]
