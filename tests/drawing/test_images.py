"""Maps and boxes are drawn in their place, and PNG files are complete."""

import cv2
import numpy as np
import pytest

from keras_has import drawing


def test_overlay_is_brightest_where_the_map_is_and_plain_violet_elsewhere():
    image = np.full((8, 8, 3), 100, "uint8")
    cam = np.zeros((8, 8))
    cam[2, 5] = 3.0
    picture = drawing.heat_map_overlay(image, cam, opacity=1.0)
    np.testing.assert_array_equal(picture[2, 5], [253, 231, 37])  # the yellow end of viridis
    np.testing.assert_array_equal(picture[7, 0], [68, 1, 84])  # its violet end
    half = drawing.heat_map_overlay(image, cam, opacity=0.5)
    np.testing.assert_allclose(half[7, 0], (np.array([68, 1, 84]) + 100) / 2, atol=1)


@pytest.mark.parametrize("cam", [np.zeros((4, 4)), -np.ones((4, 4)), np.full((4, 4), np.nan)])
def test_a_map_without_positive_value_is_the_same_everywhere(cam):
    picture = drawing.heat_map_overlay(np.zeros((8, 8, 3), "uint8"), cam, opacity=1.0)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1


def test_a_box_is_drawn_on_its_own_pixels_and_the_image_is_left_alone():
    image = np.zeros((10, 12, 3), "uint8")
    picture = drawing.draw_boxes(image, [[2, 3, 8, 7]], (9, 8, 7), thickness=1)
    expected = np.zeros((10, 12), bool)
    expected[3, 2:8] = expected[6, 2:8] = expected[3:7, 2] = expected[3:7, 7] = True
    np.testing.assert_array_equal(picture[..., 0] == 9, expected)
    assert image.sum() == 0


def test_boxes_with_nan_or_without_area_are_skipped_and_others_clipped():
    image = np.zeros((10, 10, 3), "uint8")
    boxes = [[np.nan] * 4, [-1, -1, -1, -1], [5, 5, 5, 9]]
    assert drawing.draw_boxes(image, boxes, thickness=1).sum() == 0
    assert drawing.draw_boxes(image, [[-5, -5, 50, 50]], thickness=1)[0].any()


def test_tiles_keep_the_aspect_and_scale_the_boxes():
    image = np.zeros((20, 40, 3), "uint8")
    tile = drawing.localization_tile(image, None, [[10, 5, 30, 15]], side=80)
    assert tile.shape == (40, 80, 3)
    rows, columns = np.nonzero((tile == 255).all(-1))
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (20, 10, 59, 29)


def test_a_png_reads_back_and_no_temporary_file_is_left(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype="uint8")
    drawing.write_png(tmp_path / "new" / "a.png", picture)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "new" / "a.png"))[..., ::-1], picture)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a.png"]
