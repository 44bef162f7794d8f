"""Why a box is wrong: each image is sorted into one kind, by rules that are stated here.

The paper shows failures and names some kinds; it measures none. The rules and their numbers are
this project's choice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_has.ops.boxes import box_iou

MOSTLY = 0.6
FAR = 1.5
MERGED = 0.5


@dataclasses.dataclass(frozen=True)
class FailureKind:
    """A kind of outcome.

    Args:
        key: Its name in code and in files.
        title: Its name for a reader.
        rule: When an image is of this kind, none of those before it being so.
    """

    key: str
    title: str
    rule: str


# In the order in which they are tried.
KINDS = (
    FailureKind(
        "no_box",
        "No box",
        "The map is constant, not finite or nowhere above 0, so that it gives no box.",
    ),
    FailureKind(
        "wrong_class",
        "Wrong class",
        "The class of the highest probability is not the true one, whatever the box.",
    ),
    FailureKind("right", "Right", "The IoU with some true box is above 0.5."),
    FailureKind(
        "merged",
        "Several instances merged",
        f"The predicted box covers at least {MERGED:.0%} of each of two or more true boxes.",
    ),
    FailureKind(
        "part",
        "Only a part",
        f"At least {MOSTLY:.0%} of the predicted box lie in a true box, whose area is more than "
        f"{FAR:g} times the predicted box's.",
    ),
    FailureKind(
        "context",
        "Too much context",
        f"The predicted box covers at least {MOSTLY:.0%} of a true box, and its area is more than "
        f"{FAR:g} times that box's.",
    ),
    FailureKind(
        "displaced",
        "Otherwise displaced",
        "All other boxes: beside the object, or half on it and half off it.",
    ),
)


def failure_kind(box: ArrayLike, true_boxes: ArrayLike, class_is_right: bool = True) -> str:
    """Returns the key of the first of `KINDS` whose rule holds.

    Args:
        box: (4,) "xyxy", the predicted box; NaN where the map gives none.
        true_boxes: (N, 4) likewise, N at least 1.
        class_is_right: Whether the predicted class is the true one; True to judge the box alone.

    Raises:
        ValueError: If there is no true box.

    Example:

    >>> failure_kind([10, 10, 20, 20], [[0, 0, 30, 30]])
    'part'
    >>> failure_kind([0, 0, 100, 40], [[0, 10, 30, 30], [60, 5, 90, 35]])
    'merged'
    """
    box = np.asarray(box, "float64")
    true_boxes = np.reshape(np.asarray(true_boxes, "float64"), (-1, 4))
    if not len(true_boxes):
        raise ValueError("`true_boxes` should hold at least one box. Received: none.")
    if not np.isfinite(box).all():
        return "no_box"
    if not class_is_right:
        return "wrong_class"
    if box_iou(true_boxes, box).max() > 0.5:
        return "right"
    sides = np.minimum(true_boxes[:, 2:], box[2:]) - np.maximum(true_boxes[:, :2], box[:2])
    common = np.prod(np.maximum(sides, 0), axis=1)
    area = np.prod(box[2:] - box[:2])
    true_area = np.prod(true_boxes[:, 2:] - true_boxes[:, :2], axis=1)
    if (common >= MERGED * true_area).sum() >= 2:
        return "merged"
    if ((common >= MOSTLY * area) & (FAR * area < true_area)).any():
        return "part"
    if ((common >= MOSTLY * true_area) & (area > FAR * true_area)).any():
        return "context"
    return "displaced"


def shares_in_common(box: ArrayLike, true_boxes: ArrayLike) -> tuple[float, float]:
    """Returns how much of the object a box covers, and how much of the box lies on the object.

    Args:
        box: (4,) "xyxy", the predicted box, finite.
        true_boxes: (N, 4) likewise, N at least 1; the one of the highest IoU is the object.

    Returns:
        Two shares in [0, 1].

    Example:

    >>> shares_in_common([0, 0, 10, 10], [[0, 0, 20, 20]])
    (0.25, 1.0)
    """
    box = np.asarray(box, "float64")
    true_boxes = np.reshape(np.asarray(true_boxes, "float64"), (-1, 4))
    true_box = true_boxes[box_iou(true_boxes, box).argmax()]
    sides = np.minimum(true_box[2:], box[2:]) - np.maximum(true_box[:2], box[:2])
    common = np.prod(np.maximum(sides, 0))
    of_both = (np.prod(each[2:] - each[:2]) for each in (true_box, box))
    covered, inside = (float(common / area) for area in of_both)
    return covered, inside


def count_kinds(kinds: Sequence[str]) -> dict[str, int]:
    """Returns how many there are of each of `KINDS`, zeros included, in their order."""
    return {kind.key: sum(each == kind.key for each in kinds) for kind in KINDS}
