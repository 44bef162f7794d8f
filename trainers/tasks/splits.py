"""Reads the splits of a dataset: generated, from records, or from the files of the dataset."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_has import data
from keras_has.data import Dataset
from trainers.engine.console import progress
from trainers.engine.run_error import RunError
from trainers.recipes.recipe import Recipe
from trainers.tasks.registry import TASKS

_MAX_BYTES_IN_MEMORY = 2**30
_TUNING_SEED = 2017


@dataclasses.dataclass(frozen=True)
class SplitReader:
    """How one dataset is read.

    Args:
        read: Returns a split, given the recipe, the folder of the data and the name of the split.
        is_generated: Whether the dataset is generated; its folder is then `None`.
    """

    read: Callable[[Any, Any, str], Dataset]
    is_generated: bool = False


def read_split(
    readers: Mapping[str, SplitReader],
    recipe: Recipe,
    data_dir: str | os.PathLike[str] | None,
    split: str,
    record_column: str,
) -> Dataset:
    """Returns the index of one split.

    Args:
        readers: How each dataset is read, by name.
        recipe: The recipe; its `dataset` is read.
        data_dir: The folder of the dataset or of its records; `None` for generated datasets.
        split: The name of the split.
        record_column: A column that records must have; it tells images from sequences.

    Raises:
        RunError: If the dataset is missing or invalid, or the folder contains records of another
            dataset or of another kind of example.
    """
    reader = readers[recipe.dataset]
    if data_dir is None and not reader.is_generated:
        raise RunError(
            f"--dataset={recipe.dataset} needs --data_dir=FOLDER, the folder of its data."
        )
    try:
        if data_dir is not None:
            records = _read_records(data_dir, split)
            if records is not None:
                _check_records(records, record_column, recipe, data_dir)
                return records
            if reader.is_generated:
                raise ValueError(
                    f"{data_dir} contains no records written by `python -m trainers.prepare`; "
                    f"{recipe.dataset} is generated and needs no --data_dir."
                )
        return reader.read(recipe, data_dir, split)
    except (OSError, ValueError) as error:
        raise RunError(str(error)) from error


def tuning_split(dataset: Dataset, fraction: float) -> tuple[Dataset, Dataset]:
    """Divides a training split into one to train on and one to choose settings on.

    The same fraction of each class, rounded up, is held out; a fixed seed decides which images.

    Args:
        dataset: The training split.
        fraction: The fraction to hold out, in (0, 1).

    Returns:
        The examples to train on, and those that were held out.

    Raises:
        RunError: If no example of a class would be left.
    """
    random = np.random.default_rng(_TUNING_SEED)
    is_held_out = np.zeros(len(dataset), bool)
    for label, name in enumerate(dataset.class_names):
        rows = random.permutation(np.flatnonzero(dataset["label"] == label))
        count = int(np.ceil(fraction * len(rows)))
        if len(rows) and count == len(rows):
            raise RunError(
                f"--tuning_share={fraction} leaves no training image of class {name!r} in "
                f"{dataset.name}, which has {len(rows)}."
            )
        is_held_out[rows[:count]] = True
    return dataset.select(~is_held_out), dataset.select(is_held_out)


def images_in_memory(dataset: Dataset, size: int, split: str) -> Dataset:
    """Decodes all images once if they fit into 1 GiB and all have the size of the network input.

    Args:
        dataset: The images.
        size: Side of the network input in pixels.
        split: Name of the split, for the progress bar.

    Returns:
        The dataset, in memory if that is possible.

    Raises:
        RunError: If an image cannot be decoded.
    """
    fits = len(dataset) * size * size * 3 <= _MAX_BYTES_IN_MEMORY
    sizes = dataset["image_size"] if "image_size" in dataset else None  # noqa: SIM401
    if not fits or sizes is None or len(dataset) == 0 or not (sizes == size).all():
        return dataset
    try:
        return dataset.in_memory(progress(f"reading {split}", "image"))
    except data.BadImageError as error:
        raise RunError(str(error)) from error


def _read_records(data_dir: str | os.PathLike[str], split: str) -> Dataset | None:
    """Returns a split of records, or `None` if the folder contains no records."""
    if data.is_tfrecords(data_dir):
        return data.tfrecords(data_dir, split, progress(f"indexing {split}", "record"))
    if data.is_sequence_records(data_dir):
        return data.sequence_records(data_dir, split)
    if any(Path(data_dir).glob("*-of-*.tfrecord")):
        raise ValueError(
            f"{data_dir} contains records but no dataset.json, so the conversion is not finished: "
            "run the same `python -m trainers.prepare` command again."
        )
    return None


def _check_records(
    records: Dataset, column: str, recipe: Recipe, data_dir: str | os.PathLike[str]
) -> None:
    """Raises if records are of another known dataset than the recipe's, or lack a column."""
    dataset = records.name.split("/")[0]
    known = {name for entry in TASKS.values() for name in entry.recipe_class.DATASETS}
    # Folders of users were once read as watch_untrimmed, and their records bear this name.
    is_own = {dataset, recipe.dataset} == {"watch_untrimmed", "feature_folder"}
    if dataset in known and dataset != recipe.dataset and not is_own:
        raise ValueError(
            f"{data_dir} contains records of {dataset}, but --dataset={recipe.dataset} was given."
        )
    if column not in records:
        raise ValueError(
            f"{data_dir} contains records of {dataset}, which have no column {column!r}, but "
            f"--dataset={recipe.dataset} was given."
        )
