"""Timelines of videos: true segments, temporal class activation map and detections."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_has.drawing.images import PREDICTED_BOX_COLOUR, Picture
from keras_has.drawing.text import write_text

TRUTH_COLOUR = (0, 96, 160)
AMBIGUOUS_COLOUR = (190, 190, 190)
MAP_COLOUR = (120, 130, 145)
_INK = (30, 30, 30)
_RULE = (225, 225, 225)
_LABELS = 62  # pixels at the left, for the names of the rows
_BAR, _MAP, _AXIS, _GAP = 14, 56, 18, 4
_TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_MOST_TICKS = 9
_TEXT = 11.0  # font size in pixels


def timeline(
    duration: float,
    true_segments: ArrayLike = (),
    cam: ArrayLike | None = None,
    step_seconds: float | None = None,
    detections: ArrayLike = (),
    scores: ArrayLike | None = None,
    threshold: float = 0.5,
    ambiguous: ArrayLike = (),
    width: int = 640,
) -> Picture:
    """Draws one class of one sequence: the true segments, the map and the detections.

    The map is clipped at 0 and scaled to its maximum, with a line at the threshold; a map without a
    positive value stays empty. Detections with a low score are pale.

    Args:
        duration: Duration of the sequence in seconds; it spans the width of the picture.
        true_segments: (N, 2) in seconds.
        cam: (T,) temporal class activation map, or None for no map.
        step_seconds: Duration of one step of the map in seconds. None if the map spans `duration`.
        detections: (M, 2) in seconds.
        scores: (M,), or None to draw all detections in the same colour.
        threshold: Share of the map's maximum.
        ambiguous: (K, 2) intervals in which detections are not counted, drawn in grey in the row
            of the true segments.
        width: Width of the picture in pixels.

    Returns:
        (H, width, 3) uint8 RGB.

    Raises:
        ValueError: If `duration` is not positive or `width` is too small.

    Example:

    >>> keras_has.drawing.timeline(10.0, [[2, 5]], np.eye(20)[7], detections=[[3.5, 4]]).shape
    (118, 640, 3)
    """
    if not 0 < duration < np.inf:
        raise ValueError(f"`duration` should be positive. Received: duration={duration}")
    if width < 2 * _LABELS:
        raise ValueError(f"`width` should be at least {2 * _LABELS}. Received: width={width}")
    rows = {"true": _BAR, "map": _MAP if cam is not None else 0, "found": _BAR}
    tops, top = {}, _GAP
    for name, row_height in rows.items():
        tops[name] = top
        top += row_height + (_GAP if row_height else 0)
    paper = np.full((top + _AXIS, width, 3), 255, "uint8")
    pixels_a_second = (width - _LABELS - _GAP) / duration

    def column(seconds: float) -> int:
        return _LABELS + round(float(np.clip(seconds, 0, duration)) * pixels_a_second)

    _draw_axis(paper, duration, top, column)
    for name, row_height in rows.items():
        if row_height:
            write_text(paper, name, _GAP, tops[name] + row_height // 2 + 4, _INK, _TEXT)
    for segments, colours, name in (
        (ambiguous, [AMBIGUOUS_COLOUR], "true"),
        (true_segments, [TRUTH_COLOUR], "true"),
        (detections, _shades(scores), "found"),
    ):
        pairs = np.asarray(segments, np.float64).reshape(-1, 2)
        for index, (start, end) in enumerate(pairs):
            colour = colours[index % len(colours)]
            first, last = column(start), max(column(end), column(start) + 1)
            paper[tops[name] : tops[name] + _BAR, first:last] = colour
            # An edge separates neighbours.
            paper[tops[name] : tops[name] + _BAR, first] = _INK
    if cam is not None:
        step = duration / max(np.size(cam), 1) if step_seconds is None else step_seconds
        _draw_map(paper, np.asarray(cam, np.float64), step, threshold, tops["map"], column)
    return paper


def _shades(scores: ArrayLike | None) -> list[tuple[int, int, int]]:
    """Returns a colour for each score, from pale to full."""
    if scores is None or not np.size(scores):
        return [PREDICTED_BOX_COLOUR]
    values = np.maximum(np.nan_to_num(np.asarray(scores, np.float64)), 0)
    shares = 0.3 + 0.7 * values / max(values.max(), 1e-12)
    colours = 255 - shares[:, None] * (255 - np.array(PREDICTED_BOX_COLOUR))
    return [(int(r), int(g), int(b)) for r, g, b in np.rint(colours)]


def _draw_map(
    paper: Picture,
    cam: NDArray[np.float64],
    step: float,
    threshold: float,
    top: int,
    column: Callable[[float], int],
) -> None:
    """Draws the map as bars, a dotted line at the threshold, and a base line."""
    values = np.maximum(np.nan_to_num(cam, nan=0.0, posinf=0.0, neginf=0.0), 0)
    largest = values.max(initial=0.0)
    bottom = top + _MAP
    if largest > 0:
        heights = np.rint(values / largest * _MAP).astype(int)
        for index, height in enumerate(heights):
            # If several steps share a column of pixels, the highest one is visible.
            first, last = column(index * step), column((index + 1) * step)
            paper[bottom - height : bottom, first : max(last, first + 1)] = MAP_COLOUR
    level = bottom - round(threshold * _MAP)
    paper[level, _LABELS : paper.shape[1] - _GAP : 3] = PREDICTED_BOX_COLOUR
    paper[bottom - 1, _LABELS : paper.shape[1] - _GAP] = _INK


def _draw_axis(paper: Picture, duration: float, top: int, column: Callable[[float], int]) -> None:
    """Draws vertical lines and their times at round numbers of seconds."""
    sparse = [step for step in _TICK_SECONDS if duration / step <= _MOST_TICKS]
    tick = sparse[0] if sparse else 10 ** int(np.ceil(np.log10(duration / _MOST_TICKS)))
    if duration < 2:
        tick = duration
    for number in range(int(duration / tick) + 1):
        x = min(column(number * tick), paper.shape[1] - 1)
        paper[_GAP:top, x] = _RULE
        text = f"{number * tick:g} s" if number else "0"
        write_text(paper, text, min(x, paper.shape[1] - 8 * len(text)), top + 12, _INK, _TEXT)
