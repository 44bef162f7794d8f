"""Timelines with the maps and detections of each run: a fair sample and the extremes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from trainers.reports.page import Group, render_macro
from trainers.reports.samples import render_groups, sample_and_extremes
from trainers.reports.segment_failures import overlap_in_time
from trainers.reports.segment_timeline import TimelineRow, segment_timeline
from trainers.reports.sequence_run import SequenceRun

_MOST_SEGMENTS = 4  # true segments that the description of a picture lists


def sequence_grid(
    runs: Sequence[SequenceRun], count: int, most_bytes: int
) -> tuple[list[Group], int]:
    """Returns timelines, of one class of one sequence each.

    Args:
        runs: The baseline, if there is one, and last the run.
        count: Largest number of timelines: half are a sample, a quarter each the largest losses
            and gains.
        most_bytes: Largest size; timelines beyond it are left out.

    Returns:
        The groups of timelines, and the number left out.
    """
    pairs = [
        (index, int(label))
        for index, labels in enumerate(runs[-1].split["segment_labels"])
        for label in np.unique(labels)
    ]
    overlaps = [np.array([_overlap(run, index, label) for index, label in pairs]) for run in runs]
    groups = sample_and_extremes(
        [label for _, label in pairs], overlaps, count, [run.name for run in runs], "the overlap"
    )

    def render(row: int) -> tuple[Markup, int]:
        timeline = _timeline(runs, *pairs[row], [float(of_run[row]) for of_run in overlaps])
        return timeline, len(timeline)

    return render_groups(groups, render, most_bytes)


def _detections(run: SequenceRun, index: int, label: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the segments and scores of the detections of a class in a sequence."""
    detections = run.sequences[index].detections
    has_label = detections["labels"] == label
    return detections["segments"][has_label], detections["scores"][has_label]


def _true_segments(run: SequenceRun, index: int, label: int) -> np.ndarray:
    return run.split["segments"][index][run.split["segment_labels"][index] == label]


def _overlap(run: SequenceRun, index: int, label: int) -> float:
    return overlap_in_time(_detections(run, index, label)[0], _true_segments(run, index, label))


def _timeline(
    runs: Sequence[SequenceRun], index: int, label: int, overlaps: Sequence[float]
) -> Markup:
    split = runs[-1].split
    true_segments = _true_segments(runs[-1], index, label)
    rows, results = [], []
    duration = float(split["duration"][index])
    for run, overlap in zip(runs, overlaps, strict=True):
        sequence = run.sequences[index]
        # There is no map for a class that has segments but is missing in the sequence's labels.
        cam = sequence.maps.get(label, np.zeros(0))
        duration = max(duration, len(cam) * sequence.step_seconds)
        segments, scores = _detections(run, index, label)
        rows.append(
            TimelineRow(
                run.label, run.colour, cam, sequence.step_seconds, segments, scores, run.threshold
            )
        )
        number = f"{len(segments)} detection" + ("" if len(segments) == 1 else "s")
        results.append(f"{run.label}: {number}, overlap {overlap:.2f}")
    times = ", ".join(
        f"{start:.1f} to {end:.1f} s" for start, end in true_segments[:_MOST_SEGMENTS]
    )
    more = len(true_segments) - _MOST_SEGMENTS
    times += f" and {more} more" if more > 0 else ""
    name, video = split.class_names[label], split.ids[index]
    picture = segment_timeline(
        f"{name} in sequence {video}, true from {times}. {'; '.join(results)}",
        duration,
        true_segments,
        rows,
        split.truth(index)["ambiguous"],
    )
    return render_macro("timeline", picture, name, f"{video} · {'; '.join(results)}")
