"""Settings: where each comes from, what is refused, and that what is printed reads back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from commands import qoex_command
from qoex.agent.settings import (
    Settings,
    is_loopback,
    load_settings,
    settings_text,
    unknown_variables,
)
from qoex.errors import InvalidInputError


def test_only_this_machine_can_reach_what_nobody_set_up() -> None:
    settings = load_settings(environment={})
    assert settings == Settings()
    assert settings.on_loopback
    assert settings.hosts() == frozenset(("localhost", "127.0.0.1", "::1"))


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text("port = 1\ncycle_s = 1\nnode_lifetime_s = 1\n", encoding="utf-8")
    environment = {"QOEX_PORT": "2", "QOEX_CYCLE_S": "2", "QOEX_CONFIG": str(config)}
    settings = load_settings({"port": 3, "cycle_s": None}, environment=environment)
    assert (settings.port, settings.cycle_s, settings.node_lifetime_s) == (3, 2.0, 1.0)
    other = tmp_path / "other.toml"
    other.write_text("node_lifetime_s = 7\n", encoding="utf-8")
    assert load_settings({}, other, environment).node_lifetime_s == 7.0


def test_what_is_printed_reads_back(tmp_path: Path) -> None:
    environment = {
        "QOEX_DATABASE": 'odd "name"\\.db',
        "QOEX_ALLOWED_HOSTS": "agent.example, other.example",
        "QOEX_TRUSTED_PROXIES": "10.0.0.0/8",
        "QOEX_CYCLE_S": "0.25",
        "QOEX_METRICS": "operator",
    }
    settings = load_settings(environment=environment)
    assert settings.allowed_hosts == ("agent.example", "other.example")
    printed = tmp_path / "printed.toml"
    printed.write_text(settings_text(settings), encoding="utf-8")
    assert load_settings({}, printed, {}) == settings
    for name in Settings.model_fields:
        assert re.search(rf"^(# )?{name} =", settings_text(settings), re.MULTILINE), name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "99999"),
        ("port", "no"),
        ("cycle_s", "-1"),
        ("cycle_s", "nan"),
        ("cycle_deadline_s", "0"),
        ("admission", "most"),
        ("admission_most", "1.5"),
        ("operator_rate", "inf"),
        ("max_bulk_lines", "0"),
        ("trusted_proxies", "somewhere"),
        ("billing", "never"),
        ("log_level", "loud"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_place(
    tmp_path: Path, name: str, value: str
) -> None:
    variable = f"QOEX_{name.upper()}"
    with pytest.raises(InvalidInputError, match=f"^{variable}: [^\n]+$"):
        load_settings(environment={variable: value})
    config = tmp_path / "agent.toml"
    config.write_text(f'{name} = "{value}"\n', encoding="utf-8")
    with pytest.raises(InvalidInputError, match=rf"agent\.toml: {name}: [^\n]+$"):
        load_settings({}, config, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ports = 1", "ports: there is no such setting"),
        ("port = ", "is not TOML"),
        ('tls_key = "key.pem"', "tls_certificate and tls_key need each other"),
        ("max_bulk_bytes = 2000", "max_bulk_bytes must not be below max_body_bytes"),
    ],
)
def test_a_file_that_cannot_be(tmp_path: Path, text: str, said: str) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputError, match=said):
        load_settings({}, config, {})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot be read"):
        load_settings({}, tmp_path / "none.toml", {})


def test_slips_in_the_environment_are_found() -> None:
    environment = {"QOEX_PROT": "1", "QOEX_PORT": "1", "QOEX_TOKEN": "x", "PATH": "/"}
    assert unknown_variables(environment) == ["QOEX_PROT"]


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local
    assert (Settings(host=host).hosts() is not None) is local


def test_the_command_refuses_in_one_sentence() -> None:
    done = qoex_command("serve", "--port", "99999")
    assert done.exit_code == 2
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_prints_settings() -> None:
    done = qoex_command("serve", "--cycle", "0.5", "--print-config")
    assert done.exit_code == 0
    assert "\ncycle_s = 0.5\n" in done.stdout
