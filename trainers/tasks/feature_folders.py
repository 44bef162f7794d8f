"""Folders of features: the time between features, the annotations, and statistics."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from keras_has import data
from keras_has.data import Dataset, FeatureFiles
from keras_has.json_files import read_json
from trainers.engine.run_error import RunError
from trainers.recipes import VideoRecipe

_MAX_LISTED = 10
_ALLOWED_STEPS, _ALLOWED_FRACTION = 2, 0.1


def seconds_per_feature_in(folder: Path) -> float | None:
    """Returns the time between features as stated in features.json, or `None` without that file.

    Args:
        folder: The folder of the features.

    Raises:
        ValueError: If the file exists and does not state it.
    """
    file = folder / "features.json"
    if not file.is_file():
        return None
    try:
        seconds = float(read_json(file)["seconds_per_feature"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} should contain `seconds_per_feature`, the time between features in seconds. "
            f"Received: {error}"
        ) from error
    if not 0 < seconds < np.inf:
        raise ValueError(
            f"{file}: `seconds_per_feature` should be greater than 0. Received: {seconds}"
        )
    return seconds


def feature_arguments(recipe: VideoRecipe, folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the arguments of a reader that say where features are and how far apart."""
    features = Path(folder) / "features"
    seconds = recipe.seconds_per_feature or seconds_per_feature_in(features)
    return {"features_dir": features, "seconds_per_feature": seconds, **_reading(recipe)}


def _reading(recipe: VideoRecipe) -> dict[str, Any]:
    return {
        "feature_key": recipe.feature_key or None,
        "missing_features": recipe.missing_features,
        "allow_large_features": recipe.allow_large_features,
    }


def read_feature_folder(recipe: VideoRecipe, folder: str | os.PathLike[str], split: str) -> Dataset:
    """Returns a split of the user's own videos."""
    seconds = recipe.seconds_per_feature or None
    return data.feature_folder(folder, split, seconds_per_feature=seconds, **_reading(recipe))


def check_features(*splits: Dataset, skip: bool, durations_are_known: bool = True) -> list[Dataset]:
    """Returns splits whose features can be read and have the same size, by the headers of files.

    To skip bad videos, all features are read once: only then are those that are not finite known.

    Args:
        *splits: The splits, with features in files; others are returned unchanged.
        skip: Whether to leave out the other videos and list them in `problems`.
        durations_are_known: Whether to list in `problems` that features do not span the durations.
            Defaults to `True`.

    Raises:
        RunError: If features are unsound and are not to be skipped, or all are.
    """
    shapes: list[list[tuple[int, int] | str]] = [
        [_shape_or_error(split.source, row, skip) for row in range(len(split))]
        if isinstance(split.source, FeatureFiles)
        else []
        for split in splits
    ]
    widths = Counter(
        shape[1] for of_split in shapes for shape in of_split if not isinstance(shape, str)
    )
    width = widths.most_common(1)[0][0] if widths else None
    checked, bad = [], []
    for split, of_split in zip(splits, shapes, strict=True):
        is_good = np.ones(len(split), bool)
        problems = []
        for row, shape in enumerate(of_split):
            if isinstance(shape, str):
                problems.append(shape)
            elif shape[1] != width:
                turned = " They are probably transposed." if shape[0] == width else ""
                problems.append(
                    f"{split.feature_source.place(row)}: features should be of shape (T, {width}), "
                    f"as those of most videos. Received: {shape}.{turned}"
                )
            else:
                continue
            is_good[row] = False
        bad += problems
        if problems:
            left_out = [f"{problem} Left out." for problem in problems]
            split = dataclasses.replace(
                split.select(is_good), problems=(*split.problems, *left_out)
            )
        counts = np.array([shape[0] for shape in of_split if shape[1] == width], np.int64)
        if durations_are_known and len(counts):
            contradictions = _timing_contradictions(split, counts)
            split = dataclasses.replace(split, problems=(*split.problems, *contradictions))
        checked.append(split)
    bad = list(dict.fromkeys(bad))
    if bad and (not skip or width is None):
        lines = [f"{len(bad)} files of features cannot be used:", *bad[:_MAX_LISTED]]
        if len(bad) > _MAX_LISTED:
            lines.append(f"... and {len(bad) - _MAX_LISTED} more.")
        lines.append("Replace them, or leave their videos out with --missing_features=skip.")
        raise RunError("\n".join(lines))
    return checked


def _timing_contradictions(split: Dataset, counts: np.ndarray) -> list[str]:
    """Returns whether features span another time than the durations of their videos, in words."""
    file = Path(split.feature_source.place(0)).parent / "features.json"
    given = split.seconds_per_feature
    seconds = given or seconds_per_feature_in(file.parent)
    if seconds is None:
        return []
    durations = split["duration"]
    # The last features of a video are often missing, because they take several frames.
    allowed = np.maximum(_ALLOWED_STEPS * seconds, _ALLOWED_FRACTION * durations)
    rows = np.flatnonzero(np.abs(counts * seconds - durations) > allowed)
    if not rows.size:
        return []
    row = rows[0]
    used = "the duration" if given is None else f"{seconds:g} s per feature"
    return [
        f"{split.name}: the features of {len(rows)} of {len(split)} videos do not span the "
        f"durations in the annotations, such as {split.ids[row]}: {counts[row]} x {seconds:g} s "
        f"({'given' if given else file}) is {counts[row] * seconds:g} s, the duration "
        f"{durations[row]:g} s; used: {used}. Correct what is wrong."
    ]


def _shape_or_error(source: FeatureFiles, row: int, is_read: bool) -> tuple[int, int] | str:
    """Returns the shape of features, or what is wrong with them, with or without their values."""
    try:
        if is_read:
            source.read(row)
        return source.count(row), source.width(row)
    except (OSError, ValueError) as error:
        return str(error)


def read_thumos14(recipe: VideoRecipe, folder: str | os.PathLike[str], split: str) -> Dataset:
    """Returns a split of THUMOS'14, annotated as JSON or as the official text files."""
    annotations = Path(folder) / "annotations.json"
    if not annotations.exists():
        annotations = Path(folder) / "annotations"
    return data.thumos14(
        annotations, split, **feature_arguments(recipe, folder), all_videos=recipe.all_videos
    )


def feature_mean_and_std(
    dataset: Dataset, num_features: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation of each feature over all steps of all videos."""
    sums: Any = 0.0
    squares: Any = 0.0
    count = 0
    for index in range(len(dataset)):
        features = dataset.example(index, num_features=num_features)["features"].astype("float64")
        sums = sums + features.sum(axis=0)
        squares = squares + np.square(features).sum(axis=0)
        count += len(features)
    mean = sums / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    # A constant feature carries no information and becomes 0.
    return mean.astype("float32"), np.where(std > 1e-6, std, 1.0).astype("float32")
