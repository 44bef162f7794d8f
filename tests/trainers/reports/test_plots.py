"""Plots show every value where its axis says, and every name as text."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from trainers.reports.plots import (
    Series,
    bar_label,
    bar_plot,
    line_plot,
    ranked_bars,
    series_of_shares,
    to_svg,
)

NASTY = "<b>&\"'$x$<!-- -->"


def parse(figure, tooltips=None):
    return ElementTree.fromstring(to_svg(figure, tooltips))  # noqa: S314 - made here


def texts(figure):
    return [element.text for element in parse(figure).iter("text")]


def test_lines_go_through_their_values_and_gaps_stay_gaps():
    series = [
        Series("a", [0.0, 40.0, float("nan")], [0.0, 50.0, 100.0]),
        Series("b", [10.0, 20.0, 30.0], [0.0, 50.0, 100.0], colour=1),
    ]
    figure = line_plot(series, "threshold (%)", "right (%)", "t", [("level", 25.0)])
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0, 40, np.nan])
    np.testing.assert_array_equal(axes.lines[1].get_xdata(), [0, 50, 100])
    assert list(axes.lines[2].get_ydata()) == [25, 25]
    assert axes.get_ylim() == (0, 40)
    assert axes.get_xlabel() == "threshold (%)"
    assert "nan" not in to_svg(figure)
    assert {"a", "b", "level"} <= set(texts(figure))


def test_lines_of_other_than_shares_have_an_axis_of_their_own_and_whole_numbers_below():
    series = [Series("a", [2.5, 1.0], [1.0, 2.0])]
    settings = {"x_range": (0, 2), "y_is_share": False, "x_is_whole": True}
    (axes,) = line_plot(series, "epoch", "loss", "t", **settings).axes
    assert axes.get_ylim() == (0, pytest.approx(2.625))
    assert all(tick == round(tick) for tick in axes.get_xticks())
    for empty in ([], [0.0], [float("nan")]):
        figure = line_plot([Series("a", empty, range(len(empty)))], "x", "y", "t", y_is_share=False)
        assert figure.axes[0].get_ylim() == (0, 1.05)


def test_error_bars_are_the_wilson_intervals():
    series = series_of_shares("a", [5, 9], [10, 10], 0, [0.0, 50.0])
    (bars,) = line_plot([series], "x", "y", "t").axes[0].collections
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, np.stack([series.low, series.high], axis=1))
    assert series.y == [50, 90]


def test_bars_are_as_long_as_their_values():
    series = [Series("a", [20.0, 60.0]), Series("b", [40.0, 10.0], colour=1)]
    figure = bar_plot(["few", "many"], series, "x", "y", "t", [3, 9])
    heights = [[bar.get_height() for bar in bars] for bars in figure.axes[0].containers]
    assert heights == [[20, 60], [40, 10]]
    assert {"few", "n = 3", "many", "n = 9"} <= set(texts(figure))


def test_ranked_bars_show_name_count_and_value():
    long = "x" * 90
    series = [Series("gap", [10.0, 20.0]), Series("has", [80.0, 40.0], colour=1)]
    figure = ranked_bars(["cat", long], series, "x", "t", [5, 6])
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.containers[0]] == [80, 40]
    assert list(axes.lines[0].get_xdata()) == [10, 20]
    assert axes.yaxis_inverted()
    assert {"cat (5)", "80.0", bar_label(long, 6)} <= set(texts(figure))
    root = parse(figure, {bar_label(long, 6): long})
    assert long in [title.text for text in root.iter("text") for title in text.iter("title")]


@pytest.mark.parametrize("plot", ["line", "bar", "ranked"])
def test_names_are_escaped_and_the_plot_has_a_title(plot):
    series = [Series(NASTY, [10.0], [0.0])]
    figure = {
        "line": lambda: line_plot(
            series, NASTY, NASTY, NASTY, [(NASTY, 5.0)], position=(NASTY, 5.0)
        ),
        "bar": lambda: bar_plot([NASTY], series, NASTY, NASTY, NASTY),
        "ranked": lambda: ranked_bars([NASTY], series, NASTY, NASTY, [1]),
    }[plot]()
    root = parse(figure)
    assert root.get("aria-label") == NASTY
    assert root.get("role") == "img"
    assert not list(root.iter("b"))
    assert any(NASTY in (text or "") for text in texts(figure))


def test_names_in_any_script_are_drawn_without_warnings():
    assert "犬 (1)" in texts(ranked_bars(["犬"], [Series("a", [10.0])], "x", "t", [1]))


def test_colours_follow_the_style_sheet_and_nothing_is_loaded_from_elsewhere():
    svg = to_svg(bar_plot(["a"], [Series("a", [10.0]), Series("b", [20.0], colour=1)], "", "", "t"))
    assert "fill: var(--series-0)" in svg
    assert "fill: var(--series-1)" in svg
    assert not re.search("#[0-9a-f]{6}\\b", svg)
    assert "http" not in svg
    assert "<style" not in svg


def test_identifiers_of_two_plots_differ():
    figures = [line_plot([Series("a", [1.0], [1.0])], "x", "y", title) for title in ("t", "u")]
    first, second = (set(re.findall('id="([^"]*)"', to_svg(figure))) for figure in figures)
    assert first
    assert not first & second


def test_no_line_of_a_legend_is_wider_than_the_plot():
    figure = line_plot([Series("n" * 30, [1.0], [1.0], colour=n) for n in range(4)], "x", "y", "t")
    to_svg(figure)
    (legend,) = figure.legends
    assert legend.get_window_extent().width <= 640
