"""Untrimmed smartwatch signals: one folder of feature files and one JSON file."""

import os
from pathlib import Path

from keras_has.data.dataset import Dataset
from keras_has.data.folders import require_folder
from keras_has.data.readers.temporal_annotations import (
    read_activitynet_json,
    temporal_dataset,
    videos_of_json,
)


def watch_untrimmed(data_dir: str | os.PathLike[str], split: str = "train") -> Dataset:
    """Reads signals in one folder: `annotations.json` and `features/ID.npy`.

    Your own dataset can use the same layout: a JSON file like ActivityNet's, with "taxonomy", a
    list of "nodeName", and for each id "subset", "duration" in seconds and "annotations"; features
    of shape (T, D) that span the duration.

    The dataset of that name is semi-synthetic: its sequences are composed of real recordings of the
    wrist, and results on it have to say so.

    Args:
        data_dir: The folder that contains `annotations.json`.
        split: A "subset" of the file, such as `"train"` (default) or `"test"`.

    Returns:
        A `Dataset`. The features are not standardized.

    Raises:
        FileNotFoundError: If a part is missing; the message names it.
        ValueError: If the file is invalid or has no such subset.

    Example:

    >>> dataset = watch_untrimmed("data/watch-untrimmed", "test")  # doctest: +SKIP
    """
    folder = require_folder(
        Path(data_dir),
        "the folder of the signals",
        "Pass the folder that contains annotations.json.",
    )
    path = folder / "annotations.json"
    content, class_names = read_activitynet_json(path)
    videos = videos_of_json(content, path, split)
    if not videos:
        subsets = sorted({str(entry["subset"]) for entry in content["database"].values()})
        raise ValueError(f"{path}: `split` should be one of {subsets}. Received: split={split!r}")
    return temporal_dataset(f"watch_untrimmed/{split}", videos, class_names, folder / "features")
