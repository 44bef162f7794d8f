"""The report of a run on images: which sections it has, and what they say."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainers.engine.text_files import write_aside
from trainers.reports import page, threshold_slider
from trainers.reports.image_breakdowns import (
    classes_and_sizes,
    covered_objects,
    kinds_of_failure,
    thresholds,
)
from trainers.reports.image_grid import map_grid
from trainers.reports.judged_run import JudgedRun
from trainers.reports.page import Markup, paragraph
from trainers.reports.proportions import per_cent
from trainers.reports.report_page import differing_figures, report_file, report_page

_MOST_BYTES = 7_500_000
_FIGURES = (
    ("top1_clas", "Top-1 Clas"),
    ("gt_known_loc", "GT-known Loc, fixed threshold"),
    ("gt_known_loc_cross_fitted", "GT-known Loc, threshold cross-fitted"),
    ("gt_known_loc_best", "GT-known Loc, best threshold (optimistic)"),
    ("top1_loc", "Top-1 Loc, fixed threshold"),
    ("top1_loc_cross_fitted", "Top-1 Loc, threshold cross-fitted"),
    ("max_box_acc", "MaxBoxAcc, best threshold (optimistic)"),
    ("max_box_acc_v2", "MaxBoxAccV2, best thresholds (optimistic)"),
    ("centred_box", "Centred box: GT-known Loc without a network"),
)


def write_image_report(
    run_dir: str | os.PathLike[str],
    baseline_run_dir: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    images: int = 24,
    covered_images: int = 1000,
) -> Path:
    """Writes the report of a finished run, aside and renamed.

    Args:
        run_dir: The run.
        baseline_run_dir: A run on the same images to compare with, or None.
        data_dir: The data set's folder; None for the one that each run was started with.
        out: File to write; None for `report.html` in `run_dir`.
        images: How many images to show with maps.
        covered_images: On how many images to measure classification of partly covered objects.

    Returns:
        The file.

    Raises:
        RunError: If a run is not there or not finished, or the two are not of the same images.
    """
    shown = JudgedRun.open_beside(run_dir, baseline_run_dir, data_dir)
    file = report_file(shown[-1].path, out)
    write_aside(file, report_text(shown, images, covered_images))
    return file


def report_text(shown: Sequence[JudgedRun], images: int, covered_images: int) -> str:
    """Returns the page.

    Args:
        shown: The run, the last; and before it the one to compare with, if there is one.
        images: How many images to show with maps.
        covered_images: On how many images to measure classification of partly covered objects.
    """
    run = shown[-1]
    has_boxes = any(image.iou is not None for image in run.images)
    # Examples of failures come first and take little; what the budget leaves is for the grid.
    failures = kinds_of_failure(shown) if has_boxes else Markup("")
    grid = map_grid(shown, images, _MOST_BYTES - len(failures))
    sections: list[tuple[str, str, Markup | None]] = [
        ("figures", "Figures", _figures(shown, has_boxes)),
        ("maps", "Maps and boxes", grid),
        ("thresholds", "Thresholds", thresholds(shown) if has_boxes else None),
        ("classes", "Classes and sizes", classes_and_sizes(shown, has_boxes)),
        ("failures", "Why boxes are wrong", failures if has_boxes else None),
        (
            "covered",
            "Partly covered objects",
            covered_objects(shown, covered_images) if has_boxes and covered_images else None,
        ),
    ]
    return report_page(shown, sections, threshold_slider.SCRIPT)


def _figures(shown: Sequence[JudgedRun], has_boxes: bool) -> Markup:
    run = shown[-1]
    recipe = run.recipe
    head = ["Per cent", *(each.name for each in shown)]
    head += ["Difference"] if len(shown) > 1 else []
    rows = []
    for key, title in _FIGURES:
        values = [each.results.get(key) for each in shown]
        if all(value is None or not math.isfinite(value) for value in values):
            continue
        cells = [title, *(per_cent(value) for value in values)]
        if len(shown) > 1:
            known = [math.nan if value is None else value for value in values]
            cells.append(per_cent(known[1] - known[0], signed=True))
        rows.append(cells)
    facts = []
    for key, title in (
        ("cam_threshold", "Fixed threshold, per cent of the map's maximum"),
        ("gt_known_loc_best_threshold", "Best threshold, likewise"),
    ):
        values = [each.results.get(key) for each in shown]
        if any(value is not None and math.isfinite(value) for value in values):
            cells = [title, *(per_cent(value).removesuffix(".0") for value in values)]
            facts.append(cells + [""] * (len(head) - len(cells)))
    kind = "tuning" if recipe.tuning_share else "validation"
    unboxed = sum(image.iou is None for image in run.images)
    parts: list[Any] = [
        paragraph(
            f"{len(run.images)} {kind} images of {run.split.name}, "
            f"{len(run.split.class_names)} classes. {recipe.name}: {recipe.description} "
            f"{recipe.model}, {recipe.epochs} epochs; maps by {recipe.cam}"
            f"{', ten crops' if recipe.crops == 10 else ''}."
        ),
        page.table(head, rows + facts, "From results.json of each run."),
    ]
    if unboxed and has_boxes:
        parts.append(paragraph(f"{unboxed} images have no true box: not in localization."))
    if not has_boxes:
        parts.append(
            paragraph("No image has a true box: localization is not measured.", kind="warning")
        )
    parts.append(
        paragraph(
            "The best threshold is picked on the images that it is scored on; the cross-fitted one "
            "on the other half of them. A method whose GT-known Loc is not above that of the "
            "centred box has not shown that it localizes.",
            kind="note",
        )
    )
    parts += differing_figures(shown)
    return page.join(parts)
