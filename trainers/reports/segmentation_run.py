"""A finished run that labels pixels, evaluated again image by image."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np

from keras_has import data
from keras_has.evaluation import Inference, SegmentationEvaluator
from keras_has.evaluation.batch import Batch
from keras_has.ops.segmentation import class_iou, confusion_matrix, segmentation_scores
from trainers.recipes.segmentation_recipe import SegmentationRecipe
from trainers.reports.image_run import ImageRun
from trainers.tasks.segmentation import Segmentation


@dataclasses.dataclass(frozen=True)
class LabelledImage:
    """An image with its labels and those that the network predicts.

    Args:
        image: (H, W, 3) uint8.
        mask: (H, W) uint8, 255 for void.
        label_map: (H, W) uint8, the prediction.
    """

    image: np.ndarray
    mask: np.ndarray
    label_map: np.ndarray


class SegmentationRun(ImageRun):
    """A finished run of segmentation and its confusion matrix for each image.

    See `FinishedRun` for the arguments.
    """

    recipe_kind = SegmentationRecipe
    task_class = Segmentation
    fields_of_data = ("dataset", "train_list", "val_list", "mask_folder")

    recipe: SegmentationRecipe
    task: Segmentation

    def _agreement(self, other: SegmentationRun) -> dict[str, bool]:
        ours, theirs = self.split, other.split
        return {
            "images": np.array_equal(ours.ids, theirs.ids),
            "classes": ours.class_names == theirs.class_names,
            "labels": np.array_equal(ours["label_counts"], theirs["label_counts"]),
        }

    @functools.cached_property
    def confusions(self) -> np.ndarray:
        """The confusion matrix of each image, (N, classes, classes).

        Raises:
            RunError: If the figures do not agree with `results.json`.
        """
        classes = len(self.split.class_names)
        found = np.array(
            [
                confusion_matrix(one.mask, one.label_map, classes)
                for one in self._with_progress(self._iterate(self.split))
            ]
        )
        total = found.sum(0)
        self._check_figures(segmentation_scores(total), len(found), int(total.sum()))
        return found

    @property
    def figures(self) -> dict[str, float]:
        """Mean IoU, pixel accuracy and mean accuracy of the classes."""
        return segmentation_scores(self.confusions.sum(0))

    @property
    def class_iou(self) -> np.ndarray:
        """The IoU of each class; NaN for one neither present nor predicted."""
        return class_iou(self.confusions.sum(0))

    @property
    def image_iou(self) -> np.ndarray:
        """The mean IoU of each image by itself; NaN for one without labels."""
        return np.array([segmentation_scores(one)["mean_iou"] for one in self.confusions])

    def with_pixels(self, rows: Sequence[int]) -> dict[int, LabelledImage]:
        """Returns some images with their labels and predictions, by row."""
        return dict(zip(rows, self._iterate(self.split.select(np.array(rows, int))), strict=True))

    def _iterate(self, split: data.Dataset) -> Iterator[LabelledImage]:
        evaluator = SegmentationEvaluator(split.class_names)
        inference = Inference(
            data.segmentation_batches(split, self.recipe.batch_size),
            evaluator.forward(self.model),
            padding_values=evaluator.padding_values,
        )

        def images_of(batch: Batch) -> list[LabelledImage]:
            parts = (batch["image"], batch["mask"], batch["label_map"])
            return [LabelledImage(*of_image) for of_image in zip(*parts, strict=True)]

        for images in inference.map(images_of):
            yield from images
