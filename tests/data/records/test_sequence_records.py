"""Temporal data sets in TFRecord files, written and read back."""

import dataclasses
import json
import os

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has import data  # noqa: E402
from keras_has.data import Dataset, FeatureArrays, FeatureFiles  # noqa: E402
from keras_has.data.records import sequence_records as sequence_records_module  # noqa: E402


def make(count=5, width=3, seed=0, **changes):
    random = np.random.default_rng(seed)
    lengths = [int(n) for n in random.integers(1, 60, count)]
    columns = {
        "duration": random.uniform(1, 9, count),
        "labels": random.random((count, 3)) < 0.5,
        "segments": [np.sort(random.uniform(0, 9, (n % 3, 2))) for n in range(count)],
        "segment_labels": [random.integers(0, 3, n % 3) for n in range(count)],
        "ambiguous": [np.array([[1.5, 2.25]] * (n % 2)) for n in range(count)],
    }
    features = [random.normal(size=(n, width)).astype("float32") for n in lengths]
    fields = {
        "name": "mine/train",
        "ids": [f"vidéo {n}" for n in range(count)],
        "columns": columns,
        "source": FeatureArrays(features),
        "class_names": ("jump", "springen über", "run"),
        "seconds_per_feature": 0.1,
        "problems": ("video 0: is odd.",),
    }
    return Dataset(**{**fields, **changes})


def assert_equal(got, wanted):
    assert (got.name, got.class_names) == (wanted.name, wanted.class_names)
    assert (got.seconds_per_feature, got.problems) == (wanted.seconds_per_feature, wanted.problems)
    assert got.ids.tolist() == wanted.ids.tolist()
    assert sorted(got.columns) == sorted(wanted.columns)
    for name in wanted.columns:
        for one, other in zip(got[name], wanted[name], strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            np.testing.assert_array_equal(one, other)
    assert (got.source is None) == (wanted.source is None)
    for row in range(0 if wanted.source is None else len(wanted)):
        one, other = got.read(row)[0], wanted.read(row)[0]
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("width", [1, 3, 40, 5000])  # Heads of different lengths.
def test_a_data_set_comes_back_exactly(tmp_path, width):
    train, test = make(width=width), make(2, width, seed=1, name="mine/test")
    data.write_sequence_records({"train": train, "test": test}, tmp_path, num_shards=2)
    assert_equal(data.sequence_records(tmp_path, "train"), train)
    assert_equal(data.sequence_records(tmp_path, "test"), test)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dataset.json",
        "test-00000-of-00001.tfrecord",
        "test.index.npz",
        "train-00000-of-00002.tfrecord",
        "train-00001-of-00002.tfrecord",
        "train.index.npz",
    ]
    assert data.is_sequence_records(tmp_path)


def test_features_stay_in_the_files_until_they_are_used(tmp_path):
    data.write_sequence_records({"train": make()}, tmp_path)
    dataset = data.sequence_records(tmp_path)
    assert all(not features.flags.owndata for features in dataset.source.features)
    bases = {
        id(features.base.obj if hasattr(features.base, "obj") else features.base)
        for features in dataset.source.features
    }
    assert len(bases) == 1  # One map of the file for all.
    chosen = dataset.select([3, 1])
    np.testing.assert_array_equal(chosen.source.features[0], make().source.features[3])


def test_batches_are_those_of_the_data_set_that_was_written(tmp_path):
    wanted = make()
    data.write_sequence_records({"train": wanted}, tmp_path)
    got = data.sequence_records(tmp_path)
    for num_features in (7, None):
        batches = [
            next(iter(data.temporal_evaluation_batches(each, 5, num_features)))
            for each in (wanted, got)
        ]
        for key in batches[0]:
            np.testing.assert_array_equal(batches[0][key], batches[1][key])


