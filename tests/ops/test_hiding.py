"""The mask and its application, with the noise handed in."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_has.ops import hiding

pytestmark = pytest.mark.backends


def loop_mask(noise, sizes, probability, height, width):
    """The authors' loop over cells, one image at a time, with Python slices."""
    mask = np.zeros((len(sizes), height, width), bool)
    for image, size in enumerate(sizes):
        if size == 0:
            continue
        for row, y in enumerate(range(0, height, size)):
            for column, x in enumerate(range(0, width, size)):
                if noise[image, row, column] < probability:
                    mask[image, y : y + size, x : x + size] = True
    return mask


def mask_of(noise, patch_sizes, size_index, probability, height, width, channels=1):
    mask = hiding.grid_mask(
        keras.ops.convert_to_tensor(noise),
        patch_sizes,
        None if size_index is None else keras.ops.convert_to_tensor(size_index),
        probability,
        height,
        width,
        channels=channels,
    )
    return keras.ops.convert_to_numpy(mask)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    patch_sizes=st.lists(st.integers(0, 45), min_size=1, max_size=5),
    probability=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    seed=st.integers(0, 2**16),
)
def test_mask_equals_a_loop_over_cells(height, width, patch_sizes, probability, seed):
    random = np.random.default_rng(seed)
    rows, columns = hiding.grid_shape(height, width, patch_sizes)
    noise = random.random((4, rows, columns), dtype="float32")
    index = random.integers(0, len(patch_sizes), 4).astype("int32")
    expected = loop_mask(noise, [patch_sizes[i] for i in index], probability, height, width)
    mask = mask_of(noise, patch_sizes, index, probability, height, width)
    np.testing.assert_array_equal(mask, expected)


@given(size=st.integers(0, 30), height=st.integers(1, 30), width=st.integers(1, 30))
def test_one_size_needs_no_index(size, height, width):
    rows, columns = hiding.grid_shape(height, width, (size,))
    noise = np.random.default_rng(size).random((2, rows, columns), dtype="float32")
    mask = mask_of(noise, (size,), None, 0.5, height, width)
    np.testing.assert_array_equal(mask, loop_mask(noise, [size] * 2, 0.5, height, width))


def test_size_44_on_224_has_36_cells_and_a_sliver_of_4_pixels():
    assert hiding.grid_shape(224, 224, (44,)) == (6, 6)
    noise = np.ones((1, 6, 6), "float32")
    noise[0, 5, 5] = 0.0
    mask = mask_of(noise, (44,), None, 0.5, 224, 224)
    assert mask.sum() == 4 * 4
    assert mask[0, 220:, 220:].all()


def test_columns_are_repeated_for_channels():
    noise = np.random.default_rng(0).random((2, 3, 3), dtype="float32")
    plain = mask_of(noise, (2,), None, 0.5, 5, 6)
    repeated = mask_of(noise, (2,), None, 0.5, 5, 6, channels=3)
    np.testing.assert_array_equal(repeated, np.repeat(plain, 3, axis=2))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_hidden_pixels_are_replaced_also_where_not_finite(value, data_format):
    shape = (1, 4, 4, 2) if data_format == "channels_last" else (1, 2, 4, 4)
    images = keras.ops.convert_to_tensor(np.full(shape, value, "float32"))
    noise = keras.ops.zeros((1, 2, 2))
    fill = keras.ops.convert_to_tensor(np.array([3.0, 5.0], "float32"))
    hidden = keras.ops.convert_to_numpy(
        hiding.hide_patches(images, noise, (2,), None, 0.5, fill, data_format)
    )
    channel_axis = 3 if data_format == "channels_last" else 1
    np.testing.assert_array_equal(np.take(hidden, 0, channel_axis), np.full((1, 4, 4), 3.0))
    np.testing.assert_array_equal(np.take(hidden, 1, channel_axis), np.full((1, 4, 4), 5.0))


def test_pixels_that_are_not_hidden_keep_every_bit():
    images = np.random.default_rng(0).normal(size=(2, 9, 7, 3)).astype("float32")
    noise = np.random.default_rng(1).random((2, 3, 3), dtype="float32")
    hidden = keras.ops.convert_to_numpy(
        hiding.hide_patches(
            keras.ops.convert_to_tensor(images),
            keras.ops.convert_to_tensor(noise),
            (3,),
            None,
            0.5,
            keras.ops.convert_to_tensor(np.float32(0)),
        )
    )
    mask = loop_mask(noise, [3, 3], 0.5, 9, 7)
    np.testing.assert_array_equal(hidden, np.where(mask[..., None], np.float32(0), images))


def test_sizes_are_chosen_by_cumulative_weight():
    noise = np.array([0.0, 0.2, 0.25, 0.74, 0.75, 0.9999999], "float32")
    weights = np.array([1.0, 0.0, 2.0, 1.0], "float32")
    index = hiding.choose_size(
        keras.ops.convert_to_tensor(noise), keras.ops.convert_to_tensor(weights)
    )
    # Shares: 0 up to 0.25, nothing for 1, 2 up to 0.75, 3 above.
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(index), [0, 0, 2, 2, 3, 3])


@pytest.mark.parametrize(
    "bad", [-1, (), (16, -2), 1.5, "16", None, (True,), 1.0, (0, -0.1), float("nan")]
)
def test_bad_patch_sizes_are_named(bad):
    with pytest.raises(ValueError, match=r"`patch_size` should be .* Received: patch_size="):
        hiding.check_patch_size(bad)


@pytest.mark.parametrize("side", [3, 48, 49, 96, 210, 224])
def test_relative_sizes_are_rounded_down_to_pixels_of_the_shorter_side(side):
    sizes = tuple(1 / n for n in (9, 7, 5, 3))
    pixels = hiding.sizes_in_pixels((0, 16, *sizes), side, side + 7)
    assert pixels == (0, 16, *(max(side // n, 1) for n in (9, 7, 5, 3)))
    assert hiding.sizes_in_pixels(sizes, side + 7, side) == pixels[2:]


@pytest.mark.parametrize("bad", [(), (0.5, 1.1), ((0.5,),), "0.5"])
def test_bad_choices_of_probabilities_are_named(bad):
    with pytest.raises(ValueError, match=r"`hide_probability` should be .* Received"):
        hiding.check_hide_probabilities(bad)


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan"), "half", None, True])
def test_bad_probabilities_are_named(bad):
    with pytest.raises(ValueError, match=r"`hide_probability` should be .* Received"):
        hiding.check_hide_probability(bad)


@pytest.mark.parametrize("bad", ["median", (), None, ("a",), True])
def test_bad_fills_are_named(bad):
    with pytest.raises(ValueError, match=r"`fill_value` should be .* Received"):
        hiding.check_fill_value(bad)
