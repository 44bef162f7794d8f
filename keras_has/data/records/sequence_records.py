"""Untrimmed sequences in TFRecord files: features, or the frames of videos."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.records.folder_reader import RecordFolder, has_format
from keras_has.data.records.record_files import RecordFiles, is_remote
from keras_has.data.records.record_layout import (
    DATASET_FILE,
    INTEGER,
    TEXT,
    IndexField,
    decode_texts,
    fingerprint,
    name_damage,
    split_rows,
)
from keras_has.data.records.record_writer import (
    Arrays,
    Progress,
    SplitEncoder,
    check_splits,
    shards_of,
    write_folder,
)
from keras_has.data.sources import FeatureArrays

if TYPE_CHECKING:
    import tensorflow as tf

FORMAT = "keras_has.sequence_records"
VERSION = 1
FEATURES, FRAMES = "features", "image/encoded"
# Where the features of each sequence lie: file, offset of the first row, bytes from row to row,
# number of rows, values per row.
_PLACES = ("files", "record_offsets", "record_lengths", "offsets", "strides", "counts", "widths")
PLACE_FIELDS = dict.fromkeys(_PLACES, INTEGER)
_ANNOTATION_FIELDS = {
    "video_ids": TEXT,
    "durations": IndexField("f"),
    "labels": IndexField("bu", (None,)),
    "segments_counts": INTEGER,
    "segments": IndexField("f", (2,), "segments_counts"),
    "segment_labels": IndexField("iu", (), "segments_counts"),
    "ambiguous_counts": INTEGER,
    "ambiguous": IndexField("f", (2,), "ambiguous_counts"),
}
_BYTES_PER_SHARD = 2**29
_VIDEOS_PER_SHARD = 50  # with frames
_LARGEST_RECORD = 2**31 - 1  # the limit of protocol buffers

Frames = Callable[[str, str], Iterable[bytes]]


def write_sequence_records(
    splits: Mapping[str, Dataset],
    folder: str | os.PathLike[str],
    num_shards: int | None = None,
    frames: Frames | None = None,
    frame_settings: Any = None,
    progress: Progress | None = None,
    frame_files: Mapping[str, str | os.PathLike[str]] | None = None,
) -> None:
    """Writes the splits of a dataset of sequences into TFRecord files.

    ```
    dataset.json                         describes the dataset; written last
    train-00000-of-00004.tfrecord ...
    train.index.npz                      the annotations, and the place of each video's features
    ```

    Records are `tf.train.SequenceExample`s, which any program can read. The context contains
    `video/id`, `video/row` (the position in the split), `video/duration`,
    `video/seconds_per_feature`, `video/labels`, `video/label_names`, `segments/start`,
    `segments/end` (seconds), `segments/label`, `segments/label_names`, `ambiguous/start` and
    `ambiguous/end`. The feature lists are `features`, a row of floats for each time step, and, if
    frames are given, `image/encoded`. Times in the context are float32; the index has them exactly.

    A file is renamed to its name when it is complete. An interrupted call is resumed by the same
    call: finished files are kept if they were made from the same dataset with the same settings.
    Nothing else in the folder is overwritten.

    Args:
        splits: The splits by name, all with the same classes; with features unless `frames` is
            given.
        folder: The folder to write to; it is created.
        num_shards: Number of files of the largest split; others get a proportional number. `None`
            (default) for one file per 512 MB of features.
        frames: Called with split and video id; returns the encoded frames of the video, evenly
            spaced.
        frame_settings: What distinguishes these frames from others, anything that JSON accepts.
        progress: Called with the split, the number of videos done and of all.
        frame_files: The files that the frames come from, by video id, or `None`. The call is not
            resumed if one of them, or a file of features, has changed since it was written.

    Raises:
        FileExistsError: If the folder contains anything else, another dataset or other settings, or
            a file has changed since it was written.
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
    check_splits(splits, num_shards, "video")
    for dataset in splits.values():
        if dataset.source is None and frames is None:
            raise ValueError(
                f"{dataset.name!r} should have features, or `frames` be given. Received: neither."
            )
    counts = shards_of(splits, num_shards or _default_shards(splits, frames is not None))
    encoders = [
        _SequenceEncoder(name, dataset, counts[name], frames, frame_settings, frame_files)
        for name, dataset in splits.items()
    ]
    description = {
        "format": FORMAT,
        "version": VERSION,
        "class_names": list(encoders[0].dataset.class_names),
        "frame_settings": frame_settings,
    }
    write_folder(Path(folder), encoders, description, progress)


