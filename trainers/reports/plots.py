"""Plots for the reports, drawn by Matplotlib: lines, grouped bars and ranked bars, all in percent.

The colours are those of Okabe and Ito. On the page they are the variables of the style sheet, which
has another set for dark mode. Each series also has its own dash pattern and marker, so that the
series can be told apart without colour.
"""

from __future__ import annotations

import dataclasses
import html
import io
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from trainers.engine.run_error import RunError
from trainers.reports.proportions import wilson_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 640, 380
_POINTS_PER_INCH = 72  # one point of Matplotlib is one unit of the view box
_LETTER = 7.2  # approximate width of a letter
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_INK, _PALE, _RULE, _PAPER = "#1a1a1a", "#555555", "#c8c8c8", "#fefefe"
_VARIABLES = {
    **{colour: f"var(--series-{number})" for number, colour in enumerate(_COLOURS)},
    _INK: "var(--ink)",
    _PALE: "var(--pale)",
    _RULE: "var(--rule)",
    _PAPER: "var(--paper)",
}
_DASHES: tuple[Any, ...] = ((0, (4, 2)), "-", (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))
_LEVEL_DASHES: tuple[Any, ...] = ((0, (6, 3)), (0, (2, 2)))
_MARKERS = ("s", "o", "s", "o")
_MOST_MARKERS = 25
_LONGEST_NAME = 21
_STYLE = {
    "axes.edgecolor": _PALE,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 12.5,
    "grid.color": _RULE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text
    "text.color": _INK,
    "text.parse_math": False,  # names of classes may contain "$"
    "xtick.color": _PALE,
    "xtick.labelcolor": _INK,
    "ytick.color": _PALE,
    "ytick.labelcolor": _INK,
}


@dataclasses.dataclass(frozen=True)
class Series:
    """The values of one run in a plot.

    Args:
        name: Name in the legend.
        y: Values in percent; NaN leaves a gap.
        x: Positions of the values; not for bars.
        low: Lower ends of the error bars, or () for no error bars.
        high: Upper ends of the error bars.
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
    """Returns proportions in percent with their 95% Wilson intervals as error bars.

    Args:
        name: Name in the legend.
        hits: Number of successes of each group.
        counts: Size of each group, at least 1.
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


