"""Why a temporal detection is wrong, and which actions are missed, by explicit rules.

The kinds are those of common tools that diagnose detectors. The paper does not count failures; the
rules and their thresapplies, which boxes use too, are this project's choice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_has.ops.matching import match_in_turn
from keras_has.ops.segments import temporal_iou
from trainers.reports.failure_kinds import LARGER, MERGED, MOSTLY, FailureKind

NOT_COUNTED = "ambiguous"

# In the order in which they are checked.
DETECTION_KINDS = (
    FailureKind(
        "right",
        "Right",
        "In order of score, each detection is matched to the unmatched true segment of its class "
        "with the largest IoU above the threshold.",
    ),
    FailureKind(
        NOT_COUNTED,
        "Ambiguous (not counted)",
        "It overlaps an interval that the annotators marked as ambiguous.",
    ),
    FailureKind(
        "duplicate",
        "Duplicate",
        "Its IoU with a true segment of its class is above the threshold, but detections with "
        "higher scores are matched to those.",
    ),
    FailureKind(
        "wrong_class",
        "Wrong class",
        "Its IoU with a true segment of another class is above the threshold; or it overlaps none "
        f"of its own class, and at least {MOSTLY:.0%} of it lies in one of another class.",
    ),
    FailureKind(
        "merged",
        "Actions merged",
        f"It covers at least {MERGED:.0%} of each of two or more true segments of its class.",
    ),
    FailureKind(
        "short",
        "Too short",
        f"At least {MOSTLY:.0%} of it lies in a true segment of its class that is more than "
        f"{LARGER:g} times as long.",
    ),
    FailureKind(
        "long",
        "Too long",
        f"It covers at least {MOSTLY:.0%} of a true segment of its class, and is more than "
        f"{LARGER:g} times as long.",
    ),
    FailureKind(
        "displaced",
        "Otherwise displaced",
        "It overlaps a true segment of its class in another way.",
    ),
    FailureKind("background", "Background", "It overlaps no true segment of its class."),
)

TRUTH_KINDS = (
    FailureKind("found", "Found", "A right detection is matched to it."),
    FailureKind(
        "overlapped",
        "Missed, overlapped",
        "Detections of its class overlap it, but none is matched to it.",
    ),
    FailureKind("missed", "Missed, not overlapped", "No detection of its class overlaps it."),
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
    """Sorts the detections and the true segments of one video.

    Args:
        truth: `"segments"`, (N, 2) in seconds; `"segment_labels"`, (N,); optionally
            `"ambiguous"`, (K, 2), as in `keras_has.data.Dataset.truth`.
        found: `"segments"`, (M, 2); `"labels"`, (M,); `"scores"`, (M,).
        iou_threshold: The temporal IoU that a right detection has to exceed.

    Example:

    >>> truth = {"segments": [[10, 20], [30, 40]], "segment_labels": [0, 0]}
    >>> found = {"segments": [[9, 19], [33, 35]], "labels": [0, 0], "scores": [2.0, 1.0]}
    >>> sort_segments(truth, found, 0.5)
    SortedSegments(detections=('right', 'short'), truths=('found', 'overlapped'))
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
    is_above = iou > iou_threshold
    overlaps = is_own & (common > 0)
    matched = _matches(is_own & is_above, iou, np.asarray(found["scores"], "float64").reshape(-1))
    lies_mostly_in = common >= MOSTLY * length
    ambiguous = _pairs(truth.get("ambiguous", ()))
    applies = {
        "right": matched >= 0,
        NOT_COUNTED: (temporal_iou(segments[:, None], ambiguous) > 0).any(axis=1),
        "duplicate": (is_own & is_above).any(axis=1),
        "wrong_class": (~is_own & is_above).any(axis=1)
        | (~overlaps.any(axis=1) & (~is_own & lies_mostly_in).any(axis=1)),
        "merged": (is_own & (common >= MERGED * true_length)).sum(axis=1) >= 2,
        "short": (is_own & lies_mostly_in & (LARGER * length < true_length)).any(axis=1),
        "long": (is_own & (common >= MOSTLY * true_length) & (length > LARGER * true_length)).any(
            axis=1
        ),
        "displaced": overlaps.any(axis=1),
        "background": np.ones(len(segments), bool),
    }
    rules = np.stack([applies[kind.key] for kind in DETECTION_KINDS])
    is_found = np.isin(np.arange(len(true_segments)), matched)
    return SortedSegments(
        tuple(DETECTION_KINDS[place].key for place in rules.argmax(axis=0)),
        tuple(
            "found" if was_found else "overlapped" if has_overlap else "missed"
            for was_found, has_overlap in zip(is_found, overlaps.any(axis=0), strict=True)
        ),
    )


def _matches(is_pair: np.ndarray, iou: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns the true segment matched to each detection, or -1; the highest score goes first."""
    order = np.argsort(-scores, kind="stable")
    turn, truth = np.nonzero(is_pair[order])
    matched = np.full(len(scores), -1)
    matched[order] = match_in_turn(turn, truth, -iou[order][turn, truth], *is_pair.shape)
    return matched


def disjoint(segments: ArrayLike) -> np.ndarray:
    """Returns sorted segments without overlaps that cover the same time.

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
    """Returns the total time in both sets of segments, with overlaps within a set counted once.

    Example:

    >>> seconds_in_common([[0, 10]], [[2, 4], [3, 5], [9, 12]])
    4.0
    """
    left, right = disjoint(segments), disjoint(others)
    both = np.minimum(left[:, None, 1], right[:, 1]) - np.maximum(left[:, None, 0], right[:, 0])
    return float(np.maximum(both, 0).sum())


def overlap_in_time(segments: ArrayLike, others: ArrayLike) -> float:
    """Returns the IoU of the total time of two sets of segments; NaN if both are empty.

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
    """Returns the share of each true segment that is detected, and of each detection that is true.

    Each segment is compared with all segments of its class; no threshold is involved.

    Args:
        truth: See `sort_segments`.
        found: See `sort_segments`.

    Returns:
        N shares for the true segments and M shares for the detections, in [0, 1].

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
