"""Markets stored as Parquet, solved and certified some users at a time, here or on a Dask cluster.

What is kept of a user between two passes over all of them is some 8 + 8/N + 1 bytes per pair; the
demands are read anew, or stay with the workers of the cluster. Prices and rewards are the same to
the last bit however the users are divided, and wherever they are.
"""

from __future__ import annotations

from qoex.out_of_core.on_cluster import OnCluster
from qoex.out_of_core.on_disk import OnDisk
from qoex.out_of_core.result import StoredSolution, stored_solution_data
from qoex.out_of_core.solving import solve_stored

__all__ = ["OnCluster", "OnDisk", "StoredSolution", "solve_stored", "stored_solution_data"]
