"""Plots show every value where its axis says, and every name as text."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from trainers.reports.plots import Series, bar_plot, line_plot, ranked_bars

NASTY = "<b>&\"'"


def parse(svg):
    return ElementTree.fromstring(svg)  # noqa: S314 - made here


def texts(svg):
    return [each.text for each in parse(svg).iter("text")]


def place_of_tick(svg, value, axis):
    """Returns where the label of a tick is."""
    return next(float(t.get(axis)) for t in parse(svg).iter("text") if t.text == f"{value:g}")


def test_lines_go_through_their_values():
    series = Series("a", [0.0, 40.0, 20.0], [0.0, 50.0, 100.0])
    svg = line_plot([series], "threshold (%)", "right (%)", "title")
    path = next(each for each in parse(svg).iter("path") if "stroke" in (each.get("style") or ""))
    points = [tuple(map(float, pair.split())) for pair in path.get("d")[1:].split("L")]
    zero, forty = place_of_tick(svg, 20, "y"), place_of_tick(svg, 40, "y")
    per_unit = (zero - forty) / 20
    np.testing.assert_allclose([points[0][1] - points[1][1]], 40 * per_unit, atol=0.2)
    np.testing.assert_allclose([points[2][1] - points[1][1]], 20 * per_unit, atol=0.2)
    assert points[1][0] - points[0][0] == pytest.approx(points[2][0] - points[1][0], abs=0.2)


def test_a_value_that_is_no_number_leaves_a_gap():
    svg = line_plot([Series("a", [10.0, float("nan"), 20.0], [0, 1, 2])], "x", "y", "t", (), (0, 2))
    assert "nan" not in svg
    assert len(list(parse(svg).iter("rect"))) == 3  # two marks and the one of the legend


def test_bars_are_as_long_as_their_values():
    svg = bar_plot(
        ["few", "many"],
        [Series("a", [20.0, 60.0]), Series("b", [40.0, 10.0])],
        "x",
        "y",
        "t",
        [3, 9],
    )
    bars = [r for r in parse(svg).iter("rect") if float(r.get("height")) != 12]
    heights = np.array([float(r.get("height")) for r in bars])
    np.testing.assert_allclose(heights / heights[0], [1, 2, 3, 0.5], atol=0.01)
    assert "n = 3" in texts(svg)
    assert "n = 9" in texts(svg)


def test_ranked_bars_say_name_count_and_value():
    svg = ranked_bars(
        ["cat", "x" * 90],
        [Series("gap", [10.0, 20.0]), Series("has", [80.0, 40.0])],
        "x",
        "t",
        [5, 6],
    )
    assert "cat (5)" in texts(svg)
    assert "80.0" in texts(svg)
    assert any(text.startswith("xxx") and text.endswith("… (6)") for text in texts(svg))
    bars = [r for r in parse(svg).iter("rect") if r.get("height") == "14"]
    first, second = (float(r.get("width")) for r in bars)
    assert first == 2 * second


@pytest.mark.parametrize("plot", ["line", "bar", "ranked"])
def test_names_are_escaped_and_the_plot_has_a_title(plot):
    series = [Series(NASTY, [10.0], [0.0])]
    svg = {
        "line": lambda: line_plot(series, NASTY, NASTY, NASTY, [(NASTY, 5.0)], moment=(NASTY, 5.0)),
        "bar": lambda: bar_plot([NASTY], series, NASTY, NASTY, NASTY),
        "ranked": lambda: ranked_bars([NASTY], series, NASTY, NASTY, [1]),
    }[plot]()
    root = parse(svg)
    assert root.get("aria-label") == NASTY
    assert root.get("role") == "img"
    assert not list(root.iter("b"))
    assert any(NASTY in (text or "") for text in texts(svg))


def test_no_line_of_a_legend_is_wider_than_the_plot():
    svg = line_plot([Series("n" * 30, [1.0], [1.0], colour=n) for n in range(4)], "x", "y", "t")
    names = [t for t in parse(svg).iter("text") if t.text == "n" * 30]
    assert len({t.get("y") for t in names}) > 1
    assert all(float(t.get("x")) + 7 * 30 < 640 for t in names)
    assert not re.search(r"nan|inf\b", svg)
