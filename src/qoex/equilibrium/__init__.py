"""The solver: the joint equilibrium by prices of capacity, in memory or shard by shard."""