def is_sequence_records(data_dir: str | os.PathLike[str]) -> bool:
    """Returns whether a folder contains a finished dataset of `write_sequence_records`.

    Args:
        data_dir: A folder, local or on a file system of `tf.io.gfile`.

    Example:

    >>> is_sequence_records("/no/such/folder")
    False
    """
    return has_format(data_dir, FORMAT)


def sequence_records(data_dir: str | os.PathLike[str], split: str = "train") -> Dataset:
    """Reads the index of a dataset of sequences in TFRecord files.

    The features stay in the files and are mapped into memory: only what is used is read.

    Args:
        data_dir: The folder that `write_sequence_records` wrote, local or on a file system of
            `tf.io.gfile`, such as `"gs://bucket/thumos14"`.
        split: One of those that were written. Defaults to `"train"`.

    Returns:
        A `Dataset`, equal to the one that was written; without features if only frames were
        written, see `sequence_frames`.

    Raises:
        FileNotFoundError: If a file is missing; the message says which, and what to do.
        ValueError: If there is no such split, or a file is damaged; the message names it.
    """
    folder = _folder(data_dir)
    entry, paths = folder.split(split), folder.shard_paths(split)
    index = _index(folder, split)
    source = None
    with name_damage(folder.index_path(split)):
        if not entry["has_features"] and index["counts"].any():
            raise ValueError(f"it lists features, but {DATASET_FILE} has has_features=false")
        if entry["has_features"]:
            maps: dict[int, Any] = {}
            places = zip(*(index[name].tolist() for name in PLACE_FIELDS), strict=True)
            source = FeatureArrays(
                [
                    _map_rows(paths, dict(zip(PLACE_FIELDS, place, strict=True)), maps)
                    for place in places
                ]
            )
        dataset = Dataset(
            name=entry["name"],
            ids=decode_texts(index["video_ids"]),
            columns={
                "duration": index["durations"],
                "labels": index["labels"],
                "segments": split_rows(index["segments"], index["segments_counts"]),
                "segment_labels": split_rows(index["segment_labels"], index["segments_counts"]),
                "ambiguous": split_rows(index["ambiguous"], index["ambiguous_counts"]),
            },
            source=source,
            class_names=tuple(folder.description["class_names"]),
            seconds_per_feature=entry["seconds_per_feature"],
            problems=tuple(entry["problems"]),
        )
    folder.check_first_records(split, index, "video_ids", _identity)
    return dataset


def _identity(record: bytes) -> tuple[str, dict[int, str]]:
    """Returns the id of a video from its record, and the names of its labels."""
    import tensorflow as tf

    context = tf.train.SequenceExample.FromString(record).context.feature
    names = [name.decode() for name in context["video/label_names"].bytes_list.value]
    labels = context["video/labels"].int64_list.value
    (video_id,) = context["video/id"].bytes_list.value
    return video_id.decode(), dict(zip(labels, names, strict=True))


