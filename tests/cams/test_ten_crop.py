"""TenCrop: against a loop in NumPy and OpenCV."""

import cv2
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from keras_has.cams import CAM, Backprop, TenCrop

CROP = 20


def by_hand(method, images, labels, absolute):
    """One image and one crop at a time."""
    height, width = images.shape[1:3]
    maps = np.zeros(images.shape[:3])
    probabilities = np.zeros((len(images), 4))
    corners = [(0, 0), (0, width - CROP), (height - CROP, 0), (height - CROP, width - CROP)]
    middle = ((height - CROP) // 2, (width - CROP) // 2)
    for index, image in enumerate(images):
        for y, x in [*corners, middle]:
            for step in (1, -1):
                crop = image[y : y + CROP, x : x + CROP][:, ::step]
                cam, found = method(np.ascontiguousarray(crop)[None], labels[index : index + 1])
                large = cv2.resize(np.asarray(cam)[0], (CROP, CROP))[:, ::step]
                maps[index, y : y + CROP, x : x + CROP] += abs(large) if absolute else large
                probabilities[index] += np.asarray(found)[0] / 10
    return maps, probabilities


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("size", [(24, 24), (23, 26), (20, 20)])
def test_it_is_the_sum_of_ten_crops(build, images, size, absolute):
    images = cv2.resize(images[0], size[::-1])[None].repeat(2, axis=0)
    images[1] = images[1][::-1, ::-1]
    labels = np.array([1, 3])
    inner = CAM(build(size=CROP))
    maps, probabilities = TenCrop(inner, CROP, absolute)(images, labels)
    expected, mean = by_hand(inner, images, labels, absolute)
    assert (expected.min() >= 0) == absolute
    np.testing.assert_allclose(maps, expected, atol=1e-4)
    np.testing.assert_allclose(probabilities, mean, atol=1e-6)


def test_it_takes_other_methods_than_cam(build, images):
    inner = Backprop(build(size=CROP))
    maps, probabilities = TenCrop(inner, CROP)(images[:1], [2])
    expected, mean = by_hand(inner, images[:1], np.array([2]), True)
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(probabilities, mean, atol=1e-6)


def test_a_mirrored_image_has_the_mirrored_map(build, images):
    method = TenCrop(CAM(build(size=CROP)), CROP)
    maps, _ = method(images, [0, 1, 2, 3, 0])
    mirrored, _ = method(images[:, :, ::-1], [0, 1, 2, 3, 0])
    np.testing.assert_allclose(np.asarray(mirrored)[:, :, ::-1], maps, atol=1e-4)


def test_what_does_not_fit_is_refused(build, images, network):
    with pytest.raises(ValueError, match=r"`method` should .* Received: method="):
        TenCrop(network, CROP)
    with pytest.raises(ValueError, match=r"`crop_size` .* Received: crop_size=0"):
        TenCrop(CAM(network), 0)
    with pytest.raises(ValueError, match=r"`images` should be at least 32 pixels"):
        TenCrop(CAM(build(size=32)), 32)(images)
