"""Plots as SVG to be put into a page: lines, bars in groups, and ranked bars.

Colours are Okabe and Ito's, by the variables of the page's style sheet; each series has a dash and
a mark of its own as well, so that they can be told apart in grey. All values are in per cent.
"""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Sequence

from trainers.reports.page import Markup
from trainers.reports.proportions import wilson_interval

_WIDTH, _HEIGHT = 640, 380
_LEFT, _RIGHT, _TOP = 62, 14, 12
_DASHES = ("7 4", "none", "2 3", "10 3 2 3")
_LETTER = 6.9  # width of a letter in pixels, about


@dataclasses.dataclass(frozen=True)
class Series:
    """Values of one thing in a plot.

    Args:
        name: For the legend.
        y: Values in per cent; NaN leaves a gap.
        x: Where they are; not for bars.
        low: Lower ends of the error bars, or ().
        high: Upper ends.
        colour: Number of the colour, 0 to 3: blue, vermilion, green, purple.
    """

    name: str
    y: Sequence[float]
    x: Sequence[float] = ()
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    colour: int = 0


def series_of_shares(
    name: str, hits: Sequence[int], counts: Sequence[int], colour: int, x: Sequence[float] = ()
) -> Series:
    """Returns shares in per cent, with their 95 % intervals (Wilson) as error bars.

    Args:
        name: For the legend.
        hits: How many were right, of each.
        counts: Of how many, at least 1.
        colour: See `Series`.
        x: See `Series`.
    """
    ends = [wilson_interval(hit, count) for hit, count in zip(hits, counts, strict=True)]
    return Series(
        name,
        [100 * hit / count for hit, count in zip(hits, counts, strict=True)],
        x,
        [100 * low for low, _ in ends],
        [100 * high for _, high in ends],
        colour,
    )


def line_plot(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    title: str,
    levels: Sequence[tuple[str, float]] = (),
    x_range: tuple[float, float] = (0.0, 100.0),
    moment: tuple[str, float] | None = None,
) -> Markup:
    """Draws lines.

    Args:
        series: At least one, with `x`.
        x_label: What is along the x axis, and its unit.
        y_label: Likewise.
        title: What the plot shows, for those who do not see it.
        levels: Names and heights of horizontal lines.
        x_range: First and last x.
        moment: Name and place of a vertical line, or None.

    Returns:
        An `svg` element.
    """
    highest = [v for s in series for v in (*s.y, *s.high)] + [v for _, v in levels]
    top = _round_up(highest)
    names = [s.name for s in series] + [name for name, _ in levels]
    names += [moment[0]] if moment else []
    rows = _legend_rows(names)
    drawing = _Drawing(title, x_range, (0.0, top), legend_rows=len(rows))
    drawing.frame(_ticks(*x_range), _ticks(0, top), x_label, y_label)
    for number, (_, value) in enumerate(levels):
        drawing.line(x_range[0], value, x_range[1], value, f"stroke:var(--pale);{_LEVELS[number]}")
    if moment:
        drawing.line(moment[1], 0, moment[1], top, _MOMENT)
    for number, each in enumerate(series):
        colour = f"var(--series-{each.colour})"
        style = f"stroke:{colour};stroke-width:2.2;stroke-dasharray:{_DASHES[each.colour]}"
        points = [(x, y) for x, y in zip(each.x, each.y, strict=True) if math.isfinite(y)]
        drawing.path(points, style)
        # Beside each other, so that one error bar does not hide another.
        aside = (number - (len(series) - 1) / 2) * 0.008 * (x_range[1] - x_range[0])
        for x, low, high in zip(each.x, each.low, each.high, strict=False):
            drawing.line(x + aside, low, x + aside, high, f"stroke:{colour};stroke-width:1.4")
        for x, y in points if len(points) <= 25 else ():
            drawing.mark(drawing.x(x), drawing.y(y), each.colour)
    keys = [("series", s.colour) for s in series] + [("level", n) for n in range(len(levels))]
    keys += [("moment", 0)] if moment else []
    drawing.legend(rows, names, keys)
    return drawing.render()


