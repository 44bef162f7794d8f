"""Untrimmed smartwatch signals, a semi-synthetic dataset in the layout of `feature_folder`."""

import dataclasses
import os

from keras_has.data.dataset import Dataset
from keras_has.data.readers.feature_folder import feature_folder


def watch_untrimmed(data_dir: str | os.PathLike[str], split: str = "train") -> Dataset:
    """Reads the watch dataset: `annotations.json` and `features/ID.npy` in one folder.

    The dataset is semi-synthetic: its sequences are composed of real recordings of the wrist, and
    results on it have to say so.

    Your own videos are read by `feature_folder`. For older programs, this function reads them too,
    names the dataset `feature_folder`, and says so in `problems`.

    Args:
        data_dir: The folder that contains `annotations.json`.
        split: `"train"` (default) or `"test"`.

    Returns:
        A `Dataset`. The features are not standardized.

    Raises:
        FileNotFoundError: If a part is missing; the message names it.
        ValueError: If the file is invalid or has no such subset.

    Example:

    >>> dataset = watch_untrimmed("data/watch-untrimmed", "test")  # doctest: +SKIP
    """
    dataset = feature_folder(data_dir, split)
    if _has_watch_ids(dataset):
        return dataclasses.replace(dataset, name=f"watch_untrimmed/{split}")
    note = (
        f"{os.fspath(data_dir)} is a folder of your own videos, not the watch dataset, and is read "
        "as feature_folder. Use --dataset=feature_folder, or keras_has.data.feature_folder."
    )
    return dataclasses.replace(dataset, problems=(*dataset.problems, note))


def is_watch_untrimmed(dataset: Dataset) -> bool:
    """Returns whether a dataset of files or records is the semi-synthetic watch dataset."""
    return dataset.name.startswith("watch_untrimmed/") and _has_watch_ids(dataset)


def _has_watch_ids(dataset: Dataset) -> bool:
    # Folders of users were read under the same name, so the name alone does not tell.
    return len(dataset) > 0 and all(
        str(video_id).startswith(("watch_train_", "watch_test_")) for video_id in dataset.ids
    )
