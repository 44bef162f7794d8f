"""Where a run on images is right and wrong: thresholds, classes, sizes, failures, covers."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from keras_has.callbacks import LocalizedImage
from keras_has.metrics import MaxBoxAccuracyV2
from trainers.reports.box_failures import KINDS, shares_in_common
from trainers.reports.breakdowns import accuracy_by_class, by_group, curves
from trainers.reports.failure_kinds import count_kinds
from trainers.reports.localization_run import LocalizationRun, class_is_right
from trainers.reports.occlusion import SHARES
from trainers.reports.page import Group, Plot, Table, render_macro
from trainers.reports.plots import line_plot, series_of_shares, to_svg
from trainers.reports.proportions import NO_VALUE, count_and_share, percent
from trainers.reports.samples import evenly
from trainers.reports.tiles import View, tile_picture

_EXAMPLES = 4
_COVER_SEED = 2017
_SIZES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
_TITLES = {"gt_known_loc": "GT-known Loc", "top1_clas": "Top-1 Clas"}
_THRESHOLD = "threshold (% of the map's maximum)"


def thresholds(runs: Sequence[LocalizationRun]) -> list[Plot]:
    """Plots accuracy over the threshold; no plots if the runs have no curve.

    Args:
        runs: The baseline, if there is one, and last the run.
    """
    run = runs[-1]
    with_curve = [one for one in runs if one.results.get("curve")]
    if not with_curve:
        return []
    plots = [
        curves(
            with_curve,
            [
                (
                    [100 * value for value in one.results["curve"]["thresholds"]],
                    [100 * value for value in one.results["curve"]["gt_known_loc"]],
                )
                for one in with_curve
            ],
            (_THRESHOLD, "GT-known Loc (% of images)", "GT-known Loc over the threshold"),
            f"GT-known Loc over the threshold, all {run.boxed} images with a true box. The best "
            "threshold depends on the network: compare the peaks of the curves, not a single "
            "threshold.",
            levels=[("centred box", 100 * run.results["centred_box"])],
            position=("fixed threshold", 100 * run.threshold),
        )
    ]
    with_boxes = [one for one in runs if one.results.get("max_box_curves", {}).get("v2")]
    for place, iou in enumerate(MaxBoxAccuracyV2().iou_thresholds if with_boxes else ()):
        values = [
            100 * np.array(one.results["max_box_curves"]["v2"], "float64")[place]
            for one in with_boxes
        ]
        plots.append(
            curves(
                with_boxes,
                [(100 * np.arange(len(value)) / len(value), value) for value in values],
                (
                    _THRESHOLD,
                    "images with a right box (%)",
                    f"MaxBoxAccV2: share of right boxes at IoU {iou:.1f} over the threshold",
                ),
                f"MaxBoxAccV2 at IoU {iou:.1f}: maps are scaled from their minimum to their "
                "maximum, and the box of any component counts. MaxBoxAccV2 is the mean of the "
                "peaks at the three IoUs.",
            )
        )
    return plots


def classes_and_sizes(runs: Sequence[LocalizationRun], has_boxes: bool) -> list[list[Plot]]:
    """Plots accuracy by class and by the size of the object, in one row of plots each.

    Args:
        runs: The baseline, if there is one, and last the run.
        has_boxes: Whether any image has a true box.
    """
    keys = [*(["gt_known_loc"] if has_boxes else []), "top1_clas"]
    rows = [[_by_class(runs, key) for key in keys]]
    return [*rows, [_by_size(runs, key) for key in keys]] if has_boxes else rows


def _outcomes(run: LocalizationRun, key: str) -> np.ndarray:
    """Returns 1 for each right image and 0 for each wrong one; NaN if it is not measured."""
    if key == "top1_clas":
        return np.array([float(class_is_right(image)) for image in run.images])
    return np.array(
        [np.nan if image.iou is None else float(image.iou > 0.5) for image in run.images]
    )


def _by_class(runs: Sequence[LocalizationRun], key: str) -> Plot:
    run = runs[-1]
    fixed = f" at {run.threshold:.0%} of the map's maximum" if key == "gt_known_loc" else ""
    outcomes = [_outcomes(one, key) for one in runs]
    return accuracy_by_class(runs, outcomes, run.split["label"], _TITLES[key], fixed)


def _by_size(runs: Sequence[LocalizationRun], key: str) -> Plot:
    """Plots accuracy by the share of the image that the largest true box covers."""
    shares = np.full(len(runs[-1].images), np.nan)
    for row, image in enumerate(runs[-1].images):
        if len(image.true_boxes):
            sides = image.true_boxes[:, 2:] - image.true_boxes[:, :2]
            shares[row] = np.prod(sides, axis=1).max() / np.prod(image.size)
    groups = np.full(len(shares), -1)
    for place, (low, high) in enumerate(itertools.pairwise(_SIZES)):
        groups[(shares >= low) & ((shares < high) | (high == 1.0))] = place
    title = _TITLES[key]
    return by_group(
        runs,
        [_outcomes(run, key) for run in runs],
        groups,
        [f"{100 * low:.0f} to {100 * high:.0f}" for low, high in itertools.pairwise(_SIZES)],
        (
            "share of the image covered by the object (%)",
            f"{title} (% of images)",
            f"{title} by the size of the object",
        ),
        f"{title} by the share of the image that the largest true box covers.",
    )


@dataclasses.dataclass(frozen=True)
class BoxFailures:
    """The kinds of failure of runs on images.

    Args:
        table: The number of images of each kind.
        medians: For each run, what its wrong boxes have in common with the objects.
        examples: Examples of each kind, of the run.
    """

    table: Table
    medians: Sequence[str]
    examples: Sequence[Group]


def kinds_of_failure(runs: Sequence[LocalizationRun]) -> BoxFailures:
    """Counts the kinds of failure and selects examples of the run.

    Args:
        runs: The baseline, if there is one, and last the run.
    """
    with_class, box_only = (
        [count_kinds(filter(None, run.kinds(class_counts)), KINDS) for run in runs]
        for class_counts in (True, False)
    )
    total = runs[-1].boxed
    rows = [
        [
            kind.title,
            *(count_and_share(counts[kind.key], total) for counts in with_class),
            *(
                NO_VALUE if kind.key == "wrong_class" else count_and_share(counts[kind.key], total)
                for counts in box_only
            ),
        ]
        for kind in KINDS
    ]
    head = [
        "Kind",
        *(f"{run.label}: class and box" for run in runs),
        *(f"{run.label}: box only" for run in runs),
    ]
    return BoxFailures(
        Table(head, rows, "Number and share of the images of each kind."),
        [_medians(run) for run in runs],
        _examples(runs[-1]),
    )


def _medians(run: LocalizationRun) -> str:
    """Describes the overlap of wrong boxes and objects, which no rule's threshold affects."""
    shares = [
        shares_in_common(image.box, image.true_boxes)
        for image, kind in zip(run.images, run.kinds(class_counts=False), strict=True)
        if kind not in (None, "right", "no_box")
    ]
    if not shares:
        return f"{run.name} has no wrong box."
    covered, inside = np.median(shares, axis=0)
    return (
        f"The {len(shares)} wrong boxes of {run.name} cover {covered:.0%} of the object in the "
        f"median, and {inside:.0%} of the area of a box lies on the object."
    )


