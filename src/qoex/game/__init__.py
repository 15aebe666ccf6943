"""The Stackelberg game: what providers answer, what comes of it, and who could do better."""
