"""A finished run of images, judged again image by image."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_has import data
from keras_has.callbacks import CAMLocalization, LocalizedImage
from keras_has.cams import MapMethod
from keras_has.models.pixel_scaling import IMAGENET_MEAN
from trainers.engine.runs import RunDirectory, progress
from trainers.recipes import ImageRecipe
from trainers.reports.failures import failure_kind
from trainers.reports.finished_run import FinishedRun
from trainers.reports.occlusion import SHARES, accuracy_under_covers
from trainers.tasks.image_localization import ImageLocalization
from trainers.tasks.networks import mean_and_std

_NO_PIXELS = np.zeros((0, 0))


class JudgedRun(FinishedRun):
    """What is known of a finished run, of all images of its validation split.

    See `FinishedRun` for its arguments.
    """

    recipe_kind = ImageRecipe
    item = "image"
    fields_of_data = ("dataset", "image_size", "tuning_share")

    recipe: ImageRecipe
    task: ImageLocalization

    def _make_task(
        self, directory: RunDirectory, data_dir: str | os.PathLike[str] | None
    ) -> ImageLocalization:
        is_known_bad = (directory.path / "bad_images.json").is_file()
        return ImageLocalization(self.recipe, data_dir, "skip" if is_known_bad else "error")

    def _has_data_of(self, other: JudgedRun) -> bool:
        # Which files are left out may differ from run to run.
        is_whole = other.task.on_bad_image == self.task.on_bad_image == "error"
        return is_whole and super()._has_data_of(other)

    def _agreement(self, other: JudgedRun) -> dict[str, bool]:
        ours, theirs = self.split, other.split
        return {
            "images": np.array_equal(ours.image_ids, theirs.image_ids),
            "classes": ours.class_names == theirs.class_names,
            "labels": np.array_equal(ours.labels, theirs.labels),
            "boxes": all(map(np.array_equal, ours.boxes, theirs.boxes)),
        }

    @property
    def map_size(self) -> tuple[int, int]:
        """Height and width, in pixels, that maps are enlarged to."""
        return self._method_and_size[1]

    @functools.cached_property
    def _method_and_size(self) -> tuple[Callable[[keras.Model], MapMethod], tuple[int, int]]:
        """From a model to what makes its maps, and the size of images, as it was judged."""
        final = self.task.final_localization()
        return final.method, tuple(final.dataset.element_spec["image"].shape[1:3])

    @functools.cached_property
    def images(self) -> list[LocalizedImage]:
        """What is known of each image, in order, without its pixels and its map.

        Raises:
            RunError: If it does not give the figures of `results.json`.
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
        """Top-1 Clas, GT-known Loc and Top-1 Loc, NaN where there is nothing to measure."""
        return figures_of(self.images)

    @property
    def boxed(self) -> int:
        """How many images have a true box."""
        return sum(image.iou is not None for image in self.images)

    def says(self, image: LocalizedImage) -> str:
        """Returns what it says of the class of an image, in words."""
        outcome = "right" if class_is_right(image) else "wrong"
        name = self.split.class_names[image.predicted_class]
        return f"{self.label} says {name} ({image.probability:.0%}, {outcome})"

    def with_pixels(self, rows: Sequence[int]) -> dict[int, LocalizedImage]:
        """Returns some images once more, with pixels and maps, by their row."""
        if not len(rows):
            return {}
        return dict(zip(rows, self._iterate(self.split.select(np.array(rows))), strict=True))

    def kinds(self, judges_class: bool = True) -> list[str | None]:
        """Returns the kind of each image, see `failures`; None for one without a true box.

        Args:
            judges_class: Whether the class counts (Top-1 Loc), or the box alone (GT-known Loc).
        """
        return [
            None
            if image.iou is None
            else failure_kind(
                image.box, image.true_boxes, not judges_class or class_is_right(image)
            )
            for image in self.images
        ]

    def mean_colour(self) -> tuple[tuple[float, ...], str]:
        """Returns a mean colour, three numbers in [0, 255], and of which images it is the mean."""
        if self.recipe.mean:
            # What hidden pixels become, carried back from the network's scale.
            fill = np.resize(self.recipe.fill_value or (0.0,), 3)
            colour = np.array(self.recipe.mean) + fill * np.array(self.recipe.std)
            return tuple(colour.tolist()), "the recipe's colour of hidden pixels"
        if self.task.train_split.images is None:
            return IMAGENET_MEAN, "the mean colour of ImageNet"
        mean, _ = mean_and_std(self.recipe, self.task.train_split)
        return tuple(mean.tolist()), "the training images' mean colour"

    def right_under_covers(
        self, rows: Sequence[int], colour: Sequence[float], seed: int
    ) -> np.ndarray:
        """Returns (rows, shares) booleans: classified right with a share of the boxes covered."""
        method = self._method_and_size[0](self.model)

        @tf.function(reduce_retracing=True)
        def probabilities(images: tf.Tensor) -> tf.Tensor:
            return method.probabilities(images)

        subset = self.split.select(np.array(rows))
        batches = data.evaluation_batches(subset, self.recipe.batch_size, self.map_size[0])
        show = progress(f"covering for {self.name}")
        return accuracy_under_covers(
            lambda images: probabilities(tf.constant(images)),
            batches.as_numpy_iterator(),
            colour,
            seed,
            SHARES,
            show and (lambda done, _: show(done, len(rows))),
        )

    def _iterate(self, split: data.Dataset) -> Any:
        batches = data.evaluation_batches(split, self.recipe.batch_size, self.map_size[0])
        callback = CAMLocalization(batches, self.threshold, method=self._method_and_size[0])
        callback.set_model(self.model)
        return callback.iterate()


def class_is_right(image: LocalizedImage) -> bool:
    """Whether the class is right; a probability that is no number is never."""
    return image.is_classified and math.isfinite(image.label_probability)


def figures_of(images: Sequence[LocalizedImage]) -> dict[str, float]:
    """Returns Top-1 Clas, GT-known Loc and Top-1 Loc, from each image, NaN where there is none."""
    boxed = [image for image in images if image.iou is not None]
    return {
        "top1_clas": _share([class_is_right(image) for image in images]),
        "gt_known_loc": _share([bool(image.is_localized) for image in boxed]),
        "top1_loc": _share([bool(image.is_localized) and class_is_right(image) for image in boxed]),
    }


def _share(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else math.nan
