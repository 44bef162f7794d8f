"""The generated default data set."""

import numpy as np
import pytest

from keras_has.data import generated_parts
from keras_has.ops.boxes import best_centred_side, box_iou, centred_boxes


def test_images_depend_on_seed_split_and_number_alone():
    few, many = generated_parts("train", num_images=12), generated_parts("train", num_images=30)
    np.testing.assert_array_equal(few.source.pixels, many.source.pixels[:12])
    np.testing.assert_array_equal(np.stack(few["boxes"]), np.stack(many["boxes"][:12]))
    assert not np.array_equal(
        generated_parts("val", num_images=12).source.pixels, few.source.pixels
    )
    assert not np.array_equal(
        generated_parts("train", num_images=12, seed=1).source.pixels, few.source.pixels
    )


def test_default_splits_and_classes():
    val = generated_parts("val")
    assert len(val) == 1000
    assert np.bincount(val["label"]).tolist() == [100] * 10
    # No class has only even or only odd numbers, or two halves would differ in their classes.
    assert np.bincount(val["label"][::2]).tolist() == [50] * 10


@pytest.mark.parametrize("size", [64, 80, 96])
def test_boxes_lie_in_the_image_and_are_tight_round_the_object(size):
    dataset = generated_parts("train", num_images=40, image_size=size)
    boxes = np.concatenate(dataset["boxes"])
    assert dataset.source.pixels.shape == (40, size, size, 3)
    assert boxes.min() >= 0
    assert boxes.max() <= size
    sides = boxes[:, 2:] - boxes[:, :2]
    assert 0.15 * size < sides.min()
    assert sides.max() < 0.85 * size


def test_the_head_lies_in_the_box_and_tells_the_class():
    """Pixels of full saturation are the head's; their hue is the class."""
    import cv2

    dataset = generated_parts("val", num_images=200)
    right = 0
    for image, label, boxes in zip(
        dataset.source.pixels, dataset["label"], dataset["boxes"], strict=True
    ):
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        rows, columns = np.nonzero((hsv[..., 1] > 190) & (hsv[..., 2] > 205))
        x0, y0, x1, y1 = boxes[0]
        inside = (columns >= x0) & (columns < x1) & (rows >= y0) & (rows < y1)
        hues = hsv[rows[inside], columns[inside], 0].astype(float) * (2 * np.pi / 180)
        hue = np.angle(np.exp(1j * hues).mean()) / (2 * np.pi) * 10
        right += round(hue) % 10 == label
    assert right / 200 > 0.97


def test_a_centred_box_does_not_localize():
    train, val = generated_parts("train", num_images=500), generated_parts("val", num_images=500)
    side = best_centred_side(train["boxes"], train["image_size"])
    hits = box_iou(centred_boxes(val["image_size"], side), np.concatenate(val["boxes"])) > 0.5
    assert hits.mean() < 0.35


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="`split`"):
        generated_parts("test")
    with pytest.raises(ValueError, match="`image_size`"):
        generated_parts("val", image_size=32)
    with pytest.raises(ValueError, match="`num_images`"):
        generated_parts("val", num_images=0)


def test_progress_is_told_to_the_end():
    seen = []
    generated_parts("val", num_images=3, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_pictures_are_those_of_this_version():
    """A change of the drawing changes every figure in docs/results.md: say so when you make one."""
    means = generated_parts("train", num_images=4).source.pixels.mean((1, 2))
    # Builds of OpenCV may interpolate a little differently.
    np.testing.assert_allclose(
        means,
        [[137.9, 117.3, 105.7], [74.7, 87.5, 59.6], [135.3, 129.1, 108.4], [86.5, 92.6, 97.4]],
        atol=0.5,
    )
