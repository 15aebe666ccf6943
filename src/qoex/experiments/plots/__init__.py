"""Figures: ``panels`` is what they show, ``reading`` takes its numbers, the rest draws them.

Nothing here solves anything: every number that is drawn comes from a table.
"""
