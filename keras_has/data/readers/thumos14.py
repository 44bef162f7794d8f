"""THUMOS14: sports videos of 20 classes, with the times of each action."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from keras_has.data.dataset import Dataset
from keras_has.data.folders import not_found
from keras_has.data.readers.temporal_annotations import (
    AMBIGUOUS,
    Video,
    read_activitynet_json,
    read_thumos_lines,
    temporal_dataset,
    unread_entries,
    videos_of_json,
)

_SUFFIXES = {"validation": "val", "test": "test"}


def thumos14(
    annotations: str | os.PathLike[str],
    split: str = "validation",
    features_dir: str | os.PathLike[str] | None = None,
    feature_key: str | None = None,
    seconds_per_feature: float | None = None,
    exclude: Collection[str] = (),
    missing_features: str = "raise",
    labels_from: str = "segments",
    all_videos: bool = False,
    allow_large_features: bool = False,
) -> Dataset:
    r"""Reads the index of THUMOS14's videos with temporal annotations, and finds their features.

    The annotations are either one JSON file in ActivityNet's layout, or the folder of the official
    text files, `CliffDiving_val.txt` or `CliffDiving_test.txt`, whose lines are `video start end`
    in seconds, and `Ambiguous_val.txt` or `Ambiguous_test.txt`. They come without features:
    put those of a network of your own, such as C3D's fc7, into `features_dir`.

    As in the source, every CliffDiving is also a Diving. 30 segments of 5 videos lie beyond the
    listed duration; they are kept, as in the published tools, and listed in `problems`. The text
    files do not contain durations: a video is then assumed to end with its last segment, which is
    correct for scoring detections; features then need `seconds_per_feature`.

    Args:
        annotations: The JSON file, or the folder of text files.
        split: `"validation"` (default; 200 videos, on which Hide-and-Seek trains and is evaluated)
            or `"test"` (212).
        features_dir: A folder with a .npy, .npz or HDF5 file for each video, named by its id, or
            one HDF5 file with a dataset for each; see `keras_has.data.read_features`. `None`
            (default) for the annotations alone.
        feature_key: Name of the array within a .npz or HDF5 file or group with several arrays.
        seconds_per_feature: Time from one feature to the next, such as 16 / 25 for features of 16
            frames at 25 frames per second. Defaults to `None`: the features of each video span its
            duration.
        exclude: Ids of videos to leave out. Some evaluations leave out `"video_test_0000270"` and
            `"video_test_0001496"`.
        missing_features: `"raise"` (default), or `"skip"` to leave out videos without features.
        labels_from: `"segments"` (default) takes a video's labels from its segments, so that labels
            and truth agree; `"videos"` takes them from the list of the video, which differs in 28
            videos and is empty in one, which is then left out.
        all_videos: Whether to use all 1,010 validation videos of 101 classes, on which
            Hide-and-Seek trains; 810 of them have labels only. It needs a JSON file with
            "video_labels", from which it takes the labels. Defaults to `False`.
        allow_large_features: See `keras_has.data.read_features`.

    Returns:
        A `Dataset`, in the order of the JSON file or of the ids.

    Raises:
        FileNotFoundError: If a file is missing; the message names it.
        ValueError: If a file is invalid; the message names it, with line or video.

    Example:

    >>> from pathlib import Path
    >>> _ = Path("Diving_test.txt").write_text("video_test_0000001  12.3 15.0\n")
    >>> thumos14(".", split="test")["segments"][0]
    array([[12.3, 15. ]], dtype=float32)

    Reference:
        Jiang et al., "THUMOS Challenge: Action Recognition with a Large Number of Classes", 2014.
    """
    if split not in _SUFFIXES:
        raise ValueError(f'`split` should be "validation" or "test". Received: split={split!r}')
    path = Path(annotations)
    known_ids: Collection[str] = ()
    problems: list[str] = []
    if path.is_dir() and all_videos:
        raise ValueError(
            "`all_videos` needs a JSON file with the labels of all videos; the text files have "
            f"none. Received: annotations={annotations!r}"
        )
    if path.is_dir() and features_dir is not None and seconds_per_feature is None:
        raise ValueError(
            "`seconds_per_feature` should be given with the text files, which do not tell how long "
            "a video is. Received: seconds_per_feature=None"
        )
    if path.is_dir():
        videos, class_names = _read_text_files(path, _SUFFIXES[split])
    else:
        content, class_names = read_activitynet_json(path)
        videos = videos_of_json(content, path, split)
        known_ids, problems = content["database"], unread_entries(content, path)
        if all_videos:
            videos, class_names = _with_labels_only(videos, content, path, split)
            labels_from = "videos"
    return temporal_dataset(
        f"thumos14/{split}",
        videos,
        class_names,
        features_dir,
        feature_key,
        seconds_per_feature,
        exclude,
        missing_features,
        labels_from,
        allow_large_features=allow_large_features,
        known_ids=known_ids,
        problems=problems,
    )


def _with_labels_only(
    videos: dict[str, Video], content: dict[str, Any], path: Path, split: str
) -> tuple[dict[str, Video], list[str]]:
    """Returns all videos of a split that have labels, with the segments of those that have any."""
    database = content.get("video_labels")
    if not isinstance(database, dict):
        raise ValueError(f'{path}: `all_videos` needs an object "video_labels". Received: none.')
    labelled = videos_of_json({"database": database}, path, split, labels_key="labels")
    if not labelled:
        raise ValueError(f'{path}: "video_labels" has no videos of the split {split!r}.')
    for video_id, video in labelled.items():
        if video_id in videos:
            video.segments = videos[video_id].segments
    names = {label for video in labelled.values() for label in video.labels or ()}
    names.update(label for video in labelled.values() for label, _, _ in video.segments)
    return labelled, sorted(names - {AMBIGUOUS})


def _read_text_files(folder: Path, suffix: str) -> tuple[dict[str, Video], list[str]]:
    files = sorted(folder.glob(f"*_{suffix}.txt"))
    class_names = [file.name.removesuffix(f"_{suffix}.txt") for file in files]
    if not set(class_names) - {AMBIGUOUS}:
        raise not_found(
            folder / f"Diving_{suffix}.txt",
            "the annotations of the classes, a text file each",
            "Unpack TH14_Temporal_annotations and pass the folder that holds the text files.",
        )
    videos: dict[str, Video] = {}
    for class_name, file in zip(class_names, files, strict=True):
        for video_id, start, end, _ in read_thumos_lines(file):
            video = videos.setdefault(video_id, Video(None, where=f"{folder}: video {video_id!r}"))
            video.segments.append((class_name, start, end))
    class_names = [each for each in class_names if each != AMBIGUOUS]
    return dict(sorted(videos.items())), class_names
