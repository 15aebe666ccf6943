"""The report on a reproduction: everything that its tables, claims and figures say, in one file.

``sources`` takes numbers from tables together with keys that say what they are, ``parts`` and
``contents`` gather them, ``html`` and ``markdown`` print them. Nothing here solves anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from qoex.errors import InvalidInputError
from qoex.experiments.report.contents import ReportContents, gather
from qoex.experiments.report.html import html_report
from qoex.experiments.report.markdown import markdown_report
from qoex.files.market_files import write_atomically

FORMATS: dict[str, Callable[[ReportContents], str]] = {"html": html_report, "md": markdown_report}


def write_report(folder: Path, formats: Iterable[str] = ("html",)) -> list[Path]:
    """Write ``report.html`` or ``report.md`` into the folder of a reproduction.

    Only the folder is read: ``tables/NAME.parquet`` with manifests, ``figures/NAME.svg`` and
    ``NAME.png``, and ``claims.parquet``. A folder with a part of them gives a report on that part.

    Args:
        folder: of the reproduction.
        formats: keys of ``FORMATS``.

    Returns:
        The files, in the order of the formats.

    Raises:
        InvalidInputError: a format that there is not, a folder without tables, or a file that
            cannot be read or written.
    """
    wanted = check_formats(formats)
    if not any((folder / "tables").glob("*.parquet")):
        raise InvalidInputError(f"{folder}: there are no tables to report on")
    contents = gather(folder)
    paths = []
    for name in wanted:
        path = folder / f"report.{name}"
        write_atomically(path, FORMATS[name](contents))
        paths.append(path)
    return paths


def check_formats(formats: Iterable[str]) -> tuple[str, ...]:
    """Return the formats, each once.

    Raises:
        InvalidInputError: there is no such format.
    """
    wanted = tuple(dict.fromkeys(formats))
    for name in wanted:
        if name not in FORMATS:
            raise InvalidInputError(f"there is no report format {name!r}; it is html or md")
    return wanted


__all__ = ["FORMATS", "check_formats", "write_report"]
