"""What ``qoex infer`` computes: its options read, its kernels chosen, its result as JSON."""

from __future__ import annotations

import contextlib
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qoex import kernels
from qoex.calibration import (
    Inference,
    Observations,
    infer_parameters,
    read_observations,
    table_v_observations,
)
from qoex.cli.running import is_compiled, say_compiling
from qoex.cli.terminal import busy
from qoex.errors import InvalidInputError
from qoex.files.arrays_json import arrays_from_market
from qoex.text.numbers import percent

# Up to this many pairs, interpreted kernels are done before numba is loaded: for Table V, 260
# equilibria of 2×3 pairs, they need 1.3 s with everything else, compiled ones 2.1 s.
INTERPRETED_PAIRS = 8

# Of the JSON of an inference.
VERSION = 2

_SHARED = "one"


def run_inference(
    path: Path | None, profit_factor: str | None, bandwidth_cost: str | None, noise: float | None
) -> Inference:
    """Infer the parameters of an observed table as the options of the command say.

    Args:
        path: of the table; Table V of the paper if there is none.
        profit_factor: "one", "per-user" or a number to hold it at; None for what the table knows,
            and one for all where it knows nothing.
        bandwidth_cost: "one", "per-provider" or a number, likewise.
        noise: relative standard error of the observed numbers, if it is known.

    Raises:
        InvalidInputError: a table or an option that cannot be used.
    """
    observations = table_v_observations() if path is None else read_observations(path)
    options = {
        "profit_factor": (profit_factor, "per-user"),
        "bandwidth_cost": (bandwidth_cost, "per-provider"),
    }
    each: dict[str, bool] = {}
    for field, (option, separate) in options.items():
        each[field] = option == separate
        if option is not None:
            observations = observations.knowing(**{field: _held(field, option, separate)})
    _choose_kernels(observations)
    with busy("fitting") as progress:

        def report(equilibria: int, rms: float) -> None:
            progress.detail = f"{equilibria} equilibria, error {percent(rms)}"

        return infer_parameters(
            observations,
            profit_factor_per_user=each["profit_factor"],
            bandwidth_cost_per_provider=each["bandwidth_cost"],
            noise=noise,
            report=report,
        )


def inference_data(inference: Inference) -> dict[str, Any]:
    """Return the JSON object of an inference.

    Its keys: ``version``, ``status`` (a value of ``FitStatus``, which was a sentence before version
    2), ``converged``, ``largest`` and ``rms`` (relative errors), ``equilibria`` (how many were
    solved), ``notes``, ``parameters`` (the fields of ``InferredParameter`` and ``verdict``),
    ``identifiability`` (its fields), ``errors`` (by quantity, N lists of M numbers) and ``market``
    (its array form). What is not a finite number is null.
    """
    judged = inference.identifiability
    return {
        "version": VERSION,
        "status": inference.status.value,
        "converged": inference.status.ok,
        "largest": inference.largest,
        "rms": inference.rms,
        "equilibria": inference.equilibria,
        "notes": list(inference.notes),
        "parameters": [
            _finite({**asdict(item), "verdict": str(item.verdict)}) for item in inference.parameters
        ],
        "identifiability": _finite(asdict(judged)),
        "errors": _finite({name: array.tolist() for name, array in inference.errors.items()}),
        "market": arrays_from_market(inference.market),
    }


def _choose_kernels(observations: Observations) -> None:
    if observations.latency_budget.size <= INTERPRETED_PAIRS:
        with contextlib.suppress(RuntimeError):  # compiled ones are loaded already
            kernels.interpret()
        return
    with busy("loading kernels"):
        from qoex.kernels.sweep import sweep
    if not is_compiled(sweep):
        say_compiling()


def _held(field: str, option: str, separate: str) -> float:
    """Return the number to hold a field at; NaN to forget what is known of it."""
    if option in (_SHARED, separate):
        return math.nan
    with contextlib.suppress(ValueError):
        value = float(option)
        if 0 < value < math.inf:
            return value
    name = field.replace("_", "-")
    raise InvalidInputError(
        f"--{name} is {option!r}; it must be {_SHARED}, {separate} or a number above zero"
    )


def _finite(value: Any) -> Any:
    """Return plain data with null in place of numbers that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
