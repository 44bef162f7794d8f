"""The interface between the training engine and what it trains."""

from __future__ import annotations

import abc
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_has import drawing
from keras_has.data import Dataset
from keras_has.optimizers import CoupledSGD
from trainers.engine.run_directory import RunDirectory
from trainers.engine.run_error import RunError
from trainers.tasks.splits import SplitReader, read_split

_ADAM_BETA_1 = 0.9


class Task(abc.ABC):
    """What a run trains, and how its network is evaluated.

    A subclass declares the datasets it reads, the network, the loss, the evaluation and the columns
    of its results table. The engine does the rest.

    Args:
        recipe: The recipe.
        data_dir: The folder of the dataset; `None` for generated datasets.
    """

    # How each dataset is read, by its name in recipes.
    readers: ClassVar[Mapping[str, SplitReader]]
    # What an example is, in the plural.
    examples: ClassVar[str] = "images"
    # A column that tells records of this kind of example from others.
    record_column: ClassVar[str] = "label"
    # Keys of `results.json`, all fractions, and their titles in tables that compare runs.
    columns: ClassVar[Sequence[tuple[str, str]]]
    # The figure in the logs whose best epoch is evaluated in the end; "" for the last epoch.
    selection: ClassVar[str] = ""

    def __init__(self, recipe: Any, data_dir: str | os.PathLike[str] | None = None) -> None:
        self.recipe = recipe
        self.data_dir = data_dir
        self.train_split: Dataset
        self.val_split: Dataset

    @property
    def source(self) -> dict[str, str | None]:
        """What determines the result besides the recipe, by name: the folder of the data."""
        return {"data_dir": None if self.data_dir is None else str(Path(self.data_dir).resolve())}

    @property
    def split_names(self) -> tuple[str, str]:
        """The names of the splits to train and to evaluate on."""
        return "train", "val"

    def load(self, directory: RunDirectory | None = None) -> None:
        """Reads both splits.

        Args:
            directory: The run directory, for what is kept there about the data.

        Raises:
            RunError: For errors the user can fix.
        """
        train, val = (self.read_split(name) for name in self.split_names)
        self.set_splits(train, val)

    def read_split(self, split: str) -> Dataset:
        """Returns one split of the recipe's dataset.

        Raises:
            RunError: If the dataset is missing or invalid.
        """
        return read_split(self.readers, self.recipe, self.data_dir, split, self.record_column)

    def set_splits(self, train: Dataset, val: Dataset) -> None:
        """Sets the splits after checking that neither is empty and their classes are the same.

        Raises:
            RunError: If they are not.
        """
        for dataset in (train, val):
            if len(dataset) == 0:
                raise RunError(f"{dataset.name} has no {self.examples}.")
        if train.class_names != val.class_names:
            raise RunError(
                f"{train.name} and {val.name} have different classes: {train.class_names} and "
                f"{val.class_names}."
            )
        self.train_split, self.val_split = train, val

    @property
    def splits(self) -> tuple[Dataset, ...]:
        """All splits."""
        return self.train_split, self.val_split

    @property
    def evaluated_split(self) -> Dataset:
        """The split that the trained network is evaluated on."""
        return self.val_split

    def adopt_splits(self, other: Any) -> None:
        """Takes over the splits of another task on the same data."""
        self.train_split, self.val_split = other.train_split, other.val_split

    @property
    def problems(self) -> list[str]:
        """What the readers of the splits left out or found odd."""
        return list(dict.fromkeys(problem for split in self.splits for problem in split.problems))

    @property
    def steps_per_epoch(self) -> int:
        """Batches per epoch: the recipe's number, or as many as the training data fill."""
        recipe = self.recipe
        return recipe.steps_per_epoch or max(1, len(self.train_split) // recipe.batch_size)

    @abc.abstractmethod
    def build_model(self) -> keras.Model:
        """Returns the network, not compiled."""

    def optimizer(self) -> keras.optimizers.Optimizer:
        """Returns the optimizer of the recipe: SGD, or AdamW if it says `optimizer="adam"`."""
        recipe = self.recipe
        steps = recipe.epochs * self.steps_per_epoch
        rate: Any
        if recipe.schedule == "regimes":
            rate = recipe.regimes[0][1]  # the callback `Regimes` changes it
        elif recipe.schedule == "steps":
            # The schedule counts steps from 0 and keeps a rate up to and including its boundary.
            ends = [first * self.steps_per_epoch - 1 for first in recipe.step_epochs]
            rates = [
                recipe.learning_rate * recipe.step_factor**count for count in range(len(ends) + 1)
            ]
            rate = keras.optimizers.schedules.PiecewiseConstantDecay(ends, rates)
        else:
            rate = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)
        if getattr(recipe, "optimizer", "sgd") == "adam":
            return keras.optimizers.AdamW(
                rate, weight_decay=recipe.weight_decay, beta_1=_ADAM_BETA_1
            )
        return CoupledSGD(
            rate,
            decay_rate=recipe.weight_decay,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            layer_rates=self.layer_rates(),
        )

    def layer_rates(self) -> dict[str, float]:
        """Returns factors of the learning rate by the name of a layer; by default none."""
        return {}

    @abc.abstractmethod
    def compile_arguments(self) -> dict[str, Any]:
        """Returns loss and training metrics."""

    @abc.abstractmethod
    def batches(self, first_step: int) -> tf.data.Dataset:
        """Returns an endless dataset of training batches, starting at a step."""

    def training_panel(self) -> drawing.Picture | None:
        """Returns a picture of training examples for TensorBoard, or `None`, the default."""
        return None

    @property
    def evaluated_examples(self) -> str:
        """What the network is evaluated on, in words."""
        return f"validation {self.examples}"

    def describe(self, model: keras.Model) -> str:
        """Returns one or two lines about the data and the network, for the start of a run."""
        return (
            f"{len(self.train_split)} training {self.examples}, {len(self.val_split)} "
            f"{self.evaluated_examples}, {len(self.train_split.class_names)} classes; "
            f"{model.count_params():,} parameters"
        )

    @abc.abstractmethod
    def evaluation_callback(self, directory: RunDirectory) -> keras.callbacks.Callback:
        """Returns the callback that evaluates after an epoch and adds its figures to `logs`."""

    @abc.abstractmethod
    def summary_of_epoch(self, logs: dict[str, float]) -> str:
        """Returns the figures of an epoch in one line."""

    def prepare_for_evaluation(self, model: keras.Model) -> None:  # noqa: B027 (optional)
        """Changes a trained network before its final evaluation; by default it does nothing."""

    def evaluate(self, model: keras.Model, directory: RunDirectory) -> dict[str, Any]:
        """Evaluates the trained network, draws the panel, exports, and returns the results."""
        results, panel = self.final_results(model)
        if panel is not None:
            drawing.write_png(directory.panel, panel)
        self.export(model, directory)
        return results

    @abc.abstractmethod
    def final_results(self, model: keras.Model) -> tuple[dict[str, Any], np.ndarray | None]:
        """Returns the content of `results.json`, and the picture to keep, if there is one."""

    @abc.abstractmethod
    def export(self, model: keras.Model, directory: RunDirectory) -> None:
        """Writes the SavedModel of the run."""

    @abc.abstractmethod
    def results_headline(self, results: dict[str, Any]) -> str:
        """Returns what the results table is about, such as "1000 validation images, percent"."""

    @abc.abstractmethod
    def results_table(self, results: dict[str, Any]) -> list[str]:
        """Returns the lines of the results table."""

    @classmethod
    def table_notes(cls, all_results: Sequence[Mapping[str, Any]]) -> str:
        """Returns what readers of a table that compares runs have to know, in sentences.

        Args:
            all_results: The results of all runs in the table, at least one.
        """
        return f"{all_results[0][cls.examples]} validation {cls.examples}."

    def closing_notes(self) -> list[str]:
        """Returns lines to print after the table and the list of files; by default none."""
        return []

    def report(self, directory: RunDirectory, results: dict[str, Any]) -> str:
        """Returns the text printed at the end of a run: the table, the files and the notes."""
        recipe = self.recipe
        lines = [
            f"\n{recipe.name}, seed {recipe.seed}: {self.results_headline(results)}",
            *self.results_table(results),
            f"TensorBoard: tensorboard --logdir {directory.logs}",
        ]
        if directory.panel.is_file():
            lines.append(f"Pictures:    {directory.panel}")
        lines.append(f"Model:       {directory.saved_model}")
        return "\n".join([*lines, *self.closing_notes()])

    def name_bad_input(self, error: Exception) -> str | None:
        """Returns which file made TensorFlow fail, or `None` if none did."""
        return None
