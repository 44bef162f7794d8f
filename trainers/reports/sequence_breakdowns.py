"""Where a run on sequences is right and wrong: thresholds, classes, lengths, failures."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from trainers.reports import page
from trainers.reports.judged_sequences import JudgedSequences
from trainers.reports.page import Markup, element, paragraph
from trainers.reports.plots import Series, bar_plot, line_plot, ranked_bars, series_of_shares
from trainers.reports.segment_failures import (
    DETECTION_KINDS,
    NOT_COUNTED,
    TRUTH_KINDS,
    shares_in_common,
)

BOUNDS = (0.5, 0.3)
_MOST_CLASSES = 40
_LENGTHS = ("short", "medium", "long")


def thresholds(shown: Sequence[JudgedSequences]) -> Markup:
    """Plots mAP over the temporal IoU, and over the threshold of the map.

    Args:
        shown: The run, the last; and before it the one to compare with, if there is one.
    """
    run = shown[-1]
    bounds = run.recipe.iou_thresholds
    over_iou = [
        Series(
            each.name,
            [100 * each.results[f"temporal_map_at_{bound:g}"] for bound in bounds],
            bounds,
            colour=each.colour,
        )
        for each in shown
    ]
    whole = [100 * run.results[f"whole_sequence_at_{bound:g}"] for bound in bounds]
    over_iou.insert(0, Series("whole sequence, no network", whole, bounds, colour=2))
    last = math.ceil(10 * bounds[-1] + 0.5) / 10
    plots = [
        page.figure(
            line_plot(
                over_iou,
                "temporal IoU",
                "mAP (%)",
                "mAP over the temporal IoU",
                x_range=(0.0, last),
            ),
            "mAP over the temporal IoU that a right detection needs, at each run's threshold. "
            "Whole sequence: one detection from start to end of each class that is shown.",
        )
    ]
    own = {each.threshold for each in shown}
    moment = ("threshold of the run" if len(own) > 1 else "threshold", 100 * run.threshold)
    places: list[tuple[str, Any]] = [
        (f"mean over IoU {bounds[0]:g} to {bounds[-1]:g}", slice(None)),
        (f"at IoU {bounds[-1]:g}", slice(-1, None)),
    ]
    for what, place in places if len(bounds) > 1 else places[1:]:
        curves = [
            Series(
                each.name,
                [100 * float(each.curve[at][place].mean()) for at in sorted(each.curve)],
                [100 * at for at in sorted(each.curve)],
                colour=each.colour,
            )
            for each in shown
        ]
        plots.append(
            page.figure(
                line_plot(
                    curves,
                    "threshold (% of the map's maximum)",
                    "mAP (%)",
                    f"mAP {what} over the threshold of the map",
                    moment=moment,
                ),
                f"mAP, {what}, over the threshold of the map. The one that suits a map belongs to "
                "the network: compare the curves' peaks, not one threshold alone. A peak is picked "
                "on the sequences that it is scored on.",
            )
        )
    return element("div", *plots, class_="plots")


def classes(shown: Sequence[JudgedSequences]) -> Markup:
    """Plots the average precision of each class at some temporal IoUs.

    Args:
        shown: The run, the last; and before it the one to compare with, if there is one.
    """
    bounds = shown[-1].recipe.iou_thresholds
    chosen = sorted({bounds[len(bounds) // 2], bounds[-1]})
    return element(
        "div", *(_by_class(shown, bounds.index(bound)) for bound in chosen), class_="plots"
    )


def _by_class(shown: Sequence[JudgedSequences], place: int) -> Markup:
    run = shown[-1]
    bound = run.recipe.iou_thresholds[place]
    precisions = [each.precisions[place] for each in shown]
    counts = _true_counts(run)
    known = np.flatnonzero(counts)
    order = known[np.argsort(-precisions[-1][known], kind="stable")]
    note = ""
    if len(order) > _MOST_CLASSES:
        half = _MOST_CLASSES // 2
        note = f" The {half} best and the {half} worst of {len(order)} classes."
        order = np.concatenate([order[:half], order[-half:]])
    if len(known) < len(counts):
        note += f" {len(counts) - len(known)} classes have no true segment."
    return page.figure(
        ranked_bars(
            [run.split.class_names[label] for label in order],
            [
                Series(each.name, (100 * of_run[order]).tolist(), colour=each.colour)
                for each, of_run in zip(shown, precisions, strict=True)
            ],
            f"average precision at IoU {bound:g} (%)",
            f"Average precision of each class at IoU {bound:g}",
            [int(counts[label]) for label in order],
        ),
        f"Average precision of each class at temporal IoU {bound:g}, sorted by {run.name}; in "
        f"brackets the number of true segments.{note}",
    )


def kinds_of_failure(shown: Sequence[JudgedSequences]) -> Markup:
    """Counts the kinds of detections and of true segments, and states their rules.

    Args:
        shown: The run, the last; and before it the one to compare with, if there is one.
    """
    run = shown[-1]
    total = sum(len(each) for each in run.split.segments)
    own = [f"{each.threshold:.0%}" for each in shown]
    if len(set(own)) > 1:
        own = [f"{text} ({each.label})" for text, each in zip(own, shown, strict=True)]
    at = " and ".join(dict.fromkeys(own))
    parts: list[Any] = [
        paragraph(
            "Each detection is of the first kind whose rule holds, and each of the "
            f"{total} true segments is found or missed; at {at} of the map's maximum. The rules "
            "and their numbers are this project's choice. Among all detections each counts as "
            "one, whatever its score; mAP minds the order, and many of low score do little to it. "
            "The first ones are, of each class, those of the highest scores, as many as the class "
            "has true segments."
        ),
        *(_medians(each) for each in shown),
        paragraph(
            "These shares need no bound: true segments and detections are compared with all of "
            "their class. A method that sees only the telling moment covers little, and what it "
            "detects is true; one that takes in what surrounds an action covers much, and much of "
            "it is not.",
            kind="note",
        ),
    ]
    for bound in BOUNDS:
        parts += [
            element("h3", f"With IoU above {bound:g} for right"),
            element(
                "div",
                _table_of_detections(shown, bound, first_only=False),
                _table_of_detections(shown, bound, first_only=True),
                _bars_of_kinds(shown, bound),
                _by_length(shown, bound),
                class_="plots",
            ),
            _table_of_truths(shown, bound),
        ]
    for title, kinds in (
        ("Detections: the rules, in the order in which they are tried", DETECTION_KINDS),
        ("True segments: the rules", TRUTH_KINDS),
    ):
        rules = [
            part
            for kind in kinds
            for part in (element("dt", element("strong", kind.title)), element("dd", kind.rule))
        ]
        parts += [element("h3", title), element("dl", *rules)]
    return page.join(parts)


def _medians(run: JudgedSequences) -> Markup:
    """What detections and true segments have in common, without any bound of the rules."""
    covered: list[float] = []
    inside: list[float] = []
    for index, sequence in enumerate(run.sequences):
        of_truths, of_detections = shares_in_common(run.split.truth(index), sequence.found)
        covered += of_truths
        inside += of_detections
    if not inside:
        return paragraph(f"{run.name} detects nothing.")
    segments = np.concatenate([each.found["segments"] for each in run.sequences])
    of_time = np.average(inside, weights=segments[:, 1] - segments[:, 0])
    of_first = np.median(np.array(inside)[_is_first(run)])
    return paragraph(
        f"{run.name}: by the median, {np.median(covered):.0%} of a true segment is covered by "
        f"detections, {np.median(inside):.0%} of a detection is true, and {of_first:.0%} of a "
        f"first one. Of all time detected, {of_time:.0%} is true."
    )


def _is_first(run: JudgedSequences) -> np.ndarray:
    """Whether each detection is among the best of its class, as many as it has true segments."""
    labels = np.concatenate([each.found["labels"] for each in run.sequences])
    scores = np.concatenate([each.found["scores"] for each in run.sequences])
    counts = _true_counts(run)
    is_first = np.zeros(len(labels), bool)
    for label, count in enumerate(counts):
        of_label = np.flatnonzero(labels == label)
        order = np.argsort(-scores[of_label], kind="stable")
        is_first[of_label[order[:count]]] = True
    return is_first


def _true_counts(run: JudgedSequences) -> np.ndarray:
    """How many true segments each class has."""
    labels = np.concatenate(run.split.segment_labels)
    return np.bincount(labels, minlength=len(run.split.class_names))


def _counts(run: JudgedSequences, bound: float, first_only: bool) -> dict[str, int]:
    kinds = np.array([kind for each in run.kinds(bound) for kind in each.detections])
    if first_only:
        kinds = kinds[_is_first(run)]
    return {kind.key: int((kinds == kind.key).sum()) for kind in DETECTION_KINDS}


def _counted(counts: dict[str, int]) -> int:
    return sum(counts.values()) - counts[NOT_COUNTED]


def _cell(count: int, total: int) -> str:
    return f"{count} ({100 * count / total:.1f}%)" if total else str(count)


def _table_of_detections(
    shown: Sequence[JudgedSequences], bound: float, first_only: bool
) -> Markup:
    counts = [_counts(each, bound, first_only) for each in shown]
    whose = "The first detections" if first_only else "All detections"
    rows = [
        [
            kind.title,
            *(
                str(each[kind.key])
                if kind.key == NOT_COUNTED
                else _cell(each[kind.key], _counted(each))
                for each in counts
            ),
        ]
        for kind in DETECTION_KINDS
        if kind.key != NOT_COUNTED or any(each[kind.key] for each in counts)
    ]
    rows.append(["All that are counted", *(str(_counted(each)) for each in counts)])
    return page.table(
        [whose, *(each.label for each in shown)],
        rows,
        f"{whose}, of each kind, and their share; right at an IoU above {bound:g}.",
    )


def _bars_of_kinds(shown: Sequence[JudgedSequences], bound: float) -> Markup:
    kinds = [kind for kind in DETECTION_KINDS if kind.key != NOT_COUNTED]
    counts = [_counts(each, bound, first_only=True) for each in shown]
    return page.figure(
        ranked_bars(
            [kind.title for kind in kinds],
            [
                Series(
                    each.name,
                    [100 * of_run[kind.key] / max(1, _counted(of_run)) for kind in kinds],
                    colour=each.colour,
                )
                for each, of_run in zip(shown, counts, strict=True)
            ],
            "share of the run's first detections (%)",
            f"Share of each kind among the first detections, right at an IoU above {bound:g}",
            [counts[-1][kind.key] for kind in kinds],
        ),
        "Kinds of the first detections, in the order of their rules; in brackets the number of "
        f"{shown[-1].name}.",
    )


def _bins(run: JudgedSequences) -> tuple[np.ndarray, list[str]]:
    """Returns which third by length each true segment is of, and the names of the thirds."""
    segments = np.concatenate(run.split.segments).astype("float64")
    lengths = segments[:, 1] - segments[:, 0]
    ends = np.quantile(lengths, [1 / 3, 2 / 3])
    number = np.searchsorted(ends, lengths)  # At a border, the shorter one.
    borders = [lengths.min(), *ends, lengths.max()]
    names = [
        f"{name}, {low:.1f} to {high:.1f} s"
        for name, (low, high) in zip(_LENGTHS, itertools.pairwise(borders), strict=True)
    ]
    return number, names


def _truth_kinds(run: JudgedSequences, bound: float) -> np.ndarray:
    return np.array([kind for each in run.kinds(bound) for kind in each.truths])


def _by_length(shown: Sequence[JudgedSequences], bound: float) -> Markup:
    number, names = _bins(shown[-1])
    present = [place for place in range(len(names)) if (number == place).any()]
    counts = [int((number == place).sum()) for place in present]
    series = [
        series_of_shares(
            each.name,
            [
                int((_truth_kinds(each, bound)[number == place] == "found").sum())
                for place in present
            ],
            counts,
            each.colour,
        )
        for each in shown
    ]
    return page.figure(
        bar_plot(
            [names[place] for place in present],
            series,
            "length of the true segment",
            "true segments found (%)",
            f"True segments found at an IoU above {bound:g}, by their length",
            counts,
        ),
        "True segments found, by length: the thirds of all true segments. Lines: 95% intervals "
        "(Wilson).",
    )


def _table_of_truths(shown: Sequence[JudgedSequences], bound: float) -> Markup:
    number, names = _bins(shown[-1])
    kinds = [_truth_kinds(each, bound) for each in shown]
    rows = [
        [kind.title, *(_cell(int((of_run == kind.key).sum()), len(of_run)) for of_run in kinds)]
        for kind in TRUTH_KINDS
    ]
    for place, name in enumerate(names):
        is_in = number == place
        if is_in.any():
            cells = [
                _cell(int((of_run[is_in] == "found").sum()), int(is_in.sum())) for of_run in kinds
            ]
            rows.append([f"Found of the {name} ({is_in.sum()})", *cells])
    return page.table(
        ["True segments", *(each.label for each in shown)],
        rows,
        f"True segments found and missed, and their share; found at an IoU above {bound:g}.",
    )
