"""Workers on other machines, and whether they run the same code."""
