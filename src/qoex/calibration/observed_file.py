"""Observed tables in files: one row to a pair, as CSV or Parquet, read strictly.

====================  ============================================================================
required columns      provider, user, reward (money/ms), compute (TFLOPS), bandwidth (MHz), qoe
                      (ms), latency_budget (ms); a blank reward, compute, bandwidth or qoe was not
                      observed
optional columns      what is known beforehand, named as the fields of ``Market``: of a pair, of its
                      provider or of its user; blank where it is not known
====================  ============================================================================

A pair without a row is absent. Providers and users keep the order in which they first appear.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qoex.calibration.observed import KNOWABLE, MAY_BE_ZERO, Observations
from qoex.errors import InvalidInputError, ScenarioError
from qoex.files.market_files import FilePath
from qoex.model.market import PAIR_FIELDS, PROVIDER_FIELDS, FloatArray
from qoex.text.refusals import did_you_mean, shown_name

if TYPE_CHECKING:
    import polars

NAMES = ("provider", "user")
# Column → name of the quantity: a row holds one reward, a table holds rewards.
OBSERVED = {"reward": "rewards", "compute": "compute", "bandwidth": "bandwidth", "qoe": "qoe"}
REQUIRED = (*NAMES, *OBSERVED, "latency_budget")
COLUMNS = (*REQUIRED, *KNOWABLE)
_MAY_BE_ZERO = ("qoe", *MAY_BE_ZERO)


def read_observations(path: FilePath) -> Observations:
    """Read the observed table of a .csv or .parquet file.

    Raises:
        ScenarioError: it is no such table; the message names the file, the row and the column.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise ScenarioError(f"{path}: the name of the file must end in .csv or .parquet")
    try:
        return _Table(_frame(path, suffix), suffix).observations()
    except InvalidInputError as error:
        raise ScenarioError(f"{path}: {error}") from None


def table_v_observations() -> Observations:
    """Return Table V of the paper, 2 providers × 3 users.

    Its file adds one convention: Table V hardly tells the unit cost of bandwidth, so that is held
    at 0.15 money per MHz. Forget it with ``knowing(bandwidth_cost=math.nan)``.
    """
    with as_file(files("qoex") / "data" / "table_v.csv") as path:
        return read_observations(path)


def _frame(path: FilePath, suffix: str) -> polars.DataFrame:
    import polars

    try:
        data = Path(path).read_bytes()
        if suffix == ".parquet":
            return polars.read_parquet(data).with_row_index("row", offset=1)
        # As text: what a number is, is decided below, and a bad one is named by its place.
        table = polars.read_csv(data, infer_schema=False)
        return table.with_row_index("row", offset=2).filter(
            ~polars.all_horizontal(polars.col(table.columns).is_null())  # a blank line
        )
    except FileNotFoundError:
        raise ScenarioError("there is no such file") from None
    except OSError as error:
        raise ScenarioError(f"it cannot be read ({error.strerror})") from None
    except polars.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        kind = "CSV" if suffix == ".csv" else "Parquet"
        raise ScenarioError(f"not a valid {kind} table ({reason})") from None


