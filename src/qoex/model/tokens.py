"""Token counts of every pair, for the schemes that price tokens."""

from __future__ import annotations

from dataclasses import dataclass

from qoex.model.market import FloatArray


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens in and out of every pair; zero at absent pairs.

    Attributes:
        input_tokens: x_in, N×M, tokens.
        output_tokens: x_out, N×M, tokens.

    """

    input_tokens: FloatArray
    output_tokens: FloatArray

    def __post_init__(self) -> None:
        self.input_tokens.setflags(write=False)
        self.output_tokens.setflags(write=False)
