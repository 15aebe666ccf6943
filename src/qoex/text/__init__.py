"""How numbers and refusals are worded."""
