"""Why a box is wrong: sorts each image into one kind, by explicit rules.

The paper shows failures and names some of their causes, but does not count them. The rules and
their thresholds are this project's choice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from keras_has.ops.boxes import box_iou
from trainers.reports.failure_kinds import LARGER, MERGED, MOSTLY, FailureKind

# In the order in which they are checked.
KINDS = (
    FailureKind(
        "no_box",
        "No box",
        "The map gives no box because it is constant, not finite, or nowhere above 0.",
    ),
    FailureKind(
        "wrong_class",
        "Wrong class",
        "The most probable class is not the true one; the box does not matter.",
    ),
    FailureKind("right", "Right", "The IoU with a true box is above 0.5."),
    FailureKind(
        "merged",
        "Several instances merged",
        f"The predicted box covers at least {MERGED:.0%} of each of two or more true boxes.",
    ),
    FailureKind(
        "part",
        "Only a part",
        f"At least {MOSTLY:.0%} of the predicted box lies in a true box whose area is more than "
        f"{LARGER:g} times as large.",
    ),
    FailureKind(
        "context",
        "Too much context",
        f"The predicted box covers at least {MOSTLY:.0%} of a true box, and its area is more than "
        f"{LARGER:g} times as large.",
    ),
    FailureKind(
        "displaced",
        "Otherwise displaced",
        "All other boxes: next to the object, or partly on it.",
    ),
)


def failure_kind(box: ArrayLike, true_boxes: ArrayLike, class_is_right: bool = True) -> str:
    """Returns the key of the first of `KINDS` whose rule applies.

    Args:
        box: (4,) "xyxy", the predicted box; NaN if the map gives no box.
        true_boxes: (N, 4) "xyxy", N at least 1.
        class_is_right: Whether the predicted class is the true one. Pass True to ignore the class.

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
    if ((common >= MOSTLY * area) & (LARGER * area < true_area)).any():
        return "part"
    if ((common >= MOSTLY * true_area) & (area > LARGER * true_area)).any():
        return "context"
    return "displaced"


def shares_in_common(box: ArrayLike, true_boxes: ArrayLike) -> tuple[float, float]:
    """Returns the share of the object that a box covers and the share of the box on the object.

    Args:
        box: (4,) "xyxy", the predicted box, finite.
        true_boxes: (N, 4) "xyxy", N at least 1; the object is the one with the highest IoU.

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
    areas = [np.prod(one[2:] - one[:2]) for one in (true_box, box)]
    return float(common / areas[0]), float(common / areas[1])
