"""Batches for training and evaluation."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.data import (  # noqa: E402
    ArrayImages,
    Dataset,
    FileImages,
    evaluation_batches,
    generated_parts,
    training_batches,
)
from keras_has.data.resize import resize_image  # noqa: E402


@pytest.fixture
def files(tmp_path, write_image):
    """Twelve images of different sizes on disk, each of one grey, three classes."""
    sizes = [(40 + 3 * i, 70 - 2 * i) for i in range(12)]
    paths = []
    for number, (height, width) in enumerate(sizes):
        path = tmp_path / f"{number}.png"
        tf.io.write_file(
            str(path), tf.io.encode_png(np.full((height, width, 3), 20 * number, "uint8"))
        )
        paths.append(str(path))
    return Dataset(
        name="files",
        ids=[str(n) for n in range(12)],
        columns={
            "label": np.arange(12) % 3,
            "boxes": [np.array([[1, 2, 11 + n, 12]]) for n in range(6)] + [[]] * 6,
        },
        source=FileImages(paths),
        class_names=("a", "b", "c"),
    )


def batches(dataset, count, **settings):
    settings = {"batch_size": 5, "image_size": 32, "resize_size": 36, "seed": 3, **settings}
    return [
        (np.asarray(images), np.asarray(labels))
        for images, labels in training_batches(dataset, **settings).take(count)
    ]


@pytest.mark.parametrize("in_memory", [True, False])
def test_every_image_comes_once_an_epoch_in_a_new_order(files, in_memory):
    dataset = generated_parts("val", num_images=12) if in_memory else files
    size = {"image_size": 64, "resize_size": 64} if in_memory else {}
    got = batches(dataset, 6, batch_size=4, horizontal_flip=False, **size)
    epochs = [np.concatenate([images for images, _ in got[i : i + 3]]) for i in (0, 3)]
    keys = [[image.tobytes() for image in epoch] for epoch in epochs]
    assert len(set(keys[0])) == 12
    assert keys[0] != keys[1]
    if in_memory:  # no crop: the very images
        assert set(keys[0]) == set(keys[1]) == {image.tobytes() for image in dataset.source.pixels}
    else:
        greys = [sorted(epoch[:, 0, 0, 0].tolist()) for epoch in epochs]
        assert greys[0] == greys[1] == [20 * n for n in range(12)]


@pytest.mark.parametrize("seed", [0, 1, 7])
@pytest.mark.parametrize("count", [40, 400])
def test_the_order_is_a_shuffle_also_under_small_seeds(seed, count):
    """Over 30 epochs: few rows keep their place, and neighbours in the set are not neighbours."""
    images = np.zeros((count, 8, 8, 3), "uint8")
    dataset = Dataset(
        name="numbers",
        ids=[str(n) for n in range(count)],
        columns={"label": np.arange(count), "boxes": [[]] * count},
        source=ArrayImages(images),
        class_names=[str(n) for n in range(count)],
    )
    settings = {"batch_size": count, "image_size": 8, "resize_size": 8, "seed": seed}
    orders = np.stack([labels for _, labels in batches(dataset, 30, **settings)])
    assert (np.sort(orders, axis=1) == np.arange(count)).all()
    kept = (orders == np.arange(count)).sum(axis=1).mean()
    assert kept < 2.5  # 1 is expected
    repeated = (orders[1:] == orders[:-1]).sum(axis=1).mean()
    assert repeated < 2.5
    correlations = [np.corrcoef(order, np.arange(count))[0, 1] for order in orders]
    assert np.sqrt(np.mean(np.square(correlations))) < 2 / np.sqrt(count)


@pytest.mark.parametrize("class_balanced", [True, False])
@pytest.mark.parametrize("in_memory", [True, False])
def test_a_continued_run_sees_what_it_would_have_seen(files, class_balanced, in_memory):
    dataset = generated_parts("val", num_images=12) if in_memory else files
    settings = {"class_balanced": class_balanced}
    if in_memory:
        settings.update(image_size=64, resize_size=64)
    whole = batches(dataset, 6, **settings)
    rest = batches(dataset, 3, first_step=3, **settings)
    for (images, labels), (same_images, same_labels) in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(labels, same_labels)
    other = batches(dataset, 1, **{**settings, "seed": 4})
    assert not np.array_equal(other[0][0], whole[0][0])


def test_labels_go_with_their_images(files):
    for images, labels in batches(files, 5, horizontal_flip=True):
        np.testing.assert_array_equal(images[:, 0, 0, 0] // 20 % 3, labels)


def test_half_of_the_images_are_flipped():
    dataset = generated_parts("val", num_images=1)
    image = dataset.source.pixels[0]
    got = np.concatenate(
        [i for i, _ in batches(dataset, 40, image_size=64, resize_size=64, batch_size=10)]
    )
    plain = (got == image).all((1, 2, 3))
    flipped = (got == image[:, ::-1]).all((1, 2, 3))
    assert (plain ^ flipped).all()
    assert abs(flipped.mean() - 0.5) < 4 * np.sqrt(0.25 / 400)


def test_balanced_classes_are_drawn_uniformly_though_one_is_rare():
    dataset = generated_parts("val", num_images=40)
    lopsided = dataset.select([i for i in range(40) if dataset["label"][i] != 3 or i < 10])
    assert np.bincount(lopsided["label"])[3] == 1
    labels = np.concatenate(
        [
            label
            for _, label in batches(
                lopsided, 40, image_size=64, resize_size=64, batch_size=50, class_balanced=True
            )
        ]
    )
    shares = np.bincount(labels, minlength=10) / len(labels)
    assert np.abs(shares - 0.1).max() < 4 * np.sqrt(0.09 / 2000)
    empty = dataset.select(dataset["label"] != 3)
    with pytest.raises(ValueError, match="none of class 'part_3'"):
        batches(empty, 1, class_balanced=True)


def test_random_crops_move_and_keep_the_aspect(tmp_path):
    """A horizontal ramp: a crop shows a part of it, in the ramp's own slope."""
    ramp = np.tile(np.arange(120, dtype="uint8")[None, :, None], (60, 1, 3))
    path = tmp_path / "ramp.png"
    tf.io.write_file(str(path), tf.io.encode_png(ramp))
    dataset = Dataset(
        name="ramp",
        ids=["r"],
        columns={"label": [0], "boxes": [[]]},
        source=FileImages([str(path)]),
        class_names=("a",),
    )
    got = np.concatenate(
        [
            images
            for images, _ in batches(
                dataset, 4, image_size=24, resize_size=30, horizontal_flip=False
            )
        ]
    )
    # Short side 60 becomes 30: a crop of 24 is 48 pixels of the image, one pixel two levels.
    slopes = np.diff(got[:, 0, :, 0].astype(float), axis=1)[:, 2:-2]
    assert abs(slopes.mean() - 2) < 0.05
    left = got[:, 0, 0, 0]
    assert left.min() < 20
    assert left.max() > 50
    assert left.max() <= 120 - 48 + 2


