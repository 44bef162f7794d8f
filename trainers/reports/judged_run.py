"""A finished run of images, judged again image by image."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_has import data
from keras_has.callbacks import CAMLocalization
from keras_has.callbacks.localized_image import LocalizedImage
from keras_has.models.pixel_scaling import IMAGENET_MEAN
from trainers import runs
from trainers.image_task import ImageTask, mean_and_std
from trainers.recipes import ImageRecipe
from trainers.reports.failures import failure_kind
from trainers.reports.occlusion import SHARES, accuracy_under_covers
from trainers.runs import RunError, progress

# What decides the images and what is known of them, and so has to be the same to share them.
_OF_DATA = ("dataset", "image_size", "tuning_share")
# Another device adds up in another order, and few boxes may move, one of a small set; where more
# do, it is another network or other images.
_MOST_DIFFERENCE = 0.005
_ROUNDING = 1e-6  # metrics give their results in float32
_NO_PIXELS = np.zeros((0, 0))


class JudgedRun:
    """What is known of a finished run, of all images of its validation split.

    `name` is what to call it, `label` the same in short, `key` its name for the page's script and
    `colour` its number in plots; of two runs on one page one needs others.

    Args:
        run_dir: Where it is.
        data_dir: The data set's folder; None for the one that the run was started with.
        shares_data_with: A run whose data are taken over where they are the same, or None.

    Raises:
        RunError: If there is no finished run of images, or its data or network cannot be read.
    """

    def __init__(
        self,
        run_dir: str | os.PathLike[str],
        data_dir: str | os.PathLike[str] | None = None,
        shares_data_with: JudgedRun | None = None,
    ) -> None:
        directory, self.recipe, self.results = runs.open_finished(run_dir, ImageRecipe)
        self.path = directory.path
        self.name = f"{self.recipe.name}, seed {self.recipe.seed}"
        self.label = self.recipe.name
        self.key, self.colour = "run", 1
        if data_dir is None:
            data_dir = (directory.read_json("source.json") or {}).get("data_dir")
        is_known_bad = (directory.path / "bad_images.json").is_file()
        self.task = ImageTask(self.recipe, data_dir, "skip" if is_known_bad else "error")
        other = shares_data_with
        if other is not None and self._has_data_of(other, data_dir):
            self.task.data_dir = other.task.data_dir
            self.task.train_split, self.task.val_split = other.task.train_split, other.split
        else:
            self.task.load(directory)
        self.model = runs.load_network(self.task, directory)
        final = self.task.final_localization()
        self._method = final.method
        self._size: tuple[int, int] = tuple(final.dataset.element_spec["image"].shape[1:3])

    def _has_data_of(self, other: JudgedRun, data_dir: Any) -> bool:
        there = other.task.data_dir
        same_folder = (there is None and data_dir is None) or (
            there is not None
            and data_dir is not None
            and Path(there).resolve() == Path(data_dir).resolve()
        )
        return (
            same_folder
            and other.task.on_bad_image == self.task.on_bad_image == "error"
            and all(getattr(self.recipe, key) == getattr(other.recipe, key) for key in _OF_DATA)
        )

    @property
    def split(self) -> data.ImageDataset:
        """The images that it is judged on."""
        return self.task.val_split

    @property
    def threshold(self) -> float:
        """The fixed threshold, a share of the map's maximum."""
        return self.recipe.cam_threshold

    @property
    def map_size(self) -> tuple[int, int]:
        """Height and width, in pixels, that maps are enlarged to."""
        return self._size

    @functools.cached_property
    def images(self) -> list[LocalizedImage]:
        """What is known of each image, in order, without its pixels and its map.

        Raises:
            RunError: If it does not give the figures of `results.json`.
        """
        show = progress(f"judging {self.name}")
        found = []
        for image in self._iterate(self.split):
            found.append(dataclasses.replace(image, image=_NO_PIXELS, map=_NO_PIXELS))
            if show is not None:
                show(len(found), len(self.split))
        boxed = sum(image.iou is not None for image in found)
        for key, value in figures_of(found).items():
            there = self.results.get(key, math.nan)
            one_image = 1.5 / max(1, len(found) if key == "top1_clas" else boxed)
            most = max(_MOST_DIFFERENCE, one_image)
            if math.isfinite(value) and not abs(value - there) <= most:
                raise RunError(
                    f"{self.path} has {key} = {there:.4f} in results.json, and its network gives "
                    f"{value:.4f} now: the images are not those that it was judged on. "
                    "Give their folder as --data_dir."
                )
        return found

    @property
    def boxed(self) -> int:
        """How many images have a true box."""
        return sum(image.iou is not None for image in self.images)

    def says(self, image: LocalizedImage) -> str:
        """Returns what it says of the class of an image, in words."""
        outcome = "right" if class_is_right(image) else "wrong"
        name = self.split.class_names[image.predicted_class]
        return f"{self.label} says {name} ({image.probability:.0%}, {outcome})"

    def differences(self) -> list[str]:
        """Returns which figures of `results.json` differ from those found now, as text."""
        return [
            f"{key} is {self.results[key]:.4f} in results.json, {value:.4f} now"
            for key, value in figures_of(self.images).items()
            if math.isfinite(value) and abs(value - self.results[key]) > _ROUNDING
        ]

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
        method = self._method(self.model)

        @tf.function(reduce_retracing=True)
        def probabilities(images: tf.Tensor) -> tf.Tensor:
            return method.probabilities(images)

        subset = self.split.select(np.array(rows))
        batches = data.evaluation_batches(subset, self.recipe.batch_size, self._size[0])
        show = progress(f"covering for {self.name}")
        return accuracy_under_covers(
            lambda images: probabilities(tf.constant(images)),
            batches.as_numpy_iterator(),
            colour,
            seed,
            SHARES,
            show and (lambda done, _: show(done, len(rows))),
        )

    def _iterate(self, split: data.ImageDataset) -> Any:
        batches = data.evaluation_batches(split, self.recipe.batch_size, self._size[0])
        callback = CAMLocalization(batches, self.threshold, method=self._method)
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
