"""Routes that are asked a thousand times per second."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from qoex.agent.errors import Fault, Problem, Refused
from qoex.agent.nodes import NODE_NAME

_NAME = re.compile(NODE_NAME)


class LeanRoute(APIRoute):
    """A route of one node: its endpoint takes the name in the path and the request, no more.

    FastAPI describes it like any other; what it does for endpoints with more parameters would take
    longer than all of the rest.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        endpoint = self.endpoint

        async def answer(request: Request) -> Response:
            name = request.path_params["name"]
            if not _NAME.fullmatch(name):
                fault = Fault("path.name", f"It must match {NODE_NAME}")
                raise Refused(Problem.INVALID_PARAMETER, f"{fault.where}: {fault.what}.", [fault])
            response: Response = await endpoint(name, request)
            return response

        return answer
