"""Evaluates score maps from files by the protocol of "Evaluating WSOL Methods Right"."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.data.masks import read_grey
from keras_has.data.readers.localization_truth import LocalizationTruth
from keras_has.data.readers.score_maps import load_score_map
from keras_has.metrics import (
    GTKnownLocalization,
    MaxBoxAccuracy,
    MaxBoxAccuracyV2,
    PixelAveragePrecision,
)
from keras_has.ops.boxes import best_centred_side, box_iou, boxes_from_maps, centred_boxes
from keras_has.ops.contour_boxes import contour_boxes_of_score_maps

_BATCH = 16


def evaluate_score_maps_on_boxes(
    truth: LocalizationTruth,
    files: Mapping[str, Path],
    threshold: float = 0.2,
    threshold_interval: float = 0.001,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Evaluates score maps against boxes: MaxBoxAcc, MaxBoxAccV2, GT-known Loc, centred box.

    Args:
        truth: True boxes and image sizes; images without boxes are counted and left out.
        files: The file with the score map of each image.
        threshold: Fraction of the map's maximum for GT-known Loc. Defaults to `0.2`.
        threshold_interval: Step between the thresholds of MaxBoxAcc. Defaults to `0.001`.
        progress: Called with the number of images done, and of all images.

    Returns:
        Figures and curves by name.
    """
    first = MaxBoxAccuracy(threshold_interval=threshold_interval)
    second = MaxBoxAccuracyV2(threshold_interval=threshold_interval)
    gt_known = GTKnownLocalization()
    images = list(files)
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        maps = [load_score_map(files[image]) for image in batch]
        boxes = [truth.boxes.get(image, np.zeros((0, 4))) for image in batch]
        # Without a box, the size is not used.
        sizes = [truth.sizes.get(image, (1, 1)) for image in batch]
        found = contour_boxes_of_score_maps(maps)
        for metric in (first, second):
            metric.update_state(boxes, found, sizes)
        for score_map, rows, (height, width) in zip(maps, boxes, sizes, strict=True):
            box = boxes_from_maps(score_map[None], threshold, (round(height), round(width)))
            padded = rows[None] if len(rows) else np.full((1, 1, 4), -1.0)
            gt_known.update_state({"boxes": padded}, {"boxes": box})
        if progress is not None:
            progress(start + len(batch), len(images))
    boxed = [image for image in images if image in truth.boxes]
    side = hits = float("nan")
    if boxed:
        boxed_sizes = np.array([truth.sizes[image] for image in boxed])
        side = best_centred_side([truth.boxes[image] for image in boxed], boxed_sizes)
        centred = centred_boxes(boxed_sizes, side)
        hits = float(
            np.mean(
                [
                    np.any(box_iou(box, truth.boxes[image]) > 0.5)
                    for box, image in zip(centred, boxed, strict=True)
                ]
            )
        )
    return {
        "images": int(first.boxed_images),
        "images_without_boxes": int(first.unboxed_images),
        "degenerate_maps": int(first.degenerate_maps),
        "maps_without_gt_known_box": int(gt_known.degenerate_maps),
        "max_box_acc": first.result(),
        "max_box_acc_threshold": first.best_threshold(),
        "max_box_acc_v2": second.result(),
        "max_box_acc_v2_iou_thresholds": list(second.iou_thresholds),
        "max_box_acc_v2_accuracies": list(second.accuracies()),
        "max_box_acc_v2_thresholds": list(second.best_thresholds()),
        "gt_known_loc": float(gt_known.result()),
        "gt_known_loc_threshold": threshold,
        "centred_box": float(hits),
        "centred_box_side": float(side),
        "curves": {
            "threshold": first.thresholds.tolist(),
            "max_box_acc": first.curve().tolist(),
            **{
                f"max_box_acc_v2_iou_{iou:g}": curve.tolist()
                for iou, curve in zip(second.iou_thresholds, second.curve(), strict=True)
            },
        },
    }


def evaluate_score_maps_on_masks(
    truth: LocalizationTruth,
    files: Mapping[str, Path],
    threshold_interval: float = 0.001,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Evaluates score maps against masks: PxAP.

    Args:
        truth: Masks and ignored regions; images without masks are counted and left out.
        files: The file with the score map of each image.
        threshold_interval: Step between the thresholds. Defaults to `0.001`.
        progress: Called with the number of images done, and of all images.

    Returns:
        Figures and curves by name.

    Raises:
        ValueError: If a mask cannot be read.
    """
    metric = PixelAveragePrecision(threshold_interval)
    images = [image for image in files if image in truth.masks]
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        metric.update_state(
            [[read_grey(file) > 0 for file in truth.masks[image]] for image in batch],
            [load_score_map(files[image]) for image in batch],
            [
                read_grey(truth.ignored[image]) > 0 if image in truth.ignored else None
                for image in batch
            ],
        )
        if progress is not None:
            progress(start + len(batch), len(images))
    precision, recall = metric.curve()
    return {
        "images": int(metric.images),
        "images_without_masks": len(files) - len(images),
        "images_without_foreground": int(metric.unmasked_images),
        "degenerate_maps": int(metric.degenerate_maps),
        "ignored_pixels": int(metric.ignored_pixels),
        "pxap": metric.result(),
        "curves": {
            "threshold": metric.thresholds.tolist(),
            "precision": precision.tolist(),
            "recall": recall.tolist(),
        },
    }
