"""Where a run on sequences is right and wrong: thresholds, classes, lengths, failures."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from trainers.reports.breakdowns import by_class, by_group, curves
from trainers.reports.failure_kinds import count_kinds
from trainers.reports.page import Plot, Table
from trainers.reports.plots import Series, ranked_bars, to_svg
from trainers.reports.proportions import count_and_share
from trainers.reports.segment_failures import (
    DETECTION_KINDS,
    NOT_COUNTED,
    TRUTH_KINDS,
    shares_in_common,
)
from trainers.reports.sequence_run import SequenceRun

IOU_THRESHOLDS = (0.5, 0.3)
_LENGTHS = ("short", "medium", "long")


def thresholds(runs: Sequence[SequenceRun]) -> list[Plot]:
    """Plots mAP over the temporal IoU, and over the threshold of the map.

    Args:
        runs: The baseline, if there is one, and last the run.
    """
    run = runs[-1]
    ious = run.recipe.iou_thresholds
    whole = [100 * run.results[f"whole_sequence_at_{iou:g}"] for iou in ious]
    plots = [
        curves(
            runs,
            [
                (ious, [100 * one.results[f"temporal_map_at_{iou:g}"] for iou in ious])
                for one in runs
            ],
            ("temporal IoU", "mAP (%)", "mAP over the temporal IoU"),
            "mAP over the temporal IoU that a right detection needs, at the threshold of each run. "
            "Whole sequence: one detection from start to end for each class of the sequence.",
            more_series=[Series("whole sequence, no network", whole, ious, colour=2)],
            x_range=(0.0, math.ceil(10 * ious[-1] + 0.5) / 10),
        )
    ]
    differ = len({one.threshold for one in runs}) > 1
    position = ("threshold of the run" if differ else "threshold", 100 * run.threshold)
    parts: list[tuple[str, Any]] = [(f"at IoU {ious[-1]:g}", slice(-1, None))]
    if len(ious) > 1:
        parts.insert(0, (f"mean over IoU {ious[0]:g} to {ious[-1]:g}", slice(None)))
    for title, part in parts:
        points = [
            (
                [100 * threshold for threshold in sorted(one.curve)],
                [100 * float(one.curve[threshold][part].mean()) for threshold in sorted(one.curve)],
            )
            for one in runs
        ]
        plots.append(
            curves(
                runs,
                points,
                (
                    "threshold (% of the map's maximum)",
                    "mAP (%)",
                    f"mAP {title} over the threshold of the map",
                ),
                f"mAP, {title}, over the threshold of the map. The best threshold depends on the "
                "network: compare the peaks of the curves, not a single threshold. A peak is "
                "selected on the sequences that it is scored on.",
                position=position,
            )
        )
    return plots


def classes(runs: Sequence[SequenceRun]) -> list[Plot]:
    """Plots the average precision of each class at the middle and the largest temporal IoU.

    Args:
        runs: The baseline, if there is one, and last the run.
    """
    ious = runs[-1].recipe.iou_thresholds
    counts = _true_counts(runs[-1])
    without = int((counts == 0).sum())
    note = f" ({without} classes have no true segment)" if without else ""
    return [
        by_class(
            runs,
            [run.precisions[ious.index(iou)] for run in runs],
            counts,
            (
                f"average precision at IoU {iou:g} (%)",
                f"Average precision of each class at IoU {iou:g}",
            ),
            f"Average precision of each class{note} at temporal IoU {iou:g}",
            "number of true segments",
        )
        for iou in sorted({ious[len(ious) // 2], ious[-1]})
    ]


@dataclasses.dataclass(frozen=True)
class SegmentFailures:
    """The kinds of detections and of true segments at one temporal IoU.

    Args:
        iou_threshold: The temporal IoU that a right detection exceeds.
        all_detections: The number of detections of each kind.
        first_detections: The same for the detections with the highest scores.
        kinds: Shares of the kinds among these.
        lengths: True segments that were found, by length.
        truths: The number of true segments of each kind.
    """

    iou_threshold: float
    all_detections: Table
    first_detections: Table
    kinds: Plot
    lengths: Plot
    truths: Table


def kinds_of_failure(runs: Sequence[SequenceRun]) -> list[SegmentFailures]:
    """Counts the kinds of detections and of true segments, for each of `IOU_THRESHOLDS`.

    Args:
        runs: The baseline, if there is one, and last the run.
    """
    return [
        SegmentFailures(
            iou,
            _detections_table(runs, iou, first_only=False),
            _detections_table(runs, iou, first_only=True),
            _kinds_plot(runs, iou),
            _lengths_plot(runs, iou),
            _truths_table(runs, iou),
        )
        for iou in IOU_THRESHOLDS
    ]


def describe_overlap(run: SequenceRun) -> str:
    """Describes the overlap of detections and true segments, which no threshold affects."""
    covered: list[float] = []
    inside: list[float] = []
    for index, sequence in enumerate(run.sequences):
        of_truths, of_detections = shares_in_common(run.split.truth(index), sequence.detections)
        covered += of_truths
        inside += of_detections
    if not inside:
        return f"{run.name} detects nothing."
    segments = np.concatenate([sequence.detections["segments"] for sequence in run.sequences])
    of_time = np.average(inside, weights=segments[:, 1] - segments[:, 0])
    of_first = np.median(np.array(inside)[_is_first(run)])
    return (
        f"{run.name}: in the median, detections cover {np.median(covered):.0%} of a true segment, "
        f"{np.median(inside):.0%} of a detection is true, and {of_first:.0%} of a first detection "
        f"is true. Of all time detected, {of_time:.0%} is true."
    )


def _is_first(run: SequenceRun) -> np.ndarray:
    """Returns whether each detection is among the first N of its class, for N true segments."""
    labels = np.concatenate([sequence.detections["labels"] for sequence in run.sequences])
    scores = np.concatenate([sequence.detections["scores"] for sequence in run.sequences])
    is_first = np.zeros(len(labels), bool)
    for label, count in enumerate(_true_counts(run)):
        rows = np.flatnonzero(labels == label)
        order = np.argsort(-scores[rows], kind="stable")
        is_first[rows[order[:count]]] = True
    return is_first


def _true_counts(run: SequenceRun) -> np.ndarray:
    """Returns the number of true segments of each class."""
    labels = np.concatenate(run.split["segment_labels"])
    return np.bincount(labels, minlength=len(run.split.class_names))


def _counts(run: SequenceRun, iou: float, first_only: bool) -> dict[str, int]:
    kinds = np.array([kind for sequence in run.kinds(iou) for kind in sequence.detections])
    return count_kinds(kinds[_is_first(run)] if first_only else kinds, DETECTION_KINDS)


def _counted(counts: dict[str, int]) -> int:
    return sum(counts.values()) - counts[NOT_COUNTED]


def _detections_table(runs: Sequence[SequenceRun], iou: float, first_only: bool) -> Table:
    counts = [_counts(run, iou, first_only) for run in runs]
    title = "First detections" if first_only else "All detections"
    rows = [
        [
            kind.title,
            *(
                str(of_run[kind.key])
                if kind.key == NOT_COUNTED
                else count_and_share(of_run[kind.key], _counted(of_run))
                for of_run in counts
            ),
        ]
        for kind in DETECTION_KINDS
        if kind.key != NOT_COUNTED or any(of_run[kind.key] for of_run in counts)
    ]
    rows.append(["Total counted", *(str(_counted(of_run)) for of_run in counts)])
    return Table(
        [title, *(run.label for run in runs)],
        rows,
        f"{title}: number and share of each kind; right at an IoU above {iou:g}.",
    )


def _kinds_plot(runs: Sequence[SequenceRun], iou: float) -> Plot:
    kinds = [kind for kind in DETECTION_KINDS if kind.key != NOT_COUNTED]
    counts = [_counts(run, iou, first_only=True) for run in runs]
    series = [
        Series(
            run.name,
            [100 * of_run[kind.key] / max(1, _counted(of_run)) for kind in kinds],
            colour=run.colour,
        )
        for run, of_run in zip(runs, counts, strict=True)
    ]
    figure = ranked_bars(
        [kind.title for kind in kinds],
        series,
        "share of the run's first detections (%)",
        f"Share of each kind among the first detections, right at an IoU above {iou:g}",
        [counts[-1][kind.key] for kind in kinds],
    )
    return Plot(
        to_svg(figure),
        "Kinds of the first detections, in the order of their rules; the number for "
        f"{runs[-1].name} is in brackets.",
    )


def _length_groups(run: SequenceRun) -> tuple[np.ndarray, list[str]]:
    """Returns which third by length each true segment belongs to, and the names of the thirds."""
    segments = np.concatenate(run.split["segments"]).astype("float64")
    lengths = segments[:, 1] - segments[:, 0]
    ends = np.quantile(lengths, [1 / 3, 2 / 3])
    groups = np.searchsorted(ends, lengths)  # a length at an end belongs to the shorter third
    borders = [lengths.min(), *ends, lengths.max()]
    names = [
        f"{name}, {low:.1f} to {high:.1f} s"
        for name, (low, high) in zip(_LENGTHS, itertools.pairwise(borders), strict=True)
    ]
    return groups, names


def _truth_kinds(run: SequenceRun, iou: float) -> np.ndarray:
    return np.array([kind for sequence in run.kinds(iou) for kind in sequence.truths])


def _lengths_plot(runs: Sequence[SequenceRun], iou: float) -> Plot:
    groups, names = _length_groups(runs[-1])
    return by_group(
        runs,
        [_truth_kinds(run, iou) == "found" for run in runs],
        groups,
        names,
        (
            "length of the true segment",
            "true segments found (%)",
            f"True segments found at an IoU above {iou:g}, by their length",
        ),
        "True segments found, by length: the thirds of all true segments.",
    )


def _truths_table(runs: Sequence[SequenceRun], iou: float) -> Table:
    groups, names = _length_groups(runs[-1])
    kinds = [_truth_kinds(run, iou) for run in runs]
    rows = [
        [kind.title, *(count_and_share(int((one == kind.key).sum()), len(one)) for one in kinds)]
        for kind in TRUTH_KINDS
    ]
    for place, name in enumerate(names):
        members = groups == place
        size = int(members.sum())
        if size:
            cells = [count_and_share(int((one[members] == "found").sum()), size) for one in kinds]
            rows.append([f"Found of the {name} ({size})", *cells])
    return Table(
        ["True segments", *(run.label for run in runs)],
        rows,
        f"True segments found and missed, number and share; found at an IoU above {iou:g}.",
    )
