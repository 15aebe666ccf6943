"""The JSON Schema of sweep files and the reader of them say the same."""

from __future__ import annotations

import json
import tomllib

import pytest
from jsonschema import Draft202012Validator

from qoex.cli.file_schemas import schema
from qoex.experiments.sweep_tables import RangesTable, SweepTables
from sweep_files import BARE, CHANGES, FULL, REPLACED


def validator() -> Draft202012Validator:
    return Draft202012Validator(schema("sweep"))


@pytest.mark.parametrize("text", [BARE, FULL, f'scenario = "m.toml"\n{BARE}'])
def test_the_schema_accepts_what_is_read(text: str) -> None:
    validator().validate(json.loads(json.dumps(tomllib.loads(text))))


# What only reading finds: orders, names of options, files, and whether values make a market; and
# to JSON 2.0 is a whole number.
BEYOND_A_SCHEMA = (
    "seeds is 2.0", "ranges.tokens goes", "{folder}", "users is 15", "name is 'a/b'", "two values",
    "values has",
    "two labels", "ratio has no", "total of", "users is 6",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((f"{line}\n{BARE}", message) for line, message in CHANGES.items()),
        *(
            ("\n".join([*(i for i in BARE.splitlines() if not i.startswith(f"{key} ")), line]), m)
            for (key, line), m in REPLACED.items()
        ),
    ],
)
def test_the_schema_refuses_what_reading_refuses(text: str, message: str) -> None:
    data = tomllib.loads(text)
    if "nan" in text:  # JSON has none
        return
    assert validator().is_valid(data) is message.startswith(BEYOND_A_SCHEMA)


def test_every_field_of_a_file_says_what_it_means() -> None:
    for table in (SweepTables, RangesTable):
        assert all(field.description for field in table.model_fields.values())
