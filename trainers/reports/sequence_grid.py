"""Sequences with the maps and detections of each run: a fair sample, and where they differ most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainers.reports import page
from trainers.reports.image_sample import extremes, spread_over_classes
from trainers.reports.judged_sequences import JudgedSequences
from trainers.reports.page import Markup, element, paragraph
from trainers.reports.segment_failures import overlap_in_time
from trainers.reports.segment_timeline import TimelineRow, segment_timeline

_MOST_WRITTEN = 4  # true segments in the text of a picture; of more, the first ones


def sequence_grid(shown: Sequence[JudgedSequences], count: int, most_bytes: int) -> Markup:
    """Shows timelines: of each one class of one sequence.

    Args:
        shown: The run, the last; and before it the one to compare with, if there is one.
        count: How many at most: half not picked, a quarter each the largest losses and gains.
        most_bytes: How long it may get; timelines beyond are left out, and counted.
    """
    split = shown[-1].split
    pairs = [
        (index, int(label))
        for index, labels in enumerate(split.segment_labels)
        for label in np.unique(labels)
    ]
    overlaps = [
        np.array([_overlap(each, index, label) for index, label in pairs]) for each in shown
    ]
    sample = spread_over_classes([label for _, label in pairs], count - 2 * (count // 4))
    groups = [
        (
            "Not picked",
            "The first sequences of the classes, in the order of the data: a fair sample.",
            sample,
        ),
        *_extreme_groups(shown, overlaps, count // 4, sample),
    ]
    parts: list[Any] = [
        paragraph(
            "Each picture is one class of one sequence, along its time: what is true, and of each "
            "run the temporal class activation map, from 0 to its maximum, with the threshold "
            "dotted, and below it the detections, pale where their score is low. Overlap is the "
            "IoU of all time detected with all true time of the class; no bound goes into it."
        )
    ]
    used = left_out = 0
    for title, note, of_group in groups:
        entries = []
        for place in of_group:
            entry = _timeline(shown, *pairs[place], [float(each[place]) for each in overlaps])
            if used + len(entry) > most_bytes:
                left_out += 1
                continue
            used += len(entry)
            entries.append(entry)
        if entries:
            parts += [
                element("h3", title),
                paragraph(note, kind="note"),
                element("div", *entries, class_="plots"),
            ]
    if left_out:
        parts.append(
            paragraph(
                f"{left_out} timelines were left out to keep this page below 8 MB.", kind="warning"
            )
        )
    return page.join(parts)


def _extreme_groups(
    shown: Sequence[JudgedSequences],
    overlaps: Sequence[np.ndarray],
    count: int,
    sample: Sequence[int],
) -> list[tuple[str, str, list[int]]]:
    if not count:
        return []
    if len(shown) == 1:
        worst, best = 1 - overlaps[0], overlaps[0]
        lost = extremes(worst, count, sample)
        return [
            (
                "Least overlap",
                "Picked of the rest: where detections and true segments agree least.",
                lost,
            ),
            (
                "Most overlap",
                "Picked of the rest: where they agree most.",
                extremes(best, count, [*sample, *lost]),
            ),
        ]
    baseline, run = shown
    gains = overlaps[1] - overlaps[0]
    return [
        (
            f"Largest {what}",
            f"Picked of the rest: where overlap {changes} most from {baseline.name} to {run.name}.",
            extremes(sign * gains, count, sample),
        )
        for what, changes, sign in (("losses", "falls", -1), ("gains", "rises", 1))
    ]


def _of_label(run: JudgedSequences, index: int, label: int) -> tuple[np.ndarray, np.ndarray]:
    found = run.sequences[index].found
    is_of_label = found["labels"] == label
    return found["segments"][is_of_label], found["scores"][is_of_label]


def _true_segments(run: JudgedSequences, index: int, label: int) -> np.ndarray:
    return run.split.segments[index][run.split.segment_labels[index] == label]


def _overlap(run: JudgedSequences, index: int, label: int) -> float:
    return overlap_in_time(_of_label(run, index, label)[0], _true_segments(run, index, label))


def _timeline(
    shown: Sequence[JudgedSequences], index: int, label: int, overlaps: Sequence[float]
) -> Markup:
    split = shown[-1].split
    true_segments = _true_segments(shown[-1], index, label)
    rows, says = [], []
    duration = float(split.durations[index])
    for run, overlap in zip(shown, overlaps, strict=True):
        sequence = run.sequences[index]
        # A class of a true segment that the labels of the sequence lack has no map.
        cam = sequence.maps.get(label, np.zeros(0))
        duration = max(duration, len(cam) * sequence.step_seconds)
        segments, scores = _of_label(run, index, label)
        rows.append(
            TimelineRow(
                run.label, run.colour, cam, sequence.step_seconds, segments, scores, run.threshold
            )
        )
        says.append(f"{run.label}: {_counted(len(segments), 'detection')}, overlap {overlap:.2f}")
    times = ", ".join(f"{start:.1f} to {end:.1f} s" for start, end in true_segments[:_MOST_WRITTEN])
    more = len(true_segments) - _MOST_WRITTEN
    times += f" and {more} more" if more > 0 else ""
    name, video = split.class_names[label], split.video_ids[index]
    ambiguous = split.truth(index)["ambiguous"]
    picture = segment_timeline(
        f"{name} in sequence {video}, true from {times}. {'; '.join(says)}",
        duration,
        true_segments,
        rows,
        ambiguous,
    )
    return page.figure(
        picture, page.join([element("strong", name), f" · {video} · {'; '.join(says)}"])
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