def sequence_frames(data_dir: str | os.PathLike[str], split: str = "train") -> tf.data.Dataset:
    """Returns the encoded frames of a dataset of videos in TFRecord files.

    Args:
        data_dir: The folder that `write_sequence_records` wrote with `frames`.
        split: One of those that were written. Defaults to `"train"`.

    Returns:
        A dataset of `{"video_id": string, "frames": (T,) strings of JPEG files, "row": int64, the
        position of the video in `sequence_records(data_dir, split)`}`, in that order. Decode them
        with `tf.io.decode_jpeg`.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If there is no such split, or it has no frames.
        tf.errors.OpError: While iterating, if a record is damaged.
    """
    import tensorflow as tf

    folder = _folder(data_dir)
    _require_frames(folder, split)

    def parse(record: tf.Tensor) -> dict[str, tf.Tensor]:
        context, lists = tf.io.parse_single_sequence_example(
            record,
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

    return tf.data.TFRecordDataset(folder.shard_paths(split)).map(parse)


@dataclasses.dataclass(frozen=True)
class RecordPlace:
    """Where one record lies.

    Args:
        path: The file.
        offset: Where the content of the record begins, in bytes.
        length: Its length in bytes.
    """

    path: str
    offset: int
    length: int


def video_places(data_dir: str | os.PathLike[str]) -> tuple[dict[str, RecordPlace], Any]:
    """Returns where the videos of all splits lie, by their ids, and the settings of their frames.

    Args:
        data_dir: A folder that `write_sequence_records` wrote with `frames`.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a split has no frames, or a file is damaged.
    """
    folder = _folder(data_dir)
    places: dict[str, RecordPlace] = {}
    for split in folder.description["splits"]:
        _require_frames(folder, split)
        paths, index = folder.shard_paths(split), _index(folder, split)
        columns = [index[name] for name in ("files", "record_offsets", "record_lengths")]
        sizes = np.array([shard["bytes"] for shard in folder.split(split)["shards"]])
        with name_damage(folder.index_path(split)):
            RecordFiles(tuple(paths), sizes, *columns)  # Checks the places.
            for video_id, file, offset, length in zip(
                decode_texts(index["video_ids"]).tolist(),
                *(column.tolist() for column in columns),
                strict=True,
            ):
                places[video_id] = RecordPlace(paths[file], offset, length)
    return places, folder.description.get("frame_settings")


def read_frames(place: RecordPlace) -> list[bytes]:
    """Returns the encoded frames of one video.

    Raises:
        ValueError: If the record is damaged.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    with tf.io.gfile.GFile(place.path, "rb") as file:
        file.seek(place.offset)
        record = file.read(place.length)
    try:
        example = tf.train.SequenceExample.FromString(record)
        frames = example.feature_lists.feature_list[FRAMES].feature
        return [frame.bytes_list.value[0] for frame in frames]
    except (DecodeError, IndexError) as error:
        raise ValueError(
            f"{place.path} should contain a record of frames from byte {place.offset} on. Copy it "
            "again."
        ) from error


def _require_frames(folder: RecordFolder, split: str) -> None:
    if not folder.split(split)["has_frames"]:
        raise ValueError(
            f"{folder.path} should contain frames of {split!r}. Received: features only."
        )


def _index(folder: RecordFolder, split: str) -> Arrays:
    index = folder.read_index(split, {**PLACE_FIELDS, **_ANNOTATION_FIELDS})
    if index is None:
        raise FileNotFoundError(
            f"There is no index at {folder.index_path(split)}. Copy the folder again, or write it "
            "again with `python -m trainers.prepare`."
        )
    return index


def _folder(data_dir: str | os.PathLike[str]) -> RecordFolder:
    return RecordFolder(
        data_dir,
        FORMAT,
        VERSION,
        {},
        {
            "has_features": bool,
            "has_frames": bool,
            "problems": list[str],
            "seconds_per_feature": float | int | None,
        },
    )


def _map_rows(paths: list[str], place: Mapping[str, int], maps: dict[int, Any]) -> np.ndarray:
    """Returns the features of one sequence, (T, D), as a view of the file."""
    shape = (place["counts"], place["widths"])
    if not shape[0]:
        return np.zeros(shape, np.float32)
    is_sound = min(place.values()) >= 0 and place["files"] < len(paths)
    if not is_sound or (shape[0] > 1 and place["strides"] < 4 * shape[1]):
        raise ValueError(f"features should lie in a file, one row after the other, not at {place}")
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
        raise ValueError(f"{path} should contain {size} bytes from byte {place['offsets']} on.")
    # Between two rows lies the header of the second one, which always has the same length.
    return np.ndarray(shape, "<f4", buffer, offset, (place["strides"], 4))


def _default_shards(splits: Mapping[str, Dataset], has_frames: bool) -> int:
    sizes = [0]
    for dataset in splits.values():
        if dataset.source is not None:
            lengths = dataset.lengths()
            width = dataset.feature_source.width(int(lengths.argmax()))
            sizes.append(4 * int(lengths.sum()) * width)
    count = 1 + max(sizes) // _BYTES_PER_SHARD
    if has_frames:
        count = max(count, 1 + max(map(len, splits.values())) // _VIDEOS_PER_SHARD)
    return count


class _SequenceEncoder(SplitEncoder):
    noun = "video"
    index_fields = PLACE_FIELDS
    needs_index = True

    def __init__(
        self,
        name: str,
        dataset: Dataset,
        num_shards: int,
        frames: Frames | None,
        frame_settings: Any,
        frame_files: Mapping[str, str | os.PathLike[str]] | None,
    ) -> None:
        settings = [FORMAT, VERSION, name, num_shards, frames is not None, frame_settings]
        sources: Sequence[str] = () if dataset.source is None else dataset.source.files()
        if frame_files is not None:
            sources = [os.fspath(frame_files[video_id]) for video_id in dataset.ids.tolist()]
        super().__init__(name, dataset, num_shards, _fingerprint(dataset, settings), sources)
        self.frames = frames

    def write_shard(
        self, shard: int, write: Callable[[bytes], int], progress: Callable[[int], None]
    ) -> Arrays:
        """Writes the sequences of a file."""
        places: dict[str, list[int]] = {name: [] for name in PLACE_FIELDS}
        for done, row in enumerate(self.rows(shard).tolist()):
            record, place = self._encode(row)
            offset = write(record)
            place |= {
                "files": shard,
                "record_offsets": offset,
                "record_lengths": len(record),
                "offsets": place["offsets"] + offset,
            }
            for name in PLACE_FIELDS:
                places[name].append(place[name])
            progress(done)
        return {name: np.array(values, np.int64) for name, values in places.items()}

    def record(self, row: int) -> bytes:
        """Returns the record of a sequence as it would be written now."""
        return self._encode(row)[0]

    def _encode(self, row: int) -> tuple[bytes, dict[str, int]]:
        """Returns the record of a sequence, and where in it the features lie."""
        import tensorflow as tf

        video_id = str(self.dataset.ids[row])
        lists: dict[str, tf.train.FeatureList] = {}
        step_seconds, rows = 0.0, b""
        place = {"offsets": 0, "strides": 0, "counts": 0, "widths": 0}
        if self.dataset.source is not None:
            features, step_seconds = self.dataset.read(row)
            if not np.isfinite(features).all():
                raise ValueError(
                    f"Features should be finite. Received: NaN or inf for the video {video_id!r} "
                    f"of {self.dataset.name!r}."
                )
            lists[FEATURES] = _float_rows(features)
            rows = lists[FEATURES].SerializeToString()
            place["counts"], place["widths"] = features.shape
            place["strides"] = len(rows) // max(1, len(features))
        if self.frames is not None:
            lists[FRAMES] = tf.train.FeatureList(
                feature=[
                    tf.train.Feature(bytes_list=tf.train.BytesList(value=[frame]))
                    for frame in self.frames(self.name, video_id)
                ]
            )
        example = tf.train.SequenceExample(
            context=_context(self.dataset, row, step_seconds),
            feature_lists=tf.train.FeatureLists(feature_list=lists),
        )
        if example.ByteSize() > _LARGEST_RECORD:
            raise ValueError(
                f"A record should be at most 2 GB. Received: {example.ByteSize() / 2**30:.1f} GB "
                f"for the video {video_id!r}. Use fewer features or frames per second, or cut the "
                "video."
            )
        record: bytes = example.SerializeToString(deterministic=True)
        # Wherever these bytes occur first in the record, they are the features.
        place["offsets"] = record.index(rows) + place["strides"] - 4 * place["widths"]
        return record, place

    def index(self, arrays: Arrays) -> Arrays:
        """Returns the places of the features, and the annotations."""
        return {**arrays, **_annotations(self.dataset)}

    def summary(self, index: Arrays) -> dict[str, Any]:
        """Returns numbers, and what the records contain."""
        return {
            "num_videos": len(self.dataset),
            "num_features": int(index["counts"].sum()),
            "num_segments": len(index["segments"]),
            "seconds_per_feature": self.dataset.seconds_per_feature,
            "has_features": self.dataset.source is not None,
            "has_frames": self.frames is not None,
            "problems": list(self.dataset.problems),
        }


def _fingerprint(dataset: Dataset, settings: list[Any]) -> str:
    """Returns a digest of everything except the values of the features."""
    description = [settings, dataset.name, dataset.class_names, dataset.seconds_per_feature]
    lengths = b"" if dataset.source is None else dataset.lengths().astype("<i8").tobytes()
    annotations = [array.tobytes() for _, array in sorted(_annotations(dataset).items())]
    ids = "\n".join(dataset.ids.tolist()).encode()
    return fingerprint([json.dumps(description).encode(), ids, *annotations, lengths])


def _annotations(dataset: Dataset) -> Arrays:
    """Returns what is known about the sequences as flat arrays."""
    segments, counts = dataset.columns["segments"].flat()
    ambiguous, ambiguous_counts = dataset.columns["ambiguous"].flat()
    return {
        "video_ids": np.array([video_id.encode() for video_id in dataset.ids.tolist()], np.bytes_),
        "durations": dataset["duration"],
        "labels": dataset["labels"].astype(np.uint8),
        "segments": segments,
        "segments_counts": counts,
        "segment_labels": dataset.columns["segment_labels"].flat()[0],
        "ambiguous": ambiguous,
        "ambiguous_counts": ambiguous_counts,
    }


def _float_rows(features: np.ndarray) -> tf.train.FeatureList:
    """Returns features as a list of rows of floats."""
    import tensorflow as tf

    return tf.train.FeatureList(
        feature=[
            tf.train.Feature(float_list=tf.train.FloatList(value=row)) for row in features.tolist()
        ]
    )


def _context(dataset: Dataset, row: int, step_seconds: float) -> tf.train.Features:
    """Returns what is known about a sequence."""
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
    labels = np.flatnonzero(dataset["labels"][row]).tolist()
    truth = dataset.truth(row)
    segment_labels = truth["segment_labels"].tolist()
    features = {
        "video/id": texts(str(dataset.ids[row])),
        "video/row": integers([row]),
        "video/duration": floats([float(dataset["duration"][row])]),
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
    return tf.train.Features(feature=features)
