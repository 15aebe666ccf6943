"""How the cost of a solve grows with users and with providers; ``python -m benchmarks.growth``."""
