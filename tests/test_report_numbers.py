"""Numbers of a report: each is what the tables say, with the digits that mean something."""

from __future__ import annotations

import math
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoex.experiments.intervals import Estimate
from qoex.experiments.report.numbers import NOTHING, grouped, interval, number
from report_page import Page
from small_reproduction import reproduction

_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")

# References of the paper and of statistics, which are no results.
_REFERENCES = re.compile(r"Figs?\. \d+[a-i]?(–[a-i])?|95 %|Algorithm 1|Appendix A\d?")

# Quotations (of claims, titles, reasons, labels), names and headings, and what is no text.
_WORDS = {"data-words", "code", "time", "style", "title", "h1", "h2", "h3", "cite"}


def parsed(shown: str) -> float:
    """Return the number that a reader takes a shown one for."""
    text = shown.replace("\N{MINUS SIGN}", "-").replace("\N{NARROW NO-BREAK SPACE}", "")
    text, percent, _ = text.partition("%")
    mantissa, _, power = text.partition("×") if "×" in text else (text, "", "")
    if not power and text.lstrip("-").startswith("10") and any(c in text for c in "⁰¹²³⁴⁵⁶⁷⁸⁹"):
        mantissa, power = ("-1" if text.startswith("-") else "1"), text.lstrip("-")
    exponent = int(power.removeprefix("10").translate(_SUPERSCRIPTS)) if power else 0
    return float(mantissa) * 10.0**exponent / (100 if percent else 1)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page((reproduction() / "report.html").read_text(encoding="utf-8"))


def test_every_part_of_a_report_has_numbers(page: Page) -> None:
    kinds = Counter(source.split(":")[0] for source, _, _ in page.numbers)
    assert set(kinds) == {"table", "panel", "claim", "manifest", "constant"}
    assert min(kinds["table"], kinds["panel"], kinds["claim"]) > 200
    tables = {source.split(":")[1] for source, _, _ in page.numbers if source.startswith("table:")}
    assert {"*", "claims", "users", "table-v", "inferred", "appendix-a"} <= tables


def test_numbers_are_shown_as_they_are(page: Page) -> None:
    for source, value, shown in page.numbers:
        exact, seen = float(value), parsed(shown)
        digits = re.sub(r"\D", "", shown.partition("×")[0]).lstrip("0")
        if isinstance(exact, float) and seen == 0:
            assert abs(exact) < 0.5, source  # of a share in percent with two decimals, at most
            continue
        # Half a unit of the last digit, whichever that is.
        assert math.isclose(seen, exact, rel_tol=0.51 * 10.0 ** (1 - len(digits))), (source, shown)


def test_no_number_stands_outside_of_the_keys(page: Page) -> None:
    loose = [
        text.strip()
        for text, around in page.words
        if not around & _WORDS and re.search(r"\d", _REFERENCES.sub("", text))
    ]
    assert not loose


def test_the_markdown_report_has_no_numbers_of_its_own(page: Page) -> None:
    token = re.compile(r"\d[\d\N{NARROW NO-BREAK SPACE}]*(?:\.\d+)?")
    text = (reproduction() / "report.md").read_text(encoding="utf-8")
    known = {found for _, _, shown in page.numbers for found in token.findall(shown)}
    known |= {found for words, _ in page.words for found in token.findall(words)}
    known |= set(
        token.findall(" ".join(file.name for file in (reproduction() / "figures").iterdir()))
    )
    assert set(token.findall(text)) <= known
    shown_of_tables = {
        shown for source, _, shown in page.numbers if source.startswith(("table:", "panel:"))
    }
    assert not {shown for shown in shown_of_tables if shown not in text}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (3500, "3\u202f500"),
        (0.0, "0"),
        (83.25, "83.25"),
        (-1234567.0, "\u22121\u202f234\u202f567"),
        (1e-11, "10⁻¹¹"),
        (-1e-11, "\u221210⁻¹¹"),
        (3.7841e-16, "3.784\u202f×\u202f10⁻¹⁶"),
        (2.5e12, "2.5\u202f×\u202f10¹²"),
        (0.0004, "0.0004"),
    ],
)
def test_plain_numbers(value: float, shown: str) -> None:
    found = number(value, "key")
    assert found is not None
    assert (found.shown, found.source, found.value) == (shown, "key", value)


def test_shares_and_signs() -> None:
    assert _shown(number(0.5, "", percent=True)) == "50\u202f%"
    assert _shown(number(0.00301, "", percent=True, decimals=2, signed=True)) == "+0.30\u202f%"
    assert _shown(number(-1e-9, "", decimals=2)) == "0.00"  # not minus nothing
    assert grouped("-0.0004") == "\u22120.0004"


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_none(value: float | None) -> None:
    assert number(value, "") is None


def test_the_width_of_an_interval_sets_the_digits() -> None:
    assert _ends(83.213, 81.04, 85.386) == ("83.2", "81.0", "85.4")
    assert _ends(2821.3, 2711.2, 2931.4) == ("2\u202f821", "2\u202f711", "2\u202f931")
    assert _ends(0.00199, 0.00187, 0.00211) == ("0.00199", "0.00187", "0.00211")


def test_an_interval_without_width_is_not_shown() -> None:
    assert _ends(1.0, 1.0, 1.0) == ("1", NOTHING, NOTHING)
    assert _ends(1.0, 1.0 - 1e-12, 1.0 + 1e-12) == ("1", NOTHING, NOTHING)
    assert _ends(2.5, math.nan, math.nan) == ("2.5", NOTHING, NOTHING)
    assert _ends(math.nan, math.nan, math.nan) == (NOTHING, NOTHING, NOTHING)


@given(
    st.floats(-1e8, 1e8),
    st.floats(1e-5, 1e6),
)
def test_a_shown_interval_is_one(mean: float, half: float) -> None:
    found = interval(Estimate(mean, mean - half, mean + half, 9), str)
    if found.low is None or found.high is None or found.mean is None:
        assert half <= 1e-6 * (abs(mean) + half)
        return
    low, middle, high = (parsed(item.shown) for item in (found.low, found.mean, found.high))
    assert low <= middle <= high
    assert low < high
    # Two digits of the half-width tell each end within a twentieth of it.
    assert abs(low - (mean - half)) <= max(0.05 * half, 0.5)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_four_digits_are_kept(value: float) -> None:
    found = number(value, "")
    assert found is not None
    assert float(found.exact) == value
    assert math.isclose(parsed(found.shown), value, rel_tol=5.01e-4)


def _shown(found: object) -> str:
    return getattr(found, "shown", NOTHING)


def _ends(mean: float, low: float, high: float) -> tuple[str, str, str]:
    found = interval(Estimate(mean, low, high, 3), str)
    return _shown(found.mean), _shown(found.low), _shown(found.high)
