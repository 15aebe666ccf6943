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
# The id of a token may be shown: it is how operators name one. Secrets are masked wherever they
# begin, and also if they were cut short: most of one is nearly all of it.
_SECRETS = re.compile(r"(qoex_[a-z0-9]{8})_[A-Za-z0-9_-]{8,}")
# In a URL; up to the last @, for people forget to escape what is in a password.
_PASSWORDS = re.compile(r"(://[^/?#\s:@]*):[^\s]+@")
_PASSWORD_OPTIONS = re.compile(r"([?&](?:ssl)?password=)[^&\s]*", re.IGNORECASE)

_FIRST = ("timestamp", "level", "event")
_json = structlog.processors.JSONRenderer()

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
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {_mask_text(str(key)): _mask(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mask("", item) for item in value]
    if isinstance(value, bytes):
        return _mask_text(value.decode("utf-8", "backslashreplace"))
    # Anything else becomes text at the end anyway; what it says must not get past this.
    return _mask_text(str(value))


def _mask_text(text: str) -> str:
    text = _SECRETS.sub(rf"\1_{MASK}", text)
    text = _PASSWORDS.sub(rf"\1:{MASK}@", text)
    return _PASSWORD_OPTIONS.sub(rf"\1{MASK}", text)


def _ordered(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Put first what people look for first."""
    del logger, method
    first = {name: event[name] for name in _FIRST if name in event}
    return {**first, **event}


def _console(stream: TextIO) -> Processor:
    return structlog.dev.ConsoleRenderer(colors=stream.isatty())
