"""Writing temporal data sets into TFRecord files, as `tf.train.SequenceExample`s."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.records.record_folder import check_folder, file_state, read_finished
from keras_has.data.records.sequence_records import (
    FEATURES,
    FORMAT,
    FRAMES,
    PLACE_FIELDS,
    VERSION,
    load_arrays,
)
from keras_has.data.records.tfrecords import (
    DATASET_FILE,
    FOOTER_BYTES,
    HEADER_BYTES,
    index_name,
    save_index,
    sha256,
    shard_name,
)

_BYTES_PER_SHARD = 2**29
_LARGEST_RECORD = 2**31 - 1  # of a protocol buffer

Progress = Callable[[str, int, int], None]


def write_sequence_records(
    splits: Mapping[str, Dataset],
    folder: str | os.PathLike[str],
    num_shards: int | None = None,
    frames: Callable[[str, str], Iterable[bytes]] | None = None,
    frame_settings: Any = None,
    progress: Progress | None = None,
    frame_files: Mapping[str, str | os.PathLike[str]] | None = None,
) -> None:
    """Writes the splits of a temporal data set into TFRecord files.

    ```
    dataset.json                         what the data set is; written last
    train-00000-of-00004.tfrecord ...
    train.index.npz                      the annotations, and the place of each video's features
    ```

    Records are `tf.train.SequenceExample`s, which any program reads. The context holds `video/id`,
    `video/row` (the position in the split), `video/duration`, `video/seconds_per_feature`,
    `video/labels`, `video/label_names`, `segments/start`, `segments/end` (seconds),
    `segments/label`, `segments/label_names`, `ambiguous/start` and `ambiguous/end`. The feature
    lists are `features`, a row of floats for each time step, and, where frames are given,
    `image/encoded`. In the context times are float32; the index has them exactly.

    A file is written aside and renamed when it is whole. What is interrupted can be started again:
    files that are done are kept, if they are of the same data set under the same settings. Nothing
    else that lies in the folder is overwritten.

    Args:
        splits: The splits by name, all of the same classes, with features unless `frames` is given.
        folder: Where to write; made where it is not there.
        num_shards: How many files the largest split is to have; others in proportion. `None`
            (default) for one for every 512 MB of features.
        frames: Called with split and video id; returns the video's encoded frames, evenly spaced.
        frame_settings: What tells these frames from others, anything that JSON takes.
        progress: Called with the split, the number of videos done and of all.
        frame_files: The files that the frames come from, by video id, or None. What was written
            from a file, of these or of features, that has changed since is not gone on with.

    Raises:
        FileExistsError: If the folder holds anything else, another data set or other settings.
        ValueError: If the splits have different classes, features are missing or not finite, or a
            video is too long for a record of 2 GB.

    Example:

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> phases = keras_has.data.generated_phases("val", num_videos=3)
    >>> write_sequence_records({"val": phases}, folder)
    >>> keras_has.data.sequence_records(folder, "val").example(2)["features"].shape[1]
    24
    """
    _check(splits, num_shards)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    plans = _plans(splits, num_shards, frames, frame_settings, frame_files)
    if read_finished(folder, plans, lambda told: [told["index"]]) is not None:
        return
    check_folder(
        folder,
        plans,
        lambda piece: str(load_arrays(piece.read_bytes(), str(piece)).get("fingerprint")),
    )
    description = {
        "format": FORMAT,
        "version": VERSION,
        "class_names": list(plans[0].dataset.class_names),
        "frame_settings": frame_settings,
        "splits": {plan.name: _write_split(plan, folder, progress) for plan in plans},
    }
    path = folder / DATASET_FILE
    aside = path.with_name(path.name + ".partial")
    aside.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
    aside.replace(path)
    for plan in plans:
        for number in range(plan.num_shards):
            plan.piece(folder, number).unlink(missing_ok=True)


@dataclasses.dataclass(frozen=True)
class _Plan:
    """Which video of a split goes into which of its files."""

    name: str
    dataset: Dataset
    num_shards: int
    has_features: bool
    frames: Callable[[str, str], Iterable[bytes]] | None
    fingerprint: str
    sources: tuple[str, ...] | None  # What each video's record is written from, if that are files.

    def rows(self, number: int) -> range:
        count = len(self.dataset)
        return range(count * number // self.num_shards, count * (number + 1) // self.num_shards)

    def shard(self, folder: Path, number: int) -> Path:
        return folder / shard_name(self.name, number, self.num_shards)

    def piece(self, folder: Path, number: int) -> Path:
        return self.shard(folder, number).with_suffix(".npz")


def _check(splits: Mapping[str, Dataset], num_shards: int | None) -> None:
    if num_shards is not None and not 1 <= num_shards <= 99_999:
        raise ValueError(
            f"`num_shards` should be from 1 to 99999. Received: num_shards={num_shards}"
        )
    if not splits:
        raise ValueError("`splits` should hold at least one split. Received: none.")
    first = next(iter(splits.values()))
    for name, dataset in splits.items():
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise ValueError(
                f"A split's name should be letters, digits and underscores. Received: {name!r}"
            )
        if not len(dataset):
            raise ValueError(f"A split should hold a video. Received: none in {dataset.name!r}.")
        if dataset.class_names != first.class_names:
            raise ValueError(
                f"All splits should have the same classes. Received: {len(first.class_names)} in "
                f"{first.name!r}, others in {dataset.name!r}."
            )


def _plans(
    splits: Mapping[str, Dataset],
    num_shards: int | None,
    frames: Callable[[str, str], Iterable[bytes]] | None,
    frame_settings: Any,
    frame_files: Mapping[str, str | os.PathLike[str]] | None,
) -> list[_Plan]:
    lengths = {}
    for name, dataset in splits.items():
        has_features = dataset.source is not None
        if not has_features and frames is None:
            raise ValueError(
                f"{dataset.name!r} should have features, or `frames` be given. Received: neither."
            )
        lengths[name] = dataset.lengths() if has_features else None
    if num_shards is None:
        size = max(
            (
                4 * int(length.sum()) * _width(splits[name], int(length.argmax()))
                for name, length in lengths.items()
                if length is not None
            ),
            default=0,
        )
        num_shards = 1 + size // _BYTES_PER_SHARD
        if frames is not None:
            num_shards = max(num_shards, 1 + max(map(len, splits.values())) // 50)
    largest = max(len(dataset) for dataset in splits.values())
    plans = []
    for name, dataset in splits.items():
        count = min(len(dataset), max(1, round(num_shards * len(dataset) / largest)))
        settings = [FORMAT, VERSION, name, count, frames is not None, frame_settings]
        length = lengths[name]
        plans.append(
            _Plan(
                name,
                dataset,
                count,
                length is not None,
                frames,
                _fingerprint(dataset, settings, length),
                _sources(dataset, frame_files),
            )
        )
    return plans


def _sources(
    dataset: Dataset, frame_files: Mapping[str, str | os.PathLike[str]] | None
) -> tuple[str, ...] | None:
    if frame_files is not None:
        return tuple(os.fspath(frame_files[each]) for each in dataset.video_ids.tolist())
    files = () if dataset.source is None else dataset.source.files()
    return tuple(files) or None


def _width(dataset: Dataset, row: int) -> int:
    return dataset.feature_source.width(row)


def _fingerprint(dataset: Dataset, settings: Any, lengths: np.ndarray | None) -> str:
    """Returns what tells this data set and these settings from others, but for feature values."""
    digest = hashlib.sha256()
    told = [settings, dataset.name, dataset.class_names, dataset.seconds_per_feature]
    parts = [json.dumps(told).encode(), "\n".join(dataset.video_ids.tolist()).encode()]
    parts += [array.tobytes() for _, array in sorted(_annotations(dataset).items())]
    parts.append(b"" if lengths is None else lengths.astype("<i8").tobytes())
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _annotations(dataset: Dataset) -> dict[str, np.ndarray]:
    """Returns what is known of the videos as flat arrays."""
    ambiguous = dataset.ambiguous or ((),) * len(dataset)
    none = np.zeros((0, 2), np.float32)
    return {
        "video_ids": np.array([each.encode() for each in dataset.video_ids.tolist()], np.bytes_),
        "durations": dataset.durations,
        "labels": dataset.labels.astype(np.uint8),
        "segments": np.concatenate([none, *dataset.segments]),
        "segments_counts": np.array([len(each) for each in dataset.segments], np.int64),
        "segment_labels": np.concatenate([np.zeros(0, np.int64), *dataset.segment_labels]),
        "ambiguous": np.concatenate([none, *(np.reshape(each, (-1, 2)) for each in ambiguous)]),
        "ambiguous_counts": np.array([len(each) for each in ambiguous], np.int64),
    }


def _write_split(plan: _Plan, folder: Path, progress: Progress | None) -> dict[str, Any]:
    """Writes the files of a split that are not done yet and its index; returns what it holds."""
    pieces, shards = [], []
    for number in range(plan.num_shards):
        file = plan.shard(folder, number)
        piece = _read_piece(plan, folder, number)
        if piece is None:
            piece = _write_shard(plan, number, file, progress)
            aside = file.with_name(file.name + ".partial")
            piece["sha256"] = np.array(sha256(aside))
            # The piece first: a file without one is somebody else's, and never overwritten.
            save_index(plan.piece(folder, number), piece)
            aside.replace(file)
        if progress is not None:
            progress(plan.name, plan.rows(number).stop, len(plan.dataset))
        pieces.append(piece)
        shards.append(
            {
                "file": file.name,
                "num_videos": len(plan.rows(number)),
                "bytes": file.stat().st_size,
                "sha256": str(piece["sha256"]),
            }
        )
    index = {name: np.concatenate([piece[name] for piece in pieces]) for name in PLACE_FIELDS}
    index |= {**_annotations(plan.dataset), "fingerprint": np.array(plan.fingerprint)}
    path = folder / index_name(plan.name)
    save_index(path, index)
    return {
        "name": plan.dataset.name,
        "num_videos": len(plan.dataset),
        "num_features": int(index["counts"].sum()),
        "num_segments": len(index["segments"]),
        "seconds_per_feature": plan.dataset.seconds_per_feature,
        "has_features": plan.has_features,
        "has_frames": plan.frames is not None,
        "problems": list(plan.dataset.problems),
        "fingerprint": plan.fingerprint,
        "shards": shards,
        "index": {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)},
    }


def _read_piece(plan: _Plan, folder: Path, number: int) -> dict[str, np.ndarray] | None:
    """Returns where the rows of a file that is done lie, `None` where it is not."""
    file, path = plan.shard(folder, number), plan.piece(folder, number)
    if not (path.exists() and file.exists()):
        return None
    piece = load_arrays(path.read_bytes(), str(path))
    ends = piece["record_offsets"] + piece["record_lengths"] + FOOTER_BYTES
    if file.stat().st_size != max(ends, default=0):
        return None  # Cut off: it is ours, and written again.
    # Pieces of former versions of this project, and what is in memory, have no states.
    if plan.sources is not None and "source_states" in piece:
        states = map(tuple, piece["source_states"].tolist())
        for place, (row, state) in enumerate(zip(plan.rows(number), states, strict=True)):
            source = plan.sources[row]
            if state != file_state(source) and not _is_record(plan, row, file, piece, place):
                raise FileExistsError(
                    f"{file} was written from another file than {source} is now. Write to another "
                    f"folder, or delete {file}."
                )
    return piece


def _is_record(
    plan: _Plan, row: int, file: Path, piece: Mapping[str, np.ndarray], place: int
) -> bool:
    """Tells whether a video would be written as it stands in the file: its source, copied anew."""
    record, _ = _record(plan, row)
    with file.open("rb") as records:
        records.seek(int(piece["record_offsets"][place]))
        return records.read(int(piece["record_lengths"][place])) == record


def _write_shard(
    plan: _Plan, number: int, file: Path, progress: Progress | None
) -> dict[str, np.ndarray]:
    """Writes the file aside, to `file` with ".partial" behind it; returns where its rows lie."""
    import tensorflow as tf

    # Before they are read: what changes meanwhile is found to have changed.
    states = [file_state(plan.sources[row]) for row in plan.rows(number) if plan.sources]
    places: dict[str, list[int]] = {name: [] for name in PLACE_FIELDS}
    start = 0
    with tf.io.TFRecordWriter(str(file.with_name(file.name + ".partial"))) as writer:
        for row in plan.rows(number):
            record, place = _record(plan, row)
            writer.write(record)
            place["files"] = number
            place["record_offsets"] = start + HEADER_BYTES
            place["record_lengths"] = len(record)
            place["offsets"] += start + HEADER_BYTES
            for name in PLACE_FIELDS:
                places[name].append(place[name])
            start += HEADER_BYTES + len(record) + FOOTER_BYTES
            if progress is not None:
                progress(plan.name, row, len(plan.dataset))
    pieces: dict[str, np.ndarray] = {
        name: np.array(values, np.int64) for name, values in places.items()
    }
    pieces["fingerprint"] = np.array(plan.fingerprint)
    if plan.sources is not None:
        pieces["source_states"] = np.array(states, np.int64)
    return pieces


def _record(plan: _Plan, row: int) -> tuple[bytes, dict[str, int]]:
    """Returns a serialized `SequenceExample`, and where in it the features lie.

    The features, nearly all of it, are put in place here: as Python floats in a message they would
    take eight times their size.
    """
    video_id = str(plan.dataset.video_ids[row])
    lists: list[tuple[str, bytes, bytes]] = []
    step_seconds = 0.0
    place = {"offsets": 0, "strides": 0, "counts": 0, "widths": 0}
    rows, row_head = b"", b""
    if plan.has_features:
        features, step_seconds = plan.dataset.read(row)
        if not np.isfinite(features).all():
            raise ValueError(
                f"Features should be finite. Received: NaN or inf for the video {video_id!r} of "
                f"{plan.dataset.name!r}."
            )
        rows, row_head = _float_rows(features)
        place |= {
            "strides": len(row_head) + 4 * features.shape[1],
            "counts": len(features),
            "widths": features.shape[1],
        }
    if plan.frames is not None:
        encoded = b"".join(
            _field(1, _field(1, _field(1, frame))) for frame in plan.frames(plan.name, video_id)
        )
        lists.append((FRAMES, b"", encoded))
    # The features last, so that their place is counted from the end.
    if plan.has_features:
        lists.append((FEATURES, row_head, rows))
    entries = b"".join(
        _field(1, _field(1, key.encode()) + _field(2, content)) for key, _, content in lists
    )
    record = _field(1, _context(plan.dataset, row, step_seconds)) + _field(2, entries)
    if len(record) > _LARGEST_RECORD:
        raise ValueError(
            f"A record should be at most 2 GB. Received: {len(record) / 2**30:.1f} GB for the "
            f"video {video_id!r}. Take fewer features or frames a second, or cut the video."
        )
    place["offsets"] = len(record) - len(rows) + len(row_head)
    return record, place


def _float_rows(features: np.ndarray) -> tuple[bytes, bytes]:
    """Returns a serialized `FeatureList` of rows of floats, and what stands before each row."""
    count, width = features.shape
    floats = _head(1, 4 * width)  # FloatList.value, packed
    feature = _head(2, len(floats) + 4 * width) + floats  # Feature.float_list
    head = _head(1, len(feature) + 4 * width) + feature  # FeatureList.feature
    rows = np.empty((count, len(head) + 4 * width), np.uint8)
    rows[:, : len(head)] = np.frombuffer(head, np.uint8)
    rows[:, len(head) :] = (
        np.ascontiguousarray(features, "<f4").view(np.uint8).reshape(count, 4 * width)
    )
    return rows.tobytes(), head


def _head(number: int, length: int) -> bytes:
    """What stands before a field of a protocol buffer that has a length."""
    head = bytearray([number << 3 | 2])
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head)


def _field(number: int, content: bytes) -> bytes:
    return _head(number, len(content)) + content


def _context(dataset: Dataset, row: int, step_seconds: float) -> bytes:
    """Returns the serialized `Features` of a video."""
    import tensorflow as tf

    def texts(*values: str) -> tf.train.Feature:
        return tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[value.encode() for value in values])
        )

    def integers(values: Iterable[int]) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=list(values)))

    def floats(values: Iterable[float]) -> tf.train.Feature:
        return tf.train.Feature(float_list=tf.train.FloatList(value=list(values)))

    names = dataset.class_names
    labels = np.flatnonzero(dataset.labels[row]).tolist()
    segment_labels = dataset.segment_labels[row].tolist()
    truth = dataset.truth(row)
    features = {
        "video/id": texts(str(dataset.video_ids[row])),
        "video/row": integers([row]),
        "video/duration": floats([float(dataset.durations[row])]),
        "video/labels": integers(labels),
        "video/label_names": texts(*(names[label] for label in labels)),
        "segments/start": floats(truth["segments"][:, 0].tolist()),
        "segments/end": floats(truth["segments"][:, 1].tolist()),
        "segments/label": integers(segment_labels),
        "segments/label_names": texts(*(names[label] for label in segment_labels)),
        "ambiguous/start": floats(truth["ambiguous"][:, 0].tolist()),
        "ambiguous/end": floats(truth["ambiguous"][:, 1].tolist()),
    }
    if step_seconds:
        features["video/seconds_per_feature"] = floats([step_seconds])
    return tf.train.Features(feature=features).SerializeToString(deterministic=True)
