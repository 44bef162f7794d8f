"""Annotations of untrimmed videos: ActivityNet's JSON and THUMOS14's text files."""

import dataclasses
import difflib
import math
import os
import reprlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.feature_files import find_features
from keras_has.data.folders import require_file
from keras_has.data.readers.annotation_files import numbered_lines
from keras_has.data.sources import FeatureFiles
from keras_has.json_files import read_json

AMBIGUOUS = "Ambiguous"
# Entries that are read, and those of published files that are known to be of no use here.
_FILE_ENTRIES = ("database", "taxonomy", "video_labels", "version")
_VIDEO_ENTRIES = (
    *("subset", "duration", "annotations", "video_labels"),
    *("fps", "num_frames", "url", "resolution", "subject"),
)
_LARGEST_TIME = 1e38


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


def read_activitynet_json(
    path: Path, with_video_labels: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """Reads a JSON file in ActivityNet's layout and checks its outer structure.

    Args:
        path: The file: an object with "database", video id to an object with "subset", "duration"
            and "annotations".
        with_video_labels: Whether the "video_labels" of a file without a flat taxonomy name
            classes too. Defaults to `False`.

    Returns:
        The parsed object, and the class names: exactly those of "taxonomy" if it is a flat list,
        otherwise the sorted labels of the annotations without `"Ambiguous"`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is invalid; the message names it and the line of a syntax error.
    """
    require_file(path, "annotations in ActivityNet's JSON layout", "Check the path.")
    content = read_json(path, object)
    database = content.get("database") if isinstance(content, dict) else None
    if not isinstance(database, dict):
        raise ValueError(f'{path}: the file should hold an object with the entry "database".')
    listed = _flat_taxonomy(content.get("taxonomy"), path)
    names: set[str] = set()
    for video_id, entry in database.items():
        where = f"{path}: video {video_id!r}"
        names.update(label for label, _, _ in _segments(entry, where))
        if with_video_labels:
            names.update(_video_labels(entry, "video_labels", where) or ())
    return content, listed or sorted(names - {AMBIGUOUS})


def unread_entries(
    content: Mapping[str, Any], path: Path, known: Collection[str] = _FILE_ENTRIES
) -> list[str]:
    """Returns a sentence for each unknown entry of the file or its videos, with their number.

    Args:
        content: What `read_activitynet_json` gave.
        path: The file.
        known: The entries of the file that the reader knows.
    """
    problems = [
        f"{path}: the entry {key!r} is not read.{_closest(key, known)}"
        for key in content
        if key not in known
    ]
    videos: dict[str, list[str]] = {}
    for video_id, entry in content["database"].items():
        for key in entry if isinstance(entry, dict) else ():
            if key not in _VIDEO_ENTRIES:
                videos.setdefault(key, []).append(video_id)
    return problems + [
        f"{path}: the entry {key!r} of {len(ids)} videos, such as {ids[0]!r}, is not read."
        f"{_closest(key, _VIDEO_ENTRIES)}"
        for key, ids in videos.items()
    ]


def _is_unicode(text: str) -> bool:
    """Returns whether a name can be kept: JSON can escape half of a character, and zeros."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _flat_taxonomy(taxonomy: Any, path: Path) -> list[str]:
    """Returns the class names that a file lists, or none if it does not list them.

    ActivityNet's own taxonomy is a tree of classes, not a list; there the annotations give them.
    """
    if taxonomy is None:
        return []
    if not isinstance(taxonomy, list):
        raise ValueError(f'{path}: "taxonomy" should be a list. Received: {_short(taxonomy)}')
    if any(isinstance(node, dict) and "parentId" in node for node in taxonomy):
        return []
    names: list[str] = []
    for node in taxonomy:
        name = node.get("nodeName") if isinstance(node, dict) else None
        if not isinstance(name, str) or not name:
            raise ValueError(
                f'{path}: an entry of "taxonomy" should be an object with a name, '
                f'{{"nodeName": "jump"}}. Received: {_short(node)}'
            )
        if name in names:
            raise ValueError(
                f'{path}: "taxonomy" should list a class once. Received twice: {name!r}'
            )
        names.append(name)
    return names


def _video_labels(entry: Any, labels_key: str, where: str) -> list[str] | None:
    labels = entry.get(labels_key) if isinstance(entry, dict) else None
    if labels is not None and not (
        isinstance(labels, list) and all(isinstance(label, str) and label for label in labels)
    ):
        raise ValueError(f"{where}: {labels_key!r} should list names. Received: {_short(labels)}")
    return labels


def _short(value: Any) -> str:
    """Returns a value for a message, which a whole file of annotations would drown."""
    return reprlib.repr(value)


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
            raise ValueError(
                f'{where} should be an object with a "subset". Received: {_short(entry)}'
            )
        if entry["subset"] != subset:
            continue
        duration: Any = entry.get("duration")
        if not _is_number(duration) or duration <= 0:
            raise ValueError(
                f'{where}: "duration" should be a positive number of seconds. Received: '
                f"{_short(duration)}"
            )
        labels = _video_labels(entry, labels_key, where)
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
        if not isinstance(label, str) or not label or not isinstance(ends, list) or len(ends) != 2:
            raise ValueError(
                f'{where}: an annotation should have a "label" and a "segment" of start and end. '
                f"Received: {_short(annotation)}"
            )
        if not all(_is_number(end) for end in ends):
            raise ValueError(
                f"{where}: a segment should be numbers of seconds. Received: {_short(ends)}"
            )
        segments.append((label, float(ends[0]), float(ends[1])))
    return segments


def _is_number(value: Any) -> bool:
    """Returns whether a value is a time: no time of a video exceeds what float32 holds."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and abs(value) < _LARGEST_TIME


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
        if not (_is_number(start) and _is_number(end)):
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
    keep_unlabeled: bool = False,
    allow_large_features: bool = False,
    known_ids: Collection[str] = (),
    problems: Sequence[str] = (),
) -> Dataset:
    """Puts a `Dataset` together, with the problems of the annotations named and counted.

    Segments that do not end after their start are left out. Segments beyond the video, and those
    that are listed twice, are kept: the published tools keep them, and it may be the duration that
    is wrong. Labels that are none of
    the classes are left out, and so are, unless `keep_unlabeled`, videos of none of the classes.

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
        keep_unlabeled: Whether videos of none of the classes are kept: every detection in them is
            false. Defaults to `False`, as in the published benchmarks.
        allow_large_features: See `read_features`.
        known_ids: Ids of videos of other splits, see `find_features`.
        problems: What is known to be odd already.

    Returns:
        A `Dataset`; what is odd is in its `problems`.

    Raises:
        FileNotFoundError: If features are missing and are not to be skipped, or all are.
        ValueError: If an argument is none of those above, or there are no classes.
    """
    for argument, value, allowed in (
        ("missing_features", missing_features, ("raise", "skip")),
        ("labels_from", labels_from, ("segments", "videos")),
    ):
        if value not in allowed:
            raise ValueError(f"`{argument}` should be one of {allowed}. Received: {value!r}")
    first = next((video.where for video in videos.values()), name)
    if not class_names:
        raise ValueError(
            f'{first}: {name} has no classes: the annotations should have a "taxonomy", or labels. '
            f"Received: {len(videos)} videos without any label."
        )
    for text in (*videos, *class_names):
        if not _is_unicode(text):
            where = videos[text].where if text in videos else first
            raise ValueError(f"{where}: a name should be plain Unicode text. Received: {text!a}")
    index = {class_name: label for label, class_name in enumerate(class_names)}
    problems = list(problems)
    rows = []
    odd: dict[str, list[tuple[str, int]]] = {}
    for video_id in videos:
        if video_id in exclude:
            continue
        for oddity, count in _odd_segments(videos[video_id]).items():
            odd.setdefault(oddity, []).append((videos[video_id].where or video_id, count))
        row = _row(video_id, videos[video_id], index, labels_from, problems)
        if keep_unlabeled or row["labels"].any():
            rows.append(row)
        else:
            where = videos[video_id].where or f"video {video_id!r}"
            problems.append(f"{where}: shows none of the classes; left out.")
    problems += [
        f"{found[0][0]}: segments {oddity}; kept. {sum(count for _, count in found)} such segments "
        f"in {len(found)} videos."
        for oddity, found in odd.items()
    ]
    paths: list[str | None] = [None] * len(rows)
    keys = [""] * len(rows)
    if features_dir is not None:
        ids = [row["video_id"] for row in rows]
        paths, keys = find_features(features_dir, ids, feature_key, {*videos, *known_ids})
        without = [row for row, path in zip(rows, paths, strict=True) if path is None]
        missing = [row["video_id"] for row in without]
        is_needed = any(row["labels"].any() for row in without)
        if missing and ((missing_features == "raise" and is_needed) or len(missing) == len(rows)):
            raise FileNotFoundError(
                f"{os.fspath(features_dir)} should hold features of the {len(rows)} videos of "
                f"{name}. Received: none for {len(missing)} of them, such as {missing[:3]}. Add "
                'them, or leave these videos out with missing_features="skip" (in a command, '
                "--missing_features=skip)."
            )
        problems += [
            f"{features_dir}: no features of {video_id}; left out." for video_id in missing
        ]
    is_there = [features_dir is None or path is not None for path in paths]
    rows = [row for row, there in zip(rows, is_there, strict=True) if there]
    source = None
    if features_dir is not None:
        kept = [key for key, there in zip(keys, is_there, strict=True) if there]
        source = FeatureFiles([path for path in paths if path], kept, allow_large_features)
    return Dataset(
        name=name,
        ids=np.array([row["video_id"] for row in rows], np.str_),
        columns={
            "labels": np.array([row["labels"] for row in rows], bool).reshape(-1, len(index)),
            "duration": np.array([row["duration"] for row in rows], np.float64),
            "segments": tuple(row["segments"] for row in rows),
            "segment_labels": tuple(row["segment_labels"] for row in rows),
            "ambiguous": tuple(row["ambiguous"] for row in rows),
        },
        source=source,
        class_names=tuple(class_names),
        seconds_per_feature=seconds_per_feature,
        problems=tuple(problems),
    )


