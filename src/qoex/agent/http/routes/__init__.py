"""What can be asked of the agent, by subject."""
