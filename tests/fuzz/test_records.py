"""Mutated folders of TFRecord files: descriptions, indexes, records and half-written folders."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from keras_has import data
from keras_has.data.bad_images import bad_image
from keras_has.data.records.sequence_records import sequence_records, write_sequence_records
from keras_has.data.video.record_frames import record_videos


def images():
    return {split: data.generated_parts(split, num_images=4) for split in ("train", "val")}


def videos():
    return {"train": data.generated_phases("train", num_videos=3)}


def image_records(folder):
    data.write_tfrecords(images(), folder, num_shards=2)


def records_without_index(folder):
    data.write_tfrecords({"train": images()["train"]}, folder, num_shards=1)
    (folder / "train.index.npz").unlink()


def half_written(folder):
    image_records(folder)
    # What an interrupted call leaves: files with what is known about them.
    description = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").unlink()
    for split, entry in description["splits"].items():
        with np.load(folder / f"{split}.index.npz") as index:
            arrays = dict(index)
        (folder / f"{split}.index.npz").unlink()
        for number, shard in enumerate(entry["shards"]):
            rows = arrays["files"] == number
            boxes = np.repeat(rows, arrays["box_counts"])
            counted = {"boxes": boxes, "mask_paths": np.zeros(0, bool), "fingerprint": ()}
            state = {name: array[counted.get(name, rows)] for name, array in arrays.items()}
            state |= {"bad_rows": np.zeros(0, np.int64), "bad_reasons": np.zeros(0, np.bytes_)}
            state |= {"sha256": np.array(shard["sha256"]), "source_states": np.zeros((0, 2))}
            np.savez(folder / shard["file"].replace(".tfrecord", ".npz"), **state)


def feature_records(folder):
    write_sequence_records(videos(), folder)


def frame_records(folder):
    file = io.BytesIO()
    Image.new("RGB", (8, 6)).save(file, "JPEG")
    settings = {"frames_per_second": 2.0}
    write_sequence_records(
        videos(), folder, frames=lambda *_: [file.getvalue()] * 2, frame_settings=settings
    )


def with_sizes(load):
    """Lets dataset.json give the sizes that the files have, so that more than these is read."""

    def load_with_sizes(folder):
        description = json.loads((folder / "dataset.json").read_text())
        for entry in description["splits"].values():
            for shard in entry["shards"]:
                shard["bytes"] = (folder / shard["file"]).stat().st_size
        (folder / "dataset.json").write_text(json.dumps(description))
        return load(folder)

    return load_with_sizes


def load_images(folder):
    dataset = data.tfrecords(folder, "train")
    for row in range(len(dataset)):
        bad_image(dataset, row)
    return dataset


def build_index(folder):
    try:
        return load_images(folder)
    finally:
        (folder / "train.index.npz").unlink(missing_ok=True)


def resume(folder):
    written = {file: file.read_bytes() for file in folder.iterdir()}
    try:
        data.write_tfrecords(images(), folder, num_shards=2)
        return [data.tfrecords(folder, split) for split in ("train", "val")]
    finally:
        for file in folder.iterdir():
            if file not in written:
                file.unlink()
        for file, content in written.items():
            file.write_bytes(content)


def load_videos(folder):
    dataset = sequence_records(folder, "train")
    assert all(dataset.read(row)[0].ndim == 2 for row in range(len(dataset)))
    return dataset


def load_frames(folder):
    for frames in record_videos(folder).values():
        list(frames)


LOADERS = {
    "dataset.json of images": (image_records, "dataset.json", load_images, 150),
    "index of images": (image_records, "*.index.npz", load_images, 150),
    "image records": (image_records, "*.tfrecord", with_sizes(load_images), 150),
    "image records without index": (
        records_without_index,
        "*.tfrecord",
        with_sizes(build_index),
        150,
    ),
    "finished image records": (image_records, ["dataset.json", "*.npz"], resume, 150),
    "half-written image records": (half_written, "*.npz", resume, 60),
    "dataset.json of sequences": (feature_records, "dataset.json", load_videos, 300),
    "index of sequences": (feature_records, "*.index.npz", load_videos, 300),
    "feature records": (feature_records, "*.tfrecord", with_sizes(load_videos), 300),
    "dataset.json of frames": (frame_records, "dataset.json", load_frames, 300),
    "frame records": (frame_records, ["*.tfrecord", "*.index.npz"], with_sizes(load_frames), 300),
}


@pytest.mark.parametrize("name", LOADERS)
def test_damaged_records_are_read_or_refused_by_name(name, fuzz):
    build, patterns, load, inputs = LOADERS[name]
    fuzz(name, build, patterns, load, inputs)
