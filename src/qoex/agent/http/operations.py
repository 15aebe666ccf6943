"""Operations: what answers a request, declared once for the router and for the description.

An endpoint's own signature says what it takes of path, query and headers; ``described`` says the
rest. The route reads and checks these parameters; :mod:`qoex.agent.http.openapi` describes them.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qoex.agent.errors import ProblemKind, Refused
from qoex.wire.problems import Fault

Endpoint = Callable[..., Awaitable[Response]]
Place = Literal["path", "query", "header"]

_LONGEST = 200  # characters of a place, which may be a name that the client made up
_MISSING = "Field required"


@dataclass(frozen=True)
class In:
    """Where a parameter stands, as metadata of its type; without it, in the path.

    Attributes:
        place: of the request.
        name: as the client writes it, where that is not the name of the argument.
    """

    place: Place
    name: str | None = None


QUERY = In("query")


class Parameter:
    """One argument of an endpoint that the request gives.

    Args:
        argument: its name.
        annotation: its type, with what is asked of it and where it stands.
        default: of the argument; ``inspect.Parameter.empty`` where it has to be given.
    """

    def __init__(self, argument: str, annotation: Any, default: Any) -> None:
        metadata = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
        stands = next((item for item in metadata if isinstance(item, In)), In("path"))
        self.argument = argument
        self.place: Place = stands.place
        self.name = stands.name or argument
        self.required = default is inspect.Parameter.empty
        self._default = default
        self._adapter: TypeAdapter[Any] = TypeAdapter(annotation)

    def read(self, request: Request, faults: list[Fault]) -> Any:
        """Return the argument; what is wrong with it is added to the faults."""
        given: Mapping[str, Any] = {
            "path": request.path_params,
            "query": request.query_params,
            "header": request.headers,
        }[self.place]
        where = f"{self.place}.{self.name}"
        if self.name not in given:
            if self.required:
                faults.append(Fault(where, _MISSING))
            return self._default
        try:
            return self._adapter.validate_python(given[self.name])
        except ValidationError as error:
            faults += [Fault(where, item["msg"]) for item in error.errors(include_url=False)]
            return None

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI description."""
        schema = _inlined(self._adapter.json_schema())
        described: dict[str, Any] = {"name": self.name, "in": self.place}
        for key in ("description", "examples"):
            if key in schema:
                value = schema.pop(key)
                described["description" if key == "description" else "example"] = (
                    value if key == "description" else value[0]
                )
        if not self.required and self._default is not None:
            schema["default"] = self._default
        return {**described, "required": self.required, "schema": schema}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with its definitions where they are referred to; none refers to itself."""
    defined = schema.pop("$defs", {})

    def inlined(value: Any) -> Any:
        if isinstance(value, list):
            return [inlined(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return inlined(defined[value["$ref"].rpartition("/")[2]])
        return {key: inlined(item) for key, item in value.items()}

    found: dict[str, Any] = inlined(schema)
    return found


class Operation(Route):
    """A route of one method, with its description.

    Attributes:
        method: of HTTP.
        parameters: that the endpoint takes, besides the request.
        document: what ``described`` said, as OpenAPI has it.
    """

    def __init__(self, method: str, path: str, endpoint: Endpoint, document: Any) -> None:
        hints = get_type_hints(endpoint, include_extras=True)
        self.parameters = [
            Parameter(name, hints[name], item.default)
            for name, item in inspect.signature(endpoint).parameters.items()
            if hints[name] is not Request
        ]
        self.document: Mapping[str, Any] = document
        self._endpoint = endpoint
        self.method = method
        super().__init__(path, self._answer, methods=[method], name=endpoint.__name__)
        self.methods = {method}  # without the HEAD that a GET would bring along
        self._description = inspect.getdoc(endpoint) or ""

    def described(self) -> dict[str, Any]:
        """Return the OpenAPI description."""
        given = [item.document() for item in self.parameters]
        parameters = [*given, *self.document.get("parameters", ())]
        return {
            **self.document,
            "description": self._description,
            **({"parameters": parameters} if parameters else {}),
        }

    async def _answer(self, request: Request) -> Response:
        faults: list[Fault] = []
        arguments = {item.argument: item.read(request, faults) for item in self.parameters}
        if faults:
            detail = f"{faults[0].where[:_LONGEST]}: {faults[0].what}."
            raise Refused(ProblemKind.INVALID_PARAMETER, detail, faults)
        return await self._endpoint(request=request, **arguments)


class Operations:
    """The table of some operations, filled by decorators.

    Attributes:
        routes: in the order in which they are tried.
    """

    def __init__(self) -> None:
        self.routes: list[Operation] = []

    def add(
        self, method: str, path: str, document: Mapping[str, Any]
    ) -> Callable[[Endpoint], Endpoint]:
        """Return what makes an operation of an endpoint."""

        def added(endpoint: Endpoint) -> Endpoint:
            self.routes.append(Operation(method, path, endpoint, document))
            return endpoint

        return added

    def get(self, path: str, **document: Any) -> Callable[[Endpoint], Endpoint]:
        """Add one that reads."""
        return self.add("GET", path, document)

    def put(self, path: str, **document: Any) -> Callable[[Endpoint], Endpoint]:
        """Add one that replaces."""
        return self.add("PUT", path, document)

    def patch(self, path: str, **document: Any) -> Callable[[Endpoint], Endpoint]:
        """Add one that changes some."""
        return self.add("PATCH", path, document)

    def post(self, path: str, **document: Any) -> Callable[[Endpoint], Endpoint]:
        """Add one that does something."""
        return self.add("POST", path, document)

    def delete(self, path: str, **document: Any) -> Callable[[Endpoint], Endpoint]:
        """Add one that takes away."""
        return self.add("DELETE", path, document)
