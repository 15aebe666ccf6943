"""What all tests share: the same examples in every run, and the databases of the agent's tests."""

from __future__ import annotations

from hypothesis import settings

from agent_support import (  # noqa: F401  (fixtures)
    anyio_backend,
    database,
    postgresql_database,
    postgresql_server,
    sqlite_database,
    store,
)

# A run that fails must fail again; new examples come from changing a test, not from the clock.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
