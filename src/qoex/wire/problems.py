"""Why a request was refused, as problem details (RFC 9457)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a request: where it is, and what."""

    where: Annotated[str, Field(description="Path of a field, or a parameter.")]
    what: Annotated[str, Field(description="What is wrong there.")]


class ProblemBody(BaseModel):
    """Why a request was refused (RFC 9457). A refused request has changed nothing."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str = Field(pattern="^urn:qoex:problem:[a-z-]+$")
    """The kind of problem."""
    title: str
    """The kind of problem in words."""
    status: int
    """The status of the answer."""
    detail: str
    """What was wrong this time, and where."""
    instance: str | None = None
    """Names the request, as in the agent's log."""
    errors: list[Fault] | None = None
    """Single places that are wrong; at most 20 of them."""
