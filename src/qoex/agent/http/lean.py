"""Routes that are asked a thousand times per second, and the short way to them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from qoex.agent.errors import ProblemKind, Refused
from qoex.agent.http.problems import refused_handler, storage_handler
from qoex.agent.storage.failures import StorageError
from qoex.wire.names import NODE_NAME
from qoex.wire.problems import Fault

Endpoint = Callable[[str, Request], Awaitable[Response]]

_NAME = re.compile(NODE_NAME)
_PLACE = 3  # of the name among the parts of /v1/users/{name} and of all other lean paths


class LeanRoute(APIRoute):
    """A route of one node: its endpoint takes the name in the path and the request, no more.

    FastAPI describes it like any other.
    """


class ShortWay:
    """Takes requests of lean routes to their endpoints, and all others to the application.

    On the way through FastAPI a report would spend more time than on being read and stored.
    """

    def __init__(self, api: FastAPI) -> None:
        self._api = api
        self._endpoints: dict[tuple[Any, ...], Endpoint] = {}
        for route in api.router.routes:
            if not isinstance(route, LeanRoute):
                continue
            parts = route.path.split("/")
            if parts.pop(_PLACE) != "{name}":
                raise ValueError(f"{route.path} has no name where lean routes have theirs")
            for method in route.methods or ():
                self._endpoints[method, *parts] = route.endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        parts = scope["path"].split("/")
        name = parts.pop(_PLACE) if len(parts) > _PLACE else ""
        endpoint = self._endpoints.get((scope["method"], *parts)) if name else None
        if endpoint is None:
            await self._api(scope, receive, send)
            return
        scope["app"] = self._api
        request = Request(scope, receive)
        try:
            if not _NAME.fullmatch(name):
                fault = Fault("path.name", f"It must match {NODE_NAME}")
                raise Refused(  # noqa: TRY301
                    ProblemKind.INVALID_PARAMETER, f"{fault.where}: {fault.what}.", [fault]
                )
            response = await endpoint(name, request)
        except Refused as error:
            response = await refused_handler(request, error)
        except StorageError as error:
            response = await storage_handler(request, error)
        await response(scope, receive, send)
