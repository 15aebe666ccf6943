"""The agent's HTTP interface as one ASGI application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from qoex.agent.dashboard import dashboard_routes
from qoex.agent.errors import Refused
from qoex.agent.http import problems
from qoex.agent.http.gate import Gate
from qoex.agent.http.parts import AgentParts
from qoex.agent.http.routes import (
    bulk,
    cycles,
    decisions,
    events,
    ledger,
    nodes,
    operation,
    reports,
    token,
)
from qoex.agent.storage.failures import StorageError

ROUTERS = (
    reports.router,
    bulk.router,
    nodes.router,
    decisions.router,
    events.router,
    cycles.router,
    ledger.router,
    token.router,
    operation.router,
)


def create_api() -> Starlette:
    """Return all routes, without an agent behind them; enough to describe them."""
    api = Starlette(
        # Side by side: one list in which a path has all of its methods.
        routes=[*(route for router in ROUTERS for route in router.routes), *dashboard_routes()],
        exception_handlers={
            Refused: problems.refused_handler,
            StorageError: problems.storage_handler,
            HTTPException: problems.http_handler,
            Exception: problems.mistake_handler,
        },
    )
    api.router.redirect_slashes = False
    api.state.openapi = None
    return api


def create_app(parts: AgentParts) -> ASGIApp:
    """Return the application that answers for an agent."""
    api = create_api()
    api.state.parts = parts
    return Gate(api, parts)
