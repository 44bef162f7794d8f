"""Images with the maps and boxes of each run, below the slider that moves the threshold."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from keras_has.callbacks import LocalizedImage
from keras_has.ops.boxes import box_iou, boxes_from_maps, scale_boxes
from trainers.reports.localization_run import LocalizationRun
from trainers.reports.page import Group, render_macro, size_of
from trainers.reports.proportions import NO_VALUE
from trainers.reports.samples import render_groups, sample_and_extremes
from trainers.reports.tiles import View, quantize_map, restore_map, tile_picture

_SCORE = "the IoU, whether the class is right or not"


@dataclasses.dataclass(frozen=True)
class LocalizationGrid:
    """The images of a report.

    Args:
        groups: The groups of images.
        count: Number of images that were selected.
        left_out: Number of these that did not fit on the page.
        script_runs: What the script needs to know about each run.
        script_tiles: What the script needs to know about each image.
        agreement: How well the boxes of the page agree with those of the runs; None if there are
            no boxes. "same" of "total" boxes are right or wrong as in the run, and no edge moves
            by more than "largest", a fraction of the image.
    """

    groups: Sequence[Group]
    count: int
    left_out: int
    script_runs: Sequence[dict[str, Any]]
    script_tiles: Sequence[dict[str, Any]]
    agreement: dict[str, float] | None


def localization_grid(
    runs: Sequence[LocalizationRun], count: int, most_bytes: int
) -> LocalizationGrid:
    """Returns a sample of images and the extremes, with the data for the slider.

    Args:
        runs: The baseline, if there is one, and last the run.
        count: Largest number of images.
        most_bytes: Largest size; images beyond it are left out and counted.
    """
    ious = [
        np.array([np.nan if image.iou is None else image.iou for image in run.images])
        for run in runs
    ]
    names = [run.name for run in runs]
    groups = sample_and_extremes(runs[-1].split["label"], ious, count, names, _SCORE)
    rows = [row for _, _, of_group in groups for row in of_group]
    results = [run.with_pixels(rows) for run in runs]
    used = 0
    tiles: list[dict[str, Any]] = []

    def render(row: int) -> tuple[Markup, int]:
        nonlocal used
        tile, script_tile = _tile(runs, [of_run[row] for of_run in results], len(tiles))
        size = size_of(tile, script_tile)
        if used + size <= most_bytes:
            used += size
            tiles.append(script_tile)
        return tile, size

    rendered, left_out = render_groups(groups, render, most_bytes)
    return LocalizationGrid(
        rendered,
        len(rows),
        left_out,
        [_script_run(run) for run in runs],
        tiles,
        _agreement(runs, results),
    )


def _script_run(run: LocalizationRun) -> dict[str, Any]:
    curve = run.results.get("curve") or {}
    values = curve.get("gt_known_loc", [])
    return {
        "key": run.key,
        "name": run.name,
        "size": list(run.map_size),
        "thresholds": curve.get("thresholds", []),
        "curve": list(values) if all(map(math.isfinite, values)) else [],
    }


def _tile(
    runs: Sequence[LocalizationRun], images: Sequence[LocalizedImage], number: int
) -> tuple[Markup, dict[str, Any]]:
    """Returns an image with the map of each run, and what the script needs to know about it."""
    image = images[-1]
    name = runs[-1].split.class_names[image.label]
    title = f"Image {image.image_id} of class {name}"
    views = [
        View(
            tile_picture(image.image, image.size),
            image.size,
            image.true_boxes,
            f"{title}, with its true box",
            label="image",
        )
    ]
    for run, result in zip(runs, images, strict=True):
        iou = f"{result.iou:.2f}" if result.iou is not None else NO_VALUE
        outcome = f"the IoU is {iou}" if np.isfinite(result.box).all() else "it gives no box"
        views.append(
            View(
                tile_picture(result.image, result.size, result.map),
                result.size,
                result.true_boxes,
                f"{title}: map of {run.name}; at {run.threshold:.0%} of its maximum {outcome}",
                result.box,
                run.label,
                iou,
                result.iou is not None,
                f"{run.key}-{number}",
            )
        )
    predictions = [run.describe(result) for run, result in zip(runs, images, strict=True)]
    script_tile = {
        "size": list(image.size),
        "true_boxes": image.true_boxes.astype("float64").round(3).tolist(),
        "maps": {
            run.key: quantize_map(result.map) for run, result in zip(runs, images, strict=True)
        },
    }
    caption = f"{image.image_id} · {'; '.join(predictions)}"
    return render_macro("tile", views, name, caption), script_tile


def _agreement(
    runs: Sequence[LocalizationRun], results: Sequence[dict[int, LocalizedImage]]
) -> dict[str, float] | None:
    """Compares the boxes from the maps of the page with those of the runs."""
    same = total = 0
    largest = 0.0
    for run, images in zip(runs, results, strict=True):
        for image in images.values():
            quantized = quantize_map(image.map)
            if quantized is None:
                continue
            found = boxes_from_maps(restore_map(quantized)[None], run.threshold, run.map_size)
            box = scale_boxes(found[0], run.map_size, image.size)
            if not np.isfinite(box).all() or not np.isfinite(image.box).all():
                continue
            total += 1
            moved = np.abs(box - image.box) / np.array([*image.size[::-1]] * 2)
            largest = max(largest, float(moved.max()))
            if image.iou is not None:
                is_right = bool(box_iou(image.true_boxes, box).max() > 0.5)
                same += is_right == bool(image.is_localized)
    return {"same": same, "total": total, "largest": largest} if total else None
