"""The fold of the log: who is there, and what they said.

journal.py    what to do to take changes back
columns.py    arrays by slot, which grow
roster.py     the nodes of one side: names, slots, lifetimes
checks.py     what is refused
fold.py       Registry: entries in, documents and snapshots out
"""

from qoex.agent.state.registry.fold import Registry
from qoex.agent.state.registry.roster import NodeState

__all__ = ["NodeState", "Registry"]
