"""Your own videos or signals: one folder of feature files and one JSON file."""

import dataclasses
import difflib
import os
from pathlib import Path

from keras_has.data.dataset import Dataset
from keras_has.data.feature_files import unannotated_features
from keras_has.data.folders import require_folder
from keras_has.data.problems import Problems
from keras_has.data.readers.temporal_annotations import (
    read_activitynet_json,
    temporal_dataset,
    unread_entries,
    videos_of_json,
)


def feature_folder(
    data_dir: str | os.PathLike[str],
    split: str = "train",
    feature_key: str | None = None,
    seconds_per_feature: float | None = None,
    missing_features: str = "raise",
    allow_large_features: bool = False,
) -> Dataset:
    """Reads your own videos from one folder: `annotations.json` and `features/ID.npy`.

    The JSON file is like ActivityNet's, with "taxonomy", a list of "nodeName", and for each id
    "subset", "duration" in seconds, and "annotations" or "video_labels" or both. A taxonomy is
    binding: labels that it does not list are left out. Without one, all labels are classes.
    Entries of other names are listed in `problems`.

    Videos of none of the classes are kept, because any detection in them is false. The training
    commands evaluate on them, but do not train on them.

    Args:
        data_dir: The folder that contains `annotations.json`.
        split: A "subset" of the file, such as `"train"` (default) or `"test"`.
        feature_key: Name of the array within a .npz or HDF5 file with several arrays.
        seconds_per_feature: Time from one feature to the next. Defaults to `None`: the features of
            each video span its duration.
        missing_features: `"raise"` (default), or `"skip"` to leave out videos without features.
        allow_large_features: See `keras_has.data.read_features`.

    Returns:
        A `Dataset`. The features are not standardized. Its `problems` list what was left out, and
        feature files of videos that the JSON file does not mention.

    Raises:
        FileNotFoundError: If a part is missing; the message names it.
        ValueError: If the file is invalid or has no such subset, or segments start before 0.

    Example:

    >>> import json
    >>> from pathlib import Path
    >>> Path("features").mkdir()
    >>> np.save("features/v1.npy", np.ones((10, 4)))
    >>> video = {"subset": "train", "duration": 5.0, "video_labels": ["jump"]}
    >>> _ = Path("annotations.json").write_text(json.dumps({"database": {"v1": video}}))
    >>> dataset = feature_folder(".", "train")
    >>> dataset.class_names, dataset.read(0)[1]
    (('jump',), 0.5)
    """
    folder = require_folder(
        Path(data_dir),
        "the folder of the features and annotations",
        "Pass the folder that contains annotations.json.",
    )
    path = folder / "annotations.json"
    content, class_names = read_activitynet_json(path, with_video_labels=True)
    videos = videos_of_json(content, path, split)
    subsets = sorted({str(entry["subset"]) for entry in content["database"].values()})
    if not videos:
        raise ValueError(f"{path}: `split` should be one of {subsets}. Received: split={split!r}")
    early = Problems(str(path))
    for video in videos.values():
        for label, start, end in video.segments:
            if start < 0:
                early.add(
                    f"{video.where}: a segment should start at 0 or later; times are seconds from "
                    f"the beginning of the video. Received: {label!r} from {start:g} to {end:g}."
                )
    early.raise_if_any()
    dataset = temporal_dataset(
        f"feature_folder/{split}",
        videos,
        class_names,
        folder / "features",
        feature_key,
        seconds_per_feature,
        missing_features=missing_features,
        keep_unlabeled=True,
        allow_large_features=allow_large_features,
        known_ids=content["database"],
        problems=unread_entries(content, path, ("database", "taxonomy", "version")),
    )
    others = [name for name in subsets if name != split]
    lower = [name.lower() for name in others]
    similar = difflib.get_close_matches(split.lower(), lower, len(others) or 1, 0.75)
    problems = [
        f"{path}: the subset {name!r} is not the split {split!r}; its videos are not part of it."
        for name in others
        if name.lower() in similar
    ]
    problems += [
        f"{file}: {path.name} has no such video; left out."
        for file in unannotated_features(folder / "features", content["database"])
    ]
    return dataclasses.replace(dataset, problems=(*dataset.problems, *problems))