def check_matplotlib() -> None:
    """Raises an error that names the extra to install if Matplotlib is missing.

    Raises:
        RunError: If Matplotlib cannot be imported.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise RunError(
            "Reports need Matplotlib to draw their plots. Install it with: "
            "pip install keras-has[plots]"
        ) from error


def line_plot(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    title: str,
    levels: Sequence[tuple[str, float]] = (),
    x_range: tuple[float, float] = (0.0, 100.0),
    position: tuple[str, float] | None = None,
    y_is_share: bool = True,
    x_is_whole: bool = False,
) -> Figure:
    """Draws lines.

    Args:
        series: At least one series, with `x`.
        x_label: Label of the x axis, with its unit.
        y_label: Label of the y axis, with its unit.
        title: Description of the plot for screen readers.
        levels: Names and heights of horizontal lines.
        x_range: First and last x.
        position: Name and x of a vertical line, or None.
        y_is_share: Whether y is in percent; otherwise it may have any values from 0.
        x_is_whole: Whether x counts something, so that only whole numbers are labelled.
    """
    import matplotlib
    from matplotlib.ticker import MaxNLocator

    with matplotlib.rc_context(_STYLE):
        figure, axes = _new_figure(title, _HEIGHT)
        axes.grid(axis="y")
        handles, names = [], []
        for number, one in enumerate(series):
            has_markers = sum(map(math.isfinite, one.y)) <= _MOST_MARKERS
            (line,) = axes.plot(
                one.x,
                one.y,
                color=_COLOURS[one.colour],
                linewidth=2.0,
                linestyle=_DASHES[one.colour],
                marker=_MARKERS[one.colour] if has_markers else "",
                markersize=6,
            )
            handles.append(line)
            names.append(one.name)
            if one.low:
                # Side by side, so that error bars do not hide each other.
                shift = (number - (len(series) - 1) / 2) * 0.008 * (x_range[1] - x_range[0])
                places = [x + shift for x in one.x]
                axes.vlines(places, one.low, one.high, color=_COLOURS[one.colour], linewidth=1.3)
        for (name, value), dashes in zip(levels, _LEVEL_DASHES, strict=False):
            handles.append(axes.axhline(value, color=_PALE, linewidth=1.6, linestyle=dashes))
            names.append(name)
        if position is not None:
            handles.append(axes.axvline(position[1], color=_PALE, linewidth=1.4, linestyle=":"))
            names.append(position[0])
        highest = [v for one in series for v in (*one.y, *one.high)] + [v for _, v in levels]
        axes.set(xlim=x_range, ylim=(0, _axis_end(highest)), xlabel=x_label, ylabel=y_label)
        if not y_is_share:
            axes.yaxis.set_major_locator(MaxNLocator(5))
            axes.set_ylim(0, 1.05 * (max(filter(math.isfinite, highest), default=0.0) or 1.0))
        if x_is_whole:
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        _add_legend(figure, handles, names)
    return figure


def bar_plot(
    groups: Sequence[str],
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    title: str,
    counts: Sequence[int] = (),
) -> Figure:
    """Draws groups of bars side by side.

    Args:
        groups: Name of each group.
        series: Series with one value for each group.
        x_label: What the groups are.
        y_label: Label of the y axis, with its unit.
        title: Description of the plot for screen readers.
        counts: Size of each group, written below it as "n = ...", or ().
    """
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        figure, axes = _new_figure(title, _HEIGHT + 18)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        width = 0.76 / len(series)
        handles = []
        for place, one in enumerate(series):
            places = [number - 0.38 + (place + 0.46) * width for number in range(len(groups))]
            handles.append(axes.bar(places, one.y, 0.92 * width, color=_COLOURS[one.colour]))
            if one.low:
                axes.vlines(places, one.low, one.high, color=_INK, linewidth=1.3)
        labels = [str(group) for group in groups]
        if counts:
            pairs = zip(labels, counts, strict=True)
            labels = [f"{label}\nn = {count}" for label, count in pairs]
        axes.set_xticks(range(len(groups)), labels)
        axes.tick_params(axis="x", length=0)
        top = _axis_end([v for one in series for v in (*one.y, *one.high)])
        axes.set(xlim=(-0.5, len(groups) - 0.5), ylim=(0, top), xlabel=x_label, ylabel=y_label)
        _add_legend(figure, handles, [one.name for one in series])
    return figure


def ranked_bars(
    names: Sequence[str],
    series: Sequence[Series],
    x_label: str,
    title: str,
    counts: Sequence[int],
) -> Figure:
    """Draws a horizontal bar for each name for the last series, and markers for those before it.

    Args:
        names: Names from top to bottom; long ones are shortened, see `bar_label`.
        series: One or two series.
        x_label: Label of the x axis, with its unit.
        title: Description of the plot for screen readers.
        counts: Numbers written behind the names.
    """
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        figure, axes = _new_figure(title, 100 + 20 * len(names))
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        places = range(len(names))
        *others, last = series
        bars = axes.barh(places, last.y, 0.72, color=_COLOURS[last.colour])
        points = [
            axes.plot(
                one.y,
                places,
                linestyle="",
                marker=_MARKERS[one.colour],
                markersize=8,
                color=_COLOURS[one.colour],
                markeredgecolor=_PAPER,
                markeredgewidth=1.3,
                clip_on=False,
            )[0]
            for one in others
        ]
        labels = [bar_label(name, count) for name, count in zip(names, counts, strict=True)]
        axes.set_yticks(places, labels)
        axes.tick_params(axis="y", length=0)
        for place, value in enumerate(last.y):
            if math.isfinite(value):
                axes.text(110, place, f"{value:.1f}", ha="right", va="center")
        axes.spines["bottom"].set_visible(False)
        axes.set(xlim=(0, 100), ylim=(len(names) - 0.5, -0.5), xlabel=x_label)
        _add_legend(figure, [*points, bars], [one.name for one in series])
    return figure


def bar_label(name: str, count: int) -> str:
    """Returns the label of a bar: the name, shortened if it is long, and the count.

    Example:

    >>> bar_label("a class with quite a long name", 5)
    'a class with quite a… (5)'
    """
    return f"{_shorten(name, _LONGEST_NAME)} ({count})"


def to_svg(figure: Figure, tooltips: Mapping[str, str] | None = None) -> Markup:
    """Returns a figure as an `svg` element for use inside an HTML page.

    Args:
        figure: A figure of this module.
        tooltips: Full texts by the texts that stand for them in the plot.
    """
    import matplotlib

    title = html.escape(str(figure.get_label()))
    buffer = io.StringIO()
    # The salt makes identifiers unique on a page, and the file the same every time.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": title}), warnings.catch_warnings():
        # The browser chooses a font that has the character.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>|<!--.*?-->", "", svg, flags=re.S)
    view_box = re.search(r'viewBox="([^"]*)"', svg)
    body = re.sub(r"\s*\n\s*", " ", svg[svg.index(">", svg.index("<svg")) + 1 :])
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    body = re.sub(r"<[^>]+>", lambda tag: _for_page(tag[0], used), body)
    for text, full in (tooltips or {}).items():
        end = f"{html.escape(text, quote=False)}</text>"
        tip = f"<title>{html.escape(full)}</title>"
        body = body.replace(end, end.removesuffix("</text>") + tip + "</text>")
    return Markup(  # noqa: S704 - Matplotlib and the lines above escape all text
        f'<svg viewBox="{view_box[1] if view_box else ""}" role="img" aria-label="{title}">'
        f"<title>{title}</title>{body}"
    )


def _for_page(tag: str, used: set[str]) -> str:
    """Returns a tag with the page's colours, and only with identifiers that are referred to."""
    identifier = re.search(r' id="([^"]*)"', tag)
    if identifier and identifier[1] not in used:
        tag = tag.replace(identifier[0], "")
    tag = tag.replace("xlink:href", "href")
    tag = tag.replace("font-family: 'DejaVu Sans'", "font-family: system-ui, sans-serif")
    return re.sub(r"#[0-9a-f]{6}\b", lambda colour: _VARIABLES.get(colour[0], colour[0]), tag)


def _new_figure(title: str, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    size = (_WIDTH / _POINTS_PER_INCH, height / _POINTS_PER_INCH)
    figure = Figure(size, dpi=_POINTS_PER_INCH, layout="constrained", label=title)
    axes = figure.add_subplot()
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return figure, axes


def _add_legend(figure: Figure, handles: Sequence[Any], names: Sequence[str]) -> None:
    """Adds a legend above the plot, in as many columns as fit."""
    longest = max(map(len, names))
    columns = max(1, int((_WIDTH - 40) / (52 + _LETTER * longest)))
    figure.legend(
        handles,
        [_shorten(name, int((_WIDTH - 100) / _LETTER)) for name in names],
        loc="outside upper left",
        ncols=min(columns, len(names)),
        handlelength=2.4,
        columnspacing=1.4,
    )


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _axis_end(values: Sequence[float]) -> float:
    highest = max((value for value in values if math.isfinite(value)), default=100.0)
    return next((end for end in (10.0, 20.0, 40.0, 60.0, 80.0) if highest <= end + 1e-9), 100.0)
