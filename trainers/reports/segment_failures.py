"""Why a detection in time is wrong, and which actions are missed, by rules that are stated here.

In the manner of the tools that diagnose detectors. The paper measures no kinds of failures; the
rules and their numbers, shared with those of boxes, are this project's choice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_has.ops.matching import match_in_turn
from keras_has.ops.segments import temporal_iou
from trainers.reports.failures import FAR, MERGED, MOSTLY, FailureKind

NOT_COUNTED = "ambiguous"

# In the order in which they are tried. T is a true segment of the detection's class.
DETECTION_KINDS = (
    FailureKind(
        "right",
        "Right",
        "By falling score, each detection takes the free true segment of its class of largest IoU "
        "above the bound.",
    ),
    FailureKind(
        NOT_COUNTED,
        "Ambiguous (not counted)",
        "It overlaps an interval that the annotators marked as ambiguous.",
    ),
    FailureKind(
        "duplicate",
        "Duplicate",
        "Its IoU with a true segment of its class is above the bound, but detections of higher "
        "score have taken those.",
    ),
    FailureKind(
        "wrong_class",
        "Wrong class",
        "Its IoU with a true segment of another class is above the bound; or it touches none of "
        f"its own class, and at least {MOSTLY:.0%} of it lie in one of another.",
    ),
    FailureKind(
        "merged",
        "Actions merged",
        f"It covers at least {MERGED:.0%} of each of two or more true segments of its class.",
    ),
    FailureKind(
        "short",
        "Too short",
        f"At least {MOSTLY:.0%} of it lie in a true segment of its class, which is more than "
        f"{FAR:g} times as long.",
    ),
    FailureKind(
        "long",
        "Too long",
        f"It covers at least {MOSTLY:.0%} of a true segment of its class, and is more than {FAR:g} "
        "times as long.",
    ),
    FailureKind(
        "displaced", "Otherwise displaced", "It overlaps a true segment of its class otherwise."
    ),
    FailureKind("background", "Background", "All others: it touches no true segment of its class."),
)

TRUTH_KINDS = (
    FailureKind("found", "Found", "A right detection took it."),
    FailureKind(
        "touched", "Missed, touched", "Detections of its class overlap it, and none took it."
    ),
    FailureKind("untouched", "Missed, untouched", "No detection of its class overlaps it."),
)


@dataclasses.dataclass(frozen=True)
class SortedSegments:
    """The kinds of all detections and all true segments of one video.

    Args:
        detections: The key of one of `DETECTION_KINDS` for each detection, in their order.
        truths: The key of one of `TRUTH_KINDS` for each true segment, in their order.
    """

    detections: tuple[str, ...]
    truths: tuple[str, ...]


def sort_segments(
    truth: Mapping[str, Any], found: Mapping[str, Any], iou_threshold: float
) -> SortedSegments:
    """Sorts what was found in one video, and what was to be found.

    Args:
        truth: `"segments"`, (N, 2) in seconds; `"segment_labels"`, (N,); perhaps `"ambiguous"`,
            (K, 2), as `keras_has.data.Dataset.truth` gives them.
        found: `"segments"`, (M, 2); `"labels"`, (M,); `"scores"`, (M,).
        iou_threshold: The temporal IoU that a right detection exceeds.

    Example:

    >>> truth = {"segments": [[10, 20], [30, 40]], "segment_labels": [0, 0]}
    >>> found = {"segments": [[9, 19], [33, 35]], "labels": [0, 0], "scores": [2.0, 1.0]}
    >>> sort_segments(truth, found, 0.5)
    SortedSegments(detections=('right', 'short'), truths=('found', 'touched'))
    """
    segments, true_segments = _pairs(found["segments"]), _pairs(truth["segments"])
    labels = np.asarray(found["labels"], "int64").reshape(-1)
    true_labels = np.asarray(truth["segment_labels"], "int64").reshape(-1)
    is_own = labels[:, None] == true_labels
    iou = temporal_iou(segments[:, None], true_segments)
    common = np.minimum(segments[:, None, 1], true_segments[:, 1])
    common = np.maximum(common - np.maximum(segments[:, None, 0], true_segments[:, 0]), 0)
    length = (segments[:, 1] - segments[:, 0])[:, None]
    true_length = true_segments[:, 1] - true_segments[:, 0]
    is_enough = iou > iou_threshold
    touches = is_own & (common > 0)
    takes = _matches(is_own & is_enough, iou, np.asarray(found["scores"], "float64").reshape(-1))
    lies_mostly_in = common >= MOSTLY * length
    ambiguous = _pairs(truth.get("ambiguous", ()))
    holds = {
        "right": takes >= 0,
        NOT_COUNTED: (temporal_iou(segments[:, None], ambiguous) > 0).any(axis=1),
        "duplicate": (is_own & is_enough).any(axis=1),
        "wrong_class": (~is_own & is_enough).any(axis=1)
        | (~touches.any(axis=1) & (~is_own & lies_mostly_in).any(axis=1)),
        "merged": (is_own & (common >= MERGED * true_length)).sum(axis=1) >= 2,
        "short": (is_own & lies_mostly_in & (FAR * length < true_length)).any(axis=1),
        "long": (is_own & (common >= MOSTLY * true_length) & (length > FAR * true_length)).any(
            axis=1
        ),
        "displaced": touches.any(axis=1),
        "background": np.ones(len(segments), bool),
    }
    rules = np.stack([holds[kind.key] for kind in DETECTION_KINDS])
    is_found = np.isin(np.arange(len(true_segments)), takes)
    return SortedSegments(
        tuple(DETECTION_KINDS[place].key for place in rules.argmax(axis=0)),
        tuple(
            "found" if taken else "touched" if touched else "untouched"
            for taken, touched in zip(is_found, touches.any(axis=0), strict=True)
        ),
    )


def _matches(is_pair: np.ndarray, iou: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns which true segment each detection takes, or -1; the highest score chooses first."""
    order = np.argsort(-scores, kind="stable")
    turn, truth = np.nonzero(is_pair[order])
    takes = np.full(len(scores), -1)
    takes[order] = match_in_turn(turn, truth, -iou[order][turn, truth], *is_pair.shape)
    return takes


