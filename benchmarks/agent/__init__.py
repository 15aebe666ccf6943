"""A running agent under load: a fleet that reports over HTTP while the market is solved again."""
