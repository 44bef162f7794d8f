"""A finished run that localizes objects, evaluated again image by image."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_has import data
from keras_has.callbacks import CAMLocalization, LocalizedImage
from keras_has.cams import MapMethod
from keras_has.models.pixel_scaling import IMAGENET_MEAN
from trainers.engine.console import progress
from trainers.recipes import ImageRecipe
from trainers.reports.box_failures import failure_kind
from trainers.reports.image_run import ImageRun
from trainers.reports.occlusion import SHARES, accuracy_under_covers
from trainers.tasks.image_localization import ImageLocalization
from trainers.tasks.networks import mean_and_std

_NO_PIXELS = np.zeros((0, 0))


class LocalizationRun(ImageRun):
    """A finished run on images and its boxes and maps for each image of the validation split.

    See `FinishedRun` for the arguments.
    """

    recipe_kind = ImageRecipe
    task_class = ImageLocalization
    fields_of_data = (*ImageRun.fields_of_data, "nested")

    recipe: ImageRecipe
    task: ImageLocalization

    def _agreement(self, other: LocalizationRun) -> dict[str, bool]:
        ours, theirs = self.split["boxes"], other.split["boxes"]
        return {**super()._agreement(other), "boxes": all(map(np.array_equal, ours, theirs))}

    @property
    def map_size(self) -> tuple[int, int]:
        """Height and width in pixels to which maps are resized."""
        return self._method_and_size[1]

    @functools.cached_property
    def _method_and_size(self) -> tuple[Callable[[keras.Model], MapMethod], tuple[int, int]]:
        """The run's map method, as a function of the model, and its image size."""
        final = self.task.final_localization()
        return final.method, tuple(final.dataset.element_spec["image"].shape[1:3])

    @functools.cached_property
    def images(self) -> list[LocalizedImage]:
        """The result for each image, in order, without its pixels and its map.

        Raises:
            RunError: If the figures do not agree with `results.json`.
        """
        found = [
            dataclasses.replace(image, image=_NO_PIXELS, map=_NO_PIXELS)
            for image in self._with_progress(self._iterate(self.split))
        ]
        boxed = sum(image.iou is not None for image in found)
        self._check_figures(figures_of(found), len(found), boxed)
        return found

    @functools.cached_property
    def figures(self) -> dict[str, float]:
        """Top-1 Clas, GT-known Loc and Top-1 Loc; NaN for those that cannot be measured."""
        return figures_of(self.images)

    @property
    def boxed(self) -> int:
        """Number of images with a true box."""
        return sum(image.iou is not None for image in self.images)

    def describe(self, image: LocalizedImage) -> str:
        """Returns the predicted class of an image in words."""
        is_right = class_is_right(image)
        return self.describe_prediction(image.predicted_class, image.probability, is_right)

    def with_pixels(self, rows: Sequence[int]) -> dict[int, LocalizedImage]:
        """Returns the results of some images with pixels and maps, by row."""
        if not len(rows):
            return {}
        return dict(zip(rows, self._iterate(self.split.select(np.array(rows))), strict=True))

    def kinds(self, class_counts: bool = True) -> list[str | None]:
        """Returns the kind of failure of each image; None for images without a true box.

        Args:
            class_counts: Whether a wrong class is a failure (as in Top-1 Loc) or only the box
                matters (as in GT-known Loc).
        """
        return [
            None
            if image.iou is None
            else failure_kind(
                image.box, image.true_boxes, not class_counts or class_is_right(image)
            )
            for image in self.images
        ]

    def mean_colour(self) -> tuple[tuple[float, ...], str]:
        """Returns a mean colour, three numbers in [0, 255], and its description."""
        if self.recipe.mean:
            # The value of hidden pixels, converted back from the scale of the network.
            fill = np.resize(self.recipe.fill_value or (0.0,), 3)
            colour = np.array(self.recipe.mean) + fill * np.array(self.recipe.std)
            return tuple(colour.tolist()), "the colour of hidden pixels in the recipe"
        if getattr(self.task.train_split.source, "pixels", None) is None:
            return IMAGENET_MEAN, "the mean colour of ImageNet"
        mean, _ = mean_and_std(self.recipe, self.task.train_split)
        return tuple(mean.tolist()), "the mean colour of the training images"

    def right_under_covers(
        self, rows: Sequence[int], colour: Sequence[float], seed: int
    ) -> np.ndarray:
        """Returns (rows, shares) booleans: whether covered images are classified right."""
        method = self._method_and_size[0](self.model)

        @tf.function(reduce_retracing=True)
        def probabilities(images: tf.Tensor) -> tf.Tensor:
            return method.probabilities(images)

        subset = self.split.select(np.array(rows))
        batches = data.evaluation_batches(subset, self.recipe.batch_size, self.map_size[0])
        update = progress(f"evaluating {self.name} on covered objects", self.item)
        return accuracy_under_covers(
            lambda images: probabilities(tf.constant(images)),
            batches.as_numpy_iterator(),
            colour,
            seed,
            SHARES,
            update and (lambda done, _: update(done, len(rows))),
        )

    def _iterate(self, split: data.Dataset) -> Any:
        batches = data.evaluation_batches(split, self.recipe.batch_size, self.map_size[0])
        callback = CAMLocalization(batches, self.threshold, method=self._method_and_size[0])
        callback.set_model(self.model)
        return callback.iterate()


def class_is_right(image: LocalizedImage) -> bool:
    """Returns whether the class is right; it never is if the probability is NaN."""
    return image.is_classified and math.isfinite(image.label_probability)


def figures_of(images: Sequence[LocalizedImage]) -> dict[str, float]:
    """Returns Top-1 Clas, GT-known Loc and Top-1 Loc of images; NaN for those without examples."""
    boxed = [image for image in images if image.iou is not None]
    return {
        "top1_clas": _share([class_is_right(image) for image in images]),
        "gt_known_loc": _share([bool(image.is_localized) for image in boxed]),
        "top1_loc": _share([bool(image.is_localized) and class_is_right(image) for image in boxed]),
    }


def _share(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else math.nan