def test_records_are_sequence_examples_that_tensorflow_parses(tmp_path):
    dataset = make()
    data.write_sequence_records({"train": dataset}, tmp_path)
    records = tf.data.TFRecordDataset([str(tmp_path / "train-00000-of-00001.tfrecord")])
    for row, serialized in enumerate(records):
        number, text = tf.io.VarLenFeature(tf.int64), tf.io.VarLenFeature(tf.string)
        real = tf.io.VarLenFeature(tf.float32)
        context, lists = tf.io.parse_single_sequence_example(
            serialized,
            {
                "video/id": text,
                "video/row": number,
                "video/duration": real,
                "video/seconds_per_feature": real,
                "video/labels": number,
                "video/label_names": text,
                "segments/start": real,
                "segments/end": real,
                "segments/label": number,
                "ambiguous/end": real,
            },
            {"features": tf.io.FixedLenSequenceFeature([3], tf.float32)},
        )
        values = {key: value.values.numpy() for key, value in context.items()}
        np.testing.assert_array_equal(lists["features"], dataset.source.features[row])
        assert values["video/id"][0].decode() == dataset.ids[row]
        assert values["video/row"] == [row]
        assert values["video/duration"] == dataset["duration"][row].astype(np.float32)
        assert values["video/seconds_per_feature"] == np.float32(0.1)
        assert values["video/labels"].tolist() == np.flatnonzero(dataset["labels"][row]).tolist()
        assert [name.decode() for name in values["video/label_names"]] == [
            dataset.class_names[label] for label in values["video/labels"]
        ]
        segments = np.stack([values["segments/start"], values["segments/end"]], axis=1)
        np.testing.assert_array_equal(segments, dataset["segments"][row])
        assert values["segments/label"].tolist() == dataset["segment_labels"][row].tolist()
        assert values["ambiguous/end"].tolist() == dataset["ambiguous"][row][:, 1].tolist()
    assert row == 4


def test_features_in_files_are_packed_like_those_in_memory(tmp_path):
    wanted = make(2)
    for number, features in enumerate(wanted.source.features):
        np.save(tmp_path / f"{number}.npy", features)
    paths = [tmp_path / "0.npy", tmp_path / "1.npy"]
    dataset = make(2, source=FeatureFiles(paths))
    data.write_sequence_records({"train": dataset}, tmp_path / "out")
    assert_equal(data.sequence_records(tmp_path / "out"), wanted)


def test_a_video_without_a_feature_is_kept(tmp_path):
    dataset = make(2, source=FeatureArrays([np.zeros((0, 4)), np.ones((2, 4))]))
    data.write_sequence_records({"train": dataset}, tmp_path)
    assert_equal(data.sequence_records(tmp_path), dataset)


def frames_of(split, video_id):
    return [f"{split} {video_id} {number}".encode() * (number + 1) for number in range(3)]


@pytest.mark.parametrize("with_features", [True, False])
def test_frames_are_packed_beside_features_or_alone(tmp_path, with_features):
    dataset = make(3) if with_features else make(3, source=None)
    data.write_sequence_records({"train": dataset}, tmp_path, 2, frames_of, {"fps": 5})
    assert_equal(data.sequence_records(tmp_path), dataset)
    got = list(data.sequence_frames(tmp_path).as_numpy_iterator())
    assert [each["row"] for each in got] == [0, 1, 2]
    for row, each in enumerate(got):
        assert each["video_id"].decode() == dataset.ids[row]
        assert each["frames"].tolist() == frames_of("train", dataset.ids[row])
    with pytest.raises(FileExistsError, match="not the same, or was written with other settings"):
        data.write_sequence_records({"train": dataset}, tmp_path, 2, frames_of, {"fps": 6})


