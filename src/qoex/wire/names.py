"""What nodes and keys may be called."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

# The two sides of the market, as they are written.
Side = Literal["provider", "user"]

NODE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
IDEMPOTENCY_KEY = r"^[ -~]{1,128}$"

# Keys that start so are the agent's own: a client's must never stand in the way of one.
AGENT_KEY_PREFIX = "expire-"

NodeName = Annotated[
    str,
    Field(
        pattern=NODE_NAME,
        description="Name of a node: 1 to 64 letters, digits, dots, hyphens and underscores, "
        "the first a letter or digit. Providers and users have separate names.",
        examples=["mu-1"],
    ),
]

IdempotencyKey = Annotated[
    str,
    Field(
        pattern=IDEMPOTENCY_KEY,
        description="Chosen by the client, distinct among the reports of a node: 1 to 128 "
        f"printable ASCII characters, not starting with {AGENT_KEY_PREFIX}. The same key with the "
        "same content is answered by the receipt of the first time, and changes nothing.",
        examples=["7f3c2a90-1"],
    ),
]
