"""Registry and ledger at one place of the log, as bytes and back, to the last bit.

The bytes are a line that names the format, the SHA-256 of the rest, and an ``.npz`` file in which
the array ``header`` holds JSON: whatever is no array.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoex.agent.reports.entries import NodeKind
from qoex.agent.solving.snapshot import DEMAND_COLUMNS, PROVIDER_COLUMNS, USER_COLUMNS
from qoex.agent.state.ledger import Ledger, LedgerContents
from qoex.agent.state.registry import Registry
from qoex.agent.state.registry.fold import RegistryContents
from qoex.errors import InvalidInputError

_FORMAT = b"qoex-checkpoint 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size
_LAYOUT = [list(PROVIDER_COLUMNS), list(USER_COLUMNS), list(DEMAND_COLUMNS)]


@dataclass(frozen=True)
class Captured:
    """Copies of all that a registry and a ledger held at the same time."""

    registry: RegistryContents
    ledger: LedgerContents

    @classmethod
    def of(cls, registry: Registry, ledger: Ledger) -> Captured:
        """Copy what the two hold now."""
        return cls(registry.contents(), ledger.contents())

    @property
    def position(self) -> int:
        """Seq of the last entry in it."""
        return self.registry.position

    @property
    def cycle(self) -> int:
        """Number of the last cycle in it."""
        return self.ledger.cycle

    def fill(self, registry: Registry, ledger: Ledger) -> None:
        """Let the two hold this and nothing else.

        Raises:
            InvalidInputError: its arrays do not fit each other.
        """
        try:
            registry.fill(self.registry)
            ledger.fill(self.ledger)
        except ValueError as error:
            raise InvalidInputError(f"the checkpoint cannot be used: {error}") from error

    def encoded(self) -> bytes:
        """Return it as bytes, the same for the same contents."""
        moment = self.registry.received_at
        header = {
            "layout": _LAYOUT,
            "position": self.registry.position,
            "received_at": None if moment is None else moment.isoformat(),
            "names": _by_kind(self.registry.names),
            "departed": {
                kind.value: list(slots.items()) for kind, slots in self.registry.departed.items()
            },
            "ledger": {
                "cycle": self.ledger.cycle,
                "names": _by_kind(self.ledger.names),
                "large": [[n, m, value] for (n, m), value in self.ledger.large.items()],
            },
        }
        text = json.dumps(header, separators=(",", ":")).encode()
        arrays: dict[str, Any] = {
            "header": np.frombuffer(text, dtype=np.uint8),
            "ledger_balances": self.ledger.balances,
            **self.registry.arrays,
        }
        file = io.BytesIO()
        np.savez(file, **arrays)
        data = file.getbuffer()
        return b"".join((_FORMAT, hashlib.sha256(data).digest(), data))

    @classmethod
    def decoded(cls, data: bytes) -> Captured:
        """Read what ``encoded`` wrote.

        Raises:
            InvalidInputError: it is no checkpoint, damaged, or of another version.
        """
        if not data.startswith(_FORMAT):
            raise InvalidInputError("it is no checkpoint that this version of qoex can read")
        start = len(_FORMAT) + _DIGEST_BYTES
        content = memoryview(data)[start:]
        if hashlib.sha256(content).digest() != data[len(_FORMAT) : start]:
            raise InvalidInputError("the checkpoint is damaged: its digest is not that of its data")
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays: dict[str, NDArray[Any]] = {name: file[name] for name in file.files}
            header = json.loads(arrays.pop("header").tobytes())
            if header["layout"] != _LAYOUT:
                raise InvalidInputError("the checkpoint has other columns than this version")
            return cls(_registry(header, arrays), _ledger(header["ledger"], arrays))
        except (KeyError, TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
            if isinstance(error, InvalidInputError):
                raise
            raise InvalidInputError(f"the checkpoint cannot be read ({error})") from error


def _registry(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> RegistryContents:
    moment = header["received_at"]
    return RegistryContents(
        position=header["position"],
        received_at=None if moment is None else datetime.fromisoformat(moment),
        names=_names(header["names"]),
        departed={kind: dict(header["departed"][kind.value]) for kind in NodeKind},
        arrays={name: array for name, array in arrays.items() if name != "ledger_balances"},
    )


def _ledger(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> LedgerContents:
    return LedgerContents(
        cycle=header["cycle"],
        names=_names(header["names"]),
        balances=arrays["ledger_balances"],
        large={(n, m): value for n, m, value in header["large"]},
    )


def _by_kind(names: Mapping[NodeKind, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {kind.value: listed for kind, listed in names.items()}


def _names(header: Mapping[str, list[str]]) -> dict[NodeKind, tuple[str, ...]]:
    return {kind: tuple(header[kind.value]) for kind in NodeKind}
