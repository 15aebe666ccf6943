"""Markets larger than memory: stored as Parquet, read and written some users at a time.

The format is described in docs/how-to/large-markets.md. Everything here loads polars; drawing such
a market at random (``qoex.files.parquet.sampling``) loads pydantic too, and is imported on its own.
"""

from __future__ import annotations

from qoex.files.parquet.chunk import Chunk, ProviderTable
from qoex.files.parquet.directory import MarketDirectory, market_of
from qoex.files.parquet.writer import MarketWriter, parquet_bytes, write_market_directory
from qoex.kernels import BLOCK

__all__ = [
    "BLOCK",
    "Chunk",
    "MarketDirectory",
    "MarketWriter",
    "ProviderTable",
    "market_of",
    "parquet_bytes",
    "write_market_directory",
]
