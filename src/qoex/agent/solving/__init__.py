"""The decision itself, made in a process of its own from a snapshot alone."""
