from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from qoex.cli.file_schemas import FILE_NAMES, schema, schema_text, write_schemas
from qoex.errors import InvalidInputError
from qoex.files.arrays_json import arrays_from_market, market_from_arrays
from qoex.scenario import Scenario
from qoex.scenario.sampling import sample_scenario

FOLDER = Path(__file__).parents[1] / "schemas"


@pytest.mark.parametrize("kind", sorted(FILE_NAMES))
def test_published_schemas_are_current(kind: str) -> None:
    published = (FOLDER / FILE_NAMES[kind]).read_text(encoding="utf-8")
    assert published == schema_text(kind), (
        "write them anew: python -m qoex.cli.file_schemas schemas"
    )


def test_schemas_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    write_schemas(tmp_path / "new")
    for kind, name in FILE_NAMES.items():
        assert json.loads((tmp_path / "new" / name).read_text(encoding="utf-8")) == schema(kind)


@pytest.mark.parametrize("kind", sorted(FILE_NAMES))
def test_schemas_are_schemas(kind: str) -> None:
    Draft202012Validator.check_schema(schema(kind))
    assert schema(kind)["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


def test_there_are_three_schemas() -> None:
    with pytest.raises(InvalidInputError) as caught:
        schema("market")
    assert str(caught.value) == "there is no schema 'market'; there are scenario, arrays, sweep"


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return sample_scenario(2, 3, np.random.default_rng(5))


@pytest.fixture(scope="module")
def tables(scenario: Scenario) -> Any:
    return json.loads(scenario.model_dump_json(exclude_none=True))


@pytest.fixture(scope="module")
def arrays(scenario: Scenario) -> dict[str, Any]:
    return arrays_from_market(scenario.market())


def edited(data: Any, path: tuple[str | int, ...], value: Any) -> Any:
    data = copy.deepcopy(data)
    table = data
    for step in path[:-1]:
        table = table[step]
    if value is ...:
        del table[path[-1]]
    else:
        table[path[-1]] = value
    return data


def test_what_is_written_is_valid(scenario: Scenario, tables: Any, arrays: Any) -> None:
    scenarios = Draft202012Validator(schema("scenario"))
    scenarios.validate(tables)
    scenarios.validate(json.loads(scenario.model_dump_json()))  # fields left out as null
    direct = Scenario.from_market(scenario.market())
    scenarios.validate(json.loads(direct.model_dump_json(exclude_defaults=True)))
    Draft202012Validator(schema("arrays")).validate(arrays)


ABSENT = {"user": "mu-1", "provider": "asp-1", "absent": True}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("demands", 0, "examples"), 7),
        (("demands", 0, "input_tokens"), 0.25),
        (("demands", 0), ABSENT),
        (("demands", 0), ABSENT | {"work": None}),
        (("title",), None),
        (("providers", 0, "work_model"), "quadratic"),
        (("users", 0, "reward_min"), 0),
    ],
)
def test_schema_and_parser_accept_alike(
    tables: Any, path: tuple[str | int, ...], value: Any
) -> None:
    data = edited(tables, path, value)
    assert Draft202012Validator(schema("scenario")).is_valid(data)
    Scenario.parse(data)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("providers",), ...),
        (("providers",), []),
        (("users",), 3),
        (("nothing",), 3),
        (("users", 0, "name"), ...),
        (("users", 0, "name"), "  "),
        (("users", 0, "profit_factor"), 0),
        (("users", 0, "profit_factor"), "3"),
        (("users", 0, "profit_factor"), True),
        (("users", 0, "profitfactor"), 3),
        (("users", 0, "reward_min"), -1),
        (("providers", 0, "work_model"), "cubic"),
        (("providers", 0, "example_ambiguity"), 0.5),
        (("demands", 0, "performance_gap"), 0.5),  # beside examples
        (("demands", 0, "examples"), -1),
        (("demands", 0, "channel_gain"), 1),  # beside snr_db
        (("demands", 0, "noise_power"), 1),
        (("demands", 0, "snr_db"), 300),
        (("demands", 0, "absent"), True),  # beside what it demands
        (("demands", 0, "absent"), "yes"),
        (("demands", 0), ABSENT | {"work": 1}),
        (("defaults", "missing_demands"), "maybe"),
    ],
)
def test_schema_and_parser_refuse_alike(
    tables: Any, path: tuple[str | int, ...], value: Any
) -> None:
    data = edited(tables, path, value)
    assert not Draft202012Validator(schema("scenario")).is_valid(data)
    with pytest.raises(InvalidInputError):
        Scenario.parse(data)


@pytest.mark.parametrize(
    ("path", "value", "valid"),
    [
        (("work", 0, 0), 3, True),
        (("work", 0, 0), 0, True),
        (("reward_min", 0), 0, True),
        (("user_names",), ..., True),
        (("work",), ..., False),
        (("wrok",), [], False),
        (("work", 0, 0), -1, False),
        (("work", 0, 0), True, False),
        (("work", 0, 0), "1", False),
        (("work", 0), 1, False),
        (("work",), [[]], False),
        (("compute_cost", 0), 0, False),
        (("profit_factor", 0), None, False),
        (("user_names",), [], False),
        (("user_names", 0), " ", False),
        (("user_names", 0), "mu-2", False),
        (("user_names", 0), 1, False),
    ],
)
def test_schema_and_reader_of_arrays_agree(
    arrays: Any, path: tuple[str | int, ...], value: Any, valid: bool
) -> None:
    data = edited(arrays, path, value)
    assert Draft202012Validator(schema("arrays")).is_valid(data) is valid
    if valid:
        market_from_arrays(data)
    else:
        with pytest.raises(InvalidInputError):
            market_from_arrays(data)
