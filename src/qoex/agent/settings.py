"""What can be set about the agent: on the command line, by the environment, or in a file.

The command line wins over the environment (``QOEX_PORT``), that over the file (``port``, TOML), and
that over the defaults. Everything is checked before anything starts.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from enum import Enum, StrEnum
from ipaddress import ip_address, ip_network
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from qoex.agent.solving.task import AdmissionObjective
from qoex.agent.state.ledger import Billing
from qoex.agent.storage.address import Address
from qoex.errors import InvalidInputError

PREFIX = "QOEX_"
CONFIG_VARIABLE = "QOEX_CONFIG"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

# Of the client and of this module; every other QOEX_ variable that is no setting is a slip.
_OTHER_VARIABLES = {CONFIG_VARIABLE, "QOEX_AGENT", "QOEX_TOKEN"}

Seconds = Annotated[float, Field(gt=0, le=31_536_000, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Rate = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]


def _network(text: str) -> str:
    return str(ip_network(text, strict=False))


def _split(value: Any) -> Any:
    """Let one text stand for a list: a variable of the environment can hold nothing else."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


Listed = BeforeValidator(_split)


class LogFormat(StrEnum):
    """How log lines look."""

    AUTO = "auto"  # console on a terminal, json elsewhere
    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The least important lines that are written."""

    DEBUG = "debug"  # also one line per request
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class MetricsAccess(StrEnum):
    """Who reads ``/metrics``."""

    LOOPBACK = "loopback"  # this machine without a token, an operator from anywhere
    OPERATOR = "operator"
    ANYONE = "anyone"


class Settings(BaseModel):
    """Everything that an operator may decide; a setting's name is also that in file and variable.

    Raises:
        pydantic.ValidationError: a value that cannot be; :func:`load_settings` says it in one
            sentence.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )

    database: str = "qoex-agent.db"
    """Where everything is kept: a file, sqlite:///path, or postgresql://user@host/database."""
    host: str = "127.0.0.1"
    """Address to listen on; only this machine can reach the default."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8321
    """Port to listen on; 0 takes a free one, which the log names."""
    tls_certificate: Path | None = None
    """Certificate chain (PEM) to serve HTTPS with; needs tls_key."""
    tls_key: Path | None = None
    """Private key (PEM) of tls_certificate."""
    allowed_hosts: Annotated[tuple[str, ...], Listed] = ()
    """Host names that requests may be addressed to, without port. Empty: those of this machine
    where the agent listens on loopback only (a page of another site cannot reach it then), any
    otherwise."""
    trusted_proxies: Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], Listed] = ()
    """Addresses or networks of reverse proxies whose X-Forwarded-For is believed."""

    cycle_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 5.0
    """Seconds from one update cycle to the next; 0 runs cycles only when an operator asks."""
    cycle_deadline_s: Seconds = 30.0
    """Seconds after which a cycle is given up; the last good decision stays in force then."""
    admission: AdmissionObjective = AdmissionObjective.VALUE
    """Which demands to drop where not all can be served: "none", "count" (the fewest) or "value"
    (those of the least value)."""
    admission_most: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.5
    """Largest share of the demands that may be dropped; beyond it the last decision stays."""
    solver_threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads that a solve may use."""
    node_lifetime_s: Seconds = 300.0
    """Seconds without a report after which a node expires that declares no lifetime of its own."""
    max_clock_skew_s: Seconds = 300.0
    """Seconds that a report's time may differ from the agent's clock."""
    billing: Billing = Billing.CYCLE
    """What a user owes R·Q for: each "cycle" that a decision is in force, or each "request" served.
    To be chosen once for a database."""

    checkpoint_every: Count = 20_000
    """Reports from one checkpoint to the next; more of them make a restart slower."""
    checkpoint_cycles: Count = 50
    """Cycles from one checkpoint to the next."""

    max_body_bytes: Annotated[int, Field(ge=1_024, le=2**30)] = 1_048_576
    """Largest body of a request."""
    max_bulk_bytes: Annotated[int, Field(ge=1_024, le=2**30)] = 16_777_216
    """Largest body of a bulk request."""
    max_bulk_lines: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Most reports in a bulk request."""
    body_timeout_s: Seconds = 30.0
    """Seconds within which the body of a request must have arrived."""
    operator_rate: Rate = 2_000.0
    """Requests per second of each operator's token, in the long run."""
    operator_burst: Count = 10_000
    """Requests that an operator's token may send at once."""
    node_rate: Rate = 20.0
    """Requests per second of each node's token, in the long run."""
    node_burst: Count = 100
    """Requests that a node's token may send at once."""
    failed_logins_rate: Rate = 1.0
    """Requests per second without a valid token, of each client address, in the long run."""
    failed_logins_burst: Count = 20
    """Requests without a valid token that an address may send at once."""

    event_heartbeat_s: Seconds = 15.0
    """Seconds of silence after which an event stream carries a comment."""
    event_queue: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Cycles that a reader of an event stream may lag behind before it is dropped."""
    operator_streams: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Event streams that an operator's token may have open."""
    node_streams: Annotated[int, Field(ge=1, le=1_000)] = 4
    """Event streams that a node's token may have open."""

    metrics: MetricsAccess = MetricsAccess.LOOPBACK
    """Who reads /metrics: "loopback" (this machine without a token, and operators), "operator" or
    "anyone"."""
    log_level: LogLevel = LogLevel.INFO
    """Least important lines of the log: "debug" (one per request, too), "info", "warning" or
    "error"."""
    log_format: LogFormat = LogFormat.AUTO
    """How lines of the log look: "console", "json", or "auto": console on a terminal only."""
    shutdown_grace_s: Annotated[float, Field(ge=0, le=3_600, allow_inf_nan=False)] = 10.0
    """Seconds that requests under way have to end when the agent stops."""

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key need each other")
        if self.max_bulk_bytes < self.max_body_bytes:
            raise ValueError("max_bulk_bytes must not be below max_body_bytes")
        return self

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the agent."""
        return is_loopback(self.host)

    def hosts(self) -> frozenset[str] | None:
        """Return the names that a request may be addressed to, in lower case; None for any."""
        if self.allowed_hosts:
            return frozenset(name.lower() for name in self.allowed_hosts)
        return frozenset((*LOOPBACK_NAMES, self.host.lower())) if self.on_loopback else None


def is_loopback(host: str) -> bool:
    """Return whether an address or name is of this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def load_settings(
    given: Mapping[str, Any] | None = None,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings from command line, environment and file, checked.

    Args:
        given: what the command line says, by name; None for what it leaves out.
        config: TOML file; else the one that the variable QOEX_CONFIG names, if any.
        environment: variables; by default those of the process.

    Raises:
        InvalidInputError: the file cannot be read, or a value cannot be; names both.
    """
    environment = os.environ if environment is None else environment
    named = environment.get(CONFIG_VARIABLE)
    path = config if config is not None else Path(named) if named else None
    from_file = {} if path is None else _read(path)
    from_environment = {
        name: environment[PREFIX + name.upper()]
        for name in Settings.model_fields
        if environment.get(PREFIX + name.upper())
    }
    from_command = {name: value for name, value in (given or {}).items() if value is not None}
    try:
        return Settings(**{**from_file, **from_environment, **from_command})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        message = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise InvalidInputError(f"the settings do not fit together: {message}") from None
        name = str(first["loc"][0])
        if name in from_command:
            place = f"--{name.removesuffix('_s').replace('_', '-')}"
        elif name in from_environment:
            place = PREFIX + name.upper()
        else:
            place = f"{path}: {name}"
        if first["type"] == "extra_forbidden":
            message = "there is no such setting"
        raise InvalidInputError(f"{place}: {message[0].lower()}{message[1:]}") from None


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the names of QOEX_ variables that set nothing: slips, most likely."""
    known = _OTHER_VARIABLES | {PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read ({error.strerror})") from None
    except ValueError as error:  # tomllib.TOMLDecodeError and UnicodeDecodeError are such
        raise InvalidInputError(f"{path} is not TOML: {error}") from None


_HEADING = """\
# Settings of qoex serve. Each can also be set by a variable of the environment (QOEX_PORT for
# port; lists with commas), which wins over this file, and the usual ones on the command line,
# which wins over both.
"""


def settings_text(settings: Settings) -> str:
    """Return the settings as TOML with what each means; what is not set stands as a comment.

    A password in the address of the database is left out.
    """
    blocks = [_HEADING]
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if name == "database":
            value = _without_password(value)
        comment = " ".join((field.description or "").split())
        lines = [f"# {line}" for line in wrap(comment, 98)]
        lines.append(f"# {name} =" if value is None else f"{name} = {_value(value)}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _without_password(database: str) -> str:
    address = Address.parse(database)
    return database if address.dsn is None else address.name


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, Enum):
        return _value(value.value)
    if isinstance(value, str | Path):
        # A JSON string is a TOML basic string, but that TOML wants the delete character escaped.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
