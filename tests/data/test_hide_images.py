"""The deterministic transform of tf.data pipelines."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.data.hide_images import hide_images, stateless_hide_images  # noqa: E402


def images_of(dataset):
    return np.stack([np.asarray(image) for image in dataset])


def pipeline(parallel, seed=5, count=24):
    dataset = tf.data.Dataset.from_tensor_slices(np.ones((count, 12, 12, 1), "uint8"))
    return dataset.apply(hide_images(patch_size=(0, 2, 3), seed=seed, num_parallel_calls=parallel))


def test_masks_are_the_same_at_any_parallelism_and_after_a_restart():
    alone = images_of(pipeline(1))
    for parallel in (2, 8, tf.data.AUTOTUNE):
        np.testing.assert_array_equal(images_of(pipeline(parallel)), alone)


def test_masks_differ_between_epochs_elements_and_seeds():
    dataset = pipeline(4)
    first, second = images_of(dataset), images_of(dataset)
    assert not np.array_equal(first, second)
    repeated = images_of(pipeline(4).repeat(2))
    np.testing.assert_array_equal(repeated[:24], first)
    assert not np.array_equal(repeated[24:], first)
    assert not np.array_equal(images_of(pipeline(4, seed=6)), first)
    partly_hidden = first[(first == 0).any(axis=(1, 2, 3))]
    assert len(np.unique(partly_hidden.reshape(len(partly_hidden), -1), axis=0)) > 10


def test_a_second_program_epoch_gives_the_same_masks():
    """Two pipelines built alike agree epoch by epoch, not only in the first."""
    one, other = pipeline(3), pipeline(2)
    for _ in range(3):
        np.testing.assert_array_equal(images_of(one), images_of(other))


@pytest.mark.parametrize("structure", ["tuple", "dict", "images"])
def test_structures_keep_everything_but_the_images(structure):
    images = np.full((4, 6, 6, 3), 9, "uint8")
    labels = np.array([16777217, 1, 2, 3], "int64")
    elements = {
        "tuple": (images, labels),
        "dict": {"image": images, "label": labels},
        "images": {"images": images, "label": labels},
    }[structure]
    dataset = tf.data.Dataset.from_tensor_slices(elements).batch(2)
    hidden = dataset.apply(hide_images(patch_size=3, hide_probability=1.0, fill_value=(1, 2, 3)))
    assert hidden.element_spec == dataset.element_spec
    for element, expected in zip(hidden, (labels[:2], labels[2:]), strict=True):
        got, label = element if structure == "tuple" else element.values()
        np.testing.assert_array_equal(label, expected)
        np.testing.assert_array_equal(got, np.broadcast_to(np.uint8([1, 2, 3]), (2, 6, 6, 3)))


def test_a_variable_changes_the_probability_while_the_pipeline_runs():
    probability = tf.Variable(0.0)
    dataset = tf.data.Dataset.from_tensor_slices(np.ones((2, 4, 4, 1), "float32"))
    dataset = dataset.apply(hide_images(patch_size=2, hide_probability=probability))
    assert images_of(dataset).mean() == 1
    probability.assign(1.0)
    assert images_of(dataset).mean() == 0


def test_stateless_masks_depend_on_images_and_seed_alone():
    images = tf.ones((3, 10, 10, 2))
    first = stateless_hide_images(images, (1, 2), (0, 3))
    np.testing.assert_array_equal(stateless_hide_images(images, (1, 2), (0, 3)), first)
    assert not np.array_equal(stateless_hide_images(images, (1, 3), (0, 3)), first)
    channels_first = stateless_hide_images(
        tf.transpose(images, (0, 3, 1, 2)), (1, 2), (0, 3), data_format="channels_first"
    )
    np.testing.assert_array_equal(tf.transpose(channels_first, (0, 2, 3, 1)), first)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="`patch_size`"):
        hide_images(patch_size=-1)
    with pytest.raises(ValueError, match="`hide_probability`"):
        hide_images(hide_probability=3)
    with pytest.raises(ValueError, match="`fill_value`"):
        hide_images(fill_value="mean")
    with pytest.raises(ValueError, match="rank"):
        stateless_hide_images(tf.ones((2, 2)), (1, 2))


def test_images_whose_channels_are_not_known_before_are_hidden():
    """`decode_png` without `channels`, then `resize`: height and width are known, channels not."""
    encoded = tf.io.encode_png(np.full((20, 20, 3), 90, "uint8")).numpy()
    dataset = tf.data.Dataset.from_tensor_slices([encoded] * 4)
    dataset = dataset.map(lambda x: tf.image.resize(tf.io.decode_png(x), (16, 16))).batch(2)
    assert dataset.element_spec.shape[-1] is None
    hidden = images_of(dataset.apply(hide_images(patch_size=4, hide_probability=1.0)).unbatch())
    np.testing.assert_array_equal(hidden, np.zeros((4, 16, 16, 3)))


def test_sizes_from_a_generator_are_those_of_a_tuple():
    dataset = tf.data.Dataset.from_tensor_slices(np.ones((6, 12, 12, 1), "uint8"))
    sizes = (2, 3)
    once = images_of(dataset.apply(hide_images(patch_size=(size for size in sizes), seed=5)))
    np.testing.assert_array_equal(once, images_of(dataset.apply(hide_images(sizes, seed=5))))


@pytest.mark.parametrize(
    "wrong", [{"hide_probability": 2}, {"data_format": "channel_last"}, {"patch_size": -1}]
)
def test_both_functions_name_a_wrong_argument(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"`{name}` should be .* Received: {name}="):
        hide_images(**wrong)
    with pytest.raises(ValueError, match=f"`{name}` should be .* Received: {name}="):
        stateless_hide_images(tf.ones((4, 4, 1)), (1, 2), **{"patch_size": 2, **wrong})


def test_the_probability_may_be_a_tensor():
    images = stateless_hide_images(tf.ones((4, 4, 1)), (1, 2), 2, tf.constant(1.0))
    assert not images.numpy().any()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("height, width", [(None, None), (None, 20)])
def test_relative_sizes_of_images_of_any_size_are_those_of_their_own_shorter_side(
    dtype, height, width
):
    shapes = [(12, 20), (15, 20), (30, 20)]
    images = [np.ones((h, w, 1), dtype) for h, w in shapes]
    dataset = tf.data.Dataset.from_generator(
        lambda: ({"image": x, "hiding_seed": (7, n)} for n, x in enumerate(images)),
        output_signature={
            "image": tf.TensorSpec((height, width, 1), dtype),
            "hiding_seed": tf.TensorSpec((2,), "int32"),
        },
    )
    settings = ((0, 1 / 5, 1 / 3), (0.4, 0.8))
    outputs = dataset.apply(hide_images(*settings)).as_numpy_iterator()
    for number, (element, image) in enumerate(zip(outputs, images, strict=True)):
        side = min(image.shape[:2])
        sizes = (0, side // 5, side // 3)
        expected = stateless_hide_images(image, [(7, number)], sizes, settings[1])
        np.testing.assert_array_equal(element["image"], expected)


def test_several_probabilities_may_be_a_variable():
    probability = tf.Variable([0.0, 0.0])
    dataset = tf.data.Dataset.from_tensor_slices(np.ones((2, 4, 4, 1), "float32"))
    dataset = dataset.apply(hide_images(patch_size=2, hide_probability=probability))
    assert images_of(dataset).mean() == 1
    probability.assign([1.0, 1.0])
    assert images_of(dataset).mean() == 0
