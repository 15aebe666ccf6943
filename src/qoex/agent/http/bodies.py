"""Bodies: requests are read within limits of size and time, and JSON has one meaning only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, NoReturn

from pydantic_core import to_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from qoex.agent.errors import ProblemKind, Refused
from qoex.wire.problems import Fault

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
NDJSON = "application/x-ndjson"

# Whole numbers of more digits are far beyond every limit; as a double they are refused like any
# number that is too large, and turning the digits into an integer would take time that grows with
# their square.
_MOST_DIGITS = 30

_LONGEST_NAME = 80  # of what a message repeats


def json_answer(answer: Any, status: int = 200) -> Response:
    """Return an answer in JSON."""
    return Response(to_json(answer), status, media_type=JSON)


def require_media_type(request: Request, *allowed: str) -> None:
    """Let a body of one of the media types pass.

    Raises:
        Refused: unsupported-media-type.
    """
    headers = request.headers
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(
            ProblemKind.UNSUPPORTED_MEDIA_TYPE, "The body is compressed; send it as it is."
        )
    given = headers.get("content-type", "")
    media_type, _, parameters = given.partition(";")
    name, _, value = parameters.strip().lower().partition("=")
    fits = media_type.strip().lower() in allowed
    if not fits or (name == "charset" and value.strip('"') not in ("utf-8", "utf8")):
        said = f"has the media type {given[:_LONGEST_NAME]!r}" if given else "has no media type"
        raise Refused(
            ProblemKind.UNSUPPORTED_MEDIA_TYPE,
            f"The body {said}; it must be {' or '.join(allowed)}, in UTF-8.",
        )


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """Return the body.

    Args:
        request: whose body it is.
        most: bytes that it may have, whatever Content-Length says.
        seconds: within which it must have come.

    Raises:
        Refused: too-large or request-timeout.
        ClientDisconnect: the client is gone.
    """
    parts = [part async for part in body_parts(request, most, seconds)]
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def body_parts(request: Request, most: int, seconds: float) -> AsyncIterator[bytes]:
    """Iterate over the body as it comes; arguments and errors are those of ``read_body``."""
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > most:
        raise _too_large(most)
    size = 0
    until = asyncio.get_running_loop().time() + seconds
    more = True
    while more:
        try:
            async with asyncio.timeout_at(until):
                message = await request.receive()
        except TimeoutError:
            raise Refused(
                ProblemKind.REQUEST_TIMEOUT, f"The body did not come within {seconds:g} s."
            ) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _too_large(most)
        more = message.get("more_body", False)
        if part:
            yield part


def strict_json(raw: bytes) -> Any:
    """Return what a JSON text says, if all readers of JSON would agree on it.

    Raises:
        Refused: malformed-json: it is not UTF-8, not JSON, has NaN or Infinity, a name twice in
            an object, or is nested too deeply.
    """
    try:
        return _DECODER.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _malformed(f"it is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _malformed(f"{error.msg[0].lower()}{error.msg[1:]} at {place}") from None
    except RecursionError:
        raise _malformed("it is nested too deeply") from None


def strict_object(raw: bytes) -> dict[str, Any]:
    """Return what a JSON object says.

    Raises:
        Refused: malformed-json, or invalid-report if it is something else than an object.
    """
    said = strict_json(raw)
    if not isinstance(said, dict):
        what = "It must be a JSON object"
        raise Refused(ProblemKind.INVALID_REPORT, f"The body: {what}.", [Fault("", what)])
    return said


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _malformed(f"an object has the name {name[:_LONGEST_NAME]!r} twice")
            seen.add(name)
    return members


def _whole(text: str) -> int | float:
    return int(text) if len(text) <= _MOST_DIGITS else float(text)


def _refuse_constant(name: str) -> NoReturn:
    raise _malformed(f"{name} is no JSON number")


def _malformed(what: str) -> Refused:
    return Refused(ProblemKind.MALFORMED_JSON, f"The body cannot be read: {what}.")


def _too_large(most: int) -> Refused:
    return Refused(ProblemKind.TOO_LARGE, f"The body has more than {most} bytes.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole, parse_constant=_refuse_constant
)
