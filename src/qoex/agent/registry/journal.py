"""What to do to take changes back, as long as it is not sure that they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Journal:
    """Steps that undo changes; kept only within ``all_or_nothing``."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] | None = None

    @property
    def kept(self) -> bool:
        """Whether changes have to be noted now."""
        return self._steps is not None

    def note(self, step: Callable[[], object]) -> None:
        """Remember how to undo a change, if steps are kept."""
        if self._steps is not None:
            self._steps.append(step)

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Take back every change made within, if an exception leaves it; may be nested."""
        outer, steps = self._steps, list[Callable[[], object]]()
        self._steps = steps
        try:
            yield
        except BaseException:
            self._steps = None
            for step in reversed(steps):
                step()
            raise
        else:
            if outer is not None:
                outer += steps
        finally:
            self._steps = outer
