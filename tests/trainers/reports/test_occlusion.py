"""Covers lie inside the box, have the share asked for, and are the same for every network."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainers.reports.occlusion import (
    SHARES,
    accuracy_under_covers,
    cover_boxes,
    cover_image,
    random_places,
)

share = st.floats(0, 1)
coordinate = st.floats(0, 100)
box = st.tuples(coordinate, coordinate, st.floats(1, 100), st.floats(1, 100)).map(
    lambda b: np.array([b[0], b[1], b[0] + b[2], b[1] + b[3]])
)


@given(box, share, share, share, share)
def test_a_cover_lies_in_its_box_and_larger_ones_contain_it(box, share, more, u, v):
    share, more = sorted([share, more])
    cover, larger = (cover_boxes(box, each, [u, v]) for each in (share, more))

    def area(each):
        return np.prod(each[2:] - each[:2])

    np.testing.assert_allclose(area(cover), share * area(box), atol=1e-6)
    for inner, outer in ((cover, larger), (larger, box)):
        assert (inner[:2] >= outer[:2] - 1e-9).all()
        assert (inner[2:] <= outer[2:] + 1e-9).all()


def test_only_the_pixels_of_the_cover_change():
    image = np.full((20, 40, 3), 9, "uint8")
    covered = cover_image(image, [[0.25, 0.2, 0.75, 0.6]], 0.25, [[1, 0]], [1, 2, 3])
    # The box is 20 x 8 pixels at (10, 4); a quarter of it at the upper right is 10 x 4 at (20, 4).
    expected = image.copy()
    expected[4:8, 20:30] = [1, 2, 3]
    np.testing.assert_array_equal(covered, expected)
    assert (image == 9).all()


def test_places_belong_to_seed_and_image():
    first = random_places(3, 2, seed=1)
    np.testing.assert_array_equal(first, random_places(3, 2, seed=1))
    assert not np.allclose(first, random_places(4, 2, seed=1))
    assert not np.allclose(first, random_places(3, 2, seed=2))


def batches(sizes):
    """Grey images with one object, white, in the left half; padded boxes."""
    for count in sizes:
        image = np.full((count, 16, 32, 3), 100, "uint8")
        image[:, 4:12, 4:12] = 255
        boxes = np.full((count, 2, 4), -1.0, "float32")
        boxes[:, 0] = [8, 8, 24, 24]  # of an image of twice the size
        yield {
            "image": image,
            "label": np.ones(count, "int64"),
            "boxes": boxes,
            "size": np.full((count, 2), [32, 64], "float32"),
        }


def test_each_share_is_judged_on_what_is_left_of_the_object():
    seen = []

    def probabilities(images):
        white = (images == 255).all(axis=-1).sum(axis=(1, 2)) / 64
        seen.append(white)
        return np.stack([np.full(len(images), 0.4), white], axis=1)

    is_right = accuracy_under_covers(probabilities, batches([2, 1]), [0, 0, 0], 7)
    assert is_right.shape == (3, len(SHARES))
    assert is_right[:, 0].all()
    left = np.array(seen[: len(SHARES)])  # (shares, images) of the first batch
    np.testing.assert_allclose(left.mean(axis=1), 1 - np.array(SHARES), atol=0.13)
    np.testing.assert_array_equal(is_right[:2], (left > 0.4).T)


def test_covers_do_not_depend_on_the_batches():
    def pictures_of(sizes):
        seen = []

        def probabilities(images):
            seen.append(images.copy())
            return np.zeros((len(images), 2))

        accuracy_under_covers(probabilities, batches(sizes), [1, 2, 3], 7, (0.5,))
        return np.concatenate(seen)

    np.testing.assert_array_equal(pictures_of([3]), pictures_of([1, 2]))
