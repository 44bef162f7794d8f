"""The report of a run that localizes objects; its text is in a template of the same name."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trainers.reports import page
from trainers.reports.box_failures import KINDS
from trainers.reports.breakdowns import figures_table, recipe_differences
from trainers.reports.localization_breakdowns import (
    classes_and_sizes,
    covered_objects,
    kinds_of_failure,
    thresholds,
)
from trainers.reports.localization_grid import localization_grid
from trainers.reports.localization_run import LocalizationRun
from trainers.reports.page import size_of
from trainers.reports.proportions import percent
from trainers.reports.report_file import report_title

_MOST_BYTES = 7_500_000
FIGURES = {
    "top1_clas": "Top-1 Clas",
    "gt_known_loc": "GT-known Loc, fixed threshold",
    "gt_known_loc_cross_fitted": "GT-known Loc, threshold cross-fitted",
    "gt_known_loc_best": "GT-known Loc, best threshold (optimistic)",
    "top1_loc": "Top-1 Loc, fixed threshold",
    "top1_loc_cross_fitted": "Top-1 Loc, threshold cross-fitted",
    "max_box_acc": "MaxBoxAcc, best threshold (optimistic)",
    "max_box_acc_v2": "MaxBoxAccV2, best thresholds (optimistic)",
    "centred_box": "Centred box: GT-known Loc without a network",
}
_THRESHOLDS = {
    "cam_threshold": "Fixed threshold, % of the map's maximum",
    "gt_known_loc_best_threshold": "Best threshold, % of the map's maximum",
}


def report_text(runs: Sequence[LocalizationRun], images: int, covered_images: int) -> str:
    """Returns the page.

    Args:
        runs: The baseline, if there is one, and last the run.
        images: Number of images to show with maps.
        covered_images: Largest number of images for measuring partly covered objects.
    """
    run = runs[-1]
    has_boxes = any(image.iou is not None for image in run.images)
    failures = kinds_of_failure(runs) if has_boxes else None
    # Examples of failures need little space; the grid of images gets the rest.
    used = sum(size_of(*group.entries) for group in failures.examples) if failures else 0
    values = {
        "figures": figures_table(
            runs, FIGURES, more_rows=[*_threshold_rows(runs), *recipe_differences(runs)]
        ),
        "grid": localization_grid(runs, images, _MOST_BYTES - used),
        "thresholds": thresholds(runs) if has_boxes else [],
        "classes": classes_and_sizes(runs, has_boxes),
        "failures": failures,
        "covered": covered_objects(runs, covered_images) if has_boxes and covered_images else None,
    }
    titles = {
        "figures": "Figures",
        "maps": "Maps and boxes",
        "thresholds": "Thresholds",
        "classes": "Classes and sizes",
        "failures": "Why boxes are wrong",
        "covered": "Partly covered objects",
    }
    return page.render(
        "localization_report.html.j2",
        "threshold_slider.js",
        title=report_title(runs),
        sections={key: title for key, title in titles.items() if values.get(key, True)},
        runs=runs,
        run=run,
        has_boxes=has_boxes,
        unboxed=sum(image.iou is None for image in run.images),
        kinds=KINDS,
        **values,
    )


def _threshold_rows(runs: Sequence[LocalizationRun]) -> list[list[str]]:
    rows = []
    for key, title in _THRESHOLDS.items():
        values = [run.results.get(key) for run in runs]
        if any(value is not None and math.isfinite(value) for value in values):
            rows.append([title, *(percent(value).removesuffix(".0") for value in values)])
    return rows
