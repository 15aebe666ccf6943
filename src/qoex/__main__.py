"""``python -m qoex`` does what ``qoex`` does."""

from qoex.cli import main

main()