def bar_plot(
    groups: Sequence[str],
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    title: str,
    counts: Sequence[int] = (),
) -> Markup:
    """Draws bars side by side in groups.

    Args:
        groups: Name of each group.
        series: With as many values as there are groups.
        x_label: What the groups are.
        y_label: What is measured, and its unit.
        title: What the plot shows, for those who do not see it.
        counts: What is written below each group as "n = ...", or ().

    Returns:
        An `svg` element.
    """
    top = _round_up([v for s in series for v in (*s.y, *s.high)])
    names = [s.name for s in series]
    rows = _legend_rows(names)
    drawing = _Drawing(title, (0.0, float(len(groups))), (0.0, top), 18, len(rows))
    drawing.frame((), _ticks(0, top), x_label, y_label)
    width = 0.76 / len(series)
    for number, group in enumerate(groups):
        drawing.label_below(number + 0.5, group, 16)
        if counts:
            drawing.label_below(number + 0.5, f"n = {counts[number]}", 33, "fill:var(--pale)")
        for place, each in enumerate(series):
            value = each.y[number]
            if not math.isfinite(value):
                continue
            x = number + 0.12 + place * width
            drawing.bar(x, x + width * 0.92, value, each.colour)
            if each.low:
                middle = x + width * 0.46
                low, high = each.low[number], each.high[number]
                drawing.line(middle, low, middle, high, "stroke:var(--ink);stroke-width:1.3")
    drawing.legend(rows, names, [("bar", s.colour) for s in series])
    return drawing.render()


def ranked_bars(
    names: Sequence[str],
    series: Sequence[Series],
    x_label: str,
    title: str,
    counts: Sequence[int],
) -> Markup:
    """Draws one horizontal bar a name for the last series, and marks for those before it.

    Args:
        names: From top to bottom; long ones are cut.
        series: One or two.
        x_label: What is measured, and its unit.
        title: What the plot shows, for those who do not see it.
        counts: Written beside each name.

    Returns:
        An `svg` element.
    """
    step, left, top = 20, 210, 36
    right = 56
    bottom = top + step * len(names)
    height = bottom + 44
    span = _WIDTH - left - right
    parts = []
    for tick in range(0, 101, 20):
        x = left + span * tick / 100
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{bottom}"/>')
        parts.append(f'<text x="{x}" y="{bottom + 17}" text-anchor="middle">{tick}</text>')
    middle = left + span / 2
    parts.append(
        f'<text x="{middle}" y="{height - 6}" text-anchor="middle">{html.escape(x_label)}</text>'
    )
    for row, (name, count) in enumerate(zip(names, counts, strict=True)):
        y = top + row * step
        shown = f"{_cut(name, left - 64)} ({count})"
        parts.append(
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{html.escape(shown)}'
            f"<title>{html.escape(name)}</title></text>"
        )
        *others, last = series
        if math.isfinite(last.y[row]):
            length = span * last.y[row] / 100
            parts.append(
                f'<rect x="{left}" y="{y + 3}" width="{length:.1f}" height="{step - 6}" '
                f'style="fill:var(--series-{last.colour})"/>'
            )
            parts.append(
                f'<text x="{_WIDTH - 4}" y="{y + 14}" text-anchor="end">{last.y[row]:.1f}</text>'
            )
        parts += [
            _mark(left + span * each.y[row] / 100, y + step / 2, each.colour, "var(--paper)")
            for each in others
            if math.isfinite(each.y[row])
        ]
    parts.append(f'<line class="axis" x1="{left}" x2="{left}" y1="{top}" y2="{bottom}"/>')
    x = float(left)
    for number, each in enumerate(series):
        is_bar = number == len(series) - 1
        parts.append(_key("bar" if is_bar else "mark", each.colour, x, 14))
        parts.append(f'<text x="{x + 28}" y="18">{html.escape(_cut(each.name, 170))}</text>')
        x += 44 + _LETTER * min(len(each.name), 24)
    return _svg(title, height, parts)


_LEVELS = ("stroke-width:1.8;stroke-dasharray:9 5", "stroke-width:1.8;stroke-dasharray:3 3")
_MOMENT = "stroke:var(--pale);stroke-width:1.4;stroke-dasharray:1.5 3.5"


