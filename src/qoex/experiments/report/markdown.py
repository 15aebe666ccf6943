"""The report as Markdown beside its figures."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from qoex.experiments.report.contents import ReportContents
from qoex.experiments.report.numbers import NOTHING, Interval, ShownNumber
from qoex.experiments.report.parts.claims import VERDICTS, trade_columns

# What would be taken for a mark-up, or for the end of a table's cell.
_SPECIAL = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|#"})


def markdown_report(contents: ReportContents) -> str:
    """Return the report as Markdown; pictures are referred to as ``figures/NAME.png``."""
    environment = Environment(
        loader=PackageLoader("qoex.experiments.report"),
        autoescape=False,  # it is no HTML; the filter "text" escapes what Markdown needs
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"show": show, "interval": interval, "text": escaped}
    environment.globals |= {"symbols": VERDICTS, "trade_columns": trade_columns}
    return environment.get_template("report.md.jinja").render(report=contents)


def show(found: ShownNumber | None) -> str:
    """Return a number as it is shown; a dash where there is none."""
    return NOTHING if found is None else found.shown


def interval(found: Interval) -> str:
    """Return a mean with its interval in brackets, if it has one."""
    if found.low is None or found.high is None:
        return show(found.mean)
    return f"{show(found.mean)} [{show(found.low)}, {show(found.high)}]"


def escaped(text: str) -> str:
    """Return words as Markdown shows them, in a table's cell too."""
    return " ".join(text.split()).translate(_SPECIAL)
