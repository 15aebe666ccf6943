"""What all tests share: the same examples in every run."""

from __future__ import annotations

from hypothesis import settings

# A run that fails must fail again; new examples come from changing a test, not from the clock.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
