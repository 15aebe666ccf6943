"""The report as one HTML file that needs nothing else: style and pictures are inside."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from qoex.experiments.report.contents import ReportContents
from qoex.experiments.report.numbers import NOTHING, Interval, ShownNumber
from qoex.experiments.report.parts.claims import VERDICTS, trade_columns

# What a browser does not need of a picture: what stands before it, what matplotlib writes down
# about its making, comments, and ends of lines.
_NEEDLESS = re.compile(r"^.*?(?=<svg)|\s*<metadata>.*?</metadata>|<!--.*?-->", re.DOTALL)
_LINES = re.compile(r"\s*\n\s*")
_BETWEEN = re.compile(r">\s+<")
_SIZE = re.compile(r"<svg[^>]*?\bviewBox=[\"']0 0 ([\d.]+) ([\d.]+)[\"']")

# What may not stand in an address as it is. This is a quarter shorter than base64.
_ENCODED = str.maketrans({mark: f"%{ord(mark):02X}" for mark in '%#<>"&'})


def html_report(contents: ReportContents) -> str:
    """Return the report as HTML; it makes no request and runs no script.

    Every number of it that is from a table stands in ``<data value=… data-source=…>``, in full
    precision and with the key that says what it is (``sources``).
    """
    environment = Environment(
        loader=PackageLoader("qoex.experiments.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"show": show, "interval": interval, "picture": picture}
    environment.globals |= {"symbols": VERDICTS, "trade_columns": trade_columns}
    return environment.get_template("report.html.jinja").render(report=contents)


def show(found: ShownNumber | None) -> Markup:
    """Return a number with its value and its source; a dash where there is none."""
    if found is None:
        return Markup('<span class="nothing" title="no number">{}</span>').format(NOTHING)
    return Markup('<data value="{}" data-source="{}">{}</data>').format(
        found.exact, found.source, found.shown
    )


def interval(found: Interval) -> Markup:
    """Return a mean with its interval in brackets, if it has one."""
    if found.low is None or found.high is None:
        return show(found.mean)
    return Markup('{} <span class="ends">[{},&nbsp;{}]</span>').format(
        show(found.mean), show(found.low), show(found.high)
    )


def picture(svg: Path, alternative: str) -> Markup:
    """Return an SVG file as an image that carries its own data."""
    text = _NEEDLESS.sub("", svg.read_text(encoding="utf-8"))
    text = _BETWEEN.sub("><", _LINES.sub(" ", text)).strip()
    if "'" not in text:
        text = text.replace('"', "'")
    size = _SIZE.search(text)
    # The size keeps the page from moving while it loads.
    dimensions = (
        Markup(' width="{}" height="{}"').format(*(round(float(side)) for side in size.groups()))
        if size
        else ""
    )
    return Markup('<img src="data:image/svg+xml,{}" alt="{}"{}>').format(
        Markup(text.translate(_ENCODED)), alternative, dimensions
    )
