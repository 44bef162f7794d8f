"""Data sets in TFRecord files: read back as an `Dataset`, in any order."""

import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.records.record_files import RecordFiles, is_remote
from keras_has.data.sources import RecordImages

FORMAT = "keras_has.tfrecords"
VERSION = 1
DATASET_FILE = "dataset.json"

# What the index holds: N entries each, but for the boxes and the masks, which are those of all
# images below each other.
INDEX_FIELDS = (
    "rows",
    "labels",
    "image_ids",
    "image_sizes",
    "box_counts",
    "boxes",
    "files",
    "record_offsets",
    "record_lengths",
    "offsets",
    "lengths",
    "mask_counts",
    "mask_paths",
    "ignore_paths",
)
# Before a record stand its length and a checksum of that, behind it a checksum of the record.
HEADER_BYTES, FOOTER_BYTES = 12, 4

_ADVICE = (
    "Write the data set with `python -m trainers.prepare --dataset=... --out=DIR`, and pass that "
    "folder."
)


def is_tfrecords(data_dir: str | os.PathLike[str]) -> bool:
    """Tells whether a folder holds a data set as `write_tfrecords` leaves it when it is done.

    Args:
        data_dir: A folder, local or anything that `tf.io.gfile` reads.

    Returns:
        Whether there is a `dataset.json` that says so.

    Example:

    >>> is_tfrecords("/no/such/folder")
    False
    """
    try:
        return _read_description(os.fspath(data_dir))["format"] == FORMAT
    except (FileNotFoundError, ValueError):
        return False


