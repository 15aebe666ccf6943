"""What ``qoex infer`` shows: parameters, what the data tell of them, and how well they fit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from rich.table import Table

from qoex.calibration import Inference, InferredParameter, ParameterVerdict, Refit
from qoex.cli.render import MOST_PAIRS, Column, View, table
from qoex.text.numbers import DOES_NOT_APPLY, column, counted, listed, number, percent
from qoex.text.refusals import shown_name

_UNITS = {
    "profit_factor": "money",
    "compute_cost": "money/TFLOPS",
    "bandwidth_cost": "money/MHz",
    "work": "TFLOPS·ms",
    "traffic": "MHz·ms",
}
_OWNERS = {
    "profit_factor": "user",
    "compute_cost": "provider",
    "bandwidth_cost": "provider",
    "work": "pair",
    "traffic": "pair",
}
# Two tables of two quantities each: all four would not fit into 80 columns.
_QUANTITIES = (
    (("compute", "compute", "TFLOPS"), ("bandwidth", "bandwidth", "MHz")),
    (("rewards", "reward", "money/ms"), ("qoe", "QoE", "ms")),
)


def inference_view(inference: Inference, width: int, *, everything: bool = False) -> View:
    """Return the tables and sentences of an inference."""
    seen = inference.observations
    providers, users = seen.latency_budget.shape
    shown = everything or int(seen.present.sum()) <= MOST_PAIRS
    size = f"{counted(providers, 'provider')}, {counted(users, 'user')}"
    view: View = [f"{size}, {counted(seen.count, 'observed number')}", inference.status.sentence]
    view += [f"Note: {note}." for note in inference.notes]
    held = _held_sentence(inference)
    if held:
        view.append(held)
    listed_ones = [p for p in inference.parameters if shown or p.field not in ("work", "traffic")]
    view += ["", _parameter_table(listed_ones, width)]
    if not shown:
        view.append(
            f"… and the work and traffic of {counted(int(seen.present.sum()), 'pair')}; "
            "--all shows them"
        )
    tried = [p for p in inference.parameters if p.half is not None and p.twice is not None]
    if tried:
        view += [
            "",
            "Held at half or at twice its value, and all else fitted again, error (rms) in %",
            "",
            _profile_table(tried, inference.rms, width),
        ]
    view += ["", *_identifiability_lines(inference)]
    if shown:
        for quantities in _QUANTITIES:
            view += ["", _misfit_table(inference, quantities, width)]
    count = counted(seen.count, "relative error")
    return [
        *view,
        "",
        f"The largest of the {count} is {100 * inference.largest:.2f}%, "
        f"their root mean square {100 * inference.rms:.2f}%.",
    ]


def _held_sentence(inference: Inference) -> str:
    known = inference.observations.known
    parts = []
    for field, unit in _UNITS.items():
        if field in known:
            values = np.unique(known[field][np.isfinite(known[field])])
            amount = number(float(values[0])) if values.size == 1 else "as given"
            parts.append(f"{_words(field)} {amount}" + (f" {unit}" if values.size == 1 else ""))
    return f"Inferred given {listed(parts)}." if parts else ""


def _parameter_table(parameters: Sequence[InferredParameter], width: int) -> Table:
    return table(
        [
            Column("parameter", [_name(item) for item in parameters], name=True),
            Column("unit", [_UNITS[item.field] for item in parameters], text=True),
            Column("value", [number(item.value) for item in parameters]),
            Column("95 %\nfrom", [_bound(item.low) for item in parameters]),
            Column("\nto", [_bound(item.high) for item in parameters]),
            Column("by the data", [str(item.verdict) for item in parameters], text=True),
        ],
        width,
    )


def _profile_table(parameters: Sequence[InferredParameter], rms: float, width: int) -> Table:
    return table(
        [
            Column("parameter", [_name(item) for item in parameters], name=True),
            Column("at half", column([_rms(item.half) for item in parameters], 3)),
            Column("", [_ruled_out(item.half) for item in parameters], text=True),
            Column("as found", column([100.0 * rms] * len(parameters), 3)),
            Column("at twice", column([_rms(item.twice) for item in parameters], 3)),
            Column("", [_ruled_out(item.twice) for item in parameters], text=True),
        ],
        width,
    )


def _misfit_table(
    inference: Inference, quantities: Sequence[tuple[str, str, str]], width: int
) -> Table:
    seen = inference.observations
    pairs = tuple(np.argwhere(seen.present).T)
    places = [_place(seen.place("work", (int(n), int(m)))) for n, m in zip(*pairs, strict=True)]
    columns = [Column("provider, user", places, name=True)]
    for field, header, unit in quantities:
        observed = getattr(seen, field)[pairs]
        errors = 100.0 * inference.errors[field][pairs]
        columns += [
            Column(f"{header}\n{unit}", column(getattr(inference.solution, field)[pairs])),
            Column(
                "seen", [DOES_NOT_APPLY if np.isnan(v) else f"{v:g}" for v in observed.tolist()]
            ),
            Column(
                "error, %",
                [DOES_NOT_APPLY if np.isnan(v) else f"{v:+.2f}" for v in errors.tolist()],
            ),
        ]
    return table(columns, width)


def _identifiability_lines(inference: Inference) -> list[str]:
    judged = inference.identifiability
    counts = {v: sum(p.verdict is v for p in inference.parameters) for v in ParameterVerdict}
    told = [f"{counts[v]} {v}" for v in ParameterVerdict if counts[v]]
    lines = [
        f"Of {counted(judged.unknowns, 'parameter')}: {listed(told)} "
        f"({counted(judged.degrees_of_freedom, 'number')} to spare, "
        + (
            "one number's error not known)."
            if math.isnan(judged.noise)
            else f"standard error of a number {percent(judged.noise)})."
        )
    ]
    if counts[ParameterVerdict.PINNED] < judged.unknowns:
        weakest = judged.weakest
        up = _joint([(field, place) for field, place, share in weakest.parts if share > 0])
        down = _joint([(field, place) for field, place, share in weakest.parts if share < 0])
        change = f"{up} rising while {down} falls" if down else f"{up} rising"
        together = " together" if len(weakest.parts) > 1 else ""
        open_ones = judged.unknowns - judged.rank
        if open_ones:
            lines.append(
                f"Nothing tells {counted(open_ones, 'combination')} of them; one is "
                f"{change}{together}."
            )
        else:
            lines.append(
                f"The data tell least of {change}{together}: 10% more changes the numbers by "
                f"{percent(0.1 * weakest.effect)} (rms)."
            )
    return lines


def _joint(parts: Sequence[tuple[str, str]]) -> str:
    """Name unknowns by field, and by place where few of the field are meant."""
    fields = dict.fromkeys(field for field, _ in parts)
    names = []
    for field in fields:
        places = [_place(place) for other, place in parts if other == field and place]
        where = f" of {listed(places)}" if len(places) == 1 else ""
        where = f" of {counted(len(places), _OWNERS[field])}" if len(places) > 1 else where
        names.append(_words(field) + where)
    return listed(names)


def _name(item: InferredParameter) -> str:
    return f"{_words(item.field)} of {_place(item.place)}" if item.place else _words(item.field)


def _words(field: str) -> str:
    return field.replace("_", " ")


def _place(place: str) -> str:
    return shown_name(place)


def _bound(value: float) -> str:
    return (
        DOES_NOT_APPLY if math.isnan(value) or math.isinf(value) or value == 0.0 else number(value)
    )


def _rms(refit: Refit | None) -> float:
    return math.nan if refit is None else 100.0 * refit.rms


def _ruled_out(refit: Refit | None) -> str:
    words = {True: "ruled out", False: "possible", None: "not known"}
    return words[None if refit is None else refit.ruled_out]
