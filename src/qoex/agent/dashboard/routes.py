"""The routes that serve the dashboard's files, read from the package once and kept in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PREFIX = "/dashboard"
_INDEX = "index.html"
_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    "LICENSE": "text/plain; charset=utf-8",
}

# The page loads its own files and talks to its own agent, nothing else; names of nodes come from
# strangers, so the browser is also told to refuse any text that would be parsed as HTML.
_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HEADERS = {
    # Cheap to ask again (an ETag and no body), and a new version of the agent shows at once.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class _File:
    body: bytes
    media_type: str
    etag: str


def dashboard_routes() -> list[Route]:
    """Return the routes of the page at ``/`` and of its files below ``/dashboard/``.

    Only files that the package holds are served: a path is looked up, never opened. A path that
    is not among them raises Starlette's HTTPException 404.
    """
    return [
        Route("/", _index, methods=["GET"], name="dashboard", include_in_schema=False),
        Route(
            f"{PREFIX}/{{path:path}}",
            _asset,
            methods=["GET"],
            name="dashboard-file",
            include_in_schema=False,
        ),
    ]


async def _index(request: Request) -> Response:
    return _answer(request, _files()[_INDEX])


async def _asset(request: Request) -> Response:
    path: str = request.path_params["path"]
    if path not in _files():
        raise HTTPException(404, "The dashboard has no such file.")
    return _answer(request, _files()[path])


def _answer(request: Request, file: _File) -> Response:
    headers = {**_HEADERS, "ETag": file.etag}
    known = request.headers.get("if-none-match", "")
    if file.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(file.body, headers={**headers, "Content-Type": file.media_type})


@cache
def _files() -> Mapping[str, _File]:
    """Return every file of ``static`` that has a media type, by its path below it."""
    found = {}
    for path, file in _below(files(__package__) / "static", ""):
        media_type = next((kind for end, kind in _MEDIA_TYPES.items() if path.endswith(end)), None)
        if media_type is not None:
            body = file.read_bytes()
            found[path] = _File(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
    return found


def _below(directory: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for entry in directory.iterdir():
        if entry.is_dir():
            yield from _below(entry, f"{path}{entry.name}/")
        else:
            yield path + entry.name, entry
