"""Folds in which all examples of a subject are together."""

from collections.abc import Sequence

import numpy as np

SPLITS = ("train", "val", "test")


def subject_folds(subjects: Sequence[str] | np.ndarray, count: int = 10) -> np.ndarray:
    """Returns the fold of each example: the place of its subject among the sorted ids, modulo.

    Args:
        subjects: The subject of each example.
        count: Number of folds. Defaults to 10.

    Example:

    >>> subject_folds(["S010", "S005", "S011", "S005"], count=2).tolist()
    [1, 0, 0, 0]
    """
    _, places = np.unique(np.asarray(subjects, np.str_), return_inverse=True)
    return places % count


def rows_of_split(folds: np.ndarray, split: str, fold: int, count: int = 10) -> np.ndarray:
    """Returns which examples belong to a split of cross-validation.

    One fold is for testing, the next one for choosing the checkpoint, the others are for training.

    Args:
        folds: The fold of each example.
        split: `"train"`, `"val"` or `"test"`.
        fold: The test fold.
        count: Number of folds. Defaults to 10.

    Returns:
        One boolean for each example.

    Raises:
        ValueError: If `split` or `fold` is invalid.

    Example:

    >>> rows_of_split(np.array([0, 1, 2, 3]), "val", fold=3, count=4).tolist()
    [True, False, False, False]
    """
    check_split(split)
    if not 0 <= fold < count:
        raise ValueError(f"`fold` should be from 0 to {count - 1}. Received: fold={fold}")
    is_test, is_val = folds == fold, folds == (fold + 1) % count
    return {"test": is_test, "val": is_val, "train": ~(is_test | is_val)}[split]


def check_split(split: str) -> None:
    """Raises a ValueError if `split` is not the name of a split."""
    if split not in SPLITS:
        raise ValueError(f'`split` should be "train", "val" or "test". Received: split={split!r}')
