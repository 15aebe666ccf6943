"""Experiments: a study yields rows, rows make a table, and figures, claims and reports read tables.

``study`` says what an experiment is, ``sweep`` and ``convergence`` are the two kinds there are,
``running`` runs them, ``tables`` keeps their rows. Nothing that draws or reports ever solves.
"""
