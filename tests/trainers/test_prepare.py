"""`python -m trainers.prepare`: from every kind of data set to TFRecord files."""

import inspect
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip("tensorflow")

from keras_has import data
from trainers.prepare import (
    DATASETS_OF_FLAG,
    SPLITS,
    TEMPORAL_SPLITS,
    check_flags,
    prepare,
    prepare_temporal,
)


@pytest.fixture
def write_folder():
    """Returns a function that writes images of two classes, a folder a class."""
    import tensorflow as tf

    def write(root):
        for split in ("train", "val"):
            for label, name in enumerate(("cat", "dog")):
                (root / split / name).mkdir(parents=True)
                for number in range(3):
                    image = np.full((20, 24 + number, 3), 50 * label + 10 * number, "uint8")
                    path = str(root / split / name / f"{number}.png")
                    tf.io.write_file(path, tf.io.encode_png(image))
        (root / "boxes.csv").write_text("path,x0,y0,x1,y1\nval/cat/0.png,1,2,3.5,4\n")
        return root

    return write


def test_a_folder_of_images_is_converted_and_read_like_the_folder(write_folder, tmp_path):
    folder, out = write_folder(tmp_path / "in"), tmp_path / "out"
    lines = prepare(dataset="folder", data_dir=folder, out=out)
    assert lines[0].startswith("train: 6 images, 0 boxes, 2 classes")
    assert lines[1].startswith("val: 6 images, 1 boxes, 2 classes")
    for split in ("train", "val"):
        wanted, got = data.image_folder(folder, split), data.tfrecords(out, split)
        assert got.ids.tolist() == wanted.ids.tolist()
        assert [boxes.tolist() for boxes in got["boxes"]] == [
            boxes.tolist() for boxes in wanted["boxes"]
        ]
    assert prepare(dataset="folder", data_dir=folder, out=out) == lines


def test_wsol_metadata_is_converted_with_all_its_splits(tmp_path, write_folder):
    images = write_folder(tmp_path / "in")
    for split in ("train", "val", "test"):
        folder = tmp_path / "metadata" / split
        folder.mkdir(parents=True)
        image_id = f"{'train' if split == 'train' else 'val'}/dog/0.png"
        (folder / "image_ids.txt").write_text(f"{image_id}\n")
        (folder / "class_labels.txt").write_text(f"{image_id},1\n")
        (folder / "localization.txt").write_text(f"{image_id},1,2,3,4\n")
    settings = {"dataset": "wsol_metadata", "data_dir": images, "out": tmp_path / "out"}
    lines = prepare(**settings, metadata_dir=tmp_path / "metadata", train_boxes=True)
    assert lines[0].startswith("train: 1 images, 1 boxes, 2 classes")
    assert data.tfrecords(tmp_path / "out", "test")["boxes"][0].tolist() == [[1, 2, 4, 5]]
    with pytest.raises(ValueError, match="needs --metadata_dir"):
        prepare(**settings)


def test_ilsvrc_keeps_its_wordnet_ids(write_ilsvrc, tmp_path):
    prepare(dataset="imagenet", data_dir=write_ilsvrc(tmp_path / "in"), out=tmp_path / "out")
    val = data.tfrecords(tmp_path / "out", "val")
    assert val.class_ids == ("n01440764", "n01443537")
    assert val["boxes"][0].tolist() == [[10, 5, 61, 51]]
    assert val["boxes"][3].shape == (0, 4)


def test_bad_images_are_named_or_left_out(write_folder, tmp_path):
    folder = write_folder(tmp_path / "in")
    (folder / "train" / "cat" / "1.png").write_bytes(b"")
    settings = {"dataset": "folder", "data_dir": folder, "out": tmp_path / "out"}
    with pytest.raises(data.BadImageError, match=r"train/cat/1\.png.*empty file"):
        prepare(**settings)
    left_out, train, _, end = prepare(**settings, on_bad_image="skip")
    assert left_out.startswith("left out: ")
    assert train.startswith("train: 5 images")
    assert end.startswith("1 images left out")


def test_parts_are_drawn_and_converted(few_parts, tmp_path):
    lines = prepare("parts", None, tmp_path / "out", splits=["val"], shards=2)
    assert lines[0].startswith("val: 40 images, 40 boxes, 10 classes")
    assert len(list((tmp_path / "out").glob("val-*.tfrecord"))) == 2


