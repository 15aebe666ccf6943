"""Adding up in an order that stays as it is written."""

from __future__ import annotations

from qoex.kernels import Floats, kernel


@kernel
def add(total: Floats, place: int, value: float) -> None:
    """Add a value to one of a block's sums.

    Sums of a few users may be reordered to fit vector registers. Where the compiler could do so
    with the sums of groups as well, it would do it in one way for the first block that a thread
    takes and in another for the next, and the last bit would depend on how blocks are shared out.
    """
    total[place] += value
