"""What users and providers may tell the agent, and how a report is checked."""