class _Table:
    """The rows of a file, each column checked as it is asked for."""

    def __init__(self, frame: polars.DataFrame, suffix: str) -> None:
        self.frame = frame
        self.word = "line" if suffix == ".csv" else "row"  # a line of a CSV counts its header
        given = [name for name in frame.columns if name != "row"]
        for name in given:
            if name not in COLUMNS:
                raise ScenarioError(
                    f"{name!r} is not a column of an observed table" + did_you_mean(name, COLUMNS)
                )
        missing = [name for name in REQUIRED if name not in given]
        if missing:
            raise ScenarioError(f"the table lacks the column {', '.join(missing)}")
        if frame.height == 0:
            raise ScenarioError("the table has no rows")
        self.known = [name for name in KNOWABLE if name in given]

    def observations(self) -> Observations:
        labels = {name: self._labels(name) for name in NAMES}
        names = {name: list(dict.fromkeys(labels[name])) for name in NAMES}
        where = {}
        for name in NAMES:
            index = {label: i for i, label in enumerate(names[name])}
            where[name] = np.array([index[label] for label in labels[name]])
        shape = len(names["provider"]), len(names["user"])
        self._refuse_twins(where["provider"] * shape[1] + where["user"])
        at = where["provider"], where["user"]

        def spread(column: str, fill: float) -> FloatArray:
            array = np.full(shape, fill)
            array[at] = self._numbers(column)
            return array

        budget = spread("latency_budget", 0.0)
        blank = np.isnan(budget[at])
        if blank.any():
            raise ScenarioError(f"{self._place(int(np.argmax(blank)))}: latency_budget is blank")
        quantities = {OBSERVED[name]: spread(name, np.nan) for name in OBSERVED}
        unreachable = quantities["qoe"][at] >= budget[at]
        if unreachable.any():
            row = int(np.argmax(unreachable))
            raise ScenarioError(
                f"{self._place(row)}: qoe is {float(quantities['qoe'][at][row])!r}; it must be "
                f"below the latency budget, {float(budget[at][row])!r}"
            )
        known: dict[str, FloatArray] = {}
        for name in self.known:
            if name in PAIR_FIELDS:
                known[name] = spread(name, np.nan)
            else:
                owner = "provider" if name in PROVIDER_FIELDS else "user"
                known[name] = self._per_owner(name, where[owner], len(names[owner]), owner)
        return Observations(
            latency_budget=budget,
            known=known,
            provider_names=names["provider"],
            user_names=names["user"],
            **quantities,
        )

    def _labels(self, column: str) -> list[str]:
        import polars

        if self.frame.schema[column] != polars.String:
            raise ScenarioError(f"the column {column} must hold names")
        labels: list[str | None] = self.frame[column].to_list()
        for row, label in enumerate(labels):
            if label is None or not label.strip():
                raise ScenarioError(f"{self.word} {self._number(row)}: {column} is blank")
        return [str(label) for label in labels]

    def _numbers(self, column: str) -> FloatArray:
        """Return a column as floats, NaN where it is blank, every other one checked."""
        import polars

        series = self.frame[column]
        text = series.dtype == polars.String
        if text:
            series = series.str.strip_chars()
            series = series.set(series == "", None)
        elif not (series.dtype.is_numeric() or series.dtype == polars.Null):
            raise ScenarioError(f"the column {column} must hold numbers")
        numbers = series.cast(polars.Float64, strict=False)
        wrong = series.is_not_null() & numbers.is_null()
        values: FloatArray = numbers.to_numpy().astype(np.float64)
        blank = series.is_null().to_numpy()
        zero = column in _MAY_BE_ZERO
        rules = {
            "a number": wrong.to_numpy(),
            "a finite number": ~blank & ~np.isfinite(values),
            "zero or more" if zero else "greater than zero": ~blank
            & (values < 0 if zero else values <= 0),
        }
        for rule, bad in rules.items():
            if bad.any():
                row = int(np.argmax(bad))
                more = ", or blank where there is none" if column in OBSERVED else ""
                raise ScenarioError(
                    f"{self._place(row)}: {column} is {series[row]!r}; it must be {rule}{more}"
                )
        return np.where(blank, np.nan, values)

    def _per_owner(self, column: str, owner: FloatArray, count: int, kind: str) -> FloatArray:
        """Return the one value that each provider's, or each user's, rows agree on."""
        values = self._numbers(column)
        result = np.full(count, np.nan)
        for row in np.flatnonzero(~np.isnan(values)):
            k = owner[row]
            if not np.isnan(result[k]) and result[k] != values[row]:
                raise ScenarioError(
                    f"{self._place(int(row))}: {column} is {float(values[row])!r}, but "
                    f"{float(result[k])!r} in an earlier row of the same {kind}"
                )
            result[k] = values[row]
        return result

    def _refuse_twins(self, pairs: FloatArray) -> None:
        _, first, inverse = np.unique(pairs, return_index=True, return_inverse=True)
        twin = first[inverse] != np.arange(pairs.size)
        if twin.any():
            row = int(np.argmax(twin))
            earlier = self._number(int(first[inverse][row]))
            raise ScenarioError(f"{self._place(row)}: the pair is in {self.word} {earlier} already")

    def _number(self, row: int) -> int:
        return int(self.frame["row"][row])

    def _place(self, row: int) -> str:
        names = ", ".join(shown_name(str(self.frame[name][row])) for name in NAMES)
        return f"{self.word} {self._number(row)} ({names})"
