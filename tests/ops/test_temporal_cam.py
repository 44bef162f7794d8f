"""Temporal class activation maps and detections: by hand, by a loop, and alike in a graph."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keras_has.ops.temporal_cam import (
    detections_from_maps,
    detections_in_graph,
    temporal_class_activation_maps,
)


def test_maps_are_sums_of_features_weighed_by_the_kernel():
    random = np.random.default_rng(0)
    features, kernel = random.normal(size=(2, 5, 3)), random.normal(size=(3, 4))
    maps = np.asarray(temporal_class_activation_maps(features, kernel))
    np.testing.assert_allclose(maps, np.einsum("btd,dc->btc", features, kernel), rtol=1e-5)
    with pytest.raises(ValueError, match="`features`"):
        temporal_class_activation_maps(features[0], kernel)


def test_every_run_above_half_of_the_maximum_is_a_detection_in_seconds():
    maps = np.zeros((1, 8, 2), "float32")
    maps[0, :, 0] = [0, 3, 4, 2, 0, 2.5, 0, 0]  # 2 is half of 4: not above
    maps[0, :, 1] = [-5, -1, -2, -3, -1, -1, -1, -1]  # nothing speaks for it
    (found,) = detections_from_maps(maps, step_seconds=0.5)
    assert found["segments"].tolist() == [[0.5, 1.5], [2.5, 3.0]]
    assert found["labels"].tolist() == [0, 0]
    assert found["scores"].tolist() == [3.5, 2.5]
    (found,) = detections_from_maps(maps, 0.5, score="max")
    assert found["scores"].tolist() == [4, 2.5]
    (found,) = detections_from_maps(maps, 0.5, labels=[[0, 1]])
    assert len(found["segments"]) == 0


def test_padding_has_no_say_and_joins_nothing():
    maps = np.array([[1, 2, 9, 2], [2, 1, 2, 2]], "float32")[..., None]
    mask = [[True, True, False, True], [True] * 4]
    first, second = detections_from_maps(maps, [1.0, 2.0], mask=mask)
    assert first["segments"].tolist() == [[1, 2], [3, 4]]
    assert second["segments"].tolist() == [[0, 2], [4, 8]]


def test_nan_and_infinite_maps_give_nothing():
    maps = np.ones((3, 4, 1), "float32")
    maps[0, 1] = np.nan
    maps[1, 1] = np.inf
    found = detections_from_maps(maps)
    assert [len(each["scores"]) for each in found] == [0, 0, 1]


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="`threshold`"):
        detections_from_maps(np.ones((1, 2, 1)), threshold=1)
    with pytest.raises(ValueError, match="`score`"):
        detections_from_maps(np.ones((1, 2, 1)), score="sum")
    with pytest.raises(ValueError, match="`maps`"):
        detections_from_maps(np.ones((2, 1)))


@settings(max_examples=25)
@given(
    arrays("float32", (2, 7, 2), elements=st.sampled_from([-1.0, 0.0, 1.0, 2.0, 3.0, np.nan])),
    arrays("bool", (2, 7)),
    arrays("bool", (2, 2)),
    st.sampled_from(["mean", "max"]),
    st.sampled_from([0.0, 0.5]),
)
def test_a_graph_gives_what_numpy_gives(maps, mask, labels, score, threshold):
    pytest.importorskip("tensorflow")
    arguments = {"threshold": threshold, "mask": mask, "labels": labels, "score": score}
    expected = detections_from_maps(maps, [0.5, 2.0], **arguments)
    found = detections_in_graph(maps, [0.5, 2.0], **arguments)
    for row, video in enumerate(expected):
        count = len(video["labels"])
        assert np.all(found["labels"][row, count:] == -1)
        for key in video:
            np.testing.assert_allclose(found[key][row, :count], video[key], rtol=1e-6)


def test_the_graph_is_traced_for_any_batch_and_length_and_may_find_nothing():
    tf = pytest.importorskip("tensorflow")
    spec = [tf.TensorSpec((None, None, 3), tf.float32), tf.TensorSpec((None,), tf.float32)]
    detect = tf.function(detections_in_graph, input_signature=spec)
    assert detect(-np.ones((2, 4, 3)), [1.0, 1.0])["segments"].shape == (2, 0, 2)
    assert detect(np.ones((1, 9, 3)), [2.0])["segments"].numpy().tolist() == [[[0, 18]] * 3]
