"""Numeric kernels: plain functions over floats and arrays, compiled by numba.

Compiled code is kept on disk (:mod:`qoex.kernels.keeping`), so only the very first call of a kernel
on a machine compiles; it gives the same bits then as later, when it is loaded.
Loading numba costs over a second all the same, more than a small market takes to solve; a short
process may therefore call :func:`interpret` before any kernel module is imported and run the same
functions as ordinary Python. Inputs are trusted here: the callers validate.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

Bytes = NDArray[np.uint8]

# Users whose sums are kept apart, so that they can be added up in a fixed order whoever has them.
BLOCK = 4096

F = TypeVar("F", bound=Callable[..., Any])

# What lets loops over users run in vector registers. NaN and infinity keep their meaning.
_FAST = {"reassoc", "contract", "arcp", "nsz"}

_state = {"interpreted": False}


def interpret() -> None:
    """Run kernels as ordinary Python from now on; has to come before the first kernel is loaded.

    Raises:
        RuntimeError: a kernel module has been imported already.
    """
    if f"{__name__}.compiling" in sys.modules and not _state["interpreted"]:
        loaded = sorted(name for name in sys.modules if name.startswith(f"{__name__}."))
        raise RuntimeError(f"kernels are compiled already: {', '.join(loaded)}")
    _state["interpreted"] = True


def interpreted() -> bool:
    """Return whether kernels run as ordinary Python."""
    return _state["interpreted"]


def kernel(function: F) -> F:
    """Compile a function with numba on its first call, or leave it as it is when interpreting."""
    return _compiled(function, fastmath=False)


def vector_kernel(function: F) -> F:
    """Do the same for loops over users: sums may be reordered, the same way every time."""
    return _compiled(function, fastmath=_FAST)


def _compiled(function: F, fastmath: bool | set[str]) -> F:
    if _state["interpreted"]:
        return function
    from qoex.kernels.compiling import compiled

    kernel: F = compiled(function, fastmath)
    return kernel
