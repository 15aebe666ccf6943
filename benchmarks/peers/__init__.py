"""The same markets solved by qoex and by other ways to an equilibrium, side by side.

``make peers`` installs the optional extra "peers" in an environment of its own, runs
``python -m benchmarks.peers`` and so renews ``docs/benchmarks/``. ``--quick`` takes about a minute.
"""
