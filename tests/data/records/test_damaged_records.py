"""Damaged descriptions, indexes and records are refused, and the message names the file."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_has import data
from keras_has.data.records.record_files import RecordFiles
from keras_has.data.records.sequence_records import (
    RecordPlace,
    read_frames,
    sequence_records,
    write_sequence_records,
)


@pytest.fixture
def images(tmp_path):
    """A folder with the records of three images."""
    data.write_tfrecords({"train": data.generated_parts("train", num_images=3)}, tmp_path)
    return tmp_path


@pytest.fixture
def videos(tmp_path):
    """A folder with the records of three videos."""
    write_sequence_records({"train": data.generated_phases("train", num_videos=3)}, tmp_path)
    return tmp_path


def change_description(folder, **entries):
    path = folder / "dataset.json"
    description = json.loads(path.read_text())
    for place in (description, description["splits"]["train"]):
        place |= {name: value for name, value in entries.items() if name in place}
    path.write_text(json.dumps(description))


def change_index(folder, **arrays):
    path = folder / "train.index.npz"
    with np.load(path) as index:
        known = dict(index)
    np.savez(path, **{**known, **arrays})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("class_names", ["a", None]),
        ("class_names", ["a", ""]),
        ("class_names", "ab"),
        ("class_ids", [1, 2]),
        ("label_offset", True),
        ("label_offset", 0.5),
        ("num_images", "3"),
        ("shards", [3]),
        ("shards", [{"file": "../train-00000-of-00001.tfrecord", "bytes": 1}]),
        ("shards", [{"file": "train-00000-of-00001.tfrecord", "bytes": "1"}]),
        ("shards", {}),
        ("name", None),
    ],
)
def test_a_wrong_type_in_the_description_names_file_and_entry(images, name, value):
    change_description(images, **{name: value})
    with pytest.raises(ValueError, match=rf"dataset\.json is damaged: .*(`{name}`|file of train)"):
        data.tfrecords(images, "train")


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("rows", np.zeros(3)),
        ("labels", np.zeros((3, 1), int)),
        ("image_ids", np.arange(3)),
        ("image_sizes", np.ones((3, 3), int)),
        ("boxes", np.zeros((2, 4), np.float32)),
        ("box_counts", np.array([2, 2, -1])),
        ("mask_paths", np.array([b"a"])),
        ("offsets", np.zeros(2, int)),
        ("lengths", np.array(3)),
    ],
)
def test_a_wrong_array_in_the_index_names_file_and_array(images, name, array):
    change_index(images, **{name: array})
    counted = {"box_counts": "boxes"}.get(name, name)
    with pytest.raises(ValueError, match=rf"train\.index\.npz: '{counted}' should be"):
        data.tfrecords(images, "train")


@pytest.mark.parametrize(
    ("name", "array", "cause"),
    [
        ("labels", np.array([0, 1, 99]), "label"),
        ("image_ids", np.array([b"a", b"b", b"\xff"]), "utf-8"),
        ("image_sizes", np.zeros((3, 2), int), "image_size"),
        ("files", np.array([0, 0, 1]), "file 1 of 1"),
        ("lengths", np.array([1, 1, 2**63 - 1]), str(2**63 - 1)),
        ("offsets", np.array([1, 1, -1]), "byte -1"),
    ],
)
def test_a_wrong_number_in_the_index_names_file_and_cause(images, name, array, cause):
    change_index(images, **{name: array})
    with pytest.raises(ValueError, match=rf"train\.index\.npz is damaged: .*{cause}"):
        data.tfrecords(images, "train")


@pytest.fixture
def two_files(tmp_path):
    """Records of four images of equal size in two files of equal size."""
    dataset = data.Dataset(
        name="four/val",
        ids=["a", "b", "c", "d"],
        columns={"label": [0, 1, 1, 0], "boxes": [()] * 4},
        source=data.ArrayImages(np.zeros((4, 8, 8, 3), "uint8")),
        class_names=("dark", "pale"),
    )
    data.write_tfrecords({"val": dataset}, tmp_path, num_shards=2)
    return tmp_path


@pytest.mark.parametrize("has_index", [True, False])
def test_files_that_were_exchanged_are_refused_or_read_correctly(two_files, has_index):
    assert data.tfrecords(two_files, "val").ids.tolist() == ["a", "b", "c", "d"]
    first, second = sorted(two_files.glob("*.tfrecord"))
    assert first.stat().st_size == second.stat().st_size
    first.rename(two_files / "x")
    second.rename(first)
    (two_files / "x").rename(second)
    if has_index:
        with pytest.raises(ValueError, match=rf"{first.name} should .* of 'a'.*that of 'c'"):
            data.tfrecords(two_files, "val")
    else:
        (two_files / "val.index.npz").unlink()
        dataset = data.tfrecords(two_files, "val")
        assert dataset.ids.tolist() == ["a", "b", "c", "d"]
        assert dataset["label"].tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("has_digest", [True, False])
@pytest.mark.parametrize("has_index", [True, False])
def test_class_names_that_were_exchanged_are_refused(two_files, has_digest, has_index):
    path = two_files / "dataset.json"
    description = json.loads(path.read_text())
    description["class_names"] = ["pale", "dark"]
    if not has_digest:
        del description["classes_sha256"]
    path.write_text(json.dumps(description))
    if not has_index:
        (two_files / "val.index.npz").unlink()
    message = r"dataset\.json is damaged: `class_names`" if has_digest else "00000-of.*'dark'"
    with pytest.raises(ValueError, match=message):
        data.tfrecords(two_files, "val")


def test_a_folder_of_an_earlier_version_is_accepted(two_files):
    path = two_files / "dataset.json"
    description = json.loads(path.read_text())
    del description["classes_sha256"]
    path.write_text(json.dumps(description))
    assert data.tfrecords(two_files, "val").class_names == ("dark", "pale")


def test_files_in_another_order_are_refused_by_name(two_files):
    path = two_files / "dataset.json"
    description = json.loads(path.read_text())
    description["splits"]["val"]["shards"].reverse()
    path.write_text(json.dumps(description))
    with pytest.raises(ValueError, match=r"dataset\.json is damaged.*val-00000-of-00002"):
        data.tfrecords(two_files, "val")


def test_files_of_videos_that_were_exchanged_are_refused(tmp_path):
    videos = data.generated_phases("train", num_videos=2)
    videos = data.Dataset(
        name="two/train",
        ids=["a", "b"],
        columns={name: [videos[name][0]] * 2 for name in videos.columns},
        source=data.FeatureArrays([videos.read(0)[0]] * 2),
        class_names=videos.class_names,
    )
    write_sequence_records({"train": videos}, tmp_path, num_shards=2)
    assert sequence_records(tmp_path).ids.tolist() == ["a", "b"]
    first, second = sorted(tmp_path.glob("*.tfrecord"))
    first.rename(tmp_path / "x")
    second.rename(first)
    (tmp_path / "x").rename(second)
    with pytest.raises(ValueError, match=rf"{first.name} should .* of 'a'.*that of 'b'"):
        sequence_records(tmp_path)


def test_an_index_that_would_fill_the_memory_is_refused(images, monkeypatch):
    monkeypatch.setattr("keras_has.expansion.MAX_BYTES", 1_000)
    monkeypatch.setattr("keras_has.expansion.MAX_EXPANSION", 2)
    path = images / "train.index.npz"
    with np.load(path) as index:
        np.savez_compressed(path, **{**index, "mask_paths": np.zeros(0, "S9"), "x": np.zeros(9999)})
    with pytest.raises(ValueError, match=r"train\.index\.npz: its content takes"):
        data.tfrecords(images, "train")


def test_a_place_beyond_64_bits_is_outside_of_its_file():
    with pytest.raises(ValueError, match=str(2**63 - 1)):
        RecordFiles(["a"], [100], [0], [50], [2**63 - 1])


def test_an_index_of_damaged_records_is_not_kept(images):
    (images / "train.index.npz").unlink()
    path = images / "train-00000-of-00001.tfrecord"
    (record, *_) = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    example = tf.train.Example.FromString(record)
    example.features.feature["image/class/label"].int64_list.value[0] = 99
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(3):
            writer.write(example.SerializeToString())
    change_description(
        images, shards=[{"file": path.name, "bytes": path.stat().st_size}], num_images=3
    )
    with pytest.raises(ValueError, match=rf"{images} is damaged: .*99"):
        data.tfrecords(images, "train")
    assert not (images / "train.index.npz").exists()


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("files", [0, 0, -1]),
        ("offsets", [10, 10, 2**62]),
        ("strides", [1, 1, 1]),
        ("counts", [1, 1, 2**40]),
        ("widths", [-4, 24, 24]),
    ],
)
def test_features_outside_of_their_file_name_a_file(videos, name, array):
    change_index(videos, **{name: np.array(array)})
    with pytest.raises(ValueError, match=r"train\.index\.npz is damaged|tfrecord should contain"):
        sequence_records(videos, "train")


@pytest.mark.parametrize("value", [["a", 3], "a", None])
def test_wrong_problems_in_the_description_name_the_file(videos, value):
    change_description(videos, problems=value)
    with pytest.raises(ValueError, match=r"dataset\.json is damaged: `problems`"):
        sequence_records(videos, "train")


@pytest.mark.parametrize("kind", ["broken", "no bytes"])
def test_a_record_that_holds_no_frames_names_its_file(tmp_path, kind):
    record = b"\xff" * 20
    if kind == "no bytes":
        feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
        lists = {"image/encoded": tf.train.FeatureList(feature=[feature])}
        features = tf.train.FeatureLists(feature_list=lists)
        record = tf.train.SequenceExample(feature_lists=features).SerializeToString()
    path = tmp_path / "a.tfrecord"
    path.write_bytes(b"............" + record)
    with pytest.raises(ValueError, match=r"a\.tfrecord .* byte 12"):
        read_frames(RecordPlace(str(path), 12, len(record)))
