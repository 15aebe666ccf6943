"""How numba compiles kernels, and keeps them; loaded only where they are compiled."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache, _CacheLocator

from qoex.kernels.keeping import folder_for, tell_compiling, tell_not_kept


def compiled(function: Callable[..., Any], fastmath: bool | set[str]) -> Any:
    """Return a function that is compiled, or loaded, when it is first called.

    Every kernel has all that it calls inlined. Otherwise its object code would bring copies of its
    helpers, each optimised for where it came from, of which the linker keeps whichever is loaded
    first; the last digits would then tell which kernels a process had compiled, and which loaded.
    """
    kernel = njit(
        error_model="numpy",
        nogil=True,  # so that threads can share the users among them
        forceinline=True,
        fastmath=fastmath,
    )(function)
    # What ``cache=True`` would do, but for the folder and for what happens if that fills up.
    kernel._cache = _Kept(function) if _folder_of(function) is not None else _Nothing()
    return kernel


def _folder_of(function: Callable[..., Any]) -> Path | None:
    return folder_for(Path(inspect.getfile(function)).parent)


class _Locator(_CacheLocator):  # type: ignore[misc]
    """Where numba is to keep a kernel; the folder is never that of another source."""

    def __init__(self, function: Any, folder: Path) -> None:
        self._function = function
        self._folder = folder

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Locator | None:
        folder = folder_for(Path(py_file).parent)
        return None if folder is None else cls(py_func, folder)

    def ensure_cache_path(self) -> None:
        """Do nothing: the folder was looked at before, and need not be writable."""

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return self._folder.name

    def get_disambiguator(self) -> str:
        return str(self._function.__code__.co_firstlineno)


class _Implementation(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class _Kept(FunctionCache):  # type: ignore[misc]
    """numba's cache of one kernel, for which it is no error that nothing more can be kept."""

    _impl_class = _Implementation

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = super().load_overload(sig, target_context)
        if found is None:
            tell_compiling()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            tell_not_kept(self.cache_path, error)


class _Nothing(NullCache):  # type: ignore[misc]
    """A cache that keeps nothing; its user learns what takes so long."""

    def load_overload(self, sig: Any, target_context: Any) -> None:
        tell_compiling()
