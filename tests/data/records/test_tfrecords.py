"""TFRecord files: written, read back by this project and by plain TensorFlow."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_has.data import (
    ArrayImages,
    BadImageError,
    Dataset,
    FileImages,
    RecordFiles,
    evaluation_batches,
    find_bad_images,
    generated_parts,
    is_tfrecords,
    name_bad_image,
    skip_bad_images,
    tfrecords,
    training_batches,
    write_tfrecords,
)
from keras_has.data.records.record_layout import index_name

COUNT = 11
# Thirds of pixels and odd sizes: as fractions in float32 not all of them come back.
BOXES = [[[1 / 3, 0.1, 7.7 + n, 9.9], [n, 2, n + 3, 11]] for n in range(6)] + [[]] * (COUNT - 6)


class StoppedError(Exception):
    """Raised in the middle of a conversion."""


@pytest.fixture
def files(tmp_path, write_pixels):
    """Eleven images of different sizes and kinds, three classes, up to two boxes each."""
    random = np.random.default_rng(0)
    paths = []
    for number in range(COUNT):
        pixels = random.integers(0, 256, (20 + number, 31 - number, 3), dtype="uint8")
        extension = ("jpg", "png", "bmp")[number % 3]
        paths.append(str(write_pixels(tmp_path / "in" / f"{number}.{extension}", pixels)))
    return Dataset(
        name="things/train",
        ids=[f"ü{number}" for number in range(COUNT)],
        columns={
            "label": np.arange(COUNT) % 3,
            "boxes": BOXES,
            "image_size": [(20 + number, 31 - number) for number in range(COUNT)],
        },
        source=FileImages(paths),
        class_names=("a", "b", "c"),
        class_ids=("n00000001", "n00000002", "n00000003"),
    )


@pytest.fixture
def written(files, tmp_path):
    folder = tmp_path / "out"
    assert write_tfrecords({"train": files, "val": files.select([4, 2])}, folder, 3) == []
    return folder


def assert_same(dataset, other):
    for field in ("name", "class_names", "class_ids"):
        assert getattr(dataset, field) == getattr(other, field)
    np.testing.assert_array_equal(dataset.ids, other.ids)
    for column in ("label", "image_size"):
        np.testing.assert_array_equal(dataset[column], other[column])
    for boxes, same in zip(dataset["boxes"], other["boxes"], strict=True):
        np.testing.assert_array_equal(boxes, same)
        assert same.dtype == np.float32


def test_everything_comes_back_in_order_and_exactly(files, written):
    assert is_tfrecords(written)
    dataset = tfrecords(written, "train")
    assert_same(files, dataset)
    contents = dataset.source.records.read(range(COUNT))
    for content, path in zip(contents, files.source.paths, strict=True):
        with open(path, "rb") as file:  # noqa: PTH123
            assert content == file.read()
    assert_same(files.select([4, 2]), tfrecords(written, "val"))


def test_the_folder_holds_what_is_documented_and_nothing_else(written):
    assert sorted(path.name for path in written.iterdir()) == [
        "dataset.json",
        "train-00000-of-00003.tfrecord",
        "train-00001-of-00003.tfrecord",
        "train-00002-of-00003.tfrecord",
        "train.index.npz",
        "val-00000-of-00001.tfrecord",
        "val.index.npz",
    ]
    told = json.loads((written / "dataset.json").read_text())
    assert told["label_offset"] == 0
    assert told["class_names"] == ["a", "b", "c"]
    assert told["splits"]["train"]["num_images"] == COUNT
    assert told["splits"]["train"]["num_boxes"] == 12
    for shard in told["splits"]["train"]["shards"]:
        assert (written / shard["file"]).stat().st_size == shard["bytes"]
        assert re.fullmatch("[0-9a-f]{64}", shard["sha256"])


def test_plain_tensorflow_reads_the_records(files, tmp_path):
    write_tfrecords({"train": files}, tmp_path / "out", 3, label_offset=1)
    corners = tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True)
    schema = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/format": tf.io.FixedLenFeature([], tf.string),
        "image/height": tf.io.FixedLenFeature([], tf.int64),
        "image/width": tf.io.FixedLenFeature([], tf.int64),
        "image/filename": tf.io.FixedLenFeature([], tf.string),
        "image/class/label": tf.io.FixedLenFeature([], tf.int64),
        "image/class/text": tf.io.FixedLenFeature([], tf.string),
        "image/class/synset": tf.io.FixedLenFeature([], tf.string),
        "image/object/bbox/xmin": corners,
        "image/object/bbox/ymax": corners,
    }
    names = sorted(str(path) for path in (tmp_path / "out").glob("train-*.tfrecord"))
    records = tf.data.TFRecordDataset(names).map(
        lambda record: tf.io.parse_single_example(record, schema)
    )
    rows = []
    for record in records.as_numpy_iterator():
        row = int(record["image/filename"].decode()[1:])
        rows.append(row)
        assert record["image/format"] == (b"jpeg", b"png", b"bmp")[row % 3]
        assert (record["image/height"], record["image/width"]) == (20 + row, 31 - row)
        assert tf.io.decode_image(record["image/encoded"]).shape == (20 + row, 31 - row, 3)
        assert record["image/class/label"] == row % 3 + 1
        assert record["image/class/text"] == b"abc"[row % 3 : row % 3 + 1]
        assert record["image/class/synset"] == b"n0000000%d" % (row % 3 + 1)
        boxes = np.array(BOXES[row], np.float32).reshape(-1, 4)
        np.testing.assert_allclose(
            record["image/object/bbox/xmin"], boxes[:, 0] / (31 - row), rtol=1e-6
        )
        np.testing.assert_allclose(
            record["image/object/bbox/ymax"], boxes[:, 3] / (20 + row), rtol=1e-6
        )
    assert sorted(rows) == list(range(COUNT))
    assert rows != sorted(rows)
    assert tfrecords(tmp_path / "out")["label"].tolist() == files["label"].tolist()


@pytest.mark.parametrize("class_balanced", [False, True])
def test_training_batches_are_those_of_the_files_also_after_a_resume(
    files, written, class_balanced
):
    def batches(dataset, first_step, count):
        got = training_batches(dataset, 4, 12, 14, True, class_balanced, 5, first_step)
        return list(got.take(count).as_numpy_iterator())

    records = tfrecords(written, "train")
    wanted = batches(files, 0, 6)
    for images, same in ((wanted, batches(records, 0, 6)), (wanted[4:], batches(records, 4, 2))):
        for (image, label), (same_image, same_label) in zip(images, same, strict=True):
            np.testing.assert_array_equal(image, same_image)
            np.testing.assert_array_equal(label, same_label)


def test_evaluation_and_examples_are_those_of_the_files(files, written):
    records = tfrecords(written, "train")
    for batch, same in zip(
        evaluation_batches(files, 4, 16), evaluation_batches(records, 4, 16), strict=True
    ):
        for key in batch:
            np.testing.assert_array_equal(batch[key], same[key])
    some = [7, 0, 7]
    for example, same in zip(files.examples(some), records.examples(some), strict=True):
        for key in example:
            np.testing.assert_array_equal(example[key], same[key])
    assert records.examples().cardinality() == COUNT
    one = records.select([3]).in_memory()
    assert isinstance(one.source, ArrayImages)
    assert one.source.pixels.shape == (1, 23, 28, 3)
    assert find_bad_images(records) == []


def test_images_in_memory_become_png_and_come_back(tmp_path):
    dataset = generated_parts("val", num_images=12)
    write_tfrecords({"val": dataset}, tmp_path / "out")
    back = tfrecords(tmp_path / "out", "val").in_memory()
    np.testing.assert_array_equal(back.source.pixels, dataset.source.pixels)
    assert_same(dataset, back)
    again = tfrecords(tmp_path / "out", "val")
    write_tfrecords({"val": again}, tmp_path / "again", 2)
    assert_same(dataset, tfrecords(tmp_path / "again", "val"))


def test_masks_keep_their_paths(files, tmp_path):
    masks = [(f"m{number}.png",) * (number % 3 + 1) for number in range(COUNT)]
    ignored = ["" if number % 2 else f"i{number}.png" for number in range(COUNT)]
    with_masks = Dataset(
        name="m",
        ids=files.ids,
        columns={
            "label": files["label"],
            "boxes": [[]] * COUNT,
            "mask_paths": masks,
            "ignore_path": ignored,
        },
        source=FileImages(files.source.paths),
        class_names=files.class_names,
    )
    write_tfrecords({"train": with_masks}, tmp_path / "out", 2)
    back = tfrecords(tmp_path / "out")
    assert list(back["mask_paths"]) == masks
    assert back["ignore_path"].tolist() == ignored


def test_a_missing_index_is_rebuilt_and_is_the_same(written, files):
    path = written / index_name("train")
    with np.load(path) as index:
        before = {name: index[name] for name in index.files}
    path.unlink()
    calls = []
    assert_same(files, tfrecords(written, "train", lambda *call: calls.append(call)))
    assert calls[-1] == (COUNT, COUNT)
    with np.load(path) as index:
        assert set(index.files) == set(before)
        for name in index.files:
            np.testing.assert_array_equal(index[name], before[name])


def test_remote_folders_are_read_through_tensorflow(written, files):
    for path in written.iterdir():
        with tf.io.gfile.GFile(f"ram://things/{path.name}", "wb") as file:
            file.write(path.read_bytes())
    dataset = tfrecords("ram://things", "train")
    assert_same(files, dataset)
    images = [images for images, _ in training_batches(files, 4, 12).take(2)]
    for image, (same, _) in zip(images, training_batches(dataset, 4, 12).take(2), strict=True):
        np.testing.assert_array_equal(image, same)
    assert is_tfrecords("ram://things")
    assert not is_tfrecords("ram://nothing")


def test_an_interrupted_conversion_resumes_with_the_missing_files(files, tmp_path):
    folder = tmp_path / "out"
    whole = tmp_path / "whole"
    write_tfrecords({"train": files}, whole, 3)

    def stop(split, done, total):
        if done > 8:
            raise StoppedError

    with pytest.raises(StoppedError):
        write_tfrecords({"train": files}, folder, 3, progress=stop)
    assert not is_tfrecords(folder)
    kept = sorted(folder.glob("*.tfrecord"))
    assert [path.name[:11] for path in kept] == ["train-00000", "train-00001"]
    stamps = [path.stat().st_mtime_ns for path in kept]
    write_tfrecords({"train": files}, folder, 3)
    assert [path.stat().st_mtime_ns for path in kept] == stamps
    for path in whole.glob("*.tfrecord"):
        assert path.read_bytes() == (folder / path.name).read_bytes()
    assert_same(files, tfrecords(folder))


@pytest.mark.parametrize("change", ["seed", "labels", "image", "shards", "offset"])
def test_a_part_of_another_dataset_is_not_resumed(files, tmp_path, write_image, change):
    folder = tmp_path / "out"

    def stop(split, done, total):
        if done == total:
            raise StoppedError

    with pytest.raises(StoppedError):
        write_tfrecords({"train": files}, folder, 2, progress=stop)
    arguments = {"num_shards": 2}
    if change == "labels":
        files = Dataset(
            name=files.name,
            ids=files.ids,
            columns={"label": (files["label"] + 1) % 3, "boxes": files["boxes"]},
            source=FileImages(files.source.paths),
            class_names=files.class_names,
            class_ids=files.class_ids,
        )
    elif change == "image":
        write_image(files.source.paths[2], (9, 9))
    elif change == "shards":
        arguments["num_shards"] = 3
    elif change == "seed":
        arguments["seed"] = 1
    else:
        arguments["label_offset"] = 1
    with pytest.raises(FileExistsError, match="Write to another folder"):
        write_tfrecords({"train": files}, folder, **arguments)


@pytest.mark.parametrize("knows_times", [True, False])
def test_a_file_of_the_same_size_that_was_changed_is_found_by_its_time(
    files, tmp_path, knows_times
):
    def stop(split, done, total):
        if done == total:
            raise StoppedError

    folder = tmp_path / "out"
    with pytest.raises(StoppedError):
        write_tfrecords({"val": files}, folder, 2, progress=stop)
    if not knows_times:  # As version 0.1 left them: the content decides.
        for state in folder.glob("val-*.npz"):
            with np.load(state) as arrays:
                kept = {name: arrays[name] for name in arrays.files if name != "source_states"}
            np.savez(state, **kept)
    shards = {path: path.stat().st_mtime_ns for path in folder.glob("*.tfrecord")}
    source = Path(files.source.paths[2])
    content = source.read_bytes()
    os.utime(source, ns=(10**18, 10**18))  # Copied anew: the same content.
    with pytest.raises(StoppedError):
        write_tfrecords({"val": files}, folder, 2, progress=stop)
    source.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(FileExistsError, match=f"{source} has changed"):
        write_tfrecords({"val": files}, folder, 2)
    assert {path: path.stat().st_mtime_ns for path in shards} == shards


def test_a_finished_data_set_is_left_alone(files, written):
    before = {path.name: path.stat().st_mtime_ns for path in written.iterdir()}
    splits = {"train": files, "val": files.select([4, 2])}
    write_tfrecords(splits, written, 3)
    assert before == {path.name: path.stat().st_mtime_ns for path in written.iterdir()}
    with pytest.raises(FileExistsError, match="a finished dataset"):
        write_tfrecords(splits, written, 2)
    with pytest.raises(FileExistsError, match="a finished dataset"):
        write_tfrecords({"train": files}, written, 3)
    (written / "val-00000-of-00001.tfrecord").unlink()
    with pytest.raises(FileExistsError, match=r"val-00000-of-00001\.tfrecord is missing"):
        write_tfrecords(splits, written, 3)


def test_other_files_in_the_folder_are_never_overwritten(files, tmp_path, write_text):
    write_text(tmp_path / "out" / "train-00000-of-00001.tfrecord", "mine")
    with pytest.raises(FileExistsError, match=r"'train-00000-of-00001\.tfrecord' and 0 more"):
        write_tfrecords({"train": files}, tmp_path / "out")
    assert (tmp_path / "out" / "train-00000-of-00001.tfrecord").read_text() == "mine"


def test_bad_images_stop_or_are_left_out_and_named(files, tmp_path, write_text):
    write_text(files.source.paths[3], "no image")
    write_text(files.source.paths[8], "")
    folder = tmp_path / "out"
    with pytest.raises(BadImageError, match=r"image id 'ü[38]'"):
        write_tfrecords({"train": files}, folder, 2)
    assert not is_tfrecords(folder)
    left_out = write_tfrecords({"train": files}, folder, 2, on_bad_image="skip")
    assert sorted(bad.image_id for bad in left_out) == ["ü3", "ü8"]
    back = tfrecords(folder)
    assert_same(files.select([row for row in range(COUNT) if row not in (3, 8)]), back)
    told = json.loads((folder / "dataset.json").read_text())["splits"]["train"]["skipped"]
    assert {bad["reason"].split(":")[0] for bad in told} == {"cannot be decoded", "empty file"}
    assert write_tfrecords({"train": files}, folder, 2, on_bad_image="skip") == left_out


def test_a_record_that_is_damaged_is_named(written, files):
    dataset = tfrecords(written, "train")
    path = dataset.source.records.paths[dataset.source.records.files[6]]
    with open(path, "r+b") as file:  # noqa: PTH123
        file.seek(dataset.source.records.offsets[6])
        file.write(bytes(30))
    bad_images = find_bad_images(dataset)
    assert [bad.image_id for bad in bad_images] == ["ü6"]
    assert path in bad_images[0].path
    assert "ü6" not in skip_bad_images(dataset)[0].ids
    with pytest.raises(tf.errors.OpError) as caught:
        list(dataset.examples())
    assert "image id 'ü6'" in str(name_bad_image(dataset, caught.value))
    (written / "train.index.npz").unlink()
    with pytest.raises(ValueError, match=r"tfrecord.* DataLossError"):
        tfrecords(written, "train")


def test_a_record_that_is_no_example_is_named(written):
    """Its length and its checksums are correct."""
    file = next(written.glob("train-*.tfrecord"))
    content = b"\xff" * (file.stat().st_size - 16)
    with tf.io.TFRecordWriter(str(file)) as writer:
        writer.write(content)
    (written / "train.index.npz").unlink()
    with pytest.raises(ValueError, match=rf"{file.name}.* DecodeError after byte 0"):
        tfrecords(written, "train")


def test_files_that_were_cut_off_or_lost_are_named(written):
    dataset = tfrecords(written, "train")
    path = written / "train-00001-of-00003.tfrecord"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"train-00001-of-00003\.tfrecord should have \d+ bytes"):
        tfrecords(written, "train")
    path.unlink()
    assert len(find_bad_images(dataset)) in (3, 4)
    with pytest.raises(FileNotFoundError, match=r"train-00001-of-00003\.tfrecord"):
        tfrecords(written, "train")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("dataset.json", b"{", "should be JSON"),
        ("dataset.json", b"[]", '"format": "keras_has.tfrecords"'),
        ("dataset.json", b'{"format": "keras_has.tfrecords"}', "version 1. Received: None"),
        ("dataset.json", b'{"format": "keras_has.tfrecords", "version": 1}', "is damaged"),
        ("train.index.npz", b"PK", "complete .npz file"),
        ("train.index.npz", b"", "complete .npz file"),
    ],
)
def test_invalid_descriptions_and_indices_are_named(written, file, content, message):
    (written / file).write_bytes(content)
    with pytest.raises(ValueError, match=f"{file}.*({message})"):
        tfrecords(written, "train")
    assert is_tfrecords(written) == (file != "dataset.json" or b"tfrecords" in content)


def test_the_index_of_another_split_is_refused(written):
    shutil.copy(written / "val.index.npz", written / "train.index.npz")
    with pytest.raises(ValueError, match=r"train\.index\.npz belongs to other records"):
        tfrecords(written, "train")


def test_a_path_in_the_description_cannot_lead_elsewhere(written):
    path = written / "dataset.json"
    path.write_text(path.read_text().replace("train-00000", "../train-00000"))
    with pytest.raises(ValueError, match=r"dataset\.json is damaged.*a file of train"):
        tfrecords(written, "train")


def test_a_folder_without_records_and_an_unknown_split_are_named(tmp_path, written):
    with pytest.raises(FileNotFoundError, match=r"dataset\.json.*trainers\.prepare"):
        tfrecords(tmp_path)
    assert not is_tfrecords(tmp_path)
    with pytest.raises(ValueError, match=r"`split` should be one of .*: train, val. Received:"):
        tfrecords(written, "test")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_shards": 0}, "`num_shards` should be from 1"),
        ({"label_offset": -1}, "`label_offset` should be at least 0"),
        ({"on_bad_image": "ignore"}, '`on_bad_image` should be "error" or "skip"'),
    ],
)
def test_wrong_arguments_are_named(files, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_tfrecords({"train": files}, tmp_path / "out", **arguments)
    with pytest.raises(ValueError, match="none in"):
        write_tfrecords({"train": files.select([])}, tmp_path / "out")
    with pytest.raises(ValueError, match="the same classes"):
        other = generated_parts("val", num_images=10)
        write_tfrecords({"train": files, "val": other}, tmp_path / "out")
    with pytest.raises(ValueError, match="letters, digits and underscores"):
        write_tfrecords({"../train": files}, tmp_path / "out")


@settings(max_examples=20)
@given(st.lists(st.integers(0, 9), max_size=12), st.data())
def test_images_are_read_in_any_order(tmp_path_factory, rows, data):
    folder = tmp_path_factory.mktemp("pieces")
    contents = [data.draw(st.binary(max_size=20)) for _ in range(10)]
    files = [b"".join(contents[:4]), b"".join(contents[4:])]
    for number, content in enumerate(files):
        (folder / str(number)).write_bytes(content)
    starts = [sum(map(len, contents[:n])) for n in range(4)]
    starts += [sum(map(len, contents[4:n])) for n in range(4, 10)]
    records = RecordFiles(
        (str(folder / "0"), str(folder / "1")),
        [len(content) for content in files],
        [0] * 4 + [1] * 6,
        starts,
        [len(content) for content in contents],
    )
    assert records.read(rows) == [contents[row] for row in rows]
    assert records.select(rows).read(range(len(rows))) == [contents[row] for row in rows]


@pytest.mark.parametrize(
    "change",
    [{"files": [0, 2]}, {"offsets": [0, 9]}, {"lengths": [1, -1]}, {"offsets": [0]}, {"sizes": []}],
)
def test_places_outside_the_files_are_refused(change):
    parts_of = {"sizes": [10, 5], "files": [0, 1], "offsets": [0, 1], "lengths": [10, 4]}
    RecordFiles(("a", "b"), **parts_of)
    with pytest.raises(ValueError, match="should"):
        RecordFiles(("a", "b"), **{**parts_of, **change})
