"""Temporal data sets in TFRecord files: read back as a `Dataset`, nothing loaded."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.records.record_files import is_remote
from keras_has.data.records.tfrecords import DATASET_FILE
from keras_has.data.sources import FeatureArrays

if TYPE_CHECKING:
    import tensorflow as tf

FORMAT = "keras_has.sequence_records"
VERSION = 1
FEATURES, FRAMES = "features", "image/encoded"

# Where each video's rows lie: bytes of the file, 0 rows where there are none.
PLACE_FIELDS = (
    "files",
    "record_offsets",
    "record_lengths",
    "offsets",
    "strides",
    "counts",
    "widths",
)

_ADVICE = "Write the data set with `python -m trainers.prepare`, and pass that folder."


def is_sequence_records(data_dir: str | os.PathLike[str]) -> bool:
    """Tells whether a folder holds what `write_sequence_records` leaves when it is done.

    Example:

    >>> is_sequence_records("/no/such/folder")
    False
    """
    try:
        return bool(_description(os.fspath(data_dir)))
    except (FileNotFoundError, ValueError):
        return False


def sequence_records(data_dir: str | os.PathLike[str], split: str = "train") -> Dataset:
    """Reads the index of a temporal data set in TFRecord files.

    The features stay in the files: they are mapped into memory where they lie, row by row, and the
    system reads what is used. Any order costs the same, sampling reads only the rows it takes, and
    nothing is parsed. From a file system of `tf.io.gfile`, which cannot be mapped, all features of
    the split are loaded.

    Args:
        data_dir: The folder that `write_sequence_records` wrote, local or such as
            `"gs://bucket/thumos14"`.
        split: One of those that were written. Defaults to `"train"`.

    Returns:
        A `Dataset`, equal to the one that was written; without features where only frames
        were, see `sequence_frames`.

    Raises:
        FileNotFoundError: If a file is missing; the message says which, and what to do.
        ValueError: If there is no such split, or a file is not sound; the message names it.
    """
    folder = os.fspath(data_dir)
    description, told = _split(folder, split)
    index = _index(folder, told)
    paths = _shard_paths(folder, told)
    features = None
    if told["has_features"]:
        places = zip(*(index[name].tolist() for name in PLACE_FIELDS), strict=True)
        maps: dict[int, Any] = {}
        features = tuple(
            _rows(paths, dict(zip(PLACE_FIELDS, p, strict=True)), maps) for p in places
        )
    classes = tuple(description["class_names"])
    return Dataset(
        name=told["name"],
        ids=_texts(index["video_ids"]),
        columns={
            "duration": index["durations"],
            "labels": index["labels"],
            "segments": _pieces(index, "segments"),
            "segment_labels": _pieces(index, "segment_labels", "segments"),
            "ambiguous": _pieces(index, "ambiguous"),
        },
        source=None if features is None else FeatureArrays(features),
        class_names=classes,
        seconds_per_feature=told["seconds_per_feature"],
        problems=tuple(told["problems"]),
    )


def sequence_frames(data_dir: str | os.PathLike[str], split: str = "train") -> tf.data.Dataset:
    """Returns the frames of a temporal data set in TFRecord files, as they are encoded.

    Args:
        data_dir: The folder that `write_sequence_records` wrote with `frames`.
        split: One of those that were written. Defaults to `"train"`.

    Returns:
        A dataset of `{"video_id": string, "frames": (T,) strings of JPEG files, "row": int64, the
        position of the video in `sequence_records(data_dir, split)`}`, in that order. Decode them
        with `tf.io.decode_jpeg`.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If there is no such split, or it holds no frames.
    """
    import tensorflow as tf

    folder = os.fspath(data_dir)
    _, told = _split(folder, split)
    if not told["has_frames"]:
        raise ValueError(f"{folder} should hold frames of {split!r}. Received: features alone.")

    def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        context, lists = tf.io.parse_single_sequence_example(
            serialized,
            {
                "video/id": tf.io.FixedLenFeature([], tf.string),
                "video/row": tf.io.FixedLenFeature([], tf.int64),
            },
            {FRAMES: tf.io.FixedLenSequenceFeature([], tf.string)},
        )
        return {
            "video_id": context["video/id"],
            "frames": lists[FRAMES],
            "row": context["video/row"],
        }

    return tf.data.TFRecordDataset(_shard_paths(folder, told)).map(parse)


def _split(folder: str, split: str) -> tuple[dict[str, Any], dict[str, Any]]:
    description = _description(folder)
    if split not in description["splits"]:
        raise ValueError(
            f"`split` should be one of those in {folder}: {', '.join(description['splits'])}. "
            f"Received: split={split!r}"
        )
    return description, description["splits"][split]


def _description(folder: str) -> dict[str, Any]:
    path = f"{folder}/{DATASET_FILE}"
    try:
        description = json.loads(_content(path).decode("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} should be JSON: {error}. {_ADVICE}") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ValueError(f'{path} should say "format": "{FORMAT}". {_ADVICE}')
    if description.get("version") != VERSION:
        raise ValueError(
            f"{path} should be of version {VERSION}. Received: {description.get('version')}. "
            "Write the data set again with this version of the program."
        )
    try:
        for told in description["splits"].values():
            for key in ("name", "fingerprint", "has_features", "has_frames", "seconds_per_feature"):
                told[key]
            for shard in [*told["shards"], told["index"]]:
                if Path(shard["file"]).name != shard["file"] or int(shard["bytes"]) < 0:
                    raise ValueError(f"{shard} should be a file of the folder and its size")
            list(told["problems"])
        list(description["class_names"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} is not sound: {error!r}. {_ADVICE}") from error
    return description


def _content(path: str) -> bytes:
    if is_remote(path):
        import tensorflow as tf

        if tf.io.gfile.exists(path):
            with tf.io.gfile.GFile(path, "rb") as file:
                return file.read()
    elif Path(path).is_file():
        return Path(path).read_bytes()
    raise FileNotFoundError(f"There should be a file of a data set at {path}. {_ADVICE}")


def _shard_paths(folder: str, told: Mapping[str, Any]) -> list[str]:
    """Returns the paths of a split's files, and checks that they are there and whole."""
    paths = []
    for shard in told["shards"]:
        path = f"{folder}/{shard['file']}"
        if is_remote(path):
            import tensorflow as tf

            size = tf.io.gfile.stat(path).length if tf.io.gfile.exists(path) else None
        else:
            size = Path(path).stat().st_size if Path(path).is_file() else None
        if size is None:
            raise FileNotFoundError(
                f"There should be a TFRecord file at {path}. Copy the folder again. {_ADVICE}"
            )
        if size != shard["bytes"]:
            raise ValueError(
                f"{path} should have {shard['bytes']} bytes, as when it was written. Received: "
                f"{size} bytes. Copy it again. {_ADVICE}"
            )
        paths.append(path)
    return paths


