"""Localization in images from image-level labels: a classifier whose maps show the object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np

from keras_has import callbacks, cams, data, metrics
from keras_has.data import Dataset
from keras_has.export import export_localizer
from keras_has.metrics.localization_curve import THRESHOLDS
from keras_has.ops.boxes import best_centred_side
from trainers.engine.console import percent_rows, progress
from trainers.engine.run_directory import RunDirectory
from trainers.recipes import ImageRecipe
from trainers.tasks.image_task import ImageTask
from trainers.tasks.splits import SplitReader

# Side of the centred box if no training boxes are known, as a fraction of the image.
_DEFAULT_CENTRED_SIDE = 0.8
TITLES = {"gt_known_loc": "GT-known Loc", "top1_loc": "Top-1 Loc", "top1_clas": "Top-1 Clas"}


class ImageLocalization(ImageTask):
    """Trains on images, and evaluates maps and boxes. See `ImageTask` for its arguments."""

    recipe: ImageRecipe

    readers: ClassVar[Mapping[str, SplitReader]] = {
        "parts": SplitReader(
            lambda recipe, _, split: data.generated_parts(
                split, image_size=recipe.image_size, progress=progress(f"drawing {split}", "image")
            ),
            is_generated=True,
        ),
        "tiny_imagenet": SplitReader(lambda _, folder, split: data.tiny_imagenet(folder, split)),
        "cub": SplitReader(lambda _, folder, split: data.cub(folder, split)),
        "pets": SplitReader(lambda _, folder, split: data.pets(folder, split)),
        "imagenet": SplitReader(
            # The boxes of training images are only needed to evaluate on some of them.
            lambda recipe, folder, split: (
                data.imagenet(folder, split, read_boxes=True)
                if recipe.tuning_share
                else data.imagenet(folder, split)
            )
        ),
        "folder": SplitReader(
            lambda recipe, folder, split: data.image_folder(folder, split, nested=recipe.nested)
        ),
    }
    columns: ClassVar[Sequence[tuple[str, str]]] = (
        ("top1_clas", "Top-1 Clas"),
        ("gt_known_loc", "GT-known Loc, fixed"),
        ("gt_known_loc_cross_fitted", "GT-known Loc, cross-fitted"),
        ("gt_known_loc_best", "GT-known Loc, best"),
        ("top1_loc", "Top-1 Loc, fixed"),
        ("top1_loc_cross_fitted", "Top-1 Loc, cross-fitted"),
        ("max_box_acc_v2", "MaxBoxAccV2"),
        ("centred_box", "centred box"),
    )

    def describe(self, model: keras.Model) -> str:
        """Returns numbers of images, classes and parameters."""
        unboxed = sum(len(boxes) == 0 for boxes in self.val_split["boxes"])
        return (
            f"{len(self.train_split)} training images, {len(self.val_split)} "
            f"{self.evaluated_examples}"
            + (f" ({unboxed} without a box, excluded from localization)" if unboxed else "")
            + f", {len(self.train_split.class_names)} classes; {model.count_params():,} parameters"
        )

    def evaluation_callback(self, directory: RunDirectory) -> callbacks.CAMLocalization:
        """Returns the evaluation of an epoch: one view of each image."""
        return self._localization(1, log_dir=directory.logs)

    def summary_of_epoch(self, logs: dict[str, float]) -> str:
        """Returns the loss, the accuracies and the localization figures."""
        percent = {key: f"{100 * value:.1f}" for key, value in logs.items()}
        line = f"loss {logs['loss']:.3f}  train top1_clas {percent['top1_clas']}"
        if "val_loss" in logs:
            line += f"  |  val_loss {logs['val_loss']:.3f}  top1_clas {percent['val_top1_clas']}"
        if "val_gt_known_loc" in logs:
            line += (
                f"  gt_known_loc {percent['val_gt_known_loc']}  top1_loc {percent['val_top1_loc']}"
                f"  at {logs['val_cam_threshold']:.0%}"
                f"  (centred box {percent['val_centred_box']})"
            )
        return line

    def final_results(self, model: keras.Model) -> tuple[dict[str, Any], np.ndarray | None]:
        """Evaluates at all thresholds."""
        final = self.final_localization()
        results = evaluate_localization(model, final, len(self.val_split))
        results["bad_images"] = len(self.bad_images)
        results["centred_side_is_assumed"] = not _has_known_boxes(self.train_split)
        return results, final.panel

    def export(self, model: keras.Model, directory: RunDirectory) -> None:
        """Exports a model from images to classes, maps and boxes."""
        names, threshold = self.val_split.class_names, self.recipe.cam_threshold
        export_localizer(model, directory.saved_model, names, threshold)

    def final_localization(
        self, method: Callable[[keras.Model], Any] | None = None
    ) -> callbacks.CAMLocalization:
        """Returns the evaluation of a finished run: all thresholds and the recipe's views.

        Args:
            method: From a network to its maps; `None` for the recipe's.
        """
        return self._localization(
            self.recipe.crops,
            method,
            thresholds=THRESHOLDS,
            map_metrics={
                "val_max_box_acc": metrics.MaxBoxAccuracy(),
                "val_max_box_acc_v2": metrics.MaxBoxAccuracyV2(),
            },
        )

    def _localization(
        self, crops: int, method: Callable[[keras.Model], Any] | None = None, **settings: Any
    ) -> callbacks.CAMLocalization:
        recipe = self.recipe
        size = recipe.image_size if crops == 1 else recipe.resize_size
        return callbacks.CAMLocalization(
            data.evaluation_batches(self.val_split, recipe.batch_size, size),
            threshold=recipe.cam_threshold,
            class_names=self.val_split.class_names,
            centred_side=centred_side(self.train_split),
            method=method or map_method(recipe, crops),
            **settings,
        )

    def results_table(self, results: dict[str, Any]) -> list[str]:
        """Returns the figures, and the published ones."""
        lines = localization_table(results)
        if self.recipe.published:
            figures = ", ".join(f"{TITLES[k]} {v}" for k, v in self.recipe.published.items())
            lines.append(f"  published: {figures}")
        return lines

    @classmethod
    def table_notes(cls, all_results: Sequence[Mapping[str, Any]]) -> str:
        """Returns which thresholds the columns use, and the baseline."""
        images = sorted({str(results["images"]) for results in all_results})
        thresholds = sorted({f"{results['cam_threshold']:.0%}" for results in all_results})
        centred = sorted({f"{100 * r.get('centred_box', np.nan):.1f}" for r in all_results})
        return (
            f"{', '.join(images)} validation images. Fixed threshold: {' or '.join(thresholds)} of "
            "the map's maximum. Cross-fitted: the threshold that is best on one half of the "
            "images, used on the other half, both ways. Best thresholds and MaxBoxAccV2 are "
            "optimistic, because the thresholds are chosen on the images that are scored. A "
            "centred box of the size that is best on the training boxes has a GT-known Loc of "
            f"{', '.join(centred)}: below that there is no localization."
        )

    def closing_notes(self) -> list[str]:
        """Returns how the exported model differs from the evaluation, and the bad files."""
        notes = super().closing_notes()
        if self.recipe.cam != "cam" or self.recipe.crops != 1:
            notes.insert(
                0,
                "The exported model computes class activation maps of one view; the figures above "
                f"are of {self.recipe.cam} with {self.recipe.crops} view(s).",
            )
        return notes


def map_method(recipe: ImageRecipe, crops: int) -> Callable[[keras.Model], Any]:
    """Returns the function from a network to its maps and probabilities, as the recipe says."""
    method = {"cam": cams.CAM, "backprop": cams.Backprop, "grad_cam": cams.GradCAM}[recipe.cam]
    if crops == 1:
        return method
    return lambda model: cams.TenCrop(method(model), recipe.image_size)


def evaluate_localization(
    model: keras.Model, final: callbacks.CAMLocalization, images: int
) -> dict[str, Any]:
    """Evaluates a network at all thresholds, and returns the results by name."""
    final.set_model(model)
    figures = final.evaluate(draw=True)
    curve = final.localization_curve
    v1, v2 = (final.map_metrics[f"val_max_box_acc{suffix}"] for suffix in ("", "_v2"))
    return {
        "images": images,
        **{key.removeprefix("val_"): value for key, value in figures.items()},
        **curve.result(),
        "cross_fitted_thresholds": list(curve.cross_fitted_thresholds()),
        "centred_side": final.centred_side,
        "curve": {
            "thresholds": list(curve.thresholds),
            "gt_known_loc": curve.curve().tolist(),
            "top1_loc": curve.top1_curve().tolist(),
        },
        "max_box_curves": {"v1": v1.curve().tolist(), "v2": v2.curve().tolist()},
    }


def localization_table(results: dict[str, Any]) -> list[str]:
    """Returns the lines of the results table, in percent, and the remarks on it."""
    if not np.isfinite(results.get("gt_known_loc", np.nan)):
        return [
            *percent_rows([("Top-1 Clas", results["top1_clas"], "")]),
            "  No image has a box: localization is not measured.",
        ]
    threshold = f"{results['cam_threshold']:.0%} of the maximum"
    side = f"side {results['centred_side']:.2f}"
    if results.get("centred_side_is_assumed"):
        side += ", assumed: no training boxes are known"
    best = f"at {results['gt_known_loc_best_threshold']:.0%}"
    rows = (
        ("Top-1 Clas", "top1_clas", ""),
        (f"GT-known Loc at {threshold}", "gt_known_loc", ""),
        ("GT-known Loc, threshold cross-fitted", "gt_known_loc_cross_fitted", ""),
        ("GT-known Loc, best threshold (optimistic)", "gt_known_loc_best", best),
        (f"Top-1 Loc at {threshold}", "top1_loc", ""),
        ("Top-1 Loc, threshold cross-fitted", "top1_loc_cross_fitted", ""),
        ("MaxBoxAcc (best threshold: optimistic)", "max_box_acc", ""),
        ("MaxBoxAccV2 (best thresholds: optimistic)", "max_box_acc_v2", ""),
        ("Centred box (GT-known Loc without a network)", "centred_box", side),
    )
    lines = percent_rows((title, results[key], remark) for title, key, remark in rows)
    if results["degenerate_maps"]:
        lines.append(
            f"  {results['degenerate_maps']:.0f} maps were constant or not finite: counted as wrong"
        )
    if results["gt_known_loc_cross_fitted"] <= results["centred_box"]:
        lines.append(
            "  GT-known Loc is not above the centred box: this run does not show localization."
        )
    return lines


def centred_side(dataset: Dataset) -> float:
    """Returns the side of the best centred box on the training boxes, or 0.8 without boxes."""
    if not _has_known_boxes(dataset):
        return _DEFAULT_CENTRED_SIDE
    return best_centred_side(dataset["boxes"], dataset["image_size"])


def _has_known_boxes(dataset: Dataset) -> bool:
    return "image_size" in dataset and any(len(boxes) for boxes in dataset["boxes"])
