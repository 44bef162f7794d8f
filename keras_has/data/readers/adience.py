"""Adience: age groups and gender of faces from 2,284 albums, in five folds."""

import collections
import os
from pathlib import Path

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.folders import file_names, not_found, require_folder
from keras_has.data.problems import name_some
from keras_has.data.readers.annotation_files import numbered_lines
from keras_has.data.readers.subject_folds import check_split, rows_of_split
from keras_has.data.sources import FileImages

FOLDS = 5
AGES = ((0, 2), (4, 6), (8, 12), (15, 20), (25, 32), (38, 43), (48, 53), (60, 100))
GENDERS = ("male", "female")
TARGETS = ("age", "gender")
_PREFIXES = {"aligned": "landmark_aligned_face", "faces": "coarse_tilt_aligned_face"}
_COLUMNS = ("user_id", "original_image", "face_id", "age", "gender")
_ADVICE = "Pass the folder that contains fold_0_data.txt to fold_4_data.txt, and aligned or faces."


def adience(
    data_dir: str | os.PathLike[str],
    split: str = "train",
    target: str = "age",
    fold: int = 0,
    images: str = "aligned",
) -> Dataset:
    """Reads Adience for five-fold cross-validation in which no subject is in two folds.

    ```
    fold_0_data.txt                      to fold_4_data.txt, with tabs between the columns
    aligned/USER/landmark_aligned_face.FACE.IMAGE
    faces/USER/coarse_tilt_aligned_face.FACE.IMAGE
    ```

    Fold `fold` is for testing, the next one for choosing the checkpoint, three are for training.
    Faces with another age than the eight groups, or without a gender, are left out.

    Args:
        data_dir: The folder with these files.
        split: `"train"` (default), `"val"` or `"test"`.
        target: `"age"` (default), eight groups, or `"gender"`.
        fold: The test fold, from 0 to 4. Defaults to 0.
        images: `"aligned"` (default) or `"faces"`.

    Returns:
        A `Dataset` with the columns `"label"`, `"subject"` and, for ages, `"age"`: the middle of
        the group in years. Its `problems` count and name what is left out, and subjects that are
        listed in several folds.

    Raises:
        FileNotFoundError: If a part is missing.
        ValueError: If an argument is invalid, or a line has another number of columns.

    Reference:
        [Eidinger et al., 2014](https://doi.org/10.1109/TIFS.2014.2359646); [Levi and Hassner,
        2015](https://talhassner.github.io/home/projects/cnn_agegender/CVPR2015_CNN_AgeGenderEstimation.pdf).
    """
    check_split(split)
    check_target(target)
    if images not in _PREFIXES:
        raise ValueError(f'`images` should be "aligned" or "faces". Received: images={images!r}')
    root = require_folder(Path(data_dir), "the folder of Adience", _ADVICE)
    require_folder(root / images, "the images of Adience", _ADVICE)
    label_of = (
        {str(group): label for label, group in enumerate(AGES)}
        if target == "age"
        else {"m": 0, "f": 1}
    )
    ids, labels, subjects, folds = [], [], [], []
    without_label: collections.Counter[str] = collections.Counter()
    without_image: list[str] = []
    known: dict[str, set[str]] = {}
    for number in range(FOLDS):
        for values in _rows(root / f"fold_{number}_data.txt"):
            user, value = values["user_id"], values[target].strip()
            name = f"{_PREFIXES[images]}.{values['face_id']}.{values['original_image']}"
            if user not in known:
                folder = root / images / user
                known[user] = set(file_names(folder)) if folder.is_dir() else set()
            if value not in label_of:
                without_label[value] += 1
            elif name not in known[user]:
                without_image.append(f"{user}/{name}")
            else:
                ids.append(f"{user}/{name}")
                labels.append(label_of[value])
                subjects.append(user)
                folds.append(number)
    if not ids:
        raise not_found(root / images, f"images with a known {target}", _ADVICE)
    problems = [f"{root / images}: images that are missing: {name_some(without_image)}"]
    problems = problems if without_image else []
    if without_label:
        counts = ", ".join(f"{value!r} ({n})" for value, n in without_label.most_common())
        problems.append(
            f"{root}: faces without a known {target}, which are not used: "
            f"{without_label.total()}: {counts}"
        )
    of_subject: dict[str, set[int]] = {}
    for subject, number in zip(subjects, folds, strict=True):
        of_subject.setdefault(subject, set()).add(number)
    several = [subject for subject, numbers in of_subject.items() if len(numbers) > 1]
    if several:
        problems.append(f"{root}: subjects in several folds: {name_some(several)}")
    is_age = target == "age"
    whole = Dataset(
        name=f"adience/{split}, fold {fold}",
        ids=np.array(ids),
        columns={
            "label": np.array(labels, np.int64),
            "subject": np.array(subjects),
            "age": np.array([np.mean(AGES[n]) for n in labels], np.float32) if is_age else None,
        },
        source=FileImages(np.array([str(root / images / name) for name in ids])),
        class_names=tuple(f"{first}-{last}" for first, last in AGES) if is_age else GENDERS,
        problems=tuple(problems),
    )
    return whole.select(rows_of_split(np.array(folds), split, fold, FOLDS))


def check_target(target: str) -> None:
    """Raises a ValueError if `target` is neither age nor gender."""
    if target not in TARGETS:
        raise ValueError(f'`target` should be "age" or "gender". Received: target={target!r}')


def _rows(path: Path) -> list[dict[str, str]]:
    """Returns the columns of each face in the table of a fold."""
    if not path.is_file():
        raise not_found(path, "the table of a fold", _ADVICE)
    (_, first), *lines = numbered_lines(path) or [(1, "")]
    header = first.split("\t")
    if not set(_COLUMNS) <= set(header):
        raise ValueError(
            f"{path}:1: the columns should be {', '.join(_COLUMNS)}, separated by tabs. "
            f"Received: {first[:80]!r}"
        )
    rows = []
    for number, line in lines:
        fields = line.split("\t")
        if len(fields) != len(header):
            raise ValueError(
                f"{path}:{number}: the line should have {len(header)} columns. "
                f"Received: {len(fields)}"
            )
        rows.append(dict(zip(header, fields, strict=True)))
    return rows
