"""Annotations of untrimmed videos: ActivityNet's JSON and THUMOS14's text files."""

import dataclasses
import json
import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.feature_files import find_features
from keras_has.data.folders import require_file
from keras_has.data.readers.annotation_files import numbered_lines
from keras_has.data.sources import FeatureFiles

AMBIGUOUS = "Ambiguous"


@dataclasses.dataclass
class Video:
    """The annotations of one video.

    Args:
        duration: Seconds, or `None` if unknown.
        labels: Names of the classes that the video shows; `None` if they follow from the segments.
        segments: Triples of class name, start and end in seconds.
        where: File, for messages.
    """

    duration: float | None
    labels: list[str] | None = None
    segments: list[tuple[str, float, float]] = dataclasses.field(default_factory=list)
    where: str = ""


def read_activitynet_json(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Reads a JSON file in ActivityNet's layout and checks its outer structure.

    Args:
        path: The file: an object with "database", video id to an object with "subset", "duration"
            and "annotations".

    Returns:
        The parsed object, and the class names: those of "taxonomy" if it is a flat list, otherwise
        the sorted labels of the annotations without `"Ambiguous"`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is invalid; the message names it and the line of a syntax error.
    """
    require_file(path, "annotations in ActivityNet's JSON layout", "Check `annotations`.")
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: the file should be JSON: {error.msg}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: the file should be JSON in UTF-8: {error}") from error
    database = content.get("database") if isinstance(content, dict) else None
    if not isinstance(database, dict):
        raise ValueError(f'{path}: the file should hold an object with the entry "database".')
    names: set[str] = set()
    for video_id, entry in database.items():
        names.update(label for label, _, _ in _segments(entry, f"{path}: video {video_id!r}"))
    names.discard(AMBIGUOUS)
    taxonomy = content.get("taxonomy")
    # ActivityNet's own taxonomy is a tree of classes; there the annotations give the classes.
    if isinstance(taxonomy, list) and not any("parentId" in str(node) for node in taxonomy):
        listed = [str(node["nodeName"]) for node in taxonomy if "nodeName" in node]
        if names <= set(listed):
            return content, listed
    return content, sorted(names)


def videos_of_json(
    content: Mapping[str, Any], path: Path, subset: str, labels_key: str = "video_labels"
) -> dict[str, Video]:
    """Returns the videos of one subset of what `read_activitynet_json` gave, in its order.

    Raises:
        ValueError: If an entry is not as it should be; the message names file and video.
    """
    videos = {}
    for video_id, entry in content["database"].items():
        where = f"{path}: video {video_id!r}"
        if not isinstance(entry, dict) or not isinstance(entry.get("subset"), str):
            raise ValueError(f'{where} should be an object with a "subset". Received: {entry!r}')
        if entry["subset"] != subset:
            continue
        duration = entry.get("duration")
        if not isinstance(duration, (int, float)) or not _is_number(duration) or duration <= 0:
            raise ValueError(
                f'{where}: "duration" should be a positive number of seconds. Received: {duration}'
            )
        labels = entry.get(labels_key)
        if labels is not None and not (
            isinstance(labels, list) and all(isinstance(label, str) for label in labels)
        ):
            raise ValueError(f"{where}: {labels_key!r} should list names. Received: {labels!r}")
        videos[video_id] = Video(float(duration), labels, _segments(entry, where), where)
    return videos


def _segments(entry: Any, where: str) -> list[tuple[str, float, float]]:
    annotations = entry.get("annotations", []) if isinstance(entry, dict) else None
    if not isinstance(annotations, list):
        raise ValueError(f'{where} should be an object whose "annotations" are a list.')
    segments = []
    for annotation in annotations:
        is_annotation = isinstance(annotation, dict)
        label = annotation.get("label") if is_annotation else None
        ends = annotation.get("segment") if is_annotation else None
        if not isinstance(label, str) or not isinstance(ends, list) or len(ends) != 2:
            raise ValueError(
                f'{where}: an annotation should have a "label" and a "segment" of start and end. '
                f"Received: {annotation!r}"
            )
        if not all(_is_number(end) for end in ends):
            raise ValueError(f"{where}: a segment should be numbers of seconds. Received: {ends}")
        segments.append((label, float(ends[0]), float(ends[1])))
    return segments


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def read_thumos_lines(path: Path) -> list[tuple[str, float, float, str]]:
    """Reads one of THUMOS14's text files, whose lines are `video start end`.

    Args:
        path: Such as `CliffDiving_val.txt` or `Ambiguous_test.txt`.

    Returns:
        Video id, start and end in seconds, and file and line, for each line.

    Raises:
        ValueError: If a line is not of that form; the message names file and line.
    """
    rows = []
    for number, line in numbered_lines(path):
        where = f"{path}:{number}"
        fields = line.split()
        try:
            start, end = map(float, fields[1:])
        except ValueError:
            start = end = math.nan
        if not math.isfinite(start - end):
            raise ValueError(
                f"{where}: a line should be the video, start and end in seconds. Received: {line!r}"
            )
        rows.append((fields[0], start, end, where))
    return rows


def temporal_dataset(
    name: str,
    videos: Mapping[str, Video],
    class_names: Sequence[str],
    features_dir: str | os.PathLike[str] | None = None,
    feature_key: str | None = None,
    seconds_per_feature: float | None = None,
    exclude: Collection[str] = (),
    missing_features: str = "raise",
    labels_from: str = "segments",
) -> Dataset:
    """Puts a `Dataset` together, with the problems of the annotations named and counted.

    Segments that do not end after their start are left out. Segments beyond the duration are kept:
    the published tools keep them, and it may be the duration that is wrong. Videos of none of
    the classes are left out.

    Args:
        name: Of the split.
        videos: Video id to what is known of it.
        class_names: The classes.
        features_dir: See `find_features`; None for the annotations alone.
        feature_key: Name of the array within a file, or None.
        seconds_per_feature: Time from one feature to the next, or None: they span the duration.
        exclude: Ids of videos to leave out.
        missing_features: What to do about videos without features, "raise" or "skip".
        labels_from: Where a video's labels come from: "segments", or "videos", its own list.

    Returns:
        A `Dataset`; what is odd is in its `problems`.

    Raises:
        FileNotFoundError: If features are missing and are not to be skipped, or all are.
        ValueError: If an argument is none of those above, or a label is no class.
    """
    for argument, value, allowed in (
        ("missing_features", missing_features, ("raise", "skip")),
        ("labels_from", labels_from, ("segments", "videos")),
    ):
        if value not in allowed:
            raise ValueError(f"`{argument}` should be one of {allowed}. Received: {value!r}")
    index = {class_name: label for label, class_name in enumerate(class_names)}
    problems: list[str] = []
    rows = []
    for video_id in videos:
        if video_id in exclude:
            continue
        row = _row(video_id, videos[video_id], index, labels_from, problems)
        if row is not None:
            rows.append(row)
    paths: list[str | None] = [None] * len(rows)
    keys = [""] * len(rows)
    if features_dir is not None:
        paths, keys = find_features(features_dir, [row["video_id"] for row in rows], feature_key)
        missing = [row["video_id"] for row, path in zip(rows, paths, strict=True) if path is None]
        if missing and (missing_features == "raise" or len(missing) == len(rows)):
            raise FileNotFoundError(
                f"{os.fspath(features_dir)} should hold features of the {len(rows)} videos of "
                f"{name}. Received: none for {len(missing)} of them, such as {missing[:3]}. Add "
                'them, or pass missing_features="skip" to leave these videos out.'
            )
        problems += [f"{features_dir}: no features of {each}; left out." for each in missing]
    is_there = [features_dir is None or path is not None for path in paths]
    rows = [row for row, there in zip(rows, is_there, strict=True) if there]
    source = None
    if features_dir is not None:
        kept = [key for key, there in zip(keys, is_there, strict=True) if there]
        source = FeatureFiles([path for path in paths if path], kept)
    return Dataset(
        name=name,
        ids=np.array([row["video_id"] for row in rows], np.str_),
        columns={
            "labels": np.array([row["labels"] for row in rows]),
            "duration": np.array([row["duration"] for row in rows]),
            "segments": tuple(row["segments"] for row in rows),
            "segment_labels": tuple(row["segment_labels"] for row in rows),
            "ambiguous": tuple(row["ambiguous"] for row in rows),
        },
        source=source,
        class_names=tuple(class_names),
        seconds_per_feature=seconds_per_feature,
        problems=tuple(problems),
    )


def _row(
    video_id: str, video: Video, index: Mapping[str, int], labels_from: str, problems: list[str]
) -> dict[str, Any] | None:
    """Returns the fields of one video, or None where it shows none of the classes."""
    where = video.where or f"video {video_id!r}"
    known, empty, late = [], 0, 0
    for label, start, end in video.segments:
        if label != AMBIGUOUS and label not in index:
            raise ValueError(
                f"{where}: a label should be one of the {len(index)} classes. Received: {label!r}"
            )
        # In float32, as they are kept.
        if not np.float32(start) < np.float32(end):
            empty += 1
            continue
        late += video.duration is not None and start >= video.duration
        known.append((label, start, end))
    if empty:
        problems.append(f"{where}: {empty} segments do not end after their start; left out.")
    if late:
        problems.append(f"{where}: {late} segments lie beyond its {video.duration} s; kept.")
    actions = [each for each in known if each[0] != AMBIGUOUS]
    of_segments = {label for label, _, _ in actions}
    labels = of_segments
    if video.labels is not None:
        of_video = {label for label in video.labels if label in index}
        if actions and of_video != of_segments:
            problems.append(
                f"{where}: the video's labels are {sorted(of_video)}, those of its segments "
                f"{sorted(of_segments)}; taken: those of the {labels_from}."
            )
        if labels_from == "videos" or not actions:
            labels = of_video
    if not labels:
        return None
    latest = max((end for _, _, end in known), default=0.0)
    multi_hot = np.zeros(len(index), bool)
    multi_hot[[index[label] for label in labels]] = True
    return {
        "video_id": video_id,
        # Unknown durations are known to reach the last segment; with a rate none is needed.
        "duration": video.duration if video.duration is not None else max(latest, 1e-3),
        "labels": multi_hot,
        "segments": [(start, end) for _, start, end in actions],
        "segment_labels": [index[label] for label, _, _ in actions],
        "ambiguous": [(start, end) for label, start, end in known if label == AMBIGUOUS],
    }