@pytest.fixture
def own_folder(tmp_path):
    """Two videos of ten features each in a folder of one's own."""
    folder = tmp_path / "watch"
    (folder / "features").mkdir(parents=True)
    database = {}
    for number, split in enumerate(("train", "test")):
        features = np.random.default_rng(number).normal(size=(10, 4)).astype("float32")
        np.save(folder / "features" / f"v{number}.npy", features)
        annotation = {"label": "jump", "segment": [0.5, 1.25]}
        database[f"v{number}"] = {"subset": split, "duration": 2.5, "annotations": [annotation]}
    (folder / "annotations.json").write_text(json.dumps({"database": database}))
    return folder


def test_features_are_converted_and_read_like_the_folder(own_folder, tmp_path):
    settings = {"dataset": "feature_folder", "data_dir": own_folder, "out": tmp_path / "out"}
    lines = prepare_temporal(**settings)
    assert lines[0].startswith("train: 1 videos, 1 segments, 1 classes")
    for split in ("train", "test"):
        wanted = data.feature_folder(own_folder, split).example(0)
        got = data.sequence_records(tmp_path / "out", split).example(0)
        for key, value in wanted.items():
            np.testing.assert_array_equal(got[key], value)
    assert prepare_temporal(**settings) == lines
    with pytest.raises(FileExistsError, match="other settings"):
        prepare_temporal(**settings, splits=["train"])


def test_features_beside_annotations_of_activitynet_are_converted(own_folder, tmp_path):
    annotations = own_folder / "annotations.json"
    annotations.write_text(annotations.read_text().replace('"train"', '"training"'))
    lines = prepare_temporal(
        "activitynet",
        None,
        tmp_path / "out",
        splits=["training"],
        annotations=annotations,
        features_dir=own_folder / "features",
        seconds_per_feature=0.25,
    )
    assert lines[0].startswith("training: 1 videos, 1 segments")
    assert data.sequence_records(tmp_path / "out", "training").read(0)[1] == 0.25


