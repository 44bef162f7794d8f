"""Folders of features: the time between features, the annotations, and statistics."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_has import data
from keras_has.data import Dataset
from trainers.recipes import VideoRecipe


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
        return float(json.loads(file.read_text(encoding="utf-8"))["seconds_per_feature"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} should contain `seconds_per_feature`, the time between features in seconds."
        ) from error


def feature_arguments(recipe: VideoRecipe, folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the arguments of a reader that say where features are and how far apart."""
    features = Path(folder) / "features"
    seconds = recipe.seconds_per_feature or seconds_per_feature_in(features)
    return {"features_dir": features, "seconds_per_feature": seconds}


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
