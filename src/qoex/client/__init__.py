"""Clients of the decision agent: ``Client`` waits for its answers, ``AsyncClient`` is for asyncio.

Both have the same calls. They need the extra "agent": ``pip install "qoex[agent]"``.
"""

from __future__ import annotations

from qoex.client.asynchronous import AsyncClient
from qoex.client.blocking import Client
from qoex.client.errors import AgentError
from qoex.client.exchange import Retries
from qoex.client.reports import Line, new_key
from qoex.wire.problems import Fault

__all__ = ["AgentError", "AsyncClient", "Client", "Fault", "Line", "Retries", "new_key"]