def test_random_crops_start_at_every_height(tmp_path):
    """A vertical ramp in an upright image: the first row of a crop tells where it begins."""
    ramp = np.tile(np.arange(120, dtype="uint8")[:, None, None], (1, 60, 3))
    path = tmp_path / "ramp.png"
    tf.io.write_file(str(path), tf.io.encode_png(ramp))
    dataset = Dataset(
        name="ramp",
        ids=["r"],
        columns={"label": [0], "boxes": [[]]},
        source=FileImages([str(path)]),
        class_names=("a",),
    )
    settings = {"image_size": 48, "resize_size": 60, "horizontal_flip": False, "batch_size": 40}
    tops = np.concatenate([images[:, 0, 0, 0] for images, _ in batches(dataset, 5, **settings)])
    # 48 of 60 pixels of the short side: no resizing, and 120 - 48 + 1 places, all as likely.
    assert tops.min() < 8
    assert tops.max() > 72 - 8
    counts = np.bincount(tops // 25, minlength=3)[:3]
    assert (np.abs(counts - 200 * np.array([25, 25, 23]) / 73) < 4 * np.sqrt(200 * 2 / 9)).all()


def test_balanced_sampling_draws_every_image_of_a_class_alike():
    dataset = generated_parts("val", num_images=50)
    key = {image.tobytes(): row for row, image in enumerate(dataset.source.pixels)}
    settings = {"image_size": 64, "resize_size": 64, "horizontal_flip": False, "batch_size": 50}
    drawn = [
        key[image.tobytes()]
        for images, _ in batches(dataset, 40, class_balanced=True, **settings)
        for image in images
    ]
    shares = np.bincount(drawn, minlength=50) / len(drawn)
    assert np.abs(shares - 1 / 50).max() < 4.5 * np.sqrt(1 / 50 * 49 / 50 / len(drawn))


def test_resizing_mixes_neighbours_and_keeps_straight_ramps():
    checks = (np.indices((16, 16)).sum(0) % 2 * 200).astype("uint8")[..., None].repeat(3, -1)
    # Nearest would give 0 or 200 everywhere; the mean of a board of checks is 100.
    assert np.abs(resize_image(checks, 8).numpy()[2:-2, 2:-2].astype(int) - 100).max() <= 1
    ramp = np.tile(np.arange(0, 128, 8, dtype="uint8")[:, None, None], (1, 16, 3))
    rows = resize_image(ramp, 32).numpy()[2:-2, 5, 0].astype(int)
    # Twice as many rows, half the step: 4 apart, where nearest would repeat each value.
    assert set(np.diff(rows)) == {4}


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((82, 82, 3), 56),
        ((40, 30, 3), 64),
        ((90, 15, 3), 24),
        ((24, 24, 3), 24),
        ((1, 1, 3), 4),
        ((3, 20, 31, 3), 9),
        ((0, 20, 31, 3), 9),
    ],
)
def test_resizing_gives_the_very_pixels_of_tensorflow(shape, size):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")
    wanted = tf.image.resize(images, (size, size), "bilinear", antialias=True)
    wanted = tf.cast(tf.clip_by_value(tf.round(wanted), 0, 255), tf.uint8)
    np.testing.assert_array_equal(resize_image(images, size), wanted)


