"""The agent's HTTP interface as one ASGI application."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from qoex.agent.dashboard import dashboard_routes
from qoex.agent.errors import Refused
from qoex.agent.http import problems
from qoex.agent.http.gate import Gate
from qoex.agent.http.lean import ShortWay
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


def create_api() -> FastAPI:
    """Return all routes, without an agent behind them; enough to describe them."""
    # What FastAPI would serve by itself loads scripts from elsewhere.
    api = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # The agent has metrics and a log of its own; asking for others takes time.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    api.state.openapi = None
    # Side by side rather than included: one list in which a path has all of its methods.
    for router in ROUTERS:
        api.router.routes.extend(router.routes)
    api.router.routes.extend(dashboard_routes())
    api.add_exception_handler(Refused, problems.refused_handler)
    api.add_exception_handler(StorageError, problems.storage_handler)
    api.add_exception_handler(RequestValidationError, problems.parameter_handler)
    api.add_exception_handler(HTTPException, problems.http_handler)
    api.add_exception_handler(Exception, problems.mistake_handler)
    return api


def create_app(parts: AgentParts) -> ASGIApp:
    """Return the application that answers for an agent."""
    api = create_api()
    api.state.parts = parts
    return Gate(ShortWay(api), parts)
