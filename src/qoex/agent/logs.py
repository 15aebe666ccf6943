"""The agent's log: one event a line on stderr, as JSON unless a terminal reads it; no secrets.

Every library logs through the same lines. What looks like a token is masked wherever it stands, and
so is everything under a name that promises a secret.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from qoex.agent.settings import LogFormat, LogLevel

MASK = "[masked]"
_SECRET_NAMES = re.compile(r"authorization|cookie|password|secret|token$", re.IGNORECASE)
# The id of a token may be shown: it is how operators name one.
_SECRETS = re.compile(r"\b(qoex_[a-z0-9]{8})_[A-Za-z0-9_-]{43}")
_PASSWORDS = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")

_FIRST = ("timestamp", "level", "event")
_json = structlog.processors.JSONRenderer(default=str)

# Libraries that tell at "info" what only they care about.
_QUIET = ("alembic", "aiosqlite", "asyncio", "sqlalchemy", "uvicorn")


def set_up_logs(
    level: LogLevel = LogLevel.INFO,
    form: LogFormat = LogFormat.AUTO,
    stream: TextIO | None = None,
) -> None:
    """Let all log lines of this process go to a stream.

    Args:
        level: of the least important lines that are written.
        form: how they look.
        stream: stderr unless given.

    """
    stream = sys.stderr if stream is None else stream
    console = form is LogFormat.CONSOLE or (form is LogFormat.AUTO and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # As text, so that it can be masked; and without the values of variables.
            structlog.processors.format_exc_info,
            masked,
            *([_console(stream)] if console else [_ordered, _json]),
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.value.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def masked(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Mask secrets in every value of an event (a processor of structlog)."""
    del logger, method
    return {name: _mask(name, value) for name, value in event.items()}


def _mask(name: str, value: object) -> object:
    if _SECRET_NAMES.search(name):
        return MASK
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        return _PASSWORDS.sub(rf"\1:{MASK}@", _SECRETS.sub(rf"\1_{MASK}", value))
    if isinstance(value, dict):
        return {key: _mask(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mask("", item) for item in value]
    return value


def _ordered(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Put first what people look for first."""
    del logger, method
    first = {name: event[name] for name in _FIRST if name in event}
    return {**first, **event}


def _console(stream: TextIO) -> Processor:
    return structlog.dev.ConsoleRenderer(colors=stream.isatty())
