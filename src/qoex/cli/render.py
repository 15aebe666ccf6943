"""Solutions as tables that fit into 80 columns."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.cells import cell_len, set_cell_size
from rich.table import Table

from qoex.certificate import CERTIFIED, Certificate
from qoex.game.solution import Solution
from qoex.model.market import FloatArray, Market
from qoex.text.numbers import column, counted, listed, number
from qoex.text.refusals import shown_name

if TYPE_CHECKING:
    from qoex.files.parquet import MarketDirectory
    from qoex.out_of_core import StoredSolution

View = list[str | Table]

# More pairs than this are left out, and of more rows than that the first are shown.
MOST_PAIRS = 32
MOST_ROWS = 12

# Columns of a terminal: between two columns of a table, and of a name at least.
_GAP = 2
_SHORTEST_NAME = 6


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        header: of one or two lines.
        cells: top to bottom.
        text: whether cells are words, on the left; numbers are on the right.
        name: whether they are names, which are shortened where the table would be too wide.
    """

    header: str
    cells: Sequence[str]
    text: bool = False
    name: bool = False

    @property
    def width(self) -> int:
        """Columns of a terminal that it takes."""
        return max(map(cell_len, [*self.header.split("\n"), *self.cells]))


def table(columns: Sequence[Column], width: int, rules: Collection[int] = ()) -> Table:
    """Return a table of at most that width, for which names are shortened but numbers never are.

    Args:
        columns: left to right, equally long.
        width: columns of the terminal.
        rules: rows (0 is the first) below which a line is drawn.
    """
    limit = _name_limit(columns, width)
    shown = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, _GAP - 1, 0, 0),  # the box adds the other one
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )
    for item in columns:
        left = item.text or item.name
        shown.add_column(item.header, justify="left" if left else "right", no_wrap=True)
    cells = [
        [shortened(cell, limit) for cell in item.cells] if item.name else item.cells
        for item in columns
    ]
    for index, row in enumerate(zip(*cells, strict=True)):
        shown.add_row(*row, end_section=index in rules)
    return shown


def shortened(name: str, width: int) -> str:
    """Return a name in at most so many columns, its middle left out where it is longer."""
    if cell_len(name) <= width:
        return name
    tail = ""
    for letter in reversed(name):
        if cell_len(letter + tail) > width // 2:
            break
        tail = letter + tail
    return f"{set_cell_size(name, width - 1 - cell_len(tail)).rstrip()}…{tail}"


def solution_view(
    market: Market,
    solution: Solution,
    certificate: Certificate,
    *,
    width: int,
    everything: bool = False,
) -> View:
    """Return the tables of a solution: pairs, capacities, users and providers.

    Of a large market, pairs are left out and long tables cut short unless everything is asked for.
    """
    view: View = []
    if everything or market.present.sum() <= MOST_PAIRS:
        view += ["", _pair_table(market, solution, width)]
    users = _user_columns(market, solution, certificate)
    parts = (
        ("capacities", capacity_columns(market, solution)),
        ("users", users),
        ("providers", _provider_columns(market, solution)),
    )
    for title, columns in parts:
        shown, more = first_rows(columns, len(columns[0].cells) if everything else MOST_ROWS)
        view += ["", table(shown, width)]
        if more:
            view.append(f"… and {more} more {title}; --all shows them")
    return view


def first_rows(columns: Sequence[Column], most: int) -> tuple[list[Column], int]:
    """Return the first rows of columns, and how many there are besides."""
    rows = [replace(item, cells=item.cells[:most]) for item in columns]
    return rows, max(len(columns[0].cells) - most, 0)


def conditions_view(certificate: Certificate, tolerance: float, width: int) -> View:
    """Return the conditions of an equilibrium, each with its residual and whether it holds."""
    kkt = certificate.kkt
    conditions = [
        ("rewards lie within their bounds", certificate.outside_bounds),
        ("QoE and utilities are those of the allocation", certificate.consistency),
        ("providers: use within capacity, no negative QoE", kkt.primal.max()),
        ("providers: marginal values equal prices", kkt.stationarity.max()),
        ("providers: no price below its cost", kkt.dual.max()),
        ("providers: a price above cost only at full use", kkt.complementarity.max()),
        ("users: gain by other rewards / largest utility", certificate.relative_regret),
    ]
    return [
        table(
            [
                Column("condition", [name for name, _ in conditions], text=True),
                Column("residual", [f"{value:.1e}" for _, value in conditions]),
                Column("allowed", [f"{tolerance:.1e}"] * len(conditions)),
                Column(
                    "", ["holds" if v <= tolerance else "FAILS" for _, v in conditions], text=True
                ),
            ],
            width,
        )
    ]


def dropped_lines(dropped: Sequence[tuple[str, str]], *, everything: bool = False) -> list[str]:
    """Return which demands, (provider name, user name) each, were dropped; none if none were."""
    if not dropped:
        return []
    users: dict[str, list[str]] = {}
    for provider, user in dropped:
        users.setdefault(shown_name(provider), []).append(shown_name(user))
    most = len(dropped) if everything else MOST_ROWS
    places = [f"of {listed(names, most)} at {provider}" for provider, names in users.items()]
    return [f"Dropped {counted(len(dropped), 'demand')}: {'; '.join(places)}."]


