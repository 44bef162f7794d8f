"""The boxes of a score map's contours at every threshold, in the protocol of Choe et al."""

import functools
import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_has.ops.opencv import opencv
from keras_has.ops.score_maps import LEVELS, RESIZE, resized_score_map, shows_nothing

_LONGEST_SIDE = 32000  # Pixels.


class ContourBoxes(NamedTuple):
    """Boxes of all contours of one map, at all its gray levels.

    The boxes follow the protocol's convention: integers `x0, y0, x1, y1`, where `x1 = x + w` of the
    bounding rectangle, clipped to the last column, and `y1` likewise. Compare them with
    `inclusive_box_iou`.

    Attributes:
        boxes: Array of shape `(contours, 4)`: boxes of outlines and of holes, in any order.
        levels: Array of shape `(contours,)`: the level of each contour, 0 to 254. Level `t` is the
            mask `uint8(map * 255) > t`.
        largest: Array of shape `(256, 4)`: the box of the contour of largest area at every level;
            `0, 0, 0, 0` at levels without a contour.
        maximum: The highest value of the quantized map: 255, or 0 if the map shows nothing.
        size: Height and width of the map.
        is_degenerate: Whether the original map shows nothing, see `shows_nothing`.
    """

    boxes: NDArray[np.int32]
    levels: NDArray[np.intp]
    largest: NDArray[np.int32]
    maximum: int
    size: tuple[int, int]
    is_degenerate: bool


@functools.cache
def compiled_loops() -> ModuleType | None:
    """Returns `keras_has.ops.contour_sweep`, compiled, if Numba can be imported.

    Numba compiles during the first call, which takes seconds. If the package's folder or the user's
    cache is writable, later processes load the compiled code from there.

    Returns:
        The module, or `None` without Numba or if the compiled code cannot be stored.

    Example:

    >>> compiled_loops() is compiled_loops()
    True
    """
    loops = importlib.import_module("keras_has.ops.contour_sweep")
    if loops.numba is None:
        return None
    try:
        boxes, levels, largest, _, _ = loops.swept(np.eye(2), 0.0, 1.0)
        loops.highest_overlaps(boxes, levels, largest.astype(np.int64))
    except OSError:  # For example, no space left.
        return None
    return loops


def contour_boxes(score_map: ArrayLike) -> ContourBoxes:
    """Finds the boxes of the contours of a normalized score map at every gray level.

    It finds what `cv2.threshold`, `cv2.findContours` (`RETR_TREE`), `cv2.boundingRect` and
    `cv2.contourArea` find in 255 passes: outlines of components (8-connected) and of their holes
    (4-connected). If Numba is installed, the compiled loops of `keras_has.ops.contour_sweep` find
    all of them in one sweep. Otherwise OpenCV searches one mask per distinct value of the quantized
    map. Both engines return the same boxes. If several outlines share the largest area, the order
    of OpenCV's contours decides, so the compiled loops also leave such levels to OpenCV.

    Args:
        score_map: Array of shape `(height, width)`, values in `[0, 1]`, as returned by
            `normalized_score_map`. It is quantized to `uint8(score_map * 255)`.

    Returns:
        A `ContourBoxes`.

    Raises:
        ValueError: If `score_map` does not have rank 2 and at least one pixel, if a side is longer
            than 32,000, or if a value is not in `[0, 1]`.

    Example:

    >>> found = contour_boxes(
    ...     [
    ...         [0.0, 0.0, 0.0, 0.0, 0.0],
    ...         [0.0, 0.4, 0.4, 0.4, 0.6],
    ...         [0.0, 0.4, 1.0, 0.8, 0.6],
    ...         [0.0, 0.4, 0.4, 0.4, 0.6],
    ...     ]
    ... )
    >>> [found.largest[int(0.2 * step * found.maximum)].tolist() for step in range(5)]
    [[1, 1, 4, 3], [1, 1, 4, 3], [2, 1, 4, 3], [2, 2, 4, 3], [2, 2, 3, 3]]

    Reference:
        Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020;
        Choe et al., "Evaluation for Weakly Supervised Object Localization", 2020, for all contours.
    """
    scores = np.asarray(score_map, dtype=np.float64)
    if scores.ndim != 2 or not scores.size or max(scores.shape) > _LONGEST_SIDE:
        raise ValueError(
            "`score_map` should have the shape (height, width) with sides of 1 to 32,000 pixels. "
            f"Received: shape={scores.shape}"
        )
    low, high = scores.min(), scores.max()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            "`score_map` should contain values in [0, 1], see `normalized_score_map`. "
            f"Received: values from {low} to {high}"
        )
    loops = compiled_loops()
    if loops is None:
        return _contours_by_opencv(scores)
    return _contours_by_sweeping(loops, np.ascontiguousarray(scores), 0.0, 1.0, bool(low == high))