class _Drawing:
    """The frame of a plot, and its scales."""

    def __init__(
        self,
        title: str,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        more_below: int = 0,
        legend_rows: int = 1,
    ) -> None:
        self.title = title
        self.x_range, self.y_range = x_range, y_range
        self.right = _WIDTH - _RIGHT
        self.top = _TOP + 20 * legend_rows
        self.height = _HEIGHT + 20 * (legend_rows - 1) + more_below
        self.bottom = self.height - 48 - more_below
        self.parts: list[str] = []

    def x(self, value: float) -> float:
        low, high = self.x_range
        return _LEFT + (value - low) / (high - low) * (self.right - _LEFT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)

    def frame(
        self, x_ticks: Sequence[float], y_ticks: Sequence[float], x_label: str, y_label: str
    ) -> None:
        for value in y_ticks:
            y = self.y(value)
            self.parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{self.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
            )
        for value in x_ticks:
            x = self.x(value)
            self.parts.append(
                f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{self.bottom}" '
                f'y2="{self.bottom + 5}"/>'
            )
            self.label_below(value, f"{value:g}", 19)
        self.parts.append(
            f'<path class="axis" fill="none" d="M{_LEFT} {self.top}V{self.bottom}H{self.right}"/>'
            f'<text x="{(_LEFT + self.right) / 2}" y="{self.height - 8}" text-anchor="middle">'
            f"{html.escape(x_label)}</text>"
            f'<text transform="translate(16 {(self.top + self.bottom) / 2}) rotate(-90)" '
            f'text-anchor="middle">{html.escape(y_label)}</text>'
        )

    def label_below(self, value: float, text: str, down: float, style: str = "") -> None:
        self.parts.append(
            f'<text x="{self.x(value):.1f}" y="{self.bottom + down}" text-anchor="middle" '
            f'style="{style}">{html.escape(text)}</text>'
        )

    def line(self, x0: float, y0: float, x1: float, y1: float, style: str) -> None:
        self.parts.append(
            f'<line x1="{self.x(x0):.1f}" y1="{self.y(y0):.1f}" x2="{self.x(x1):.1f}" '
            f'y2="{self.y(y1):.1f}" style="{style}"/>'
        )

    def path(self, points: Sequence[tuple[float, float]], style: str) -> None:
        places = "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)
        if points:
            self.parts.append(f'<path fill="none" d="M{places}" style="{style}"/>')

    def mark(self, x: float, y: float, colour: int) -> None:
        self.parts.append(_mark(x, y, colour))

    def bar(self, x0: float, x1: float, value: float, colour: int) -> None:
        left, right, y = self.x(x0), self.x(x1), self.y(value)
        self.parts.append(
            f'<rect x="{left:.1f}" y="{y:.1f}" width="{right - left:.1f}" '
            f'height="{self.bottom - y:.1f}" style="fill:var(--series-{colour})"/>'
        )

    def legend(
        self, rows: Sequence[Sequence[int]], names: Sequence[str], keys: Sequence[tuple[str, int]]
    ) -> None:
        for number, row in enumerate(rows):
            x, y = float(_LEFT), 14 + 20 * number
            for index in row:
                kind, colour = keys[index]
                self.parts.append(_key(kind, colour, x, y))
                self.parts.append(
                    f'<text x="{x + 32:.1f}" y="{y + 4}">{html.escape(names[index])}</text>'
                )
                x += _legend_width(names[index])

    def render(self) -> Markup:
        return _svg(self.title, self.height, self.parts)


def _svg(title: str, height: float, parts: Sequence[str]) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{html.escape(title)}">'
        f"<title>{html.escape(title)}</title>{''.join(parts)}</svg>"
    )


def _mark(x: float, y: float, colour: int, edge: str = "none") -> str:
    style = f'style="fill:var(--series-{colour});stroke:{edge};stroke-width:1.5"'
    if colour % 2:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {style}/>'
    return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" {style}/>'


def _key(kind: str, colour: int, x: float, y: float) -> str:
    middle = x + 13
    if kind == "bar":
        fill = f"fill:var(--series-{colour})"
        return f'<rect x="{x + 2}" y="{y - 6}" width="22" height="12" style="{fill}"/>'
    if kind == "mark":
        return _mark(middle, y, colour)
    if kind == "series":
        style = f"stroke:var(--series-{colour});stroke-width:2.2;stroke-dasharray:{_DASHES[colour]}"
    else:
        style = f"stroke:var(--pale);{_LEVELS[colour]}" if kind == "level" else _MOMENT
    line = f'<line x1="{x}" x2="{x + 26}" y1="{y}" y2="{y}" style="{style}"/>'
    return line + (_mark(middle, y, colour) if kind == "series" else "")


def _legend_width(name: str) -> float:
    return 48 + _LETTER * len(name)


def _legend_rows(names: Sequence[str]) -> list[list[int]]:
    """Deals the entries of a legend out to lines that fit."""
    rows: list[list[int]] = [[]]
    used = 0.0
    for index, name in enumerate(names):
        if rows[-1] and used + _legend_width(name) > _WIDTH - _LEFT:
            rows.append([])
            used = 0.0
        rows[-1].append(index)
        used += _legend_width(name)
    return rows


def _cut(text: str, width: float) -> str:
    most = max(2, int(width / _LETTER))
    return text if len(text) <= most else text[: most - 1] + "…"


def _round_up(values: Sequence[float]) -> float:
    highest = max((value for value in values if math.isfinite(value)), default=100.0)
    return next(top for top in (10.0, 20.0, 40.0, 60.0, 80.0, 100.0) if highest <= top + 1e-9)


def _ticks(low: float, high: float) -> list[float]:
    step = next(step for step in (0.1, 0.5, 1, 2, 5, 10, 20, 50, 1e9) if (high - low) / step <= 6)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, int(high / step + 1e-9) + 1)]
