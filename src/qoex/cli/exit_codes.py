"""What a command's exit code says."""

from __future__ import annotations

NO = 1  # an answer, and it is no: not solved, not an equilibrium
UNUSABLE = 2  # input that cannot be used
INTERRUPTED = 130  # what a shell says of SIGINT
NO_READER = 141  # what a shell says of SIGPIPE