def disjoint(segments: ArrayLike) -> np.ndarray:
    """Returns the same time as segments that do not overlap, in order.

    Example:

    >>> disjoint([[4, 6], [0, 2], [1, 3]]).tolist()
    [[0.0, 3.0], [4.0, 6.0]]
    """
    pairs = _pairs(segments)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    latest = np.maximum.accumulate(pairs[:, 1]) if len(pairs) else np.zeros(0)
    begins = np.flatnonzero(np.append(True, pairs[1:, 0] > latest[:-1]))[: len(pairs)]
    ends = latest[np.append(begins[1:], len(pairs)) - 1] if len(pairs) else latest
    return np.stack([pairs[begins, 0], ends], axis=1)


def seconds_in_common(segments: ArrayLike, others: ArrayLike) -> float:
    """Returns for how long both some segments and some others last, each moment counted once.

    Example:

    >>> seconds_in_common([[0, 10]], [[2, 4], [3, 5], [9, 12]])
    4.0
    """
    left, right = disjoint(segments), disjoint(others)
    both = np.minimum(left[:, None, 1], right[:, 1]) - np.maximum(left[:, None, 0], right[:, 0])
    return float(np.maximum(both, 0).sum())


def overlap_in_time(segments: ArrayLike, others: ArrayLike) -> float:
    """Returns the IoU of all time of some segments with all time of others; NaN without any.

    Example:

    >>> overlap_in_time([[0, 4], [8, 10]], [[2, 8]])
    0.2
    """
    left, right = (float(np.diff(disjoint(each)).sum()) for each in (segments, others))
    common = seconds_in_common(segments, others)
    return common / (left + right - common) if left + right > 0 else float("nan")


def shares_in_common(
    truth: Mapping[str, Any], found: Mapping[str, Any]
) -> tuple[list[float], list[float]]:
    """Returns how much of each true segment is detected, and how much of each detection is true.

    Segments are compared with all of their class, with no bound on anything.

    Args:
        truth: See `sort_segments`.
        found: See `sort_segments`.

    Returns:
        N shares of the true segments' and M shares of the detections' time, in [0, 1].

    Example:

    >>> truth = {"segments": [[10, 20]], "segment_labels": [0]}
    >>> found = {"segments": [[8, 12], [16, 18]], "labels": [0, 0], "scores": [2.0, 1.0]}
    >>> shares_in_common(truth, found)
    ([0.4], [0.5, 1.0])
    """
    segments, true_segments = _pairs(found["segments"]), _pairs(truth["segments"])
    labels = np.asarray(found["labels"]).reshape(-1)
    true_labels = np.asarray(truth["segment_labels"]).reshape(-1)

    def shares(
        ours: np.ndarray, our_labels: np.ndarray, theirs: np.ndarray, their_labels: np.ndarray
    ) -> list[float]:
        return [
            seconds_in_common([each], theirs[their_labels == label]) / float(each[1] - each[0])
            for each, label in zip(ours, our_labels, strict=True)
        ]

    return (
        shares(true_segments, true_labels, segments, labels),
        shares(segments, labels, true_segments, true_labels),
    )


def _pairs(segments: Any) -> np.ndarray:
    return np.asarray(segments, "float64").reshape(-1, 2)