def tfrecords(
    data_dir: str | os.PathLike[str],
    split: str = "train",
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Reads the index of a data set in TFRecord files.

    The images come in the order of the data set that was written, whatever their order in the
    files: training on the records gives the very batches that training on the image files does.
    Images are read by their places in the files (see `RecordFiles`), labels and boxes come from
    the index. Where that is missing, it is built from the records, which reads all of them, and
    kept if the folder can be written to.

    Args:
        data_dir: The folder that `write_tfrecords` wrote, local or anything that `tf.io.gfile`
            reads, such as `"gs://bucket/imagenet"`.
        split: `"train"` (default), `"val"` or any other split that was written.
        progress: Called with the number of records read and of all, while an index is built.

    Returns:
        A `Dataset`.

    Raises:
        FileNotFoundError: If a file is missing; the message says which, and what to do.
        ValueError: If there is no such split, a file has another size than when it was written, or
            the description or the index is not sound; the message names the file.
    """
    folder = os.fspath(data_dir)
    description = _read_description(folder)
    if split not in description["splits"]:
        raise ValueError(
            f"`split` should be one of those in {folder}: {', '.join(description['splits'])}. "
            f"Received: split={split!r}"
        )
    told = description["splits"][split]
    paths = [f"{folder}/{shard['file']}" for shard in told["shards"]]
    sizes = [shard["bytes"] for shard in told["shards"]]
    path = f"{folder}/{index_name(split)}"
    index = _read_index(path, told["fingerprint"])
    if index is None:
        nobody = RecordFiles(tuple(paths), np.array(sizes), *(np.zeros((3, 0), np.int64)))
        nobody.check_sizes()
        index = _build_index(paths, description["label_offset"], told["num_images"], progress)
        _keep(path, {**index, "fingerprint": np.array(told["fingerprint"])})
    if len(index["rows"]) != told["num_images"]:
        raise ValueError(
            f"{path} should hold {told['num_images']} images, as {DATASET_FILE} says. "
            f"Received: {len(index['rows'])}. Delete it, and it is built anew."
        )
    records = RecordFiles(
        tuple(paths), np.array(sizes), index["files"], index["offsets"], index["lengths"]
    )
    records.check_sizes()
    # In the order of the data set that was written.
    boxes = np.split(index["boxes"], np.cumsum(index["box_counts"])[:-1])
    dataset = Dataset(
        name=told["name"],
        ids=_texts(index["image_ids"]),
        columns={
            "label": index["labels"],
            "boxes": boxes if len(index["rows"]) else (),
            "image_size": index["image_sizes"],
            **_masks(index),
        },
        source=RecordImages(records),
        class_names=tuple(description["class_names"]),
        class_ids=description["class_ids"],
    )
    return dataset.select(np.argsort(index["rows"], kind="stable"))


def index_name(split: str) -> str:
    """Returns the name of the file that holds the index of a split."""
    return f"{split}.index.npz"


def shard_name(split: str, number: int, count: int) -> str:
    """Returns the name of a split's file with a number, from 0 to `count - 1`."""
    return f"{split}-{number:05d}-of-{count:05d}.tfrecord"


def save_index(path: Path, index: Mapping[str, Any]) -> None:
    """Writes arrays aside and renames them to `path`."""
    aside = path.with_name(path.name + ".partial")
    with aside.open("wb") as file:
        np.savez_compressed(file, **index)
    aside.replace(path)


def load_index(content: bytes, where: str) -> dict[str, np.ndarray]:
    """Reads arrays that `save_index` wrote.

    Raises:
        ValueError: If they are not there, or are not arrays of numbers and texts alone.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            index = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, KeyError, EOFError, RuntimeError) as error:
        raise ValueError(f"{where} should hold arrays: {error}. Delete it.") from error
    except Exception as error:  # zipfile's and zlib's own, which have no common kind
        raise ValueError(f"{where} should be a whole .npz file: {error}. Delete it.") from error
    missing = [name for name in (*INDEX_FIELDS, "fingerprint") if name not in index]
    if missing:
        raise ValueError(f"{where} should hold {missing[0]!r}. Received: {sorted(index)}")
    return index


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_description(folder: str) -> dict[str, Any]:
    path = f"{folder}/{DATASET_FILE}"
    content = _read_file(path)
    if content is None:
        raise FileNotFoundError(
            f"There should be the description of a data set at {path}. {_ADVICE}"
        )
    try:
        description = json.loads(content.decode("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} should be JSON: {error}. {_ADVICE}") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ValueError(f'{path} should say "format": "{FORMAT}". {_ADVICE}')
    if description.get("version") != VERSION:
        raise ValueError(
            f"{path} should be of version {VERSION}. Received: {description.get('version')}; this "
            "is another version of the program's. Write the data set again with this one."
        )
    try:
        _check_description(description)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} is not sound: {error}. {_ADVICE}") from error
    return description


def _check_description(description: Mapping[str, Any]) -> None:
    kinds: dict[str, type] = {"class_names": list, "splits": dict, "label_offset": int}
    for key, kind in kinds.items():
        if not isinstance(description[key], kind):
            raise ValueError(f"{key} should be a {kind.__name__}")
    if not isinstance(description["class_ids"], list | None):
        raise ValueError("class_ids should be a list or null")
    for split, told in description["splits"].items():
        kinds = {"name": str, "num_images": int, "fingerprint": str}
        for key, kind in kinds.items():
            if not isinstance(told[key], kind):
                raise ValueError(f"{key} of {split} should be a {kind.__name__}")
        for shard in told["shards"]:
            if not re.fullmatch(r"[\w.-]+\.tfrecord", shard["file"]) or shard["bytes"] < 0:
                raise ValueError(f"a file of {split} should be a name and a size, not {shard}")


def _read_file(path: str) -> bytes | None:
    if is_remote(path):
        import tensorflow as tf

        if not tf.io.gfile.exists(path):
            return None
        with tf.io.gfile.GFile(path, "rb") as file:
            return file.read()
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _read_index(path: str, fingerprint: str) -> dict[str, np.ndarray] | None:
    content = _read_file(path)
    if content is None:
        return None
    index = load_index(content, path)
    if str(index["fingerprint"]) != fingerprint:
        raise ValueError(
            f"{path} should be the index of the records beside it. Received: that of other ones. "
            "Delete it, and it is built anew."
        )
    return index


def _keep(path: str, index: Mapping[str, np.ndarray]) -> None:
    if not is_remote(path):
        try:
            save_index(Path(path), index)
        except OSError:
            return  # A folder that is only to be read: the index is built each time.


def _build_index(
    paths: list[str],
    label_offset: int,
    num_images: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, np.ndarray]:
    """Reads all records, checksums included, and returns the index."""
    import tensorflow as tf

    entries: dict[str, list[Any]] = {name: [] for name in INDEX_FIELDS}
    for number, path in enumerate(paths):
        start = 0
        try:
            for serialized in tf.data.TFRecordDataset([path]).as_numpy_iterator():
                add_to_index(entries, serialized, number, start, label_offset)
                start += HEADER_BYTES + len(serialized) + FOOTER_BYTES
                done = len(entries["rows"])
                if progress is not None and (done % 256 == 0 or done == num_images):
                    progress(done, num_images)
        except (tf.errors.DataLossError, KeyError, IndexError) as error:
            raise ValueError(
                f"{path} should hold whole records of this project's schema. Received: "
                f"{type(error).__name__} behind byte {start}. Copy it again, or write it again "
                "with `python -m trainers.prepare`."
            ) from error
    return index_arrays(entries)


def add_to_index(
    entries: dict[str, list[Any]], serialized: bytes, file: int, start: int, label_offset: int
) -> None:
    """Adds what a record says to the lists of an index.

    Args:
        entries: A list for each of `INDEX_FIELDS`.
        serialized: The record.
        file: Number of its file.
        start: Where its header begins in the file.
        label_offset: What was added to the label when the record was written.
    """
    import tensorflow as tf

    features = tf.train.Example.FromString(serialized).features.feature

    def texts(name: str) -> list[bytes]:
        return list(features[name].bytes_list.value)

    def number(name: str) -> int:
        return int(features[name].int64_list.value[0])

    encoded = texts("image/encoded")[0]
    boxes = np.array(features["image/object/bbox/pixels"].float_list.value, np.float32)
    entries["rows"].append(number("image/row"))
    entries["labels"].append(number("image/class/label") - label_offset)
    entries["image_ids"].append(texts("image/filename")[0])
    entries["image_sizes"].append((number("image/height"), number("image/width")))
    entries["box_counts"].append(len(boxes) // 4)
    entries["boxes"].append(boxes.reshape(-1, 4))
    entries["files"].append(file)
    entries["record_offsets"].append(start + HEADER_BYTES)
    entries["record_lengths"].append(len(serialized))
    # Wherever in the record these bytes are found first, they are the image's.
    entries["offsets"].append(start + HEADER_BYTES + serialized.index(encoded))
    entries["lengths"].append(len(encoded))
    masks = texts("image/mask/path")
    entries["mask_counts"].append(len(masks))
    entries["mask_paths"] += masks
    entries["ignore_paths"].append((texts("image/ignore/path") or [b""])[0])


def index_arrays(entries: Mapping[str, list[Any]]) -> dict[str, np.ndarray]:
    """Returns the lists of an index as arrays."""
    arrays = {}
    for name, values in entries.items():
        if name == "boxes":
            arrays[name] = np.concatenate([np.zeros((0, 4), np.float32), *values])
        elif name in ("image_ids", "mask_paths", "ignore_paths"):
            arrays[name] = np.array(values, np.bytes_)
        elif name == "image_sizes":
            arrays[name] = np.array(values, np.int64).reshape(-1, 2)
        else:
            arrays[name] = np.array(values, np.int64)
    return arrays


def _texts(array: np.ndarray) -> np.ndarray:
    return np.char.decode(array, "utf-8") if len(array) else np.zeros(0, np.str_)


def _masks(index: Mapping[str, np.ndarray]) -> dict[str, Any]:
    if not index["mask_counts"].any():
        return {}
    flat = _texts(index["mask_paths"]).tolist()
    ends = np.cumsum(index["mask_counts"]).tolist()
    starts = [0, *ends[:-1]]
    return {
        "mask_paths": tuple(
            tuple(flat[start:end]) for start, end in zip(starts, ends, strict=True)
        ),
        "ignore_path": _texts(index["ignore_paths"]),
    }