@pytest.fixture
def videos(tmp_path):
    """A folder with the first of the two videos of `own_folder`, 30 frames."""
    folder = tmp_path / "videos"
    folder.mkdir()
    writer = cv2.VideoWriter(str(folder / "v0.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 20, (32, 16))
    if not writer.isOpened():
        pytest.skip("OpenCV has no encoder for MJPG here")
    for number in range(30):
        writer.write(np.full((16, 32, 3), 8 * number, np.uint8))
    writer.release()
    return folder


def test_frames_of_videos_are_converted(own_folder, videos, tmp_path):
    settings = {
        "dataset": "videos",
        "data_dir": videos,
        "annotations": own_folder / "annotations.json",
        "out": tmp_path / "out",
        "frames_per_second": 4.0,
    }
    lines = prepare_temporal(**settings, splits=["train"], frame_size=(8, 8))
    assert lines[0].startswith("train: 1 videos, 1 segments, 1 classes")
    (example,) = data.sequence_frames(tmp_path / "out").as_numpy_iterator()
    assert example["video_id"] == b"v0"
    frames = [cv2.imdecode(np.frombuffer(e, np.uint8), 1) for e in example["frames"].tolist()]
    assert {frame.shape for frame in frames} == {(8, 8, 3)}
    # Shown at 0.125, 0.375 ... 1.375 s, at 20 frames a second.
    shown = np.array([2, 7, 12, 17, 22, 27])
    np.testing.assert_allclose([frame.mean() / 8 for frame in frames], shown, atol=0.3)
    dataset = data.sequence_records(tmp_path / "out")
    assert dataset["segments"][0].tolist() == [[0.5, 1.25]]
    with pytest.raises(FileNotFoundError, match=r"1 of them, such as \['v1'\]"):
        prepare_temporal(**{**settings, "out": tmp_path / "more"})
    with pytest.raises(ValueError, match=r"--splits.*\['test', 'train'\]"):
        prepare_temporal(**settings, splits=["val"])


def test_videos_that_cannot_be_read_stop_or_are_left_out_and_named(own_folder, videos, tmp_path):
    annotations = own_folder / "annotations.json"
    content = json.loads(annotations.read_text())
    content["database"]["v2"] = content["database"]["v3"] = content["database"]["v0"]
    annotations.write_text(json.dumps(content))
    (videos / "v2.mp4").write_bytes(b"")
    settings = {
        "dataset": "videos", "data_dir": videos, "annotations": annotations, "splits": ["train"],
        "out": tmp_path / "out", "frames_per_second": 4.0,
    }  # fmt: skip
    with pytest.raises(FileNotFoundError, match=r"\['v3'\].*--on_bad_video=skip"):
        prepare_temporal(**settings)
    count, *left_out, train, end = lines = prepare_temporal(**settings, on_bad_video="skip")
    assert count == "2 problems in the data:"
    assert left_out == [
        f"left out: {videos / 'v2.mp4'}: empty file",
        f"left out: v3: no such video in {videos}",
    ]
    assert train.startswith("train: 1 videos, 1 segments")
    assert end.startswith("2 videos left out. The dataset is in")
    written = data.sequence_records(tmp_path / "out")
    assert written.ids.tolist() == ["v0"]
    assert [problem for problem in written.problems if "v" in problem] == left_out
    assert prepare_temporal(**settings, on_bad_video="skip") == lines
    del content["database"]["v3"]
    annotations.write_text(json.dumps(content))
    with pytest.raises(data.VideoError, match=r"v2\.mp4: empty file"):
        prepare_temporal(**{**settings, "out": tmp_path / "more"})
    (videos / "v0.avi").write_bytes(b"none")
    with pytest.raises(
        ValueError, match=r"No video of videos/train can be read, .*Check --data_dir"
    ):
        prepare_temporal(**settings, on_bad_video="skip")


def test_flags_that_temporal_data_sets_need_are_named(tmp_path):
    for dataset, message in (
        ("videos", "--data_dir=FOLDER.*--annotations=FILE"),
        ("thumos14", "thumos14 needs --annotations and --features_dir"),
        ("activitynet", "activitynet needs --annotations and --features_dir"),
        ("watch_untrimmed", "needs --data_dir"),
        ("feature_folder", "needs --data_dir"),
    ):
        with pytest.raises(ValueError, match=message):
            prepare_temporal(dataset, None, tmp_path / "out")


def test_flags_without_effect_are_refused_and_no_other():
    for of_kind, convert in ((SPLITS, prepare), (TEMPORAL_SPLITS, prepare_temporal)):
        parameters = inspect.signature(convert).parameters
        for dataset in of_kind:
            for flag in DATASETS_OF_FLAG:
                if dataset in DATASETS_OF_FLAG[flag]:
                    assert flag in parameters
                    check_flags(dataset, [flag])
                else:
                    with pytest.raises(ValueError, match=f"--{flag} has no effect .*{dataset},"):
                        check_flags(dataset, [flag])
            check_flags(dataset, ["splits", "shards"])
    known = {
        *inspect.signature(prepare).parameters,
        *inspect.signature(prepare_temporal).parameters,
    }
    assert known - set(DATASETS_OF_FLAG) == {"dataset", "out", "splits", "shards"}
    with pytest.raises(ValueError, match=r"only with imagenet, wsol_metadata\."):
        check_flags("folder", ["label_offset", "train_boxes"])


def run(*arguments):
    command = [sys.executable, "-m", "trainers.prepare", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def test_the_command_converts_and_ends_in_one_line_where_it_cannot(write_folder, tmp_path):
    folder, out = write_folder(tmp_path / "in"), tmp_path / "out"
    done = run("--dataset=folder", f"--data_dir={folder}", f"--out={out}", "--splits=val")
    assert done.returncode == 0
    assert done.stdout.startswith("val: 6 images")
    assert data.is_tfrecords(out)
    done = run("--dataset=thumos14", f"--out={out}", "--frame_size=8")
    assert done.returncode == 1
    assert "error: --frame_size should be height,width" in done.stderr
    done = run("--dataset=parts", f"--out={tmp_path / 'more'}", "--all_videos", "--seed=0")
    assert done.returncode == 1
    assert done.stderr == (
        "error: --all_videos has no effect with --dataset=parts, only with thumos14. Omit it.\n"
    )
    assert not (tmp_path / "more").exists()
    done = run("--dataset=cub", f"--data_dir={tmp_path / 'none'}", f"--out={out}")
    assert done.returncode == 1
    assert "error: There should be the folder of CUB-200-2011 at" in done.stderr
    assert "Traceback" not in done.stderr