def _index(folder: str, told: Mapping[str, Any]) -> dict[str, np.ndarray]:
    path = f"{folder}/{told['index']['file']}"
    index = load_arrays(_content(path), path)
    if str(index.get("fingerprint")) != told["fingerprint"]:
        raise ValueError(
            f"{path} should be the index of the records beside it. Received: that of other ones. "
            f"Copy the folder again. {_ADVICE}"
        )
    return index


def load_arrays(content: bytes, where: str) -> dict[str, np.ndarray]:
    """Reads the arrays of a .npz file; nothing pickled is loaded.

    Raises:
        ValueError: If it is none.
    """
    import io

    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:  # zipfile's and zlib's own, which have no common kind
        raise ValueError(f"{where} should be a whole .npz file: {error}. Delete it.") from error


def _rows(paths: list[str], place: Mapping[str, int], maps: dict[int, Any]) -> np.ndarray:
    """Returns the features of one video, (T, D), where they lie."""
    shape = (place["counts"], place["widths"])
    if not shape[0]:
        return np.zeros(shape, np.float32)
    path, size = paths[place["files"]], (shape[0] - 1) * place["strides"] + 4 * shape[1]
    offset = place["offsets"]
    buffer: Any
    if is_remote(path):
        import tensorflow as tf

        with tf.io.gfile.GFile(path, "rb") as file:
            file.seek(offset)
            buffer, offset = file.read(size), 0
    else:
        if place["files"] not in maps:
            maps[place["files"]] = np.memmap(path, np.uint8, "r")
        buffer = maps[place["files"]]
    if len(buffer) < offset + size:
        raise ValueError(f"{path} should hold {size} bytes from byte {place['offsets']} on.")
    # Between two rows stands the second one's head, always of the same length.
    return np.ndarray(shape, "<f4", buffer, offset, (place["strides"], 4))


def _texts(array: np.ndarray) -> np.ndarray:
    return np.char.decode(array, "utf-8") if len(array) else np.zeros(0, np.str_)


def _pieces(
    index: Mapping[str, np.ndarray], name: str, counted: str | None = None
) -> tuple[np.ndarray, ...]:
    counts = index[f"{counted or name}_counts"]
    return tuple(np.split(index[name], np.cumsum(counts)[:-1])) if len(counts) else ()
