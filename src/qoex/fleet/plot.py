"""A picture of a simulation: QoE, payments and who was there, over time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qoex.errors import InvalidInputError
from qoex.fleet.policies import EVERY_CYCLE, HOURLY, NEVER
from qoex.fleet.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".png", ".svg")

# Told apart without colour too, and by those who do not see all colours (Okabe and Ito).
_STYLES: dict[str, dict[str, Any]] = {
    EVERY_CYCLE: {"color": "#0072B2", "linestyle": "-", "linewidth": 1.6},
    HOURLY: {"color": "#D55E00", "linestyle": "--", "linewidth": 1.3},
    NEVER: {"color": "#333333", "linestyle": ":", "linewidth": 1.3},
}
_RC: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "qoex",  # otherwise the ids in an SVG are random
}
# Fixed, for what lays out by itself ends a rounding apart from one run to the next.
_PLACES = {"left": 0.105, "right": 0.975, "top": 0.935, "bottom": 0.075, "hspace": 0.12}


def require_format(path: str) -> None:
    """Raise unless a picture can be written under that name.

    Raises:
        InvalidInputError: its ending is neither .png nor .svg.
    """
    if Path(path).suffix.lower() not in FORMATS:
        raise InvalidInputError(f"the plot {path!r} must end in {' or '.join(FORMATS)}")


def picture(record: Record, path: str) -> bytes:
    """Return the picture in the format that the ending of the path asks for."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    require_format(path)
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(7.0, 5.6))
        quality, payments, present = figure.subplots(
            3, 1, sharex=True, height_ratios=(2.0, 1.4, 1.0), gridspec_kw=_PLACES
        )
        figure.align_ylabels()
        for policy, style in _STYLES.items():
            quality.plot(record.times, record.qoe_means(policy), label=policy, **style)
            payments.plot(record.times, record.scores[policy]["payments"], **style)
        for begin, end in _absences(record):
            for axes in (quality, payments, present):
                shade = axes.axvspan(begin, end, color="#999999", alpha=0.25, linewidth=0.0)
            shade.set_label("a provider is away")
        present.step(record.times, record.users, where="post", color="#333333", linewidth=1.2)
        handles, labels = quality.get_legend_handles_labels()
        shades, names = present.get_legend_handles_labels()
        quality.legend(
            [*handles, *shades[:1]],
            [*(f"re-solved {label}" for label in labels), *names[:1]],
            ncols=4,
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            frameon=False,
        )
        _label(quality, "mean QoE\nof a user, ms")
        _label(payments, "payments\nper cycle, money")
        _label(present, "users")
        present.yaxis.get_major_locator().set_params(integer=True)
        present.set_xlabel("simulated hours")
        present.margins(x=0.0)
        target = io.BytesIO()
        kind = Path(path).suffix.lower()[1:]
        metadata = {"Date": None} if kind == "svg" else {}  # the same run, the same bytes
        figure.savefig(target, format=kind, dpi=160, metadata=metadata)
    return target.getvalue()


def _absences(record: Record) -> Iterator[tuple[float, float]]:
    """Yield (begin, end) of the times in which fewer providers than ever were there, hours."""
    most = max(record.providers, default=0)
    begin: float | None = None
    for time, providers in zip(record.times, record.providers, strict=True):
        if providers < most and begin is None:
            begin = time
        elif providers == most and begin is not None:
            yield begin, time
            begin = None
    if begin is not None:
        yield begin, record.times[-1]


def _label(axes: Axes, text: str) -> None:
    axes.set_ylabel(text)
    axes.set_ylim(bottom=0.0)
    axes.grid(visible=True, linewidth=0.4, alpha=0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
