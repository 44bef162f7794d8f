"""UTKFace: faces with age, gender and ethnicity in the names of the files."""

import os
import re
from pathlib import Path

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.folders import file_names, files_not_read, not_found, require_folder
from keras_has.data.problems import name_some
from keras_has.data.readers.adience import GENDERS, check_target
from keras_has.data.readers.subject_folds import check_split
from keras_has.data.sources import FileImages

AGE_GROUPS = (*(f"{first}-{first + 9}" for first in range(0, 80, 10)), "80 and older")
_NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_(\d+)(\.jpg)?(\.chip)?\.jpg", re.ASCII)
_OLDEST = 120
_SPLIT_SEED = 2017
_SHARES = {"test": (0.0, 0.1), "val": (0.1, 0.2), "train": (0.2, 1.0)}
_ADVICE = "Pass the folder with the images, such as 26_1_0_20170116184024662.jpg.chip.jpg."


def utkface(data_dir: str | os.PathLike[str], split: str = "train", target: str = "age") -> Dataset:
    """Reads UTKFace, whose file names are `AGE_GENDER_RACE_DATE.jpg.chip.jpg`.

    There is no official split. Here, a fixed tenth of the photos is for testing, a tenth for
    choosing the checkpoint, and the others are for training; files with the same date are from the
    same photo and stay together. There are no person ids: **a person may be in several splits**.

    Args:
        data_dir: The folder with the images, or the folder that contains it as `UTKFace`.
        split: `"train"` (default), `"val"` or `"test"`.
        target: `"age"` (default), groups of ten years and one from 80 on, or `"gender"`.

    Returns:
        A `Dataset` with the columns `"label"` and `"age"` in years. Its `problems` count and name
        the files whose name does not have this form.

    Raises:
        FileNotFoundError: If there are no such images.
        ValueError: If an argument is invalid.

    Reference:
        [Zhang et al., 2017](https://arxiv.org/abs/1702.08423).
    """
    check_split(split)
    check_target(target)
    root = require_folder(Path(data_dir), "the folder of UTKFace", _ADVICE)
    root = root / "UTKFace" if (root / "UTKFace").is_dir() else root
    names, ages, genders, photos, bad = [], [], [], [], []
    for name in file_names(root):
        match = _NAME.fullmatch(name)
        if match is None or not 0 <= int(match[1]) <= _OLDEST:
            bad.append(name)
            continue
        names.append(name)
        ages.append(int(match[1]))
        genders.append(int(match[2]))
        photos.append(match[4])
    if not names:
        raise not_found(root, "images named AGE_GENDER_RACE_DATE.jpg", _ADVICE)
    problems = files_not_read(root)
    if bad:
        problems.append(
            f"{root}: files whose name is not AGE_GENDER_RACE_DATE.jpg, which are not used: "
            f"{name_some(bad)}"
        )
    is_age = target == "age"
    age = np.array(ages, np.float32)
    labels = np.minimum(age // 10, len(AGE_GROUPS) - 1) if is_age else np.array(genders)
    whole = Dataset(
        name=f"utkface/{split}",
        ids=np.array(names),
        columns={"label": labels.astype(np.int64), "age": age},
        source=FileImages(np.array([str(root / name) for name in names])),
        class_names=AGE_GROUPS if is_age else GENDERS,
        problems=tuple(problems),
    )
    return whole.select(_rows_of_split(photos, split))


def _rows_of_split(photos: list[str], split: str) -> np.ndarray:
    """Returns which files belong to a split; those of one photo are together."""
    _, places = np.unique(photos, return_inverse=True)
    count = places.max() + 1
    rank = np.random.default_rng(_SPLIT_SEED).permutation(count)[places] / count
    first, end = _SHARES[split]
    return (first <= rank) & (rank < end)
