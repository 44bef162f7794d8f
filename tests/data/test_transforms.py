import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_has.data import ArrayImages, Dataset, image_batches, transforms


def example(height=6, width=8):
    """One class index per pixel, the same number in the image, and the box of its first row."""
    mask = np.arange(height * width, dtype="uint8").reshape(height, width)
    return {
        "image": tf.constant(np.repeat(mask[..., None], 3, axis=-1)),
        "mask": tf.constant(mask),
        "boxes": tf.constant([[1.0, 2.0, 5.0, 6.0]]),
        "label": tf.constant(3),
    }


def test_crop_moves_image_mask_and_boxes():
    cropped = transforms.crop(example(), 1, 2, 4, 5)
    wanted = np.arange(48).reshape(6, 8)[1:5, 2:7]
    np.testing.assert_array_equal(cropped["mask"], wanted)
    np.testing.assert_array_equal(cropped["image"][..., 1], wanted)
    assert cropped["boxes"].numpy().tolist() == [[0, 1, 3, 4]]
    assert cropped["label"] == 3


def test_a_box_outside_of_the_window_becomes_empty():
    x0, _, x1, _ = transforms.crop(example(), 0, 6, 6, 2)["boxes"].numpy()[0]
    assert x0 == x1


def test_flip_mirrors_columns_and_boxes():
    flipped = transforms.flip(example(), tf.constant(True))
    np.testing.assert_array_equal(flipped["mask"], np.arange(48).reshape(6, 8)[:, ::-1])
    np.testing.assert_array_equal(flipped["image"][..., 0], flipped["mask"])
    assert flipped["boxes"].numpy().tolist() == [[3, 2, 7, 6]]
    same = transforms.flip(example(), tf.constant(False))
    for key, value in example().items():
        np.testing.assert_array_equal(same[key], value)


@st.composite
def rectangles(draw):
    """An example whose mask is 1 inside one rectangle, with the rectangle as its only box."""
    height, width = draw(st.integers(2, 12)), draw(st.integers(2, 12))
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    x1, y1 = draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height))
    mask = np.zeros((height, width), "uint8")
    mask[y0:y1, x0:x1] = 1
    return {
        "image": tf.constant(np.repeat(mask[..., None], 3, axis=-1)),
        "mask": tf.constant(mask),
        "boxes": tf.constant([[x0, y0, x1, y1]], tf.float32),
    }


def box_around(mask):
    """The half-open box around the nonzero pixels, or `None` if there are none."""
    rows, columns = np.nonzero(np.asarray(mask))
    if not len(rows):
        return None
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@settings(deadline=None)
@given(rectangle=rectangles(), data=st.data())
def test_the_box_around_a_cropped_mask_is_the_cropped_box(rectangle, data):
    height, width = rectangle["mask"].shape
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left))
    cropped = transforms.crop(rectangle, top, left, *window)
    box = cropped["boxes"].numpy()[0].tolist()
    around = box_around(cropped["mask"])
    if around is None:
        assert box[0] == box[2] or box[1] == box[3]
    else:
        assert box == around
    np.testing.assert_array_equal(cropped["image"][..., 0], cropped["mask"])


@settings(deadline=None)
@given(rectangle=rectangles(), is_flipped=st.booleans())
def test_the_box_around_a_flipped_mask_is_the_flipped_box(rectangle, is_flipped):
    flipped = transforms.flip(rectangle, tf.constant(is_flipped))
    assert flipped["boxes"].numpy()[0].tolist() == box_around(flipped["mask"])
    np.testing.assert_array_equal(flipped["image"][..., 0], flipped["mask"])


@settings(deadline=None)
@given(rectangle=rectangles(), image_size=st.integers(12, 40), is_flipped=st.booleans())
def test_the_box_around_a_resized_mask_is_the_resized_box_up_to_half_a_pixel(
    rectangle, image_size, is_flipped
):
    resized = transforms.resize(rectangle, image_size, tf.constant(is_flipped))
    around = box_around(resized["mask"])
    np.testing.assert_allclose(resized["boxes"].numpy()[0], around, rtol=0, atol=0.5 + 1e-4)


