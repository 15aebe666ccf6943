"""The schemes that a market can be decided by."""
