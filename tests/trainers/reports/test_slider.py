"""The page's script finds the boxes that `boxes_from_maps` finds."""

import cv2
import numpy as np
import pytest

from keras_has.ops.boxes import box_iou, boxes_from_maps, scale_boxes
from trainers.reports import page
from trainers.reports.page import Group, render_macro
from trainers.reports.tiles import View, quantize_map, restore_map

SIZE = (60, 80)  # height and width that maps are enlarged to
THRESHOLDS = (0.1, 0.2, 0.3)
CURVE = (0.75, 0.5, 0.1)


@pytest.fixture(scope="module")
def maps():
    """Smooth and ragged maps of several sizes, one constant, two with several components."""
    random = np.random.default_rng(5)
    made = [cv2.GaussianBlur(random.normal(size=(14, 14)), (0, 0), 1.5) for _ in range(6)]
    made += [random.normal(size=(7, 5)), np.abs(random.normal(size=(70, 90)))]
    made += [np.full((4, 4), 2.0), np.eye(9), np.array([[1.0, 0, 0, 0, 1.0]])]
    return [each.astype("float32") for each in made]


def page_with(content, more_script=""):
    """Returns a page with the slider's script, and with more script behind it."""
    code = page.static_file("threshold_slider.js") + more_script
    style = page.static_file("report.css")
    return (
        f'<!DOCTYPE html><html lang="en" class="no-script"><head><style>{style}</style></head>'
        f"<body><main>{content}</main><script>{code}</script></body></html>"
    )


@pytest.fixture
def written(maps, tmp_path):
    """The page of these maps, each with a true box in an image of 120 x 100 pixels."""
    sizes, true_box = (120, 100), [20.0, 30.0, 70.0, 90.0]
    nothing = np.full(4, np.nan)
    entries, data = [], []
    for number, cam in enumerate(maps):
        view = View("data:,", sizes, [true_box], "a map", nothing, key=f"run-{number}")
        entries.append(render_macro("tile", [view], "class", "caption"))
        data.append({"size": sizes, "true_boxes": [true_box], "maps": {"run": quantize_map(cam)}})
    run = {
        "key": "run",
        "name": "</script><b id='in'>",
        "size": SIZE,
        "thresholds": THRESHOLDS,
        "curve": CURVE,
    }
    content = "".join(
        [
            render_macro("slider", 0.2),
            render_macro("groups", [Group("Sample", "", entries)], "tiles"),
            render_macro("slider_data", [run], data, 0.2),
        ]
    )
    file = tmp_path / "page.html"
    file.write_text(page_with(content), encoding="utf-8")
    return file, sizes, true_box


@pytest.mark.parametrize("threshold", [0.2, 0.43])
def test_boxes_and_score_follow_the_slider_as_python_has_them(
    maps, written, state_of_page, threshold
):
    file, sizes, true_box = written
    fragment = f"threshold={threshold}" if threshold != 0.2 else ""
    state, dom = state_of_page(file, fragment)
    assert state["threshold"] == threshold
    hits, boxed = 0, 0
    for cam, found in zip(maps, state["boxes"]["run"], strict=True):
        quantized = quantize_map(cam)
        if quantized is None:
            assert found is None
            continue
        expected = boxes_from_maps(restore_map(quantized)[None], threshold, SIZE)
        expected = scale_boxes(expected[0], SIZE, sizes)
        assert np.isfinite(expected).all()
        # One pixel of the enlarged map is two rows or 1.25 columns of the image.
        np.testing.assert_allclose(found, expected, atol=2.01)
        hits += box_iou(true_box, found) > 0.5
        boxed += 1
    assert boxed == len(maps) - 1
    assert state["hits"]["run"] == hits
    assert state["boxed"] == len(maps)
    assert f"{hits} of the {len(maps)} images" in dom
    # 0.43 is beyond the curve; 0.2 on it.
    assert ("50.0% of all images" if threshold == 0.2 else "not measured on all images") in dom
    assert f'value="{round(100 * threshold)}"' in dom or threshold != 0.2
    assert 'id="in"' not in dom
    assert 'class="no-script"' not in dom


def test_a_threshold_between_two_that_were_measured_is_said_to_be_interpolated(
    written, state_of_page
):
    state, dom = state_of_page(written[0], "threshold=0.25")
    assert state["threshold"] == 0.25
    assert "about 30.0% of all images (interpolated)" in dom


def test_a_key_or_a_drag_moves_the_threshold(written, state_of_page):
    file = written[0]
    keyed = """
      const moved = document.getElementById("threshold");
      moved.stepUp();
      moved.dispatchEvent(new Event("input"));
      setTimeout(function () { location.hash = "#a-section"; }, 50);
    """
    text = file.read_text()
    content = text[text.index("<main>") + 6 : text.index("</main>")]
    file.write_text(page_with(content, keyed), encoding="utf-8")
    state, dom = state_of_page(file)
    assert state["threshold"] == 0.21  # and a link to a section has left it there
    assert ">21%. GT-known Loc" in dom


def test_an_invalid_threshold_in_the_address_selects_the_fixed_one(written, state_of_page):
    state, _ = state_of_page(written[0], "threshold=abc")
    assert state["threshold"] == 0.2


def test_without_a_script_the_slider_is_hidden(written):
    text = written[0].read_text()
    assert '<html lang="en" class="no-script">' in text
    assert ".no-script .slider { display: none; }" in text
    assert '<label for="threshold">' in text