def test_padding_is_black_ignored_and_moves_boxes():
    padded = transforms.pad(example(), 2)
    assert padded["image"].shape == (10, 12, 3)
    assert padded["image"].numpy()[:2].max() == 0
    assert set(padded["mask"].numpy()[:2].ravel()) == {255}
    np.testing.assert_array_equal(padded["mask"][2:8, 2:10], example()["mask"])
    assert padded["boxes"].numpy().tolist() == [[3, 4, 7, 8]]


@pytest.mark.parametrize("is_flipped", [None, False, True])
def test_resize_scales_boxes_and_takes_the_nearest_label(is_flipped):
    flag = None if is_flipped is None else tf.constant(is_flipped)
    resized = transforms.resize(example(), 12, flag)
    assert resized["image"].shape == (12, 12, 3)
    assert set(np.unique(resized["mask"])) <= set(range(48))
    nearest = np.arange(48).reshape(6, 8)[np.arange(12) // 2][:, np.arange(12) * 8 // 12]
    box = [1.5, 4, 7.5, 12]
    if is_flipped:
        nearest, box = nearest[:, ::-1], [4.5, 4, 10.5, 12]
    np.testing.assert_allclose(resized["boxes"][0], box, rtol=1e-6)
    centres = np.arange(12)
    assert (resized["mask"].numpy()[centres][:, 0] == nearest[:, 0]).all()


@given(seed=st.integers(0, 2**31 - 1), height=st.integers(3, 9), width=st.integers(3, 9))
def test_random_crops_lie_within_the_image(seed, height, width):
    cropped = transforms.random_crop(example(height, width), tf.constant([seed, 1]), 3, 2)
    first = int(cropped["mask"][0, 0])
    top, left = divmod(first, width)
    assert 0 <= top <= height - 3
    assert 0 <= left <= width - 2
    np.testing.assert_array_equal(
        cropped["mask"],
        np.arange(height * width).reshape(height, width)[top : top + 3, left : left + 2],
    )


def test_random_crops_reach_every_place_equally_often():
    seeds = tf.random.stateless_uniform([3000, 2], (1, 2), None, None, tf.int32)
    firsts = tf.map_fn(
        lambda seed: transforms.random_crop(example(4, 3), seed, 3, 2)["mask"][0, 0],
        seeds,
        fn_output_signature=tf.uint8,
    )
    counts = np.bincount(firsts.numpy(), minlength=5)
    assert counts[[0, 1, 3, 4]].min() > 650  # of 750 expected; the deviation is 24
    assert counts.sum() == counts[[0, 1, 3, 4]].sum()


def numbered(count=10):
    pixels = np.arange(count, dtype="uint8")[:, None, None, None] * np.ones((1, 4, 4, 3), "uint8")
    return Dataset(
        name="numbered",
        ids=[str(row) for row in range(count)],
        columns={
            "label": np.zeros(count, "int64"),
            "age": np.arange(count) * 3,
            "boxes": [[[0, 0, 2, 2]] * (row % 2) for row in range(count)],
        },
        source=ArrayImages(pixels),
        class_names=("thing",),
    )


def flip_only(example, seed, is_flipped):
    return transforms.flip(example, is_flipped)


def test_batches_contain_the_columns_that_are_asked_for():
    batch = next(iter(image_batches(numbered(), 5, flip_only, ("age", "boxes"), seed=1)))
    assert sorted(batch) == ["age", "boxes", "image"]
    rows = batch["image"].numpy()[:, 0, 0, 0]
    np.testing.assert_array_equal(batch["age"], rows * 3)
    is_empty = batch["boxes"].numpy()[:, 0, 0] == batch["boxes"].numpy()[:, 0, 2]
    np.testing.assert_array_equal(is_empty, rows % 2 == 0)
    with pytest.raises(KeyError, match="numbered.*identity"):
        image_batches(numbered(), 5, flip_only, ("identity",))


def test_hiding_seeds_depend_on_seed_epoch_and_image_alone():
    def seeds(batch_size, seed=1, steps=10):
        found = {}
        batches = image_batches(numbered(), batch_size, flip_only, seed=seed, hiding_seeds=True)
        for step, batch in enumerate(batches.take(steps)):
            rows = batch["image"].numpy()[:, 0, 0, 0].tolist()
            for place, (row, pair) in enumerate(
                zip(rows, batch["hiding_seed"].numpy(), strict=True)
            ):
                epoch = (step * batch_size + place) // 10
                found[epoch, row] = tuple(pair.tolist())
        return found

    assert seeds(5, steps=4) == seeds(2, steps=10)
    assert len(set(seeds(5, steps=4).values())) == 20
    assert not set(seeds(5).values()) & set(seeds(5, seed=2).values())


def test_batches_resume_at_any_step():
    whole = list(image_batches(numbered(), 4, flip_only, seed=3).take(6).as_numpy_iterator())
    rest = image_batches(numbered(), 4, flip_only, seed=3, first_step=4).take(2)
    for one, other in zip(whole[4:], rest.as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])


