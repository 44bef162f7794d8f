"""One class of one sequence over time, as SVG: true segments, maps and detections.

Like `keras_has.drawing.timeline`, but for pages: several runs above one axis, in the colours of the
plots, sharp at any size, and with a description for screen readers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from trainers.reports.page import render_macro

_WIDTH, _SIDE = 640, 6
_LINE, _BAR, _MAP, _GAP, _AXIS = 18, 12, 44, 8, 22
_MOST_COLUMNS = 300
_TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_MOST_TICKS = 9


@dataclasses.dataclass(frozen=True)
class TimelineRow:
    """Map and detections of one run.

    Args:
        name: Text above them.
        colour: Number of the colour, as in `plots.Series`.
        cam: (T,) temporal class activation map.
        step_seconds: Duration of one step of the map, in seconds.
        detections: (M, 2) in seconds.
        scores: (M,).
        threshold: Fraction of the map's maximum.
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
    """Draws true segments, and below them the map and the detections of each run.

    Maps are clipped at 0 and scaled to their maximum, with a dotted line at the threshold.
    Detections with a low score are pale.

    Args:
        title: Description of the picture for screen readers.
        duration: Duration in seconds; it spans the width of the picture.
        true_segments: (N, 2) in seconds.
        rows: One for each run.
        ambiguous: (K, 2) intervals in which detections are not counted.

    Returns:
        An `svg` element.
    """

    def x(seconds: float) -> float:
        share = min(max(float(seconds) / duration, 0.0), 1.0)
        return round(_SIDE + share * (_WIDTH - 2 * _SIDE), 1)

    bottom = _LINE + _BAR + len(rows) * (_GAP + _LINE + _MAP + 2 + _BAR) + 4
    drawn = []
    for number, row in enumerate(rows):
        text_top = _LINE + _BAR + _GAP + number * (_LINE + _MAP + 2 + _BAR + _GAP)
        base = text_top + _LINE + _MAP
        drawn.append(
            {
                "name": row.name,
                "colour": row.colour,
                "text_y": text_top + 14,
                "base": base,
                "outline": _outline(row, x, base),
                "level": round(base - row.threshold * _MAP, 1),
                "detections": [
                    _bar(x, segment, base + 2) | {"opacity": opacity}
                    for segment, opacity in zip(
                        _pairs(row.detections), _opacities(row.scores), strict=True
                    )
                ],
            }
        )
    return render_macro(
        "timeline_svg",
        title,
        _WIDTH,
        bottom + _AXIS,
        bottom,
        _LINE,
        _SIDE,
        _ticks(duration, x),
        [_bar(x, segment, _LINE) for segment in _pairs(ambiguous)],
        [_bar(x, segment, _LINE) for segment in _pairs(true_segments)],
        drawn,
    )


def _ticks(duration: float, x: Callable[[float], float]) -> list[tuple[float, str, str]]:
    """Returns the position, alignment and text of the ticks of the time axis."""
    sparse = [step for step in _TICK_SECONDS if duration / step <= _MOST_TICKS]
    step = float(sparse[0] if sparse else 10 ** np.ceil(np.log10(duration / _MOST_TICKS)))
    ticks = []
    for number in range(int(duration / min(step, duration)) + 1):
        at = x(number * step)
        # Centred text would leave the picture at its ends.
        anchor = "middle" if 20 < at < _WIDTH - 20 else "start" if at <= 20 else "end"
        ticks.append((at, anchor, f"{number * step:g} s" if number else "0"))
    return ticks


def _outline(row: TimelineRow, x: Callable[[float], float], base: float) -> str:
    """Returns the map as a stepped path; the highest of several steps in a column is visible."""
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


def _opacities(scores: ArrayLike) -> np.ndarray:
    """Returns the opacity of each detection from its score."""
    values = np.maximum(np.nan_to_num(np.asarray(scores, "float64").reshape(-1)), 0)
    return 0.25 + 0.75 * values / max(values.max(initial=0.0), 1e-12)


def _bar(x: Callable[[float], float], segment: np.ndarray, y: float) -> dict[str, float]:
    left, right = x(segment[0]), x(segment[1])
    return {"x": left, "y": y, "width": max(round(right - left, 1), 1), "height": _BAR}


def _pairs(segments: Any) -> np.ndarray:
    return np.asarray(segments, "float64").reshape(-1, 2)
