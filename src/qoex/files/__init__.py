"""Markets, scenarios and solutions as files."""
