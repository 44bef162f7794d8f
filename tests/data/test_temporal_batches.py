"""Batches of sequences, the generated set, and the data set class."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.data import (  # noqa: E402
    Dataset,
    FeatureArrays,
    generated_phases,
    temporal_evaluation_batches,
    temporal_training_batches,
)


def dataset_of(lengths, **more):
    count = len(lengths)
    arguments = {
        "name": "some",
        "ids": [str(n) for n in range(count)],
        "columns": {
            "duration": np.array(lengths) / 2,
            "labels": [[True, n % 2 == 1] for n in range(count)],
            "segments": [[[0, 1]]] * count,
            "segment_labels": [[0]] * count,
        },
        "source": FeatureArrays([np.full((length, 3), n) for n, length in enumerate(lengths)]),
        "class_names": ("x", "y"),
    }
    return Dataset(**{**arguments, **more})


def test_every_video_comes_once_an_epoch_and_batches_depend_on_seed_and_step_alone():
    dataset = dataset_of([4] * 10)
    batches = list(temporal_training_batches(dataset, 5, 4, seed=3).take(6))
    videos = [sorted(np.concatenate([b[0][:, 0, 0] for b in batches[i : i + 2]])) for i in (0, 2)]
    assert videos == [list(range(10))] * 2
    assert not np.array_equal(batches[0][0], batches[2][0])
    later = list(temporal_training_batches(dataset, 5, 4, seed=3, first_step=4).take(2))
    for one, other in zip(batches[4:], later, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    other = next(iter(temporal_training_batches(dataset, 5, 4, seed=4)))
    assert not np.array_equal(other[0], batches[0][0])


def test_labels_are_multi_hot_or_divided_by_their_number():
    dataset = dataset_of([4, 4])
    (_, plain), (_, shares) = (
        next(iter(temporal_training_batches(dataset, 2, 4, normalize_labels=normalize)))
        for normalize in (False, True)
    )
    assert sorted(plain.numpy().tolist()) == [[1, 0], [1, 1]]
    assert sorted(shares.numpy().tolist()) == [[0.5, 0.5], [1, 0]]


def test_sequences_of_any_length_are_padded_with_neighbours_in_length():
    random = np.random.default_rng(0)
    dataset = dataset_of(random.integers(5, 200, 64).tolist())
    batches = temporal_training_batches(dataset, 4, None, seed=1)
    assert batches.element_spec[0]["features"].shape.as_list() == [4, None, 3]
    videos, padded, wasted = [], 0, 0
    for inputs, _ in batches.take(16):
        features, mask = inputs["features"].numpy(), inputs["mask"].numpy()
        for row in range(4):
            video = int(features[row, 0, 0])
            videos.append(video)
            assert mask[row].tolist() == [
                n < len(dataset.source.features[video]) for n in range(len(mask[0]))
            ]
            assert np.all(features[row, ~mask[row]] == 0)
        padded += mask.size
        wasted += (~mask).sum()
    assert sorted(videos) == list(range(64))
    assert wasted / padded < 0.2


@pytest.mark.parametrize("num_features", [None, 6])
def test_evaluation_gives_every_video_once_in_order_with_its_times(num_features):
    dataset = dataset_of([4, 8, 2])
    batches = list(temporal_evaluation_batches(dataset, 2, num_features))
    assert np.concatenate([b["index"] for b in batches]).tolist() == [0, 1, 2]
    steps = np.concatenate([b["step_seconds"] for b in batches])
    expected = [0.5, 0.5, 0.5] if num_features is None else np.array([2, 4, 1]) / 6
    np.testing.assert_allclose(steps, expected, rtol=1e-6)
    assert np.concatenate([b["mask"].numpy().sum(1) for b in batches]).tolist() == (
        [4, 8, 2] if num_features is None else [6, 6, 6]
    )
    np.testing.assert_array_equal(batches[1]["labels"], dataset["labels"][2:])


def test_bad_arguments_and_data_are_named():
    dataset = dataset_of([4, 4])
    with pytest.raises(ValueError, match="at least one video"):
        temporal_training_batches(dataset.select([]), 2)
    with pytest.raises(ValueError, match="`batch_size`"):
        temporal_evaluation_batches(dataset, 0)
    with pytest.raises(ValueError, match="`num_features`"):
        temporal_training_batches(dataset, 1, 0)
    for changed, words in (
        ({"duration": [1.0]}, "`duration`.*2 ids of 'some'. Received: 1"),
        ({"segments": [[[1, 1]], [[0, 1]]]}, "`segments`.*id '0'"),
        ({"segment_labels": [[0], [2]]}, "`segment_labels`.*id '1'"),
        ({"duration": [1.0, 0.0]}, "`duration`.*id '1'"),
    ):
        with pytest.raises(ValueError, match=words):
            dataset.replace_columns(**changed)
    with pytest.raises(ValueError, match=r"`features`.*\(T, D\)"):
        FeatureArrays([np.ones((2, 3)), np.ones(3)])
    with pytest.raises(ValueError, match="`ids` of 'some'"):
        dataset_of([4, 4], ids=["a", "a"])
    with pytest.raises(ValueError, match="annotations only"):
        dataset_of([4], source=None).read(0)


def test_select_and_in_memory_keep_what_belongs_together():
    dataset = dataset_of([4, 8, 2], seconds_per_feature=0.25)
    chosen = dataset.select([2, 0])
    assert chosen.ids.tolist() == ["2", "0"]
    assert len(chosen.source.features[0]) == 2
    sampled = dataset.in_memory(4)
    assert [len(each) for each in sampled.source.features] == [4, 4, 4]
    for index in range(3):
        assert sampled.read(index)[1] == pytest.approx(dataset.read(index, 4)[1])
    assert dataset.select([False, True, False])["duration"].tolist() == [4.0]


def test_phases_depend_on_seed_split_and_number_alone():
    dataset = generated_phases("val", num_videos=6, seed=3)
    longer = generated_phases("val", num_videos=9, seed=3)
    for index in range(6):
        np.testing.assert_array_equal(dataset.source.features[index], longer.source.features[index])
        np.testing.assert_array_equal(dataset["segments"][index], longer["segments"][index])
    for other in (generated_phases("test", 6, seed=3), generated_phases("val", 6, seed=4)):
        assert not np.array_equal(other.source.features[0], dataset.source.features[0])
    with pytest.raises(ValueError, match="`split`"):
        generated_phases("testing")
    with pytest.raises(ValueError, match="`num_videos`"):
        generated_phases(num_videos=0)


def test_phases_have_actions_within_the_sequence_with_background_around():
    dataset = generated_phases("train", num_videos=60)
    assert dataset["labels"].any(axis=0).all()
    for index in range(60):
        segments = dataset["segments"][index][np.argsort(dataset["segments"][index][:, 0])]
        assert len(dataset.source.features[index]) == pytest.approx(
            dataset["duration"][index] / 0.2
        )
        assert segments[0, 0] >= 1.99
        assert segments[-1, 1] <= dataset["duration"][index] - 1.99
        assert np.all(segments[1:, 0] - segments[:-1, 1] >= 1.99)
        shown = np.flatnonzero(dataset["labels"][index]).tolist()
        assert sorted(set(dataset["segment_labels"][index].tolist())) == shown


def test_the_telling_phase_is_shorter_than_the_action():
    """By the strong signs themselves: they are seen in a part of each action, and nowhere else."""
    from keras_has.data.readers.generated_phases import _signs

    dataset = generated_phases("train", num_videos=40)
    strong, _, _ = _signs()
    shares = []
    for index in range(40):
        for segment, label in zip(
            dataset["segments"][index], dataset["segment_labels"][index], strict=True
        ):
            first, last = np.rint(segment / 0.2).astype(int)
            shares.append(np.mean(dataset.source.features[index][first:last] @ strong[label] > 2.4))
    assert 0.1 < np.mean(shares) < 0.35
