"""Emotion, age and gender of faces: accuracy with and without hiding."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_has import data
from keras_has.data import Dataset, transforms
from keras_has.evaluation import AgeEvaluator, ClassificationEvaluator
from keras_has.layers import LocalContrastNormalization
from trainers.engine.console import percent_rows
from trainers.engine.results_tables import mean_and_spread
from trainers.recipes.faces_recipe import FOLDS, FacesRecipe
from trainers.tasks.classification import Classification
from trainers.tasks.splits import SplitReader

_TITLES = {
    "top1_clas": "Top-1 Clas",
    "one_off": "At most one group off",
    "most_frequent_class": "Most frequent training class",
    "most_frequent_class_one_off": "The same, at most one group off",
}
_YEARS = {
    "mean_absolute_error": "Mean absolute error, years",
    "median_age_error": "Median training age, years",
}
_STATISTICS_BATCH = 256
_LARGEST_ROTATION = 5 / 360
_SCALES = (0.7, 1.4)
_LARGEST_SHIFT = 0.1


class Faces(Classification):
    """Trains on faces; the epoch that is best on validation images is evaluated on test images.

    See `ImageTask` for the arguments.
    """

    recipe: FacesRecipe

    readers: ClassVar[Mapping[str, SplitReader]] = {
        "ck_plus": SplitReader(
            lambda recipe, folder, split: data.ck_plus(
                folder, split, recipe.test_fold, recipe.neutral
            )
        ),
        "fer2013": SplitReader(lambda _, folder, split: data.fer2013(folder, split)),
        "adience": SplitReader(
            lambda recipe, folder, split: data.adience(
                folder, split, recipe.target, recipe.test_fold
            )
        ),
        "utkface": SplitReader(
            lambda recipe, folder, split: data.utkface(folder, split, recipe.target)
        ),
    }
    columns: ClassVar[Sequence[tuple[str, str]]] = tuple(_TITLES.items())
    selection: ClassVar[str] = "val_top1_clas"
    test_split_name: ClassVar[str] = "test"
    evaluated_epoch: ClassVar[str] = "chosen epoch"

    @property
    def split_names(self) -> tuple[str, str]:
        """The names of the splits to train on and to choose the epoch on."""
        return "train", "val"

    @property
    def evaluated_examples(self) -> str:
        """What the trained network is evaluated on, in words."""
        return f"test images{self._fold}"

    @property
    def _fold(self) -> str:
        recipe = self.recipe
        return f" of fold {recipe.test_fold}" if FOLDS[recipe.dataset] else ""

    @property
    def class_set(self) -> str:
        """The number of classes and their names."""
        names = self.train_split.class_names
        return f"{len(names)} classes: {', '.join(names)}"

    def describe(self, model: keras.Model) -> str:
        """Returns the numbers of images, and the classes."""
        return (
            f"{len(self.train_split)} training, {len(self.val_split)} validation and "
            f"{len(self.evaluated_split)} {self.evaluated_examples}; {self.class_set}; "
            f"{model.count_params():,} parameters"
        )

    def scaling(self) -> keras.Layer:
        """Returns the normalization of local contrast, or by the statistics of the training images.

        A recipe's own mean and deviation come first, and pretrained networks have their own.
        """
        if self.recipe.normalization == "local_contrast":
            return LocalContrastNormalization(dtype="float32")
        layer = super().scaling()
        if self.recipe.mean or not isinstance(layer, keras.layers.Normalization):
            return layer
        mean, variance = self._statistics
        return keras.layers.Normalization(mean=mean, variance=variance, dtype="float32")

    @functools.cached_property
    def _statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each channel over all training images at the network's size."""
        sums, squares, count = np.zeros(3), np.zeros(3), 0
        for batch in data.evaluation_batches(
            self.train_split, _STATISTICS_BATCH, self.recipe.image_size, columns=()
        ).as_numpy_iterator():
            pixels = batch["image"].astype("float64")
            sums += pixels.sum((0, 1, 2))
            squares += np.square(pixels).sum((0, 1, 2))
            count += pixels[..., 0].size
        mean = sums / count
        return mean.astype("float32"), (squares / count - mean**2).astype("float32")

    def augmentation(self) -> list[keras.Layer]:
        """Returns the rotation, scaling and shift of Khorrami et al., or what the base class has.

        Images are filled with 0, their mean.
        """
        if self.recipe.augmentation != "khorrami":
            return super().augmentation()
        fill: dict[str, Any] = {"fill_mode": "constant", "fill_value": 0.0, "dtype": "float32"}
        seed = self.recipe.seed
        # Keras' factor is what is added to the field of view.
        zoom = tuple(1 / scale - 1 for scale in reversed(_SCALES))
        return [
            keras.layers.RandomRotation(_LARGEST_ROTATION, seed=seed, **fill),
            keras.layers.RandomZoom(zoom, seed=seed + 1, **fill),
            keras.layers.RandomTranslation(_LARGEST_SHIFT, _LARGEST_SHIFT, seed=seed + 2, **fill),
        ]

    def vary(self, example: transforms.Example, seed: tf.Tensor) -> transforms.Example:
        """Changes intensities p in [0, 1] to p**a * b + c, as Khorrami et al. do."""
        if self.recipe.augmentation != "khorrami":
            return example
        power, factor, offset = tf.unstack(
            tf.random.stateless_uniform((3,), seed, (0.25, 0.7, -0.1), (4.0, 1.4, 0.1))
        )
        changed = (tf.cast(example["image"], tf.float32) / 255) ** power * factor + offset
        return {**example, "image": tf.saturate_cast(tf.round(255 * changed), tf.uint8)}

    def evaluation_batches(self, split: Dataset) -> tf.data.Dataset:
        """Returns the images of a split as they are evaluated, with their labels and ages."""
        recipe = self.recipe
        return data.evaluation_batches(
            split,
            recipe.batch_size,
            recipe.image_size,
            columns=("label", "age") if recipe.target == "age" else ("label",),
            center_share=recipe.image_size / recipe.resize_size,
        )

    def evaluator(self) -> ClassificationEvaluator:
        """Returns what computes the figures; for ages, each group stands for its median age."""
        if self.recipe.target != "age":
            return super().evaluator()
        ages, labels = self.train_split["age"], self.train_split["label"]
        medians = [
            np.median(ages[labels == label] if (labels == label).any() else ages)
            for label in range(len(self.train_split.class_names))
        ]
        return AgeEvaluator(self.train_split.class_names, medians)

    def figures_of_history(self, history: Sequence[Mapping[str, float]]) -> dict[str, Any]:
        """Returns the epoch that was chosen, and its accuracy on the validation images."""
        chosen = super().figures_of_history(history)
        return {"best_epoch": chosen["best_epoch"], "val_top1_clas": chosen["best_top1_clas"]}

    def final_results(self, model: keras.Model) -> tuple[dict[str, Any], np.ndarray | None]:
        """Evaluates the network, the most frequent class and, for ages, the median age."""
        results, panel = super().final_results(model)
        results |= {"recipe": self.recipe.name, "class_set": self.class_set}
        if FOLDS[self.recipe.dataset]:
            results["fold"] = self.recipe.test_fold
        if self.recipe.target == "age":
            train, test = self.train_split, self.evaluated_split
            most_frequent = np.bincount(train["label"]).argmax()
            off = np.abs(test["label"] - most_frequent)
            error = np.abs(test["age"] - np.median(train["age"]))
            results["most_frequent_class_one_off"] = float(np.mean(off <= 1))
            results["median_age_error"] = float(np.mean(error))
        return results, panel

    def results_headline(self, results: dict[str, Any]) -> str:
        """Returns how many images were evaluated, and the class set."""
        return f"{results['images']} {self.evaluated_examples}, {results['class_set']}; percent"

    def results_table(self, results: dict[str, Any]) -> list[str]:
        """Returns accuracies, errors and baselines."""
        note = f"epoch {results['best_epoch']}, best on the validation images"
        rows = [
            (title, results[key], note if key == "top1_clas" else "")
            for key, title in _TITLES.items()
            if key in results
        ]
        # In years, not in percent.
        years = [(title, results[key] / 100, "") for key, title in _YEARS.items() if key in results]
        return percent_rows([*rows, *years])

    @classmethod
    def table_notes(cls, all_results: Sequence[Mapping[str, Any]]) -> str:
        """Returns the class set, the images, how the epoch was chosen, and errors in years."""
        class_sets = dict.fromkeys(results["class_set"] for results in all_results)
        folds = sorted({results["fold"] for results in all_results if "fold" in results})
        images = sorted({results["images"] for results in all_results})
        notes = [
            " / ".join(class_sets) + ".",
            f"{' or '.join(map(str, images))} test images"
            + (f", folds {', '.join(map(str, folds))}" if folds else "")
            + ". The epoch was chosen on validation images.",
        ]
        by_recipe: dict[str, list[float]] = {}
        for results in all_results:
            if "mean_absolute_error" in results:
                by_recipe.setdefault(results["recipe"], []).append(results["mean_absolute_error"])
        if by_recipe:
            errors = [f"{name} {mean_and_spread(np.array(x))}" for name, x in by_recipe.items()]
            median = all_results[0]["median_age_error"]
            notes.append(
                f"Mean absolute error in years: {', '.join(errors)}; median training age "
                f"{median:.1f}."
            )
        return " ".join(notes)
