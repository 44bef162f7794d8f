"""Classification of images: accuracy with and without hiding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_has import data
from keras_has.callbacks import EvaluationCallback
from keras_has.data import transforms
from keras_has.evaluation import ClassificationEvaluator
from keras_has.export import export_localizer
from trainers.engine.console import percent_rows
from trainers.engine.run_directory import RunDirectory
from trainers.recipes.cifar import ClassificationRecipe
from trainers.tasks.image_task import ImageTask
from trainers.tasks.splits import SplitReader

_TITLES = {
    "top1_clas": "Top-1 Clas",
    "top5_clas": "Top-5 Clas",
    "most_frequent_class": "Most frequent training class",
}


class Classification(ImageTask):
    """Trains on images, and evaluates the accuracy. See `ImageTask` for its arguments."""

    recipe: ClassificationRecipe

    readers: ClassVar[Mapping[str, SplitReader]] = {
        "cifar10": SplitReader(lambda _, folder, split: data.cifar10(folder, split)),
    }
    columns: ClassVar[Sequence[tuple[str, str]]] = tuple(_TITLES.items())

    @property
    def split_names(self) -> tuple[str, str]:
        """CIFAR has no validation split: the last epoch is evaluated on the test images."""
        return "train", "test"

    @property
    def evaluated_examples(self) -> str:
        """What is evaluated on, in words."""
        return "tuning images" if self.recipe.tuning_share else "test images"

    def describe(self, model: keras.Model) -> str:
        """Returns the numbers of images and classes, and how many batches of files were found."""
        found = {str(image_id).split("/")[0] for image_id in self.train_split.ids}
        return f"{super().describe(model)}; {len(found)} of 5 training batches"

    def batches(self, first_step: int) -> tf.data.Dataset:
        """Returns training batches: uint8 images, padded, cropped and flipped."""
        recipe = self.recipe

        def transform(
            example: transforms.Example, seed: tf.Tensor, is_flipped: tf.Tensor
        ) -> transforms.Example:
            padded = transforms.pad(example, recipe.padding)
            window = transforms.random_crop(padded, seed, recipe.image_size, recipe.image_size)
            return transforms.flip(window, is_flipped) if recipe.horizontal_flip else window

        batches = data.image_batches(
            self.train_split,
            recipe.batch_size,
            transform,
            class_balanced=recipe.class_balanced,
            seed=recipe.seed,
            first_step=first_step,
        )
        return batches.map(lambda batch: (batch["image"], batch["label"]))

    def evaluation_callback(self, directory: RunDirectory | None) -> EvaluationCallback:
        """Returns the evaluation of an epoch."""
        size, batch_size = self.recipe.image_size, self.recipe.batch_size
        return EvaluationCallback(
            ClassificationEvaluator(),
            data.evaluation_batches(self.val_split, batch_size, size, columns=("label",)),
            log_dir=None if directory is None else directory.logs,
        )

    def summary_of_epoch(self, logs: dict[str, float]) -> str:
        """Returns the losses and accuracies."""
        line = f"loss {logs['loss']:.3f}  train top1_clas {100 * logs['top1_clas']:.1f}"
        if "val_loss" in logs:
            line += f"  |  val_loss {logs['val_loss']:.3f}"
            line += f"  top1_clas {100 * logs['val_top1_clas']:.1f}"
        return line

    def final_results(self, model: keras.Model) -> tuple[dict[str, Any], np.ndarray | None]:
        """Evaluates the network, and the most frequent training class as a baseline."""
        final = self.evaluation_callback(None)
        final.set_model(model)
        figures = {name.removeprefix("val_"): value for name, value in final.evaluate().items()}
        most_frequent = np.bincount(self.train_split["label"]).argmax()
        baseline = float(np.mean(self.val_split["label"] == most_frequent))
        return {
            "images": len(self.val_split),
            **figures,
            "most_frequent_class": baseline,
            "bad_images": len(self.bad_images),
            "is_tuning": self.recipe.tuning_share > 0,
        }, None

    def export(self, model: keras.Model, directory: RunDirectory) -> None:
        """Exports a model from images to class probabilities and the map of the class."""
        export_localizer(model, directory.saved_model, self.val_split.class_names)

    def results_table(self, results: dict[str, Any]) -> list[str]:
        """Returns the accuracies and the baseline."""
        rows = [(title, results[key], "") for key, title in _TITLES.items() if key in results]
        return percent_rows(rows)

    @classmethod
    def table_notes(cls, all_results: Sequence[Mapping[str, Any]]) -> str:
        """Returns what the figures are: those of the last epoch."""
        first = all_results[0]
        kind = "tuning" if first["is_tuning"] else "test"
        return f"{first['images']} {kind} images, network of the last epoch."
