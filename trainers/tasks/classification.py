"""Classification of images: accuracy with and without hiding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_has import data
from keras_has.callbacks import EvaluationCallback
from keras_has.data import Dataset, transforms
from keras_has.evaluation import ClassificationEvaluator
from keras_has.export import export_localizer
from trainers.engine.console import percent_rows
from trainers.engine.run_directory import RunDirectory, best_epoch
from trainers.recipes.classification_recipe import ClassificationRecipe
from trainers.tasks.erasing import erasing_layers
from trainers.tasks.image_task import ImageTask
from trainers.tasks.splits import SplitReader

_TITLES = {
    "top1_clas": "Top-1 Clas, last epoch",
    "best_top1_clas": "Top-1 Clas, best epoch",
    "top5_clas": "Top-5 Clas, last epoch",
    "most_frequent_class": "Most frequent training class",
}
_TRAINING_IMAGES = {"cifar10": 50_000, "cifar100": 50_000, "imagenet": 1_281_167}


class Classification(ImageTask):
    """Trains on images, and evaluates the accuracy. See `ImageTask` for its arguments."""

    recipe: ClassificationRecipe

    readers: ClassVar[Mapping[str, SplitReader]] = {
        "cifar10": SplitReader(lambda _, folder, split: data.cifar10(folder, split)),
        "cifar100": SplitReader(lambda _, folder, split: data.cifar100(folder, split)),
        "imagenet": SplitReader(
            lambda _, folder, split: data.imagenet(folder, split, read_boxes=False)
        ),
    }
    columns: ClassVar[Sequence[tuple[str, str]]] = tuple(_TITLES.items())
    # The epoch whose network is evaluated, in words.
    evaluated_epoch: ClassVar[str] = "last epoch"

    @property
    def split_names(self) -> tuple[str, str]:
        """The names of the splits; CIFAR has no validation split and is evaluated on "test"."""
        return "train", "val" if self.recipe.dataset == "imagenet" else "test"

    @property
    def evaluated_examples(self) -> str:
        """What is evaluated on, in words."""
        return f"{'tuning' if self.recipe.tuning_share else self._kind_of_split} images"

    @property
    def _kind_of_split(self) -> str:
        return "validation" if self.recipe.dataset == "imagenet" else "test"

    def describe(self, model: keras.Model) -> str:
        """Returns the numbers of images and classes, and how much of the dataset was found."""
        text, count = super().describe(model), len(self.train_split)
        expected = _TRAINING_IMAGES.get(self.recipe.dataset, count)
        if count == expected or self.recipe.tuning_share:
            return text
        return f"{text}; {count} of the {expected} training images of {self.recipe.dataset}"

    def augmentation(self) -> list[keras.Layer]:
        """Returns the layer that erases a rectangle of some images, as the recipe says."""
        return erasing_layers(self.recipe.augmentation, self.recipe.seed)

    def compile_arguments(self) -> dict[str, Any]:
        """Returns the arguments of `ImageTask`, for mixed labels if the recipe mixes images."""
        if self.recipe.augmentation != "cutmix":
            return super().compile_arguments()
        return {
            "loss": keras.losses.CategoricalCrossentropy(),
            "metrics": [keras.metrics.CategoricalAccuracy(name="top1_clas")],
        }

    def batches(self, first_step: int) -> tf.data.Dataset:
        """Returns training batches: uint8 images, cropped, flipped, and perhaps mixed."""
        recipe = self.recipe

        def transform(
            example: transforms.Example, seed: tf.Tensor, is_flipped: tf.Tensor
        ) -> transforms.Example:
            example = self._crop(example, seed)
            if recipe.horizontal_flip:
                example = transforms.flip(example, is_flipped)
            example = self.vary(example, seed)
            # Keras' layers that erase and mix need to know the size.
            shape = (recipe.image_size, recipe.image_size, 3)
            return {**example, "image": tf.ensure_shape(example["image"], shape)}

        batches = data.image_batches(
            self.train_split,
            recipe.batch_size,
            transform,
            class_balanced=recipe.class_balanced,
            seed=recipe.seed,
            first_step=first_step,
        )
        batches = batches.map(lambda batch: (batch["image"], batch["label"]))
        if recipe.augmentation != "cutmix":
            return batches
        return data.cut_mix(batches, len(self.train_split.class_names), recipe.seed, first_step)

    def vary(self, example: transforms.Example, seed: tf.Tensor) -> transforms.Example:
        """Changes a training image at random after crop and flip; by default not at all."""
        return example

    def _crop(self, example: transforms.Example, seed: tf.Tensor) -> transforms.Example:
        """Returns a random window of the size of the network's input."""
        recipe, size = self.recipe, self.recipe.image_size
        if recipe.min_crop_area:
            window = transforms.random_area_crop(example, seed, recipe.min_crop_area)
            return transforms.resize(window, size)
        if recipe.resize_size > size:
            window = transforms.random_square(example, seed, size / recipe.resize_size)
            return transforms.resize(window, size)
        return transforms.random_crop(transforms.pad(example, recipe.padding), seed, size, size)

    def evaluation_batches(self, split: Dataset) -> tf.data.Dataset:
        """Returns the images of a split as they are evaluated, with their labels."""
        recipe = self.recipe
        return data.evaluation_batches(
            split,
            recipe.batch_size,
            recipe.image_size,
            columns=("label",),
            center_share=recipe.image_size / recipe.resize_size,
        )

    def evaluator(self) -> ClassificationEvaluator:
        """Returns what computes the figures."""
        return ClassificationEvaluator(self.val_split.class_names)

    def evaluation_callback(self, directory: RunDirectory | None) -> EvaluationCallback:
        """Returns the evaluation of an epoch or, without a directory, of the trained network."""
        split = self.evaluated_split if directory is None else self.val_split
        return EvaluationCallback(
            self.evaluator(),
            self.evaluation_batches(split),
            log_dir=None if directory is None else directory.logs,
        )

    def summary_of_epoch(self, logs: dict[str, float]) -> str:
        """Returns the losses and accuracies."""
        line = f"loss {logs['loss']:.3f}  train top1_clas {100 * logs['top1_clas']:.1f}"
        if "val_loss" in logs:
            line += f"  |  val_loss {logs['val_loss']:.3f}"
            line += f"  top1_clas {100 * logs['val_top1_clas']:.1f}"
        return line

    def evaluate(self, model: keras.Model, directory: RunDirectory) -> dict[str, Any]:
        """Evaluates the last epoch, exports it, and adds the best of the evaluated epochs.

        Published figures are often those of the best epoch, which was chosen on the test images.
        """
        results = super().evaluate(model, directory)
        return {**results, **self.figures_of_history(directory.read_history())}

    def figures_of_history(self, history: Sequence[Mapping[str, float]]) -> dict[str, Any]:
        """Returns the best of the evaluated epochs, and its accuracy."""
        epoch = best_epoch(history, "val_top1_clas")
        if epoch is None:
            return {}
        return {"best_top1_clas": history[epoch - 1]["val_top1_clas"], "best_epoch": epoch}

    def final_results(self, model: keras.Model) -> tuple[dict[str, Any], np.ndarray | None]:
        """Evaluates the network, and the most frequent training class as a baseline."""
        final = self.evaluation_callback(None)
        final.set_model(model)
        evaluated = final.evaluate(draw=True)
        figures = {name.removeprefix("val_"): value for name, value in evaluated.items()}
        most_frequent = np.bincount(self.train_split["label"]).argmax()
        baseline = float(np.mean(self.evaluated_split["label"] == most_frequent))
        return {
            "images": len(self.evaluated_split),
            **figures,
            "most_frequent_class": baseline,
            "bad_images": len(self.bad_images),
            "evaluated_examples": self.evaluated_examples,
        }, final.panel

    def export(self, model: keras.Model, directory: RunDirectory) -> None:
        """Exports a model from images to class probabilities and the map of the class."""
        export_localizer(model, directory.saved_model, self.val_split.class_names)

    def results_table(self, results: dict[str, Any]) -> list[str]:
        """Returns the accuracies and the baseline."""
        notes = {"best_top1_clas": f"epoch {results.get('best_epoch')}, chosen on these images"}
        rows = [
            (title, results[key], notes.get(key, ""))
            for key, title in _TITLES.items()
            if key in results
        ]
        return percent_rows(rows)

    @classmethod
    def table_notes(cls, all_results: Sequence[Mapping[str, Any]]) -> str:
        """Returns what the figures are: those of the last epoch."""
        first = all_results[0]
        kind = first.get("evaluated_examples", "test images")
        return (
            f"{first['images']} {kind}. The best epoch was chosen on these images, so its "
            "figure is too high."
        )