@pytest.mark.parametrize("in_memory", [True, False])
def test_flipped_images_are_the_others_mirrored(files, in_memory):
    dataset = generated_parts("val", num_images=12) if in_memory else files
    size = {"image_size": 64, "resize_size": 64} if in_memory else {}
    plain = batches(dataset, 3, horizontal_flip=False, **size)
    for (images, _), (same, _) in zip(batches(dataset, 3, **size), plain, strict=True):
        for image, other in zip(images, same, strict=True):
            assert (image == other).all() or (image == other[:, ::-1]).all()


def test_a_batch_is_a_whole_image_cut_resized_and_flipped(tmp_path, write_pixels):
    """As the docstring says, step by step, with the draws of that seed and step."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype="uint8")
    path = write_pixels(tmp_path / "image.jpg", pixels)
    whole = tf.io.decode_image(path.read_bytes(), channels=3).numpy()
    dataset = Dataset(
        name="one",
        ids=["r"],
        columns={"label": [0], "boxes": [[]]},
        source=FileImages([str(path)]),
        class_names=("a",),
    )
    (images, _), *_ = batches(dataset, 1, batch_size=6)
    seeds = tf.random.stateless_uniform([6, 2], (3 * 16 + 2, 0), None, None, tf.int32)
    flips = tf.random.stateless_uniform([6], (3 * 16 + 1, 0)) < 0.5
    for image, image_seed, flip in zip(images, seeds, flips, strict=True):
        side = round(60 * 32 / 36)
        place = tf.random.stateless_uniform([2], image_seed).numpy()
        top, left = (place * (np.array([60, 90]) - side + 1)).astype(int)
        wanted = resize_image(whole[top : top + side, left : left + side], 32).numpy()
        np.testing.assert_array_equal(image, wanted[:, ::-1] if flip else wanted)


def test_sizes_that_do_not_fit_are_named(files):
    with pytest.raises(ValueError, match="`resize_size`"):
        batches(files, 1, image_size=40)
    with pytest.raises(ValueError, match="at least one image"):
        batches(files.select([]), 1)


def test_evaluation_shows_every_image_whole_in_order_with_its_boxes(files):
    got = list(evaluation_batches(files, 5, 32).as_numpy_iterator())
    assert [len(batch["label"]) for batch in got] == [5, 5, 2]
    joined = {key: np.concatenate([batch[key] for batch in got]) for key in got[0]}
    np.testing.assert_array_equal(joined["label"], files["label"])
    np.testing.assert_array_equal(joined["image"][:, 5, 5, 0], 20 * np.arange(12))
    np.testing.assert_array_equal(joined["size"], [(40 + 3 * i, 70 - 2 * i) for i in range(12)])
    np.testing.assert_array_equal(joined["boxes"][3], [[1, 2, 14, 12]])
    np.testing.assert_array_equal(joined["boxes"][7], [[-1, -1, -1, -1]])
    assert joined["image_id"].tolist() == [b"%d" % n for n in range(12)]


def test_evaluation_in_memory_takes_the_pixels_as_they_are():
    dataset = generated_parts("val", num_images=7)
    got = list(evaluation_batches(dataset, 4, 64).as_numpy_iterator())
    np.testing.assert_array_equal(np.concatenate([b["image"] for b in got]), dataset.source.pixels)
    assert got[0]["size"].tolist() == [[64, 64]] * 4
