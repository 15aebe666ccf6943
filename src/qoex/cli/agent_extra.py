"""Says in one sentence what to install where the packages of the extra "agent" are missing."""

from __future__ import annotations

from importlib.util import find_spec

from qoex.errors import QoexError


def require_agent_extra(command: str, package: str) -> None:
    """Return if a package of the extra "agent" is installed.

    Args:
        command: that needs it.
        package: as it is imported.

    Raises:
        QoexError: it is not; says what to do.
    """
    if find_spec(package) is None:
        raise QoexError(f'qoex {command} needs the extra "agent": pip install "qoex[agent]"')
