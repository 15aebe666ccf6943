"""``python -m benchmarks.peers``; see ``command``.

Every child process imports this module anew, so it loads nothing that only the parent needs.
"""

if __name__ == "__main__":
    from .command import main

    raise SystemExit(main())