def _examples(run: LocalizationRun) -> list[Group]:
    # Wrong boxes are shown whether the class is right or not, so that every kind has examples.
    kinds = {class_counts: run.kinds(class_counts) for class_counts in (True, False)}
    members = {
        kind: [
            row for row, of_row in enumerate(kinds[kind.key == "wrong_class"]) if of_row == kind.key
        ]
        for kind in KINDS
        if kind.key != "right"
    }
    chosen = {kind: evenly(rows, _EXAMPLES) for kind, rows in members.items() if rows}
    pixels = run.with_pixels([row for rows in chosen.values() for row in rows])
    return [
        Group(
            f"{kind.title}: {len(members[kind])} images",
            "",
            [_example(run, pixels[row]) for row in rows],
        )
        for kind, rows in chosen.items()
    ]


def _example(run: LocalizationRun, image: LocalizedImage) -> Markup:
    name = run.split.class_names[image.label]
    title = f"Image {image.image_id} of class {name}"
    views = [
        View(
            tile_picture(image.image, image.size, cam),
            image.size,
            image.true_boxes,
            description,
            image.box,
        )
        for cam, description in (
            (None, f"{title}, with its true and its predicted box"),
            (image.map, f"{title}: map of {run.name}, with both boxes"),
        )
    ]
    caption = f"{image.image_id} · IoU {image.iou:.2f}; {run.describe(image)}"
    return render_macro("tile", views, name, caption)


@dataclasses.dataclass(frozen=True)
class CoveredObjects:
    """Top-1 Clas of objects that are partly covered.

    Args:
        colour: Description of the colour of the covers.
        hiding_runs: Names of the runs that hid patches while training.
        plot: Top-1 Clas over the covered share.
        table: The same as numbers, with paired differences.
    """

    colour: str
    hiding_runs: Sequence[str]
    plot: Plot
    table: Table


def covered_objects(runs: Sequence[LocalizationRun], most: int) -> CoveredObjects:
    """Measures Top-1 Clas while a growing share of the objects is covered.

    Args:
        runs: The baseline, if there is one, and last the run.
        most: Largest number of images.
    """
    run = runs[-1]
    rows = evenly([row for row, image in enumerate(run.images) if image.iou is not None], most)
    colour, description = run.mean_colour()
    is_right = [one.right_under_covers(rows, colour, _COVER_SEED) for one in runs]
    series = [
        series_of_shares(
            one.name,
            of_run.sum(axis=0).tolist(),
            [len(rows)] * len(SHARES),
            one.colour,
            [100 * share for share in SHARES],
        )
        for one, of_run in zip(runs, is_right, strict=True)
    ]
    head = ["Share of the box covered", *(one.name for one in runs)]
    table_rows = [
        [f"{share:.0%}", *(percent(of_run[:, place].mean()) for of_run in is_right)]
        for place, share in enumerate(SHARES)
    ]
    if len(runs) > 1:
        head.append("Difference ± 1.96 standard errors")
        for place, row in enumerate(table_rows):
            difference = is_right[1][:, place].astype(float) - is_right[0][:, place]
            error = 1.96 * difference.std() / math.sqrt(len(rows))
            row.append(f"{percent(difference.mean(), signed=True)} ± {100 * error:.1f}")
    figure = line_plot(
        series,
        "share of the object's box covered (%)",
        "Top-1 Clas (% of images)",
        "Top-1 Clas over the share of the object that is covered",
        x_range=(0.0, 80.0),
    )
    return CoveredObjects(
        description,
        [one.name for one in runs if any(one.recipe.patch_size)],
        Plot(
            to_svg(figure),
            f"Top-1 Clas over the share of the true box that is covered; {len(rows)} images. "
            "Lines: 95% confidence intervals (Wilson) of each network.",
        ),
        Table(
            head,
            table_rows,
            f"Top-1 Clas in percent of the same {len(rows)} images"
            + ("; differences are paired by image." if len(runs) > 1 else "."),
        ),
    )
