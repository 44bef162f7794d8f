"""The report of a run on sequences; its text is in `templates/sequence_report.html.j2`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from keras_has.data.readers.watch_untrimmed import is_watch_untrimmed
from trainers.engine.run_error import RunError
from trainers.reports import page
from trainers.reports.breakdowns import figures_table, recipe_differences
from trainers.reports.page import Table
from trainers.reports.proportions import percent
from trainers.reports.report_file import report_title
from trainers.reports.segment_failures import DETECTION_KINDS, TRUTH_KINDS
from trainers.reports.sequence_breakdowns import (
    classes,
    describe_overlap,
    kinds_of_failure,
    thresholds,
)
from trainers.reports.sequence_grid import sequence_grid
from trainers.reports.sequence_run import SequenceRun

_MOST_BYTES = 7_500_000


def report_text(runs: Sequence[SequenceRun], timelines: int) -> str:
    """Returns the page.

    Args:
        runs: The baseline, if there is one, and last the run.
        timelines: Number of timelines to show.

    Raises:
        RunError: If there is nothing to compare detections with.
    """
    run = runs[-1]
    if not any(map(len, run.split["segments"])):
        raise RunError(
            f"{run.split.name} has no true segments, so there is nothing to compare detections "
            "with."
        )
    groups, left_out = sequence_grid(runs, timelines, _MOST_BYTES)
    own_thresholds = [f"{one.threshold:.0%}" for one in runs]
    if len(set(own_thresholds)) > 1:
        pairs = zip(own_thresholds, runs, strict=True)
        own_thresholds = [f"{threshold} ({one.label})" for threshold, one in pairs]
    return page.render(
        "sequence_report.html.j2",
        title=report_title(runs),
        sections={
            "figures": "Figures",
            "timelines": "Timelines",
            "thresholds": "Thresholds",
            "classes": "Classes",
            "failures": "Why detections are wrong",
        },
        runs=runs,
        run=run,
        num_segments=sum(map(len, run.split["segments"])),
        hidden=[f"{one.label} {_describe_hiding(one)}" for one in runs],
        is_semi_synthetic=is_watch_untrimmed(run.split),
        is_training_split=run.split.name == run.task.train_split.name,
        own_thresholds=" and ".join(dict.fromkeys(own_thresholds)),
        figures=_figures(runs),
        settings=_settings(runs),
        groups=groups,
        left_out=left_out,
        thresholds=thresholds(runs),
        classes=classes(runs),
        overlaps=[describe_overlap(one) for one in runs],
        failures=kinds_of_failure(runs),
        detection_kinds=DETECTION_KINDS,
        truth_kinds=TRUTH_KINDS,
    )


def _figures(runs: Sequence[SequenceRun]) -> Table:
    run = runs[-1]
    titles = {
        f"temporal_map_at_{iou:g}": f"mAP at IoU {iou:g}" for iou in run.recipe.iou_thresholds
    }
    titles |= {"temporal_map": "mAP, mean of these"}
    columns = {
        "Whole sequence": {
            key: percent(run.results.get(key.replace("temporal_map", "whole_sequence")))
            for key in titles
        }
    }
    published = run.recipe.published
    if published:
        columns["Published"] = {key: f"{value:g}" for key, value in published.items()}
    return figures_table(runs, titles | {"top1_clas": "Top-1 Clas"}, columns)


def _settings(runs: Sequence[SequenceRun]) -> Table:
    rows = [
        ["Threshold, % of the map's maximum", *(f"{100 * run.threshold:g}" for run in runs)],
        [
            "Maps of a class in the sequence without a detection",
            *(f"{run.results.get('degenerate_maps', math.nan):.0f}" for run in runs),
        ],
        *recipe_differences(runs),
    ]
    caption = "Settings" + (" and differences between the recipes." if len(runs) > 1 else ".")
    return Table(["", *(run.name for run in runs)], rows, caption)


def _describe_hiding(run: SequenceRun) -> str:
    recipe = run.recipe
    if recipe.segment_length:
        segments = f"segments of {recipe.segment_length} features"
    elif recipe.num_segments:
        segments = f"{recipe.num_segments} segments"
    else:
        return "nothing"
    return f"{segments}, each with probability {recipe.hide_probability:g}"
