"""Temporal segments: runs above a threshold and temporal intersection over union.

A segment is half-open, `[start, end)`: `end - start` is its length. Runs are counted in steps,
everything else in seconds.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def runs_above(values: ArrayLike, level: ArrayLike) -> tuple[NDArray[np.int64], ...]:
    """Finds the runs of consecutive steps whose value exceeds a level.

    Args:
        values: (..., T) numbers, time last. NaN exceeds nothing.
        level: Number, or (..., 1): the level to exceed strictly.

    Returns:
        A tuple of int64 arrays, one entry per run: an index for each of the leading axes, then the
        first step and the step after the last. Runs are in the order of the leading axes, then of
        time.

    Example:

    >>> start, end = runs_above([0, 3, 3, 1, 2, 2], 1)
    >>> start, end
    (array([1, 4]), array([3, 6]))
    """
    with np.errstate(invalid="ignore"):
        is_above = np.asarray(values) > level
    ends = [(0, 0)] * (is_above.ndim - 1)
    change = np.diff(np.pad(is_above.astype(np.int8), [*ends, (1, 1)]), axis=-1)
    *leading, start = np.nonzero(change > 0)
    return (*leading, start, np.nonzero(change < 0)[-1])


def temporal_iou(segments: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    r"""Computes the intersection over union of temporal segments.

    `IoU = |A \cap B| / |A \cup B|`, and 0 where the segments do not overlap, one is empty, or an
    end is NaN.

    Args:
        segments: (..., 2) start and end in seconds.
        others: (..., 2), which broadcasts against `segments`.

    Returns:
        (...) float64, in [0, 1].

    Raises:
        ValueError: If the last axis is not of length 2.

    Example:

    >>> temporal_iou([[0, 4], [10, 12]], [2, 6]).round(3)
    array([0.333, 0.   ])
    """
    a, b = _as_segments(segments, "segments"), _as_segments(others, "others")
    with np.errstate(invalid="ignore"):
        overlap = np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0])
        union = np.maximum(a[..., 1], b[..., 1]) - np.minimum(a[..., 0], b[..., 0])
        is_overlap = overlap > 0
    # Where two segments overlap their union is all from the first start to the last end.
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=is_overlap)


def _as_segments(value: Any, name: str) -> NDArray[np.float64]:
    array = np.asarray(value, np.float64)
    if array.ndim < 1 or array.shape[-1] != 2:
        raise ValueError(
            f"`{name}` should be of shape (..., 2), start and end. Received: shape={array.shape}"
        )
    return array
