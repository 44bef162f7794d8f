"""Boxes with inclusive corners, as in the protocol of Choe et al."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def inclusive_box_iou(boxes_a: ArrayLike, boxes_b: ArrayLike) -> NDArray[np.float64]:
    """Computes the intersection over union of inclusive boxes, elementwise.

    A box is `x1 - x0 + 1` pixels wide. The arguments broadcast.

    Args:
        boxes_a: Array of shape `(..., 4)`: x0, y0, x1, y1.
        boxes_b: Array of shape `(..., 4)`.

    Returns:
        A float64 array of the shape that `...` of both broadcast to.

    Example:

    >>> inclusive_box_iou([1, 2, 5, 6], [3, 1, 4, 5]).round(4).item()  # 8 / 27
    0.2963
    """
    a, b = np.asarray(boxes_a, dtype=np.int64), np.asarray(boxes_b, dtype=np.int64)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]) + 1
    np.maximum(sides, 0, out=sides)
    intersection = sides[..., 0] * sides[..., 1]
    union = _area(a) + _area(b) - intersection
    return np.asarray(intersection / union, dtype=np.float64)


def _area(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    sides = boxes[..., 2:] - boxes[..., :2] + 1
    return sides[..., 0] * sides[..., 1]


def truncated_boxes(
    boxes: ArrayLike, from_size: tuple[float, float], to_size: tuple[float, float]
) -> NDArray[np.int64]:
    """Scales corners from one image size to another and truncates them to integers.

    Args:
        boxes: Array of shape `(..., 4)`: x0, y0, x1, y1, none below 0.
        from_size: Height and width that `boxes` refer to.
        to_size: Target height and width.

    Returns:
        An integer array of boxes.

    Example:

    >>> truncated_boxes([1, 2, 4, 3], from_size=(20, 10), to_size=(10, 35)).tolist()
    [3, 1, 14, 1]
    """
    old, new = np.array(from_size, np.float64), np.array(to_size, np.float64)
    corners = np.asarray(boxes, dtype=np.float64)
    return np.asarray(corners * new[[1, 0, 1, 0]] / old[[1, 0, 1, 0]]).astype(np.int64)
