"""Calibration: recover a market's hidden parameters from what was observed of its equilibrium.

::

    from qoex.calibration import infer_parameters, read_observations

    inference = infer_parameters(read_observations("observed.csv"))
    print(inference.status, inference.largest)
    for parameter in inference.parameters:
        print(parameter.field, parameter.place, parameter.value, parameter.verdict)
"""

from qoex.calibration.identifiability import (
    Identifiability,
    InferredParameter,
    JointChange,
    ParameterVerdict,
    Refit,
)
from qoex.calibration.inference import Inference, infer_parameters
from qoex.calibration.observed import Observations
from qoex.calibration.observed_file import read_observations, table_v_observations
from qoex.calibration.search import FitStatus

__all__ = [
    "FitStatus",
    "Identifiability",
    "Inference",
    "InferredParameter",
    "JointChange",
    "Observations",
    "ParameterVerdict",
    "Refit",
    "infer_parameters",
    "read_observations",
    "table_v_observations",
]
