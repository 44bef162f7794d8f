"""Images with the maps and boxes of each run, under the slider that moves the threshold."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_has.callbacks import LocalizedImage
from keras_has.ops.boxes import box_iou, boxes_from_maps, scale_boxes
from trainers.reports import page, threshold_slider
from trainers.reports.image_sample import extremes, spread_over_classes
from trainers.reports.judged_run import JudgedRun
from trainers.reports.page import Markup, element, escape, paragraph
from trainers.reports.proportions import NOTHING
from trainers.reports.tiles import quantize_map, restore_map, tile, tile_picture, tiles, view


def map_grid(shown: Sequence[JudgedRun], count: int, most_bytes: int) -> Markup:
    """Shows a sample and the extremes, with the slider that moves all their boxes.

    Args:
        shown: The run, the last; and before it the one to compare with, if there is one.
        count: How many images at most.
        most_bytes: How long it may get; images beyond are left out, and counted.
    """
    run = shown[-1]
    is_boxed = [image.iou is not None for image in run.images]
    candidates = np.flatnonzero(is_boxed) if any(is_boxed) else np.arange(len(run.images))
    half = count if not any(is_boxed) else count - 2 * (count // 4)
    places = spread_over_classes(run.split.labels[candidates], half)
    sample = [int(candidates[place]) for place in places]
    groups = [
        (
            "Not picked",
            "The first images of the classes, in the order of the data: a fair sample.",
            sample,
        ),
        *_extreme_groups(shown, count // 4, sample),
    ]
    rows = [row for _, _, of_group in groups for row in of_group]
    pixels = [each.with_pixels(rows) for each in shown]
    data: list[dict[str, Any]] = []
    used = left_out = 0
    parts: list[Any] = []
    for title, note, of_group in groups:
        entries = []
        for row in of_group:
            entry, of_script = _grid_tile(shown, [of_run[row] for of_run in pixels], row, len(data))
            size = len(entry) + len(json.dumps(of_script))
            if used + size > most_bytes:
                left_out += 1
                continue
            used += size
            entries.append(entry)
            data.append(of_script)
        if entries:
            parts += [element("h3", title), paragraph(note, kind="note"), tiles(entries)]
    if left_out:
        parts.append(
            paragraph(
                f"{left_out} of {len(rows)} images were left out to keep this page below 8 MB.",
                kind="warning",
            )
        )
    runs_of_script = [
        {
            "key": each.key,
            "name": each.name,
            "size": list(each.map_size),
            "thresholds": each.results.get("curve", {}).get("thresholds", []),
            "curve": _finite_or_none(each.results.get("curve", {}).get("gt_known_loc", [])),
        }
        for each in shown
    ]
    return page.join(
        [
            paragraph(
                "Maps of the true class over the image: yellow is the map's maximum, violet 0 and "
                "below. True boxes ",
                element("span", class_="key of-true"),
                " white and dashed, predicted boxes ",
                element("span", class_="key of-found"),
                " orange. A box is right if its IoU with a true one is above 0.5.",
            ),
            threshold_slider.slider(run.threshold),
            threshold_slider.without_script(run.threshold),
            *parts,
            *_agreement(shown, pixels),
            threshold_slider.slider_data(runs_of_script, data, run.threshold),
        ]
    )


def _finite_or_none(curve: Sequence[float]) -> list[float]:
    return list(curve) if all(math.isfinite(value) for value in curve) else []


def _extreme_groups(
    shown: Sequence[JudgedRun], count: int, sample: Sequence[int]
) -> list[tuple[str, str, list[int]]]:
    """The images, beyond the sample, where the runs differ most; without a baseline the IoU's."""
    ious = [
        np.array([np.nan if image.iou is None else image.iou for image in each.images])
        for each in shown
    ]
    if np.isnan(ious[-1]).all():
        return []
    note = "Picked at the fixed threshold: the extremes among all other images"
    if len(shown) == 1:
        best = extremes(ious[0], count, sample)
        worst = extremes(1 - ious[0], count, [*sample, *best])
        return [
            ("Worst boxes", f"{note}, by the IoU.", worst),
            ("Best boxes", f"{note}, by the IoU.", best),
        ]
    difference = ious[1] - ious[0]
    names = f"{shown[1].name}, against {shown[0].name}"
    by = f"{note}, by the difference of the IoU, whether the class is right or not."
    return [
        (f"Largest losses: {names}", by, extremes(-difference, count, sample)),
        (f"Largest gains: {names}", by, extremes(difference, count, sample)),
    ]


def _grid_tile(
    shown: Sequence[JudgedRun], images: Sequence[LocalizedImage], row: int, number: int
) -> tuple[Markup, dict[str, Any]]:
    """One image with the map of each run, and what the script has to know of it."""
    run, image = shown[-1], images[-1]
    names = run.split.class_names
    true_class = names[image.label]
    title = f"Image {image.image_id} of class {true_class}"
    views = [
        view(
            tile_picture(image.image, image.size),
            image.size,
            image.true_boxes,
            None,
            f"{title}, with its true box",
            "image",
        )
    ]
    said = []
    for each, of_run in zip(shown, images, strict=True):
        key = f"{each.key}-{number}"
        iou = f"{of_run.iou:.2f}" if of_run.iou is not None else NOTHING
        has_box = np.isfinite(of_run.box).all()
        views.append(
            view(
                tile_picture(of_run.image, of_run.size, of_run.map),
                of_run.size,
                of_run.true_boxes,
                of_run.box,
                f"{title}: map of {each.name}; at {each.threshold:.0%} of its maximum "
                + (f"the IoU is {iou}" if has_box else "it gives no box"),
                Markup(
                    f"{escape(each.label)} IoU "
                    + element("span", iou, data_iou=key if of_run.iou is not None else None)
                ),
                key,
            )
        )
        said.append(each.says(of_run))
    of_script = {
        "size": list(image.size),
        "true_boxes": image.true_boxes.astype("float64").round(3).tolist(),
        "maps": {
            each.key: quantize_map(of_run.map) for each, of_run in zip(shown, images, strict=True)
        },
    }
    caption = [element("strong", true_class), f" · {image.image_id} · ", "; ".join(said)]
    return tile(views, *caption), of_script


def _agreement(
    shown: Sequence[JudgedRun], pixels: Sequence[dict[int, LocalizedImage]]
) -> list[Markup]:
    """How well the boxes of the maps on the page agree with those of the run."""
    same = total = 0
    largest = 0.0
    for each, images in zip(shown, pixels, strict=True):
        for image in images.values():
            quantized = quantize_map(image.map)
            if quantized is None:
                continue
            found = boxes_from_maps(restore_map(quantized)[None], each.threshold, each.map_size)
            box = scale_boxes(found[0], each.map_size, image.size)
            if not np.isfinite(box).all() or not np.isfinite(image.box).all():
                continue
            total += 1
            moved = np.abs(box - image.box) / np.array([*image.size[::-1]] * 2)
            largest = max(largest, float(moved.max()))
            if image.iou is not None:
                is_right = bool(box_iou(image.true_boxes, box).max() > 0.5)
                same += is_right == bool(image.is_localized)
    if not total:
        return []
    return [
        paragraph(
            "The slider works on maps of 256 levels and at most 64 x 64 places. At the fixed "
            f"threshold {same} of {total} boxes are right or wrong as in the run; no edge is moved "
            f"by more than {100 * largest:.1f}% of the image's side.",
            kind="note",
        )
    ]
