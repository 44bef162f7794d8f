"""One class of one sequence in time, as SVG: what is true, and maps and detections of runs.

As `keras_has.timelines` draws it, for pages: several runs above one axis, in the colours of the
plots, sharp at any size, and with its content as text for those who do not see it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trainers.reports.page import Markup, element

_WIDTH, _SIDE = 640, 6
_LINE, _BAR, _MAP, _GAP, _AXIS = 18, 12, 44, 8, 22
_MOST_COLUMNS = 300
_TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_MOST_TICKS = 9


@dataclasses.dataclass(frozen=True)
class TimelineRow:
    """Map and detections of one run.

    Args:
        name: What to write above them.
        colour: Number of the colour, as in `plots.Series`.
        cam: (T,) temporal class activation map.
        step_seconds: Time that a step of it stands for.
        detections: (M, 2) in seconds.
        scores: (M,).
        threshold: Share of the map's maximum.
    """

    name: str
    colour: int
    cam: ArrayLike
    step_seconds: float
    detections: ArrayLike
    scores: ArrayLike
    threshold: float


def segment_timeline(
    title: str,
    duration: float,
    true_segments: ArrayLike,
    rows: Sequence[TimelineRow],
    ambiguous: ArrayLike = (),
) -> Markup:
    """Draws true segments, and below them each run's map and detections.

    Maps are cut at 0 and drawn to their maximum, with a dotted line at the threshold. Detections of
    a low score are pale.

    Args:
        title: What is to be seen, for those who do not see it.
        duration: In seconds: what the width stands for.
        true_segments: (N, 2) in seconds.
        rows: One a run.
        ambiguous: (K, 2) intervals in which detections do not count.

    Returns:
        An `svg` element.
    """
    parts: list[Markup] = []

    def x(seconds: float) -> float:
        share = min(max(float(seconds) / duration, 0.0), 1.0)
        return round(_SIDE + share * (_WIDTH - 2 * _SIDE), 1)

    bottom = _LINE + _BAR + len(rows) * (_GAP + _LINE + _MAP + 2 + _BAR) + 4
    sparse = [each for each in _TICK_SECONDS if duration / each <= _MOST_TICKS]
    tick = float(sparse[0] if sparse else 10 ** np.ceil(np.log10(duration / _MOST_TICKS)))
    for number in range(int(duration / min(tick, duration)) + 1):
        at = x(number * tick)
        parts.append(element("line", class_="grid", x1=at, x2=at, y1=_LINE, y2=bottom))
        text = f"{number * tick:g} s" if number else "0"
        # At the ends the text would leave the picture.
        anchor = "middle" if 20 < at < _WIDTH - 20 else "start" if at <= 20 else "end"
        parts.append(element("text", text, x=at, y=bottom + 15, text_anchor=anchor))
    parts.append(_text("true", 0))
    for segments, style in (
        (ambiguous, "fill:var(--rule)"),
        (true_segments, "fill:var(--series-2);stroke:var(--paper);stroke-width:1"),
    ):
        parts += [_bar(x, each, _LINE, style) for each in _pairs(segments)]
    top = _LINE + _BAR + _GAP
    for row in rows:
        parts.append(_text(row.name, top))
        top += _LINE
        colour = f"var(--series-{row.colour})"
        base = top + _MAP
        parts.append(
            element("path", d=_outline(row, x, base), style=f"fill:{colour};fill-opacity:.3")
        )
        level = round(base - row.threshold * _MAP, 1)
        style = "stroke:var(--ink);stroke-dasharray:1.5 3"
        parts.append(element("line", x1=_SIDE, x2=_WIDTH - _SIDE, y1=level, y2=level, style=style))
        parts.append(element("line", class_="axis", x1=_SIDE, x2=_WIDTH - _SIDE, y1=base, y2=base))
        for each, share in zip(_pairs(row.detections), _shares(row.scores), strict=True):
            style = f"fill:{colour};fill-opacity:{share:.2f};stroke:{colour};stroke-width:1"
            parts.append(_bar(x, each, base + 2, style))
        top = base + 2 + _BAR + _GAP
    return element(
        "svg",
        element("title", title),
        *parts,
        viewBox=f"0 0 {_WIDTH} {bottom + _AXIS}",
        role="img",
        aria_label=title,
    )


def _outline(row: TimelineRow, x: Callable[[float], float], base: float) -> str:
    """Returns the map as a path of steps; of many steps that share a column the highest shows."""
    cam = np.asarray(row.cam, "float64")
    cam = np.maximum(np.nan_to_num(cam, nan=0.0, posinf=0.0, neginf=0.0), 0)
    largest = cam.max(initial=0.0)
    if largest <= 0:
        return f"M{x(0)} {base}"
    edges = np.linspace(0, len(cam), min(len(cam), _MOST_COLUMNS) + 1).round().astype(int)
    heights = np.maximum.reduceat(cam, edges[:-1]) / largest * _MAP
    steps = [
        f"V{base - height:.1f}H{x(end * row.step_seconds)}"
        for height, end in zip(heights, edges[1:], strict=True)
    ]
    return f"M{x(0)} {base}{''.join(steps)}V{base}Z"


def _shares(scores: ArrayLike) -> np.ndarray:
    """Returns an opacity for each score."""
    values = np.maximum(np.nan_to_num(np.asarray(scores, "float64").reshape(-1)), 0)
    return 0.25 + 0.75 * values / max(values.max(initial=0.0), 1e-12)


def _bar(x: Callable[[float], float], segment: np.ndarray, y: float, style: str) -> Markup:
    left, right = x(segment[0]), x(segment[1])
    width = max(round(right - left, 1), 1)
    return element("rect", x=left, y=y, width=width, height=_BAR, style=style)


def _text(text: str, top: float) -> Markup:
    return element("text", text, x=_SIDE, y=top + 14)


def _pairs(segments: Any) -> np.ndarray:
    return np.asarray(segments, "float64").reshape(-1, 2)
