"""Where the agent keeps what must not be lost: one SQLite file, or a PostgreSQL database.

Reports and cycles are only ever appended. What was appended when a method returned is on the disk
and survives the end of the process, of the machine and of its power.
"""

from __future__ import annotations

from qoex.agent.storage.address import Address
from qoex.agent.storage.cycles import Checkpoint
from qoex.agent.storage.failures import AlreadyStoredError, StorageError
from qoex.agent.storage.log import EntryKey, KnownKey
from qoex.agent.storage.store import Store

__all__ = [
    "Address",
    "AlreadyStoredError",
    "Checkpoint",
    "EntryKey",
    "KnownKey",
    "StorageError",
    "Store",
]
