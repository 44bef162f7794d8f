"""Semantic segmentation: a class for every pixel, with and without hiding."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_has import data, drawing, models
from keras_has.callbacks import EvaluationCallback
from keras_has.data import Dataset, transforms
from keras_has.data.readers.pascal_voc import CAMVID_CLASSES, VOC_CLASSES
from keras_has.evaluation import Panel, SegmentationEvaluator, segmentation_baselines
from keras_has.export import export_segmenter
from keras_has.layers import PadToMultiple
from keras_has.models.pixel_scaling import IMAGENET_MEAN
from keras_has.ops.segmentation import VOID, pixel_accuracy, pixel_cross_entropy
from trainers.engine.console import percent_rows, progress
from trainers.engine.run_directory import RunDirectory
from trainers.engine.run_error import RunError
from trainers.recipes.segmentation_recipe import SegmentationRecipe
from trainers.tasks.image_task import ImageTask
from trainers.tasks.networks import build_network, mean_and_std, pixel_layer
from trainers.tasks.splits import SplitReader

_TITLES = {
    "mean_iou": "Mean IoU",
    "pixel_acc": "Pixel accuracy",
    "mean_class_acc": "Mean accuracy of the classes",
    "most_frequent_class": "Most frequent class: mean IoU",
    "most_frequent_class_per_pixel": "Most frequent class of each pixel: mean IoU",
}
_PANEL_IMAGES = 12
_LARGEST_STRIDE = 32


def _reader(class_names: Sequence[str] | None) -> SplitReader:
    return SplitReader(
        lambda recipe, folder, split: data.pascal_voc(
            folder, split, class_names, recipe.mask_folder
        )
    )


class Segmentation(ImageTask):
    """Trains on images with masks, and evaluates the mean IoU; for arguments see `ImageTask`."""

    recipe: SegmentationRecipe

    readers: ClassVar[Mapping[str, SplitReader]] = {
        "pascal_voc": _reader(VOC_CLASSES),
        "camvid": _reader(CAMVID_CLASSES),
        "voc_folder": _reader(None),
    }
    record_column: ClassVar[str] = "mask"
    columns: ClassVar[Sequence[tuple[str, str]]] = tuple(_TITLES.items())

    @property
    def split_names(self) -> tuple[str, str]:
        """The lists of images to train and to evaluate on."""
        return self.recipe.train_list, self.recipe.val_list

    @property
    def evaluated_examples(self) -> str:
        """What is evaluated on, in words."""
        return f"images of {self.recipe.val_list}.txt"

    def load(self, directory: RunDirectory | None = None) -> None:
        """Reads both splits, and all of their masks once.

        Raises:
            RunError: For errors the user can fix, such as masks with unknown classes.
        """
        super().load(directory)
        both = sorted({*self.train_split.ids.tolist()} & {*self.val_split.ids.tolist()})
        if both:
            raise RunError(
                f"{len(both)} images are in {self.recipe.train_list}.txt and in "
                f"{self.recipe.val_list}.txt, such as {both[0]!r}: remove them from one of the "
                "lists."
            )
        self.train_split, self.val_split = (
            self._with_label_counts(split, name)
            for split, name in zip(
                (self.train_split, self.val_split), self.split_names, strict=True
            )
        )
        self.set_splits(self.train_split, self.val_split)
        for split in (self.train_split, self.val_split):
            if not split["label_counts"].any():
                raise RunError(f"{split.name} has no labelled pixel: all of its masks are void.")
        counts = self.train_split["label_counts"].sum(0)
        missing = [
            name for name, n in zip(self.train_split.class_names, counts, strict=True) if not n
        ]
        if missing:
            problem = f"{self.train_split.name} has no pixel of: {', '.join(missing)}"
            problems = (*self.train_split.problems, problem)
            self.train_split = dataclasses.replace(self.train_split, problems=problems)

    def _with_label_counts(self, split: Dataset, name: str) -> Dataset:
        """Returns a split with what its masks contain; bad masks are an error, or left out."""
        found = data.count_labels(split, progress(f"checking masks of {name}", "mask"))
        split = split.replace_columns(label_counts=found.pixels)
        if found.bad_masks and self.on_bad_image != "skip":
            raise RunError(str(data.BadImageError(*found.bad_masks)))
        self.bad_images.extend(
            {"image_id": bad.image_id, "path": bad.path, "reason": bad.reason}
            for bad in found.bad_masks
        )
        is_good = found.sizes.all(axis=1)
        return split.select(is_good).replace_columns(image_size=found.sizes[is_good])

    def build_model(self) -> keras.Model:
        """Returns the network for images of any size, with normalization inside."""
        recipe = self.recipe
        # Patches are hidden in the batches, where the labels are, too.
        plain = dataclasses.replace(recipe, patch_size=(0,), hidden_pixels="keep")
        scaling, classes = pixel_layer(recipe, self.train_split), len(self.train_split.class_names)
        is_padded = recipe.model == "alexnet"
        padding = [] if is_padded else [PadToMultiple(_LARGEST_STRIDE)]
        classifier = build_network(plain, classes, scaling, padding, takes_any_size=True)
        try:
            return models.FCN(classifier, classes, recipe.output_stride)
        except ValueError as error:
            raise RunError(f"--model={recipe.model}: {error}") from error

    def input_layers(self) -> list[keras.Layer]:
        """Returns the scaling alone: patches are hidden in the batches."""
        return [pixel_layer(self.recipe, self.train_split)]

    def compile_arguments(self) -> dict[str, Any]:
        """Returns the cross-entropy and accuracy of the labelled pixels."""
        return {
            "loss": pixel_cross_entropy,
            "metrics": [keras.metrics.MeanMetricWrapper(pixel_accuracy, name="pixel_acc")],
        }

    def batches(self, first_step: int) -> tf.data.Dataset:
        """Returns training batches: crops of images at their own scale, and their masks."""
        return self._batches(first_step, is_hiding=any(self.recipe.patch_size))

    def training_panel(self) -> drawing.Picture:
        """Returns images of the first batch as the network sees them, and their labels."""
        panel = Panel("training images as the network sees them, and their labels", columns=4)
        for image, mask in zip(*next(iter(self.batches(0))), strict=True):
            pixels = np.rint(image).astype("uint8")
            tiles = [pixels, drawing.label_map_overlay(pixels, mask)]
            panel.add(np.concatenate(tiles, axis=1), "")
        return panel.draw()

    def prepare_for_evaluation(self, model: keras.Model) -> None:
        """Re-estimates the statistics of batch normalization on images without hidden patches."""
        count = self.recipe.batch_norm_refresh
        if count:
            models.refresh_batch_norm(model, self._batches(0, is_hiding=False).take(count))

    def _batches(self, first_step: int, is_hiding: bool) -> tf.data.Dataset:
        recipe, size = self.recipe, self.recipe.image_size
        mean, hidden = self._colors()

        def transform(
            example: transforms.Example, seed: tf.Tensor, is_flipped: tf.Tensor
        ) -> transforms.Example:
            example = {**example, "image": tf.cast(example["image"], tf.float32)}
            example = transforms.pad_to_size(example, size, size, mean)
            example = transforms.random_crop(example, seed, size, size)
            if recipe.horizontal_flip:
                example = transforms.flip(example, is_flipped)
            image, mask = example["image"], example["mask"]
            return {
                "image": tf.ensure_shape(image, (size, size, 3)),
                "mask": tf.ensure_shape(mask, (size, size)),
            }

        def hide(batch: transforms.Example) -> tuple[tf.Tensor, tf.Tensor]:
            images, masks = batch["image"], batch["mask"]
            if not is_hiding:
                return images, masks
            settings = (batch["hiding_seed"], recipe.patch_size, recipe.patch_probability)
            if recipe.hidden_pixels == "ignore":
                seen = data.stateless_hide_images(tf.ones_like(masks)[..., None], *settings)
                masks = tf.where(seen[..., 0] == 1, masks, tf.constant(VOID, tf.uint8))
            return data.stateless_hide_images(images, *settings, fill_value=hidden), masks

        return data.image_batches(
            self.train_split,
            recipe.batch_size,
            transform,
            ("mask",),
            seed=recipe.seed,
            first_step=first_step,
            hiding_seeds=is_hiding,
        ).map(hide, num_parallel_calls=tf.data.AUTOTUNE)

    def _colors(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the mean color, and the color of hidden pixels: RGB in [0, 255]."""
        recipe, scaling = self.recipe, pixel_layer(self.recipe, self.train_split)
        if isinstance(scaling, keras.layers.Normalization):
            mean, std = mean_and_std(recipe, self.train_split)
            return mean, mean + np.resize(recipe.fill_value or (0.0,), 3) * std
        mean = np.array(IMAGENET_MEAN, "float32")
        if not recipe.fill_value:
            return mean, mean
        fill = np.resize(recipe.fill_value, 3)[:: -1 if scaling.blue_first else 1]
        return mean, (fill * scaling.std + scaling.mean).astype("float32")

    def evaluation_callback(self, directory: RunDirectory | None) -> EvaluationCallback:
        """Returns the evaluation of an epoch."""
        return EvaluationCallback(
            SegmentationEvaluator(
                self.val_split.class_names, math.ceil(len(self.val_split) / _PANEL_IMAGES)
            ),
            data.segmentation_batches(self.val_split, self.recipe.batch_size),
            log_dir=None if directory is None else directory.logs,
        )

    def summary_of_epoch(self, logs: dict[str, float]) -> str:
        """Returns the losses, and the accuracies and mean IoU."""
        line = f"loss {logs['loss']:.3f}  train pixel_acc {100 * logs['pixel_acc']:.1f}"
        if "val_loss" in logs:
            line += (
                f"  |  val_loss {logs['val_loss']:.3f}  mean_iou {100 * logs['val_mean_iou']:.1f}"
            )
        return line

    def final_results(self, model: keras.Model) -> tuple[dict[str, Any], np.ndarray | None]:
        """Evaluates the network, and baselines that need none."""
        final = self.evaluation_callback(None)
        final.set_model(model)
        figures = final.evaluate(draw=True)
        evaluator: Any = final.evaluator
        ious = evaluator.class_iou().items()
        return {
            "images": len(self.val_split),
            **{name.removeprefix("val_"): value for name, value in figures.items()},
            "class_iou": {name: None if math.isnan(iou) else iou for name, iou in ious},
            **segmentation_baselines(self.train_split, self.val_split),
            "bad_images": len(self.bad_images),
            "evaluated_examples": self.evaluated_examples,
        }, final.panel

    def export(self, model: keras.Model, directory: RunDirectory) -> None:
        """Exports a model from photos to label maps of their size."""
        longest = int(self.train_split["image_size"].max())
        export_segmenter(model, directory.saved_model, self.val_split.class_names, longest)

    def results_table(self, results: dict[str, Any]) -> list[str]:
        """Returns mean IoU, accuracies and baselines, and the IoU of each class."""
        rows = [(title, results[key], "") for key, title in _TITLES.items()]
        ious = results["class_iou"].items()
        rows += [(f"IoU of {name}", iou, "") for name, iou in ious if iou is not None]
        absent = ", ".join(name for name, iou in ious if iou is None)
        notes = [f"  Neither there nor predicted: {absent}"] if absent else []
        for key, value in self.recipe.published.items():
            notes.append(f"  published: {_TITLES[key]} {value}")
        return [*percent_rows(rows), *notes]

    @classmethod
    def table_notes(cls, all_results: Sequence[Mapping[str, Any]]) -> str:
        """Returns how the figures were computed."""
        first = all_results[0]
        return (
            f"{first['images']} {first['evaluated_examples']}. Mean IoU from one confusion matrix "
            "over all images at their own size, without void pixels."
        )
