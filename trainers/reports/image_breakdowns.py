"""Where a run on images is right and wrong: thresholds, classes, sizes, failures, covers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_has.callbacks import LocalizedImage
from keras_has.metrics.max_box_accuracy_v2 import MaxBoxAccuracyV2
from trainers.reports import page
from trainers.reports.failures import KINDS, count_kinds, shares_in_common
from trainers.reports.image_sample import evenly
from trainers.reports.judged_run import JudgedRun, class_is_right
from trainers.reports.occlusion import SHARES
from trainers.reports.page import Markup, element, paragraph
from trainers.reports.plots import Series, bar_plot, line_plot, ranked_bars, series_of_shares
from trainers.reports.proportions import NOTHING, per_cent
from trainers.reports.tiles import tile, tile_picture, tiles, view
from trainers.tasks.image_localization import TITLES

_EXAMPLES = 4
_MOST_CLASSES = 40
_COVER_SEED = 2017
_SIZES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)


def thresholds(shown: Sequence[JudgedRun]) -> Markup | None:
    """Plots accuracy over the threshold; None where the runs hold no curve.

    Args:
        shown: The run, the last; and before it the one to compare with, if there is one.
    """
    run = shown[-1]
    with_curve = [each for each in shown if each.results.get("curve")]
    if not with_curve:
        return None
    moment = ("fixed threshold", 100 * run.threshold)
    curves = [
        Series(
            each.name,
            [100 * value for value in each.results["curve"]["gt_known_loc"]],
            [100 * value for value in each.results["curve"]["thresholds"]],
            colour=each.colour,
        )
        for each in with_curve
    ]
    centred = 100 * run.results["centred_box"]
    x_label = "threshold (% of the map's maximum)"
    plots = [
        page.figure(
            line_plot(
                curves,
                x_label,
                "GT-known Loc (% of images)",
                "GT-known Loc over the threshold",
                [("centred box", centred)],
                moment=moment,
            ),
            f"GT-known Loc over the threshold, all {run.boxed} images with a true box. The "
            "threshold that suits a map belongs to the network: compare the curves' peaks, not one "
            "threshold alone.",
        )
    ]
    with_boxes = [each for each in shown if each.results.get("max_box_curves", {}).get("v2")]
    plots += [
        page.figure(
            line_plot(
                [_max_box_series(each, place) for each in with_boxes],
                x_label,
                "images with a right box (%)",
                f"MaxBoxAccV2: share of right boxes at IoU {delta:.1f} over the threshold",
            ),
            f"MaxBoxAccV2 at IoU {delta:.1f}: maps between their minimum and maximum, any of all "
            "components' boxes counts. The highest point goes into the mean over the three IoU.",
        )
        for place, delta in enumerate(MaxBoxAccuracyV2().iou_thresholds)
        if with_boxes
    ]
    return element("div", *plots, class_="plots")


def _max_box_series(run: JudgedRun, place: int) -> Series:
    curve = np.array(run.results["max_box_curves"]["v2"], "float64")[place]
    thresholds = 100 * np.arange(len(curve)) / len(curve)
    return Series(run.name, (100 * curve).tolist(), thresholds.tolist(), (), (), run.colour)


def _outcomes(run: JudgedRun, key: str) -> np.ndarray:
    """Whether each image is right, NaN where that is not measured."""
    if key == "top1_clas":
        return np.array([float(class_is_right(image)) for image in run.images])
    return np.array(
        [np.nan if image.iou is None else float(image.iou > 0.5) for image in run.images]
    )


def classes_and_sizes(shown: Sequence[JudgedRun], has_boxes: bool) -> Markup:
    """Plots accuracy by class and by the size of the object.

    Args:
        shown: The run, the last; and before it the one to compare with, if there is one.
        has_boxes: Whether any image has a true box.
    """
    keys = ["top1_clas"] + (["gt_known_loc"] if has_boxes else [])
    parts: list[Any] = [
        element("div", *[_by_class(shown, key) for key in reversed(keys)], class_="plots")
    ]
    if has_boxes:
        parts.append(
            element("div", *[_by_size(shown, key) for key in reversed(keys)], class_="plots")
        )
    return page.join(parts)


def _by_class(shown: Sequence[JudgedRun], key: str) -> Markup:
    run = shown[-1]
    labels = run.split.labels
    outcomes = [_outcomes(each, key) for each in shown]
    is_known = np.isfinite(outcomes[-1])
    classes = np.unique(labels[is_known])
    shares = [
        np.array([of_run[is_known & (labels == label)].mean() for label in classes])
        for of_run in outcomes
    ]
    order = np.argsort(-shares[-1], kind="stable")
    note = ""
    if len(order) > _MOST_CLASSES:
        half = _MOST_CLASSES // 2
        note = f" The {half} best and the {half} worst of {len(order)} classes."
        order = np.concatenate([order[:half], order[-half:]])
    title = TITLES[key]
    fixed = f" at {run.threshold:.0%} of the map's maximum" if key == "gt_known_loc" else ""
    return page.figure(
        ranked_bars(
            [run.split.class_names[classes[place]] for place in order],
            [
                Series(each.name, (100 * of_run[order]).tolist(), colour=each.colour)
                for each, of_run in zip(shown, shares, strict=True)
            ],
            f"{title} (% of the class's images)",
            f"{title} of each class",
            [int((is_known & (labels == classes[place])).sum()) for place in order],
        ),
        f"{title}{fixed} of each class, sorted by {run.name}; in brackets the number of images."
        + note,
    )


def _by_size(shown: Sequence[JudgedRun], key: str) -> Markup:
    """Accuracy by the share of the image that the largest true box takes."""
    run = shown[-1]
    shares = np.full(len(run.images), np.nan)
    for row, image in enumerate(run.images):
        if len(image.true_boxes):
            sides = image.true_boxes[:, 2:] - image.true_boxes[:, :2]
            shares[row] = np.prod(sides, axis=1).max() / np.prod(image.size)
    outcomes = [_outcomes(each, key) for each in shown]
    names, counts, members = [], [], []
    for low, high in itertools.pairwise(_SIZES):
        is_in = (shares >= low) & ((shares < high) | (high == 1.0))
        if is_in.any():
            names.append(f"{100 * low:.0f} to {100 * high:.0f}")
            counts.append(int(is_in.sum()))
            members.append(is_in)
    series = []
    for each, of_run in zip(shown, outcomes, strict=True):
        hits = [int(of_run[is_in].sum()) for is_in in members]
        series.append(series_of_shares(each.name, hits, counts, each.colour))
    title = TITLES[key]
    return page.figure(
        bar_plot(
            names,
            series,
            "object's share of the image (%)",
            f"{title} (% of images)",
            f"{title} by the size of the object",
            counts,
        ),
        f"{title} by the share of the image that the largest true box takes. "
        "Lines: 95% intervals (Wilson).",
    )


def kinds_of_failure(shown: Sequence[JudgedRun]) -> Markup:
    """Counts the kinds of failures, states their rules, and shows examples of the run.

    Args:
        shown: The run, the last; and before it the one to compare with, if there is one.
    """
    run = shown[-1]
    total = run.boxed
    both = [
        [count_kinds([kind for kind in each.kinds(judges_class) if kind]) for each in shown]
        for judges_class in (True, False)
    ]

    def cell(counts: dict[str, int], key: str) -> str:
        return f"{counts[key]} ({100 * counts[key] / total:.1f}%)"

    rows = []
    for kind in KINDS:
        of_class = [cell(counts, kind.key) for counts in both[0]]
        is_of_box = kind.key != "wrong_class"
        of_box = [cell(counts, kind.key) if is_of_box else NOTHING for counts in both[1]]
        rows.append([kind.title, *of_class, *of_box])
    head = [
        "Kind",
        *(f"{each.label}: class and box" for each in shown),
        *(f"{each.label}: box alone" for each in shown),
    ]
    rules = [
        part
        for kind in KINDS
        for part in (element("dt", element("strong", kind.title)), element("dd", kind.rule))
    ]
    failed = [kind for kind in KINDS if kind.key != "right"]
    # Boxes are shown whether the class is right or not: there are more to see, and of each kind.
    kinds = {judges_class: run.kinds(judges_class) for judges_class in (True, False)}
    members = {
        kind.key: [
            row for row, of_row in enumerate(kinds[kind.key == "wrong_class"]) if of_row == kind.key
        ]
        for kind in failed
    }
    chosen = {key: evenly(rows_of_kind, _EXAMPLES) for key, rows_of_kind in members.items()}
    pixels = run.with_pixels([row for rows_of_kind in chosen.values() for row in rows_of_kind])
    parts: list[Any] = [
        paragraph(
            f"Each of the {total} images with a true box is of the first kind whose rule holds, at "
            f"{run.threshold:.0%} of the map's maximum. The paper shows failures of these kinds; "
            "the rules and their numbers are this project's choice. “Class and box” counts as "
            "Top-1 Loc does, “box alone” as GT-known Loc does."
        ),
        page.table(head, rows, "Images of each kind, and their share."),
        *(_medians(each) for each in shown),
        element("h3", "The rules, in the order in which they are tried"),
        element("dl", *rules),
        element("h3", f"Examples of {run.name}"),
        paragraph(
            "Of each kind evenly spread ones in the order of the data; those of wrong boxes by the "
            "box alone, whatever the class.",
            kind="note",
        ),
    ]
    for kind in failed:
        if chosen[kind.key]:
            entries = [_example_tile(run, pixels[row]) for row in chosen[kind.key]]
            parts += [
                element("h3", f"{kind.title}: {len(members[kind.key])} images"),
                tiles(entries, "tiles pairs"),
            ]
    return page.join(parts)


def _medians(run: JudgedRun) -> Markup:
    """What wrong boxes have in common with their objects, without any bound of the rules."""
    shares = [
        shares_in_common(image.box, image.true_boxes)
        for image, kind in zip(run.images, run.kinds(judges_class=False), strict=True)
        if kind not in (None, "right", "no_box")
    ]
    if not shares:
        return paragraph(f"{run.name} has no wrong box.")
    covered, inside = np.median(shares, axis=0)
    return paragraph(
        f"By the median, the {len(shares)} wrong boxes of {run.name} cover {covered:.0%} of the "
        f"object, and {inside:.0%} of a box's area lies on it."
    )


def _example_tile(run: JudgedRun, image: LocalizedImage) -> Markup:
    names = run.split.class_names
    title = f"Image {image.image_id} of class {names[image.label]}"
    true_boxes = image.true_boxes
    views = [
        view(
            tile_picture(image.image, image.size),
            image.size,
            true_boxes,
            image.box,
            f"{title}, with its true and its predicted box",
        ),
        view(
            tile_picture(image.image, image.size, image.map),
            image.size,
            true_boxes,
            image.box,
            f"{title}: map of {run.name}, with both boxes",
        ),
    ]
    caption = f" · {image.image_id} · IoU {image.iou:.2f}; {run.says(image)}"
    return tile(views, element("strong", names[image.label]), caption)


def covered_objects(shown: Sequence[JudgedRun], most: int) -> Markup:
    """Measures Top-1 Clas while a growing share of the objects is covered.

    Args:
        shown: The run, the last; and before it the one to compare with, if there is one.
        most: On how many images at most.
    """
    run = shown[-1]
    rows = evenly([row for row, image in enumerate(run.images) if image.iou is not None], most)
    colour, whose = run.mean_colour()
    is_right = [each.right_under_covers(rows, colour, _COVER_SEED) for each in shown]
    counts = [len(rows)] * len(SHARES)
    series = [
        series_of_shares(
            each.name,
            of_run.sum(axis=0).tolist(),
            counts,
            each.colour,
            [100 * share for share in SHARES],
        )
        for each, of_run in zip(shown, is_right, strict=True)
    ]
    head = ["Share of the box covered", *(each.name for each in shown)]
    table_rows = [
        [f"{share:.0%}", *(per_cent(of_run[:, place].mean()) for of_run in is_right)]
        for place, share in enumerate(SHARES)
    ]
    if len(shown) > 1:
        head.append("Difference ± 1.96 standard errors")
        for place, row in enumerate(table_rows):
            difference = is_right[1][:, place].astype(float) - is_right[0][:, place]
            error = 1.96 * difference.std() / math.sqrt(len(rows))
            row.append(f"{per_cent(difference.mean(), signed=True)} ± {100 * error:.1f}")
    hides = [each.name for each in shown if any(each.recipe.patch_size)]
    caution = (
        f" {' and '.join(hides)} hid patches of one colour while training, which such covers "
        "resemble; a gain here need not carry over to objects hidden behind other things."
        if hides
        else ""
    )
    return page.join(
        [
            paragraph(
                "A network that learned with parts of objects hidden should still know an object "
                f"of which only some is to be seen. A rectangle of {whose} is laid into each true "
                "box, of the box's shape and at a random place; larger covers contain the smaller "
                f"ones, and every network sees the same.{caution}"
            ),
            page.figure(
                line_plot(
                    series,
                    "share of the object's box covered (%)",
                    "Top-1 Clas (% of images)",
                    "Top-1 Clas over the share of the object that is covered",
                    x_range=(0.0, 80.0),
                ),
                f"Top-1 Clas over the share of the true box that is covered; {len(rows)} images. "
                "Lines: 95% intervals (Wilson), of each network by itself.",
            ),
            page.table(
                head,
                table_rows,
                f"Top-1 Clas in per cent of the same {len(rows)} images"
                + ("; differences are paired by image." if len(shown) > 1 else "."),
            ),
        ]
    )