def _odd_segments(video: Video) -> dict[str, int]:
    """Returns how many segments of a video are odd in each of several ways, without zeros."""
    times = [(start, end) for _, start, end in video.segments if start < end]
    odd = {
        "start before 0": sum(start < 0 for start, _ in times),
        "are listed twice": len(video.segments) - len(set(video.segments)),
    }
    if video.duration is not None:
        odd["end after their video"] = sum(start < video.duration < end for start, end in times)
    return {oddity: count for oddity, count in odd.items() if count}


def _row(
    video_id: str, video: Video, index: Mapping[str, int], labels_from: str, problems: list[str]
) -> dict[str, Any]:
    """Returns the fields of one video."""
    where = video.where or f"video {video_id!r}"
    known, empty, late = [], 0, 0
    unknown: Counter[str] = Counter()
    for label, start, end in video.segments:
        if label != AMBIGUOUS and label not in index:
            unknown[label] += 1
            continue
        # In float32, as they are kept.
        if not np.float32(start) < np.float32(end):
            empty += 1
            continue
        late += video.duration is not None and start >= video.duration
        known.append((label, start, end))
    problems += [
        f"{where}: {count} segments of {label!r}, which is not in the taxonomy; left out."
        f"{_closest(label, index)}"
        for label, count in unknown.items()
    ]
    if empty:
        problems.append(f"{where}: {empty} segments do not end after their start; left out.")
    if late:
        problems.append(f"{where}: {late} segments lie beyond its {video.duration} s; kept.")
    actions = [segment for segment in known if segment[0] != AMBIGUOUS]
    of_segments = {label for label, _, _ in actions}
    labels = of_segments
    if video.labels is not None:
        problems += [
            f"{where}: the label {label!r} is not in the taxonomy; left out."
            f"{_closest(label, index)}"
            for label in dict.fromkeys(video.labels)
            if label not in index
        ]
        of_video = {label for label in video.labels if label in index}
        if actions and of_video != of_segments:
            problems.append(
                f"{where}: the video's labels are {sorted(of_video)}, those of its segments "
                f"{sorted(of_segments)}; taken: those of the {labels_from}."
            )
        if labels_from == "videos" or not actions:
            labels = of_video
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


def _closest(label: str, names: Collection[str]) -> str:
    """Returns a question about the class that was perhaps meant, or nothing."""
    matches = difflib.get_close_matches(label, names, 1)
    return f" Is it {matches[0]!r}?" if matches else ""
