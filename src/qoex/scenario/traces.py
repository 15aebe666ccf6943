"""Markets out of traces of LLM requests: each request is a user that any provider may serve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import numpy as np
from pydantic import Field, Strict, ValidationError

from qoex.errors import ScenarioError
from qoex.model.market import FloatArray
from qoex.scenario import Scenario
from qoex.scenario.tables import Defaults, Demand, Provider, Table, User
from qoex.text.refusals import sentence


@dataclass(frozen=True)
class Trace:
    """Requests in the order of the file.

    Attributes:
        arrival: R, seconds since the first request.
        input_tokens: R.
        output_tokens: R.
    """

    arrival: FloatArray
    input_tokens: FloatArray
    output_tokens: FloatArray

    def usable(self) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """Return the indices of the requests that have tokens both ways; others ask for nothing."""
        return np.flatnonzero((self.input_tokens > 0) & (self.output_tokens > 0))


class TraceProviders(Table):
    """Who serves the requests: a scenario file without users and demands."""

    title: str | None = None
    """What it is about, for people."""
    defaults: Defaults = Defaults()
    """What every request is like but for its tokens, and what providers leave out."""
    providers: Annotated[tuple[Provider, ...], Strict(False), Field(min_length=1)]
    """The N providers."""

    @classmethod
    def parse(cls, data: object) -> TraceProviders:
        """Build it from plain tables, as a TOML parser gives them.

        Raises:
            ScenarioError: it is none; one sentence that names the place.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            fields = {
                "": list(cls.model_fields),
                "defaults": list(Defaults.model_fields),
                "providers": list(Provider.model_fields),
            }
            raise ScenarioError(sentence(error, data, fields)) from None


def seconds_since_first(texts: Sequence[str]) -> FloatArray:
    """Return arrival times in seconds, from numbers of ms or from dates and times of ISO 8601.

    Raises:
        ScenarioError: one is neither; names the row.
    """
    times = np.empty(len(texts))
    for row, text in enumerate(texts):
        try:
            times[row] = float(text) / 1000.0
        except ValueError:
            # Some traces have seven decimals of a second; datetime takes six.
            whole, point, decimals = text.strip().partition(".")
            try:
                moment = datetime.fromisoformat(whole + point + decimals[:6])
            except ValueError:
                raise ScenarioError(
                    f"the time of row {row + 1} is {text!r}; it must be a number of ms, or a date "
                    "and time of ISO 8601"
                ) from None
            times[row] = moment.timestamp()
    since: FloatArray = times - times.min()
    return since


def windows(
    trace: Trace, every: float | None, first: int | None
) -> Iterator[tuple[int, Sequence[int]]]:
    """Yield the number of each window of time and its requests' indices; empty ones are left out.

    Args:
        trace: of the requests.
        every: length of a window in seconds; None for one window.
        first: how many requests to take at most, of those with tokens; None for all.
    """
    usable = trace.usable()
    usable = usable[np.argsort(trace.arrival[usable], kind="stable")][:first]
    numbers = np.zeros(usable.size) if every is None else trace.arrival[usable] // every
    for number in np.unique(numbers):
        yield int(number), usable[numbers == number].tolist()


def scenario_of(trace: Trace, requests: Sequence[int], served_by: TraceProviders) -> Scenario:
    """Return the market of some requests: a user each, which may ask any provider.

    Raises:
        ScenarioError: the providers' file leaves out what such a market needs.
    """
    names = [f"request-{request + 1}" for request in requests]
    demands = [
        Demand(
            user=name,
            provider=provider.name,
            input_tokens=float(trace.input_tokens[request]),
            output_tokens=float(trace.output_tokens[request]),
        )
        for name, request in zip(names, requests, strict=True)
        for provider in served_by.providers
    ]
    tables = {
        "title": served_by.title,
        "defaults": served_by.defaults.model_dump(exclude_unset=True),
        "providers": [provider.model_dump(exclude_unset=True) for provider in served_by.providers],
        "users": [User(name=name).model_dump(exclude_unset=True) for name in names],
        "demands": [demand.model_dump(exclude_unset=True) for demand in demands],
    }
    return Scenario.parse(tables)
