"""The report of a run on sequences: which sections it has, and what they say."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainers.engine.runs import RunError
from trainers.engine.text_files import write_aside
from trainers.reports import page
from trainers.reports.judged_sequences import JudgedSequences
from trainers.reports.page import Markup, paragraph
from trainers.reports.proportions import NOTHING, per_cent
from trainers.reports.report_page import differing_figures, report_file, report_page
from trainers.reports.sequence_breakdowns import classes, kinds_of_failure, thresholds
from trainers.reports.sequence_grid import sequence_grid

_MOST_BYTES = 7_500_000
_WORDS = ("name", "description", "published", "choices")


def write_sequence_report(
    run_dir: str | os.PathLike[str],
    baseline_run_dir: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    timelines: int = 24,
) -> Path:
    """Writes the report of a finished run, aside and renamed.

    Args:
        run_dir: The run.
        baseline_run_dir: A run on the same sequences to compare with, or None.
        data_dir: The data set's folder; None for the one that each run was started with.
        out: File to write; None for `report.html` in `run_dir`.
        timelines: How many timelines to show.

    Returns:
        The file.

    Raises:
        RunError: If a run is not there or not finished, or the two are not of the same sequences.
    """
    shown = JudgedSequences.open_beside(run_dir, baseline_run_dir, data_dir)
    run = shown[-1]
    if not any(len(segments) for segments in run.split.segments):
        raise RunError(
            f"{run.split.name} has no true segment: there is nothing to compare detections with."
        )
    file = report_file(run.path, out)
    write_aside(file, report_text(shown, timelines))
    return file


def report_text(shown: Sequence[JudgedSequences], timelines: int) -> str:
    """Returns the page.

    Args:
        shown: The run, the last; and before it the one to compare with, if there is one.
        timelines: How many timelines to show.
    """
    return report_page(
        shown,
        [
            ("figures", "Figures", _figures(shown)),
            ("timelines", "Timelines", sequence_grid(shown, timelines, _MOST_BYTES)),
            ("thresholds", "Thresholds", thresholds(shown)),
            ("classes", "Classes", classes(shown)),
            ("failures", "Why detections are wrong", kinds_of_failure(shown)),
        ],
    )


def _figures(shown: Sequence[JudgedSequences]) -> Markup:
    run = shown[-1]
    recipe, split = run.recipe, run.split
    segments = sum(len(each) for each in split.segments)
    hidden = [f"{each.label} {_what_is_hidden(each)}" for each in shown]
    known = "the classes of a sequence known" if recipe.known_classes else "all classes detected"
    parts: list[Any] = [
        paragraph(
            f"{len(split)} sequences of {split.name} with {segments} true segments, "
            f"{len(split.class_names)} classes; {known}, protocol {recipe.protocol}. "
            f"{recipe.name}: {recipe.description} {recipe.epochs} epochs. Hidden while training: "
            f"{', '.join(hidden)}."
        )
    ]
    if recipe.dataset == "watch_untrimmed":
        parts.append(
            paragraph(
                "The sequences of watch_untrimmed are semi-synthetic: composed of real recordings "
                "of the wrist. (Sequences of one's own that are only laid out like it are what "
                "they are.)",
                kind="warning",
            )
        )
    if split.name == run.task.train_split.name:
        parts.append(
            paragraph(
                "Judged on the sequences that it was trained on: not comparable with figures of "
                "held-out ones.",
                kind="warning",
            )
        )
    parts += [_table_of_figures(shown), _table_of_facts(shown)]
    parts.append(
        paragraph(
            "Whole sequence: one detection from start to end of each class that a sequence shows, "
            "without a network. A method that is not above it has not shown that it localizes.",
            kind="note",
        )
    )
    parts += differing_figures(shown)
    return page.join(parts)


def _table_of_figures(shown: Sequence[JudgedSequences]) -> Markup:
    run = shown[-1]
    published = run.recipe.published
    head = ["Per cent", *(each.name for each in shown)]
    head += ["Difference"] if len(shown) > 1 else []
    head += ["Whole sequence"]
    head += ["Published"] if published else []
    titles = [
        (f"temporal_map_at_{bound:g}", f"mAP at IoU {bound:g}")
        for bound in run.recipe.iou_thresholds
    ]
    titles += [("temporal_map", "mAP, mean of these"), ("top1_clas", "Top-1 Clas")]
    rows = []
    for key, title in titles:
        values = [each.results.get(key, math.nan) for each in shown]
        cells = [title, *(per_cent(value) for value in values)]
        if len(shown) > 1:
            cells.append(per_cent(values[1] - values[0], signed=True))
        cells.append(per_cent(run.results.get(key.replace("temporal_map", "whole_sequence"))))
        if key == "top1_clas":
            cells[-1] = NOTHING
        if published:
            cells.append(f"{published[key]:g}" if key in published else NOTHING)
        rows.append(cells)
    return page.table(head, rows, "From results.json of each run.")


def _table_of_facts(shown: Sequence[JudgedSequences]) -> Markup:
    """What the runs set and found beside their figures, and in what else their recipes differ."""
    rows = [
        [
            "Threshold, per cent of the map's maximum",
            *(f"{100 * each.threshold:g}" for each in shown),
        ],
        [
            "Maps of a shown class that gave no detection",
            *(f"{each.results.get('degenerate_maps', math.nan):.0f}" for each in shown),
        ],
    ]
    if len(shown) > 1:
        for field in dataclasses.fields(shown[-1].recipe):
            values = [getattr(each.recipe, field.name) for each in shown]
            if field.name not in (*_WORDS, "cam_threshold") and values[0] != values[1]:
                rows.append([f"Recipe: {field.name}", *(str(value) or NOTHING for value in values)])
    caption = "Settings" + (", and all in which the recipes differ." if len(shown) > 1 else ".")
    return page.table(["", *(each.name for each in shown)], rows, caption)


def _what_is_hidden(run: JudgedSequences) -> str:
    recipe = run.recipe
    if recipe.segment_length:
        segments = f"segments of {recipe.segment_length} features"
    elif recipe.num_segments:
        segments = f"{recipe.num_segments} segments"
    else:
        return "nothing"
    return f"{segments}, each with probability {recipe.hide_probability:g}"
