"""CK+: posed emotions of 118 people, in its official layout or as one folder per emotion."""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.folders import (
    file_names,
    files_not_read,
    not_found,
    require_folder,
    subfolder_names,
)
from keras_has.data.problems import name_some
from keras_has.data.readers.annotation_files import numbered_lines
from keras_has.data.readers.subject_folds import rows_of_split, subject_folds
from keras_has.data.sources import FileImages

FOLDS = 10
# The official labels are the places in this list.
EMOTIONS = (
    *("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
)
_IMAGES = "cohn-kanade-images"
_LABELS = "Emotion"
_FRAME = re.compile(r"(S\d+)_(\d+)_\d+\.[A-Za-z]+", re.ASCII)
_ADVICE = (
    f"Pass the folder that contains {_IMAGES} and {_LABELS}, or one with a folder for each emotion."
)

_Entry = tuple[str, int, str, str]  # id, label, subject, path


def ck_plus(
    data_dir: str | os.PathLike[str],
    split: str = "train",
    fold: int = 0,
    neutral: bool = True,
) -> Dataset:
    """Reads CK+ for ten-fold cross-validation in which no subject is in two folds.

    ```
    cohn-kanade-images/S005/001/S005_001_00000001.png     the official layout
    Emotion/S005/001/S005_001_00000011_emotion.txt
    anger/S010_004_00000017.png                           or one folder per emotion
    ```

    In the official layout the first frame of a labelled sequence is neutral, and its last three
    frames have its label: 8 classes, or 7 without the neutral frames. In the other layout the
    classes are the folders.

    The subjects are sorted, and subject i is in fold i % 10. Fold `fold` is for testing, the next
    one for choosing the checkpoint, eight are for training.

    Args:
        data_dir: The folder of either layout.
        split: `"train"` (default), `"val"` or `"test"`.
        fold: The test fold, from 0 to 9. Defaults to 0.
        neutral: Whether to read the class `"neutral"`, if there is one. Defaults to `True`.

    Returns:
        A `Dataset` with the columns `"label"` and `"subject"`. Its `problems` count and name the
        sequences without a label, and files that are not used.

    Raises:
        FileNotFoundError: If the folder or one of its parts is missing.
        ValueError: If `split` or `fold` is invalid.

    Reference:
        [Lucey et al., 2010](https://doi.org/10.1109/CVPRW.2010.5543262); the folds of [Khorrami et
        al., 2015](https://arxiv.org/abs/1510.02969).
    """
    root = require_folder(Path(data_dir), "the folder of CK+", _ADVICE)
    problems: list[str] = []
    if (root / _IMAGES).is_dir():
        class_names: tuple[str, ...] = EMOTIONS if neutral else EMOTIONS[1:]
        entries = list(_official(root, neutral, problems))
    else:
        class_names = tuple(
            name for name in subfolder_names(root) if neutral or name.lower() != "neutral"
        )
        entries = list(_folders(root, class_names, problems))
    if not entries:
        raise not_found(root, "labelled images of CK+", _ADVICE)
    ids, labels, subjects, paths = map(np.array, zip(*entries, strict=True))
    whole = Dataset(
        name=f"ck_plus/{split}, fold {fold}",
        ids=ids,
        columns={"label": labels, "subject": subjects},
        source=FileImages(paths),
        class_names=class_names,
        problems=tuple(problems),
    )
    return whole.select(rows_of_split(subject_folds(subjects, FOLDS), split, fold, FOLDS))


def _official(root: Path, neutral: bool, problems: list[str]) -> Iterator[_Entry]:
    labels_folder = require_folder(root / _LABELS, "the emotion labels", _ADVICE)
    unlabelled: list[str] = []
    for subject in subfolder_names(root / _IMAGES):
        for sequence in subfolder_names(root / _IMAGES / subject):
            folder = root / _IMAGES / subject / sequence
            label = _label(labels_folder / subject / sequence, problems)
            if label is None:
                unlabelled.append(f"{subject}/{sequence}")
                continue
            names = _frames(folder, subject, problems)
            if len(names) < 4:
                problems.append(f"{folder}: fewer than 4 frames; the sequence is not used")
                continue
            chosen = [(names[0], 0)] if neutral else []
            chosen += [(name, label) for name in names[-3:]]
            for name, of_frame in chosen:
                place = f"{subject}/{sequence}/{name}"
                yield place, of_frame - (not neutral), subject, str(folder / name)
    if unlabelled:
        problems.append(
            f"{labels_folder}: sequences without an emotion label, which are not used: "
            f"{name_some(unlabelled)}"
        )


def _label(folder: Path, problems: list[str]) -> int | None:
    """Returns the label of a sequence, None if it has none."""
    names = file_names(folder, ("_emotion.txt",)) if folder.is_dir() else []
    if not names:
        return None
    path = folder / names[0]
    lines = [line.strip() for _, line in numbered_lines(path)]
    try:
        value = float(lines[0]) if len(lines) == len(names) == 1 else math.nan
    except ValueError:
        value = math.nan
    if value not in range(1, len(EMOTIONS)):
        problems.append(
            f"{path}: the label should be one number from 1 to {len(EMOTIONS) - 1}. Received: "
            f"{str(lines)[:60]} in {len(names)} file(s); the sequence is not used"
        )
        return None
    return int(value)


def _frames(folder: Path, subject: str, problems: list[str]) -> list[str]:
    """Returns the names of the frames of one subject in a folder, in order."""
    names = file_names(folder)
    bad = [name for name in names if _subject(name) != subject]
    if bad:
        problems.append(
            f"{folder}: files whose name is not {subject}_SEQUENCE_FRAME, which are not used: "
            f"{name_some(bad)}"
        )
    return [name for name in names if name not in set(bad)]


def _subject(name: str) -> str | None:
    match = _FRAME.fullmatch(name)
    return match[1] if match else None


def _folders(root: Path, class_names: tuple[str, ...], problems: list[str]) -> Iterator[_Entry]:
    by_name: dict[str, list[int]] = {}
    bad: list[str] = []
    for label, emotion in enumerate(class_names):
        problems += files_not_read(root / emotion)
        for name in file_names(root / emotion):
            if _subject(name):
                by_name.setdefault(name, []).append(label)
            else:
                bad.append(f"{emotion}/{name}")
    if bad:
        problems.append(
            f"{root}: files whose name is not SUBJECT_SEQUENCE_FRAME, such as "
            f"S010_004_00000017.png, which are not used: {name_some(bad)}"
        )
    ambiguous = [name for name, labels in by_name.items() if len(labels) > 1]
    if ambiguous:
        problems.append(
            f"{root}: images in the folders of several emotions, which are not used: "
            f"{name_some(ambiguous)}"
        )
    for name, labels in by_name.items():
        if len(labels) == 1:
            place = f"{class_names[labels[0]]}/{name}"
            yield place, labels[0], str(_subject(name)), str(root / place)
