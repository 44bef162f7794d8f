"""The deterministic hiding of segments in tf.data pipelines."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.data.hide_video_segments import (  # noqa: E402
    hide_video_segments,
    stateless_hide_video_segments,
)


def sequences_of(dataset):
    return np.stack([np.asarray(features) for features in dataset])


def pipeline(parallel, seed=5):
    dataset = tf.data.Dataset.from_tensor_slices(np.ones((12, 40, 2), "float32"))
    return dataset.apply(hide_video_segments(4, seed=seed, num_parallel_calls=parallel))


def test_masks_are_the_same_at_any_parallelism_and_after_a_restart_epoch_by_epoch():
    alone = pipeline(1)
    epochs = [sequences_of(alone) for _ in range(2)]
    for parallel in (2, tf.data.AUTOTUNE):
        again = pipeline(parallel)
        for epoch in epochs:
            np.testing.assert_array_equal(sequences_of(again), epoch)


def test_masks_differ_between_epochs_elements_and_seeds():
    dataset = pipeline(4)
    first, second = sequences_of(dataset), sequences_of(dataset)
    assert not np.array_equal(first, second)
    assert not np.array_equal(sequences_of(pipeline(4, seed=6)), first)
    assert len(np.unique(first.reshape(12, -1), axis=0)) > 10


@pytest.mark.parametrize("structure", ["tuple", "dict", "dict in tuple", "frames"])
def test_structures_keep_everything_but_the_sequences(structure):
    features = np.full((4, 6, 3), 9, "float32")
    labels = np.array([16777217, 1, 2, 3], "int64")
    elements = {
        "tuple": (features, labels),
        "dict": {"features": features, "labels": labels},
        "dict in tuple": ({"features": features}, labels),
        "frames": {"frames": features[:, :, None, None], "labels": labels},
    }[structure]
    dataset = tf.data.Dataset.from_tensor_slices(elements).batch(2)
    hide = hide_video_segments(2, hide_probability=1.0, fill_value=(1, 2, 3))
    hidden = dataset.apply(hide)
    assert hidden.element_spec == dataset.element_spec
    for element, expected in zip(hidden, (labels[:2], labels[2:]), strict=True):
        got, label = element.values() if isinstance(element, dict) else element
        got = got["features"] if isinstance(got, dict) else got
        np.testing.assert_array_equal(label, expected)
        np.testing.assert_array_equal(np.reshape(got, (-1, 3)), [[1, 2, 3]] * 12)


def test_padding_stays_in_padded_batches_of_unknown_length():
    lengths = [3, 6, 5]
    dataset = tf.data.Dataset.from_generator(
        lambda: ({"features": np.ones((n, 2)), "mask": np.ones(n, bool)} for n in lengths),
        output_signature={
            "features": tf.TensorSpec((None, 2), tf.float32),
            "mask": tf.TensorSpec((None,), tf.bool),
        },
    ).padded_batch(3, padding_values={"features": 5.0, "mask": False})
    (batch,) = dataset.apply(hide_video_segments(num_segments=2, hide_probability=1.0))
    expected = np.where(np.arange(6) < np.array(lengths)[:, None], 0, 5)
    np.testing.assert_array_equal(batch["features"][..., 0], expected)


def test_a_variable_changes_the_probability_while_the_pipeline_runs():
    probability = tf.Variable(0.0)
    dataset = tf.data.Dataset.from_tensor_slices(np.ones((2, 4, 1), "float32"))
    dataset = dataset.apply(hide_video_segments(2, hide_probability=probability))
    assert sequences_of(dataset).mean() == 1
    probability.assign(1.0)
    assert sequences_of(dataset).mean() == 0


def test_stateless_masks_depend_on_sequences_and_seed_alone():
    features = tf.ones((3, 30, 2))
    first = stateless_hide_video_segments(features, (1, 2), 3)
    np.testing.assert_array_equal(stateless_hide_video_segments(features, (1, 2), 3), first)
    assert not np.array_equal(stateless_hide_video_segments(features, (1, 3), 3), first)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="`segment_length`"):
        hide_video_segments(segment_length=-1)
    with pytest.raises(ValueError, match="Only one of"):
        hide_video_segments(2, 3)
    with pytest.raises(ValueError, match="`hide_probability`"):
        hide_video_segments(hide_probability=3)
    with pytest.raises(ValueError, match="`fill_value`"):
        hide_video_segments(fill_value="mean")
    with pytest.raises(ValueError, match=r"features of shape \(T, D\)"):
        stateless_hide_video_segments(tf.ones(2), (1, 2))


@pytest.mark.parametrize("wrong", [{"hide_probability": 2}, {"segment_length": -1}])
def test_both_functions_name_a_wrong_argument(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"`{name}` should be .* Received: {name}="):
        hide_video_segments(**wrong)
    with pytest.raises(ValueError, match=f"`{name}` should be .* Received: {name}="):
        stateless_hide_video_segments(tf.ones((4, 1)), (1, 2), **wrong)


@pytest.mark.parametrize("kind", [tf.constant, tf.Variable])
def test_the_probability_may_be_a_tensor_or_a_variable(kind):
    dataset = tf.data.Dataset.from_tensors(tf.ones((4, 1)))
    hidden = dataset.apply(hide_video_segments(2, hide_probability=kind(1.0)))
    assert not next(iter(hidden)).numpy().any()
