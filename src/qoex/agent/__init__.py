"""The decision agent: the market as a running service (section V-C2 of the paper).

Nodes report, a cycle settles the market on what they said, and decisions are handed out. Whatever
was acknowledged lies in an append-only log; everything else is a fold of it.
"""
