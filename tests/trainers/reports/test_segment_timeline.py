"""A timeline has every segment where its axis says, and every name as text."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from trainers.reports.segment_timeline import TimelineRow, segment_timeline

NASTY = "<b>&\"'"


def row(cam, detections=(), scores=(), step=1.0):
    return TimelineRow(NASTY, 1, cam, step, detections, scores, 0.5)


def parse(svg):
    return ElementTree.fromstring(svg)  # noqa: S314 - made here


def bars(svg, fill):
    return [
        (float(bar.get("x")), float(bar.get("x")) + float(bar.get("width")))
        for bar in parse(svg).iter("rect")
        if f"fill:{fill}" in bar.get("style")
    ]


def test_segments_lie_where_the_axis_says():
    svg = segment_timeline("t", 50.0, [[10, 20]], [row(np.ones(50), [[5, 25]], [1.0])], [[30, 40]])
    at = {text.text: float(text.get("x")) for text in parse(svg).iter("text") if text.text}
    for fill, start, end in (
        ("var(--series-2)", 10, 20),
        ("var(--rule)", 30, 40),
    ):
        assert bars(svg, fill) == [(at[f"{start} s"], at[f"{end} s"])]
    ((left, right),) = bars(svg, "var(--series-1)")
    assert left == pytest.approx((at["10 s"] + at["0"]) / 2, abs=0.1)
    assert right == pytest.approx((at["20 s"] + at["30 s"]) / 2, abs=0.1)


def heights(svg):
    """Returns how high the map's steps are, as shares of the highest."""
    outline = next(each.get("d") for each in parse(svg).iter("path"))
    base = float(re.match(r"M\S+ (\S+?)(V|$)", outline)[1])
    steps = np.array([float(y) for y in re.findall(r"V([\d.]+)H", outline)])
    return (base - steps) / max((base - steps).max(initial=0), 1e-9)


def test_the_map_is_drawn_from_zero_to_its_maximum():
    svg = segment_timeline("t", 4.0, [], [row([-1.0, 2.0, 4.0, np.nan])])
    np.testing.assert_allclose(heights(svg), [0, 0.5, 1, 0], atol=0.01)


def test_of_many_steps_the_highest_of_a_column_is_seen():
    cam = np.zeros(6000)
    cam[[7, 5990]] = 1.0, 0.5
    drawn = heights(segment_timeline("t", 6000.0, [], [row(cam)]))
    assert len(drawn) == 300
    np.testing.assert_allclose(np.sort(drawn)[-3:], [0, 0.5, 1], atol=0.01)


@pytest.mark.parametrize("cam", [[], [-1.0, -2.0], [np.nan, np.nan]])
def test_a_map_that_speaks_for_nothing_is_empty(cam):
    assert not len(heights(segment_timeline("t", 2.0, [], [row(cam)])))


def test_detections_of_low_score_are_pale_and_none_vanishes():
    svg = segment_timeline("t", 900.0, [], [row([1.0], [[1, 1.1], [5, 9]], [1.0, 4.0])])
    shown = re.findall(r"fill-opacity:([\d.]+);stroke", svg)
    assert [float(each) for each in shown] == [0.44, 1.0]
    assert min(right - left for left, right in bars(svg, "var(--series-1)")) >= 1


@pytest.mark.parametrize("duration", [0.4, 3.0, 75.0, 4000.0, 1e6])
def test_the_axis_has_few_ticks_inside_the_picture(duration):
    svg = segment_timeline("t", duration, [], [row([1.0])])
    ticks = [text for text in parse(svg).iter("text") if re.fullmatch(r"0|\S+ s", text.text)]
    assert 1 <= len(ticks) <= 10
    assert all(0 <= float(tick.get("x")) <= 640 for tick in ticks)


def test_names_are_text():
    svg = segment_timeline(NASTY, 2.0, [], [row([1.0])])
    root = parse(svg)
    assert root.get("aria-label") == NASTY
    assert NASTY in [text.text for text in root.iter("text")]