def certificate_lines(
    market: Market, solution: Solution, certificate: Certificate, tolerance: float = CERTIFIED
) -> list[str]:
    """Return what was certified, and what it means where another equilibrium may exist."""
    lines = [certificate.sentence(tolerance)]
    known = math.isfinite(certificate.relative_regret + certificate.kkt_residual)
    if known and not certificate.holds(tolerance):
        lines.append(
            f"The largest regret is {number(certificate.relative_regret, 2)} of the largest "
            f"utility, the largest residual of a provider's conditions "
            f"{number(certificate.kkt_residual, 2)}; up to {tolerance:g} counts as none."
        )
    if certificate.witness is not None:
        difference = np.abs(certificate.witness.qoe - solution.qoe)
        n, m = np.unravel_index(int(difference.argmax()), difference.shape)
        lines.append(
            f"Users may just as well settle on another equilibrium; in the one found the QoE of "
            f"{shown_name(market.user_names[m])} at {shown_name(market.provider_names[n])} differs "
            f"most, by {number(float(difference[n, m]), 2)} ms."
        )
    elif certificate.unique is None and certificate.holds(tolerance):
        lines.append("Whether it is the only one was not determined.")
    if certificate.holds(tolerance):
        known_index = (
            "was not determined" if certificate.index is None else f"is {certificate.index:+d}"
        )
        lines.append(f"Its index, the sign of det(−∂ln use/∂ln price), {known_index}.")
    return lines


def _name_limit(columns: Sequence[Column], width: int) -> int:
    """Return the width that names may have for the table to fit."""
    room = width - _GAP * (len(columns) - 1)
    room -= sum(item.width for item in columns if not item.name)
    widths = sorted(item.width for item in columns if item.name)
    # Short ones take what they need, and the others share what is left.
    for position, needed in enumerate(widths):
        share = room // (len(widths) - position)
        if needed > share:
            return max(share, _SHORTEST_NAME)
        room -= needed
    return width


def _pair_table(market: Market, solution: Solution, width: int) -> Table:
    pairs = np.argwhere(market.present)
    at = tuple(pairs.T)
    qoe, rewards = solution.qoe[at], solution.rewards[at]
    starts = [i for i, (n, _) in enumerate(pairs) if i == 0 or n != pairs[i - 1][0]]
    providers = [""] * len(pairs)
    for i in starts:
        providers[i] = shown_name(market.provider_names[pairs[i][0]])
    return table(
        [
            Column("provider", providers, name=True),
            Column("user", [shown_name(market.user_names[m]) for _, m in pairs], name=True),
            Column("reward\nmoney/ms", column(rewards)),
            Column("compute\nTFLOPS", column(solution.compute[at])),
            Column("bandwidth\nMHz", column(solution.bandwidth[at])),
            Column("QoE\nms", column(qoe)),
            Column("of\nms", column(market.latency_budget[at])),
            Column("payment\nmoney", column(rewards * qoe)),
        ],
        width,
        rules=[i - 1 for i in starts[1:]],
    )


def capacity_columns(
    market: Market | MarketDirectory, solution: Solution | StoredSolution
) -> list[Column]:
    """Return use, price and regime of both capacities of every provider."""
    # One row to a resource of a provider: compute, then bandwidth.
    names = [shown_name(name) for name in market.provider_names]
    states = solution.compute_state, solution.bandwidth_state
    use = np.stack([state.use for state in states], axis=1)
    capacity = np.stack([market.compute_capacity, market.bandwidth_capacity], axis=1)
    price = np.stack([state.price for state in states], axis=1)
    cost = np.stack([market.compute_cost, market.bandwidth_cost], axis=1)
    used, limit = _alike(use, capacity)
    priced, costed = _alike(price, cost)
    regimes = [str(state.regime[n]) for n in range(market.providers) for state in states]
    return [
        Column("provider", [cell for name in names for cell in (name, "")], name=True),
        Column("capacity", ["compute, TFLOPS", "bandwidth, MHz"] * market.providers, text=True),
        Column("use", used),
        Column("of", limit),
        Column("%", column(100.0 * use / capacity, 3)),
        Column("price\nmoney", priced),
        Column("unit cost\nmoney", costed),
        Column("regime", regimes, text=True),
    ]


def _user_columns(market: Market, solution: Solution, certificate: Certificate) -> list[Column]:
    qoe = solution.qoe.sum(axis=0)
    payment = (solution.rewards * solution.qoe).sum(axis=0)
    worth = np.full(market.users, np.nan)  # a price per ms of no QoE does not apply
    np.divide(payment, qoe, out=worth, where=qoe > 0)
    return [
        Column("user", [shown_name(name) for name in market.user_names], name=True),
        Column("QoE\nms", column(qoe)),
        Column("paid per ms\nmoney/ms", column(worth)),
        Column("payment\nmoney", column(payment)),
        Column("utility\nmoney", column(solution.user_utility)),
        Column("regret\nmoney", [f"{value:.1g}" for value in certificate.regret_per_user]),
    ]


def _provider_columns(market: Market, solution: Solution) -> list[Column]:
    income = (solution.rewards * solution.qoe).sum(axis=1)
    users = (solution.qoe > 0).sum(axis=1), market.present.sum(axis=1)
    return [
        Column("provider", [shown_name(name) for name in market.provider_names], name=True),
        Column("users with QoE", [f"{some} of {most}" for some, most in zip(*users, strict=True)]),
        Column("income\nmoney", column(income)),
        Column("resource cost\nmoney", column(income - solution.provider_utility)),
        Column("utility\nmoney", column(solution.provider_utility)),
    ]


def _alike(first: FloatArray, second: FloatArray) -> tuple[list[str], list[str]]:
    """Return the cells of two columns of N×2 numbers, formatted alike but for the two resources."""
    compute, bandwidth = (column(np.stack([first[:, r], second[:, r]])) for r in (0, 1))
    cells = [cell for pair in zip(compute, bandwidth, strict=True) for cell in pair]
    return cells[: first.size], cells[first.size :]
