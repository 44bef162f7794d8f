"""Maps keep their values on the page, and pictures their boxes."""

import base64
import re

import cv2
import numpy as np
import pytest

from trainers.reports.page import render_macro
from trainers.reports.tiles import View, quantize_map, restore_map, tile_picture


def test_a_map_comes_back_to_half_a_level():
    cam = np.random.default_rng(0).normal(size=(9, 14)).astype("float32")
    restored = restore_map(quantize_map(cam))
    assert restored.shape == (9, 14)
    assert np.abs(restored - cam).max() <= (cam.max() - cam.min()) / 255 / 2 + 1e-6


def test_a_large_map_is_reduced_by_its_means():
    cam = np.kron(np.random.default_rng(0).normal(size=(64, 64)), np.ones((2, 2)))
    quantized = quantize_map(cam)
    assert (quantized["height"], quantized["width"]) == (64, 64)
    np.testing.assert_allclose(restore_map(quantized), cam[::2, ::2], atol=0.02)


@pytest.mark.parametrize("cam", [np.ones((3, 3)), np.array([[0, np.nan]]), np.array([[0, np.inf]])])
def test_a_map_without_a_box_is_none(cam):
    assert quantize_map(cam) is None


def test_a_picture_has_the_aspect_of_the_image_that_it_was():
    address = tile_picture(np.full((32, 32, 3), 77, "uint8"), (100, 200))
    kind, content = re.fullmatch(r"data:(image/jpeg);base64,(.*)", address).groups()
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(content), "uint8"), cv2.IMREAD_COLOR)
    assert kind == "image/jpeg"
    assert decoded.shape == (88, 176, 3)
    assert np.abs(decoded.astype(int) - 77).max() <= 2


def test_a_view_draws_its_boxes_in_pixels_of_the_image():
    view = View(
        "data:,", (50, 80), [[1, 2, 11, 22]], "what is <seen>", [5, 6, 30, 40], "<b>", key="run-0"
    )
    text = render_macro("view", view)
    assert 'viewBox="0 0 80 50"' in text
    assert '<rect class="true" x="1.0" y="2.0" width="10.0" height="20.0">' in text
    assert '<rect class="found" x="5.0" y="6.0" width="25.0" height="34.0">' in text
    assert 'aria-label="what is &lt;seen&gt;"' in text
    assert 'data-box="run-0"' in text
    assert "&lt;b&gt;" in text
    nothing = render_macro("view", View("data:,", (50, 80), [], "nothing", np.full(4, np.nan)))
    assert 'visibility="hidden"' in nothing
