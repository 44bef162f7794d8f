import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.data import cut_mix  # noqa: E402

COUNT, SIDE = 8, 32


def batches():
    """Images of one color; the color is the label."""
    labels = np.arange(COUNT)
    images = np.tile(labels.astype("uint8")[:, None, None, None], (1, SIDE, SIDE, 3))
    return tf.data.Dataset.from_tensors((images, labels)).repeat()


def mixed(first_step=0, count=4, seed=3):
    return list(cut_mix(batches(), COUNT, seed, first_step).take(count).as_numpy_iterator())


def test_labels_are_weighted_by_the_area_that_each_image_keeps():
    for images, labels in mixed():
        assert images.dtype == np.uint8
        np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-5)
        areas = (images[..., 0, None] == np.arange(COUNT)).mean(axis=(1, 2))
        # Keras places rectangles at fractions of pixels: up to a row and a column of difference.
        np.testing.assert_allclose(labels, areas, atol=(2 * SIDE + 1) / SIDE**2)
        for label, image in enumerate(images):  # the pixels of the other image are one rectangle
            other = image[..., 0] != label
            rows, columns = np.flatnonzero(other.any(1)), np.flatnonzero(other.any(0))
            if len(rows):
                assert other[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def test_a_resumed_run_mixes_what_an_uninterrupted_one_mixes():
    whole, resumed = mixed(), mixed(first_step=2, count=2)
    for (images, labels), (same_images, same_labels) in zip(whole[2:], resumed, strict=True):
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(labels, same_labels)


def test_steps_and_seeds_mix_differently():
    first, second = mixed(count=2)
    other = mixed(count=1, seed=4)[0]
    assert (first[0] != second[0]).any()
    assert (first[0] != other[0]).any()


def test_labels_mix_under_half_precision_as_in_single():
    import keras

    expected = mixed(count=1)[0]
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        images, labels = mixed(count=1)[0]
    finally:
        keras.config.set_dtype_policy(policy)
    np.testing.assert_array_equal(images, expected[0])
    np.testing.assert_array_equal(labels, expected[1])
