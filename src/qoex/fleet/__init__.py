"""A simulated fleet of users and providers that reports to a running agent over HTTP.

Nodes arrive, move, change their demands, leave and fail; the fleet remembers what was true, and
values decisions that are renewed in every cycle, hourly and never by it.
"""

from __future__ import annotations

from qoex.fleet.policies import EVERY_CYCLE, HOURLY, NEVER, POLICIES, Score
from qoex.fleet.record import FleetTotals, Record
from qoex.fleet.settings import FleetSettings
from qoex.fleet.simulation import Cycles, FleetStep, Simulation
from qoex.fleet.world import World

__all__ = [
    "EVERY_CYCLE",
    "HOURLY",
    "NEVER",
    "POLICIES",
    "Cycles",
    "FleetSettings",
    "FleetStep",
    "FleetTotals",
    "Record",
    "Score",
    "Simulation",
    "World",
]