def test_an_interrupted_conversion_resumes_with_the_missing_files(tmp_path):
    splits = {"train": make()}

    def stop(split, done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.write_sequence_records(splits, tmp_path, 5, progress=stop)
    assert not data.is_sequence_records(tmp_path)
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.tfrecord")}
    assert len(done) == 3
    with pytest.raises(FileExistsError, match="another dataset"):
        data.write_sequence_records({"train": make(seed=3)}, tmp_path, 5)
    cut = sorted(done)[1]
    cut.write_bytes(cut.read_bytes()[:-1])
    data.write_sequence_records(splits, tmp_path, 5)
    assert sorted(done)[0].stat().st_mtime_ns == done[sorted(done)[0]]
    assert_equal(data.sequence_records(tmp_path), splits["train"])
    data.write_sequence_records(splits, tmp_path, 5)  # Finished: nothing to do.
    assert sorted(done)[0].stat().st_mtime_ns == done[sorted(done)[0]]


@pytest.mark.parametrize("knows_states", [True, False])
@pytest.mark.parametrize("kind", ["features", "frames"])
def test_writing_does_not_resume_if_a_source_file_has_changed(tmp_path, kind, knows_states):
    wanted, paths = make(4, name="mine/val"), []
    for number, features in enumerate(wanted.source.features):
        paths.append(tmp_path / f"{number}.npy")
        np.save(paths[-1], features)
    settings = {}
    dataset = dataclasses.replace(wanted, source=data.FeatureFiles(paths))
    if kind == "frames":
        dataset = dataclasses.replace(wanted, source=None)
        files = dict(zip(wanted.ids.tolist(), paths, strict=True))
        settings = {
            "frames": lambda split, video_id: [files[video_id].read_bytes()],
            "frame_files": files,
        }

    def write(progress=None):
        data.write_sequence_records(
            {"val": dataset}, tmp_path / "out", 2, progress=progress, **settings
        )

    def stop(split, done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(stop)
    (piece,) = (tmp_path / "out").glob("*.npz")
    if not knows_states:  # As version 0.1 left it: the content decides.
        with np.load(piece) as arrays:
            kept = {name: arrays[name] for name in arrays.files if name != "source_states"}
        np.savez(piece, **kept)
    (shard,) = (tmp_path / "out").glob("*.tfrecord")
    written = shard.stat().st_mtime_ns
    os.utime(paths[1], ns=(10**18, 10**18))  # Copied anew: the same content.
    with pytest.raises(KeyboardInterrupt):
        write(stop)
    np.save(paths[1], wanted.source.features[1] + 1)
    with pytest.raises(FileExistsError, match=f"{paths[1]} has changed"):
        write()
    assert shard.stat().st_mtime_ns == written


def test_files_of_others_are_not_overwritten(tmp_path):
    data.write_sequence_records({"train": make()}, tmp_path / "a")
    with pytest.raises(FileExistsError, match="a finished dataset"):
        data.write_sequence_records({"train": make(seed=1)}, tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "train-00000-of-00001.tfrecord").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="train-00000-of-00001.tfrecord"):
        data.write_sequence_records({"train": make()}, tmp_path / "b")
    (tmp_path / "a" / "train.index.npz").unlink()
    with pytest.raises(FileExistsError, match=r"train\.index\.npz is missing"):
        data.write_sequence_records({"train": make()}, tmp_path / "a")


def test_damaged_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"dataset\.json"):
        data.sequence_records(tmp_path)
    data.write_sequence_records({"train": make()}, tmp_path)
    with pytest.raises(ValueError, match=r"`split` should be one of those in .*: train"):
        data.sequence_records(tmp_path, "val")
    with pytest.raises(ValueError, match="frames of 'train'"):
        data.sequence_frames(tmp_path)
    shard = tmp_path / "train-00000-of-00001.tfrecord"
    content = shard.read_bytes()
    shard.write_bytes(content[:-5])
    with pytest.raises(ValueError, match=r"tfrecord should have \d+ bytes"):
        data.sequence_records(tmp_path)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match=r"00001\.tfrecord"):
        data.sequence_records(tmp_path)
    shard.write_bytes(content)
    index = tmp_path / "train.index.npz"
    index.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"train\.index\.npz"):
        data.sequence_records(tmp_path)
    np.savez(index, fingerprint="another")
    with pytest.raises(ValueError, match=r"index\.npz belongs to other records"):
        data.sequence_records(tmp_path)
    path = tmp_path / "dataset.json"
    sound = json.loads(path.read_text())
    for change, message in (
        ({"version": 9}, "version 1. Received: 9"),
        ({"format": "keras_has.tfrecords"}, '"format": "keras_has.sequence_records"'),
        ({"splits": {"train": {}}}, "is damaged"),
    ):
        path.write_text(json.dumps({**sound, **change}))
        with pytest.raises(ValueError, match=message):
            data.sequence_records(tmp_path)


def test_what_cannot_be_written_is_named(tmp_path, monkeypatch):
    broken = make()
    broken.source.features[2][0, 1] = np.nan
    with pytest.raises(ValueError, match="NaN or inf for the video 'vidéo 2' of 'mine/train'"):
        data.write_sequence_records({"train": broken}, tmp_path / "a")
    with pytest.raises(ValueError, match="`frames`.*neither"):
        data.write_sequence_records({"train": make(source=None)}, tmp_path / "b")
    other = make(class_names=("a", "b", "c"))
    with pytest.raises(ValueError, match="should have the same classes"):
        data.write_sequence_records({"train": make(), "test": other}, tmp_path / "b")
    with pytest.raises(ValueError, match="none in 'mine/train'"):
        data.write_sequence_records({"train": make().select([])}, tmp_path / "b")
    for splits, shards, message in (
        ({}, None, "at least one split"),
        ({"a-b": make()}, None, "letters, digits"),
        ({"train": make()}, 0, "`num_shards` should be from 1"),
    ):
        with pytest.raises(ValueError, match=message):
            data.write_sequence_records(splits, tmp_path / "b", shards)
    monkeypatch.setattr(sequence_records_module, "_LARGEST_RECORD", 100)
    with pytest.raises(ValueError, match=r"at most 2 GB.*'vidéo 0'"):
        data.write_sequence_records({"train": make()}, tmp_path / "c")
