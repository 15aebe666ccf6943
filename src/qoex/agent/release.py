"""Which release of the package this is, for those who ask the agent."""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("qoex")