def contour_boxes_of_score_maps(
    score_maps: Iterable[ArrayLike], size: tuple[int, int] | None = RESIZE
) -> list[ContourBoxes]:
    """Resizes and normalizes score maps and finds the boxes of their contours.

    Several metrics accept the result in place of the maps, so that the contours are found only
    once.

    Args:
        score_maps: Array of shape `(maps, height, width)`, or a list of arrays of rank 2.
        size: Height and width that the maps are resized to, or `None` to keep their size. Defaults
            to `(224, 224)`.

    Returns:
        A list with one `ContourBoxes` per map.

    Raises:
        ValueError: If a map is not a numeric array of rank 2.

    Example:

    >>> found = contour_boxes_of_score_maps(np.eye(14)[None])
    >>> found[0].largest[25].tolist()
    [0, 0, 223, 223]
    """
    loops = compiled_loops()
    found = []
    for score_map in score_maps:
        scores, low, span = resized_score_map(score_map, size)
        if not span:
            contours = contour_boxes(np.zeros_like(scores))
        elif loops is None or max(scores.shape) > _LONGEST_SIDE:
            contours = contour_boxes((scores - low) / span)
        else:
            contours = _contours_by_sweeping(loops, scores, low, span, False)
        found.append(contours._replace(is_degenerate=shows_nothing(score_map)))
    return found


def _contours_by_sweeping(
    loops: ModuleType, scores: NDArray[np.float64], low: float, span: float, is_constant: bool
) -> ContourBoxes:
    boxes, levels, largest, maximum, is_tied = loops.swept(scores, low, span)
    if is_tied.any():
        image = ((scores - low) / span * 255).astype(np.uint8)
        for level in np.flatnonzero(is_tied).tolist():
            _, largest[level] = _contours_at_level(image, level)
    return ContourBoxes(boxes, levels, largest, maximum, scores.shape, is_constant or not maximum)


def _contours_by_opencv(scores: NDArray[np.float64]) -> ContourBoxes:
    image = (scores * 255).astype(np.uint8)
    maximum = int(image.max())
    largest = np.zeros((LEVELS + 1, 4), dtype=np.int32)
    boxes = [np.zeros((0, 4), dtype=np.int32)]
    levels = [np.zeros(0, dtype=np.intp)]
    # All levels from one value of the image up to the next one have the same mask.
    starts = np.unique(np.append(image, 0))
    for level, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        boxes_at_level, largest[level:end] = _contours_at_level(image, level)
        boxes.append(np.tile(boxes_at_level, (end - level, 1)))
        levels.append(np.repeat(np.arange(level, end), len(boxes_at_level)))
    return ContourBoxes(
        np.concatenate(boxes),
        np.concatenate(levels),
        largest,
        maximum,
        scores.shape,
        not maximum or bool(scores.min() == scores.max()),
    )


def _contours_at_level(
    image: NDArray[np.uint8], level: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Returns the boxes of all contours at a level, and the box of the largest one."""
    cv2 = opencv()
    contours, _ = cv2.findContours(
        (image > level).view(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE
    )
    boxes = np.array([cv2.boundingRect(contour) for contour in contours], dtype=np.int32)
    boxes[:, 2:] += boxes[:, :2]
    np.minimum(boxes[:, 2:], (image.shape[1] - 1, image.shape[0] - 1), out=boxes[:, 2:])
    return boxes, boxes[int(np.argmax([cv2.contourArea(contour) for contour in contours]))]
