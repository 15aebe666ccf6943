"""Tables of the paper that ship with the package, and its case study as a market."""
