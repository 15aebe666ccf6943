"""What the agent knows: the fold of its log, and the money booked by it."""