def test_windows_and_padding_that_do_not_fit_are_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="`height` and `width`"):
        transforms.random_crop(example(), tf.constant([1, 2]), 7, 2)
    with pytest.raises(ValueError, match="`share`.*share=2.0"):
        transforms.random_square(example(), tf.constant([1, 2]), 2.0)
    with pytest.raises(ValueError, match="`padding`.*padding=-1"):
        transforms.pad(example(), -1)
    with pytest.raises(ValueError, match="`mask`.*int8"):
        transforms.pad({**example(), "mask": tf.zeros((6, 8), tf.int8)}, 1)


def test_windows_of_random_area_have_the_area_and_aspect_ratio_asked_for():
    whole = {**example(60, 80), "mask": tf.reshape(tf.range(4800), (60, 80))}
    areas, ratios, places = [], [], set()
    for seed in range(60):
        window = transforms.random_area_crop(whole, tf.constant([seed, 1]), min_area=0.2)
        height, width = window["mask"].shape
        top, left = divmod(int(window["mask"][0, 0]), 80)
        np.testing.assert_array_equal(window["image"][..., 0], window["mask"] % 256)
        np.testing.assert_array_equal(
            window["mask"],
            np.arange(4800).reshape(60, 80)[top : top + height, left : left + width],
        )
        areas.append(height * width / 4800)
        ratios.append(width / height)
        places.add((top, left))
        x0, y0, x1, y1 = window["boxes"].numpy()[0]
        assert 0 <= x0 <= x1 <= width
        assert 0 <= y0 <= y1 <= height
    assert 0.19 < min(areas) < 0.35
    assert 0.8 < max(areas) <= 1
    assert 0.72 < min(ratios) < 0.85
    assert 1.2 < max(ratios) < 1.4
    assert len(places) > 30
    same = [transforms.random_area_crop(whole, tf.constant([7, 1]), 0.2)["mask"] for _ in range(2)]
    np.testing.assert_array_equal(*same)


def test_the_center_square_is_the_middle_of_the_image():
    center = transforms.center_square(example(6, 8), 4 / 6)
    np.testing.assert_array_equal(center["mask"], np.arange(48).reshape(6, 8)[1:5, 2:6])
    assert center["boxes"].numpy().tolist() == [[0, 1, 3, 4]]
    np.testing.assert_array_equal(
        transforms.center_square(example(6, 8), 1.0)["mask"],
        np.arange(48).reshape(6, 8)[:, 1:7],
    )


def test_fractions_out_of_range_are_named():
    for crop in (
        transforms.center_square,
        lambda *args: transforms.random_square(args[0], 0, args[1]),
    ):
        with pytest.raises(ValueError, match="`share`"):
            crop(example(), 0.0)
    with pytest.raises(ValueError, match="`min_area`"):
        transforms.random_area_crop(example(), tf.constant([0, 0]), 1.5)
