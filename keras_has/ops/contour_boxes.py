"""The boxes of a score map's contours at every threshold, in the protocol of Choe et al."""

import functools
import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_has.ops.merge_tree import (
    FINE_BITS,
    LEVELS,
    Basins,
    MergeTree,
    areas,
    climb,
    euler_characteristics,
    extents,
    join,
)
from keras_has.ops.opencv import opencv
from keras_has.ops.score_maps import RESIZE, resized_score_map, shows_nothing

_OUTSIDE = 256
_LONGEST = 32000  # Pixels a side.
# OpenCV takes some 20 microseconds a level, a tree of the background as long as 60 levels. So up to
# this number of levels with holes OpenCV is asked for them;
_FEW_WITH_HOLES = 48
# and up to this number of levels where the largest outline is open, for that.
_FEW_OPEN = 12


class ContourBoxes(NamedTuple):
    """Boxes of all contours of one map, at all its grey levels.

    Boxes are the protocol's own: integers `x0, y0, x1, y1`, where `x1 = x + w` of the bounding
    rectangle, at most the last column, and `y1` likewise. They are to be compared by
    `inclusive_box_iou`.

    Attributes:
        boxes: Array of shape `(contours, 4)`: of outlines and of holes, level after level or not.
        levels: Array of shape `(contours,)`: the level that each belongs to, 0 to 254. Level `t` is
            the mask `uint8(map * 255) > t`.
        largest: Array of shape `(256, 4)`: at each level the box of the contour of largest area;
            `0, 0, 0, 0` where there is none.
        maximum: The highest value of the quantised map: 255, or 0 if it shows nothing.
        size: Height and width of the map.
        is_degenerate: Whether the map it comes from shows nothing, see `shows_nothing`.
    """

    boxes: NDArray[np.int32]
    levels: NDArray[np.intp]
    largest: NDArray[np.int32]
    maximum: int
    size: tuple[int, int]
    is_degenerate: bool


@functools.cache
def compiled_loops() -> ModuleType | None:
    """Returns `keras_has.ops.contour_sweep`, compiled, where Numba can be imported; else `None`.

    The first call of all takes seconds, in which Numba compiles. Where it can write beside the
    package or to the user's cache, later processes load what it compiled.

    Returns:
        The module or `None`. `None`, too, if storing what was compiled fails.

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
    except OSError:  # No space left, for one.
        return None
    return loops


def contour_boxes(score_map: ArrayLike) -> ContourBoxes:
    """Finds the boxes of the contours of a normalised score map at every grey level.

    It finds what `cv2.threshold`, `cv2.findContours` (`RETR_TREE`), `cv2.boundingRect` and
    `cv2.contourArea` would in 255 passes: outlines of components (8 neighbours) and of their holes
    (4 neighbours). Where Numba is installed, `keras_has.ops.contour_sweep` does it in compiled
    loops. Else components of all levels come from one merge tree. How many holes there are is then
    known from the Euler characteristic; where few levels have any, OpenCV is asked there, else they
    come from the merge tree of the background. The outline of largest area is one of the map with
    its holes filled, where areas are sums over the basins of the same tree; bounds of the areas
    often make filling unnecessary.

    Where several outlines are as large, the order of OpenCV's contours decides, so OpenCV is asked
    at this level. Both ways give the same.

    Args:
        score_map: Array of shape `(height, width)`, values in `[0, 1]`, as from
            `normalized_score_map`. It is quantised by `uint8(score_map * 255)`.

    Returns:
        A `ContourBoxes`.

    Raises:
        ValueError: If `score_map` is not of rank 2 with at least one pixel, if a side is above
            32,000, or if a value is not in `[0, 1]`.

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
    if scores.ndim != 2 or not scores.size or max(scores.shape) > _LONGEST:
        raise ValueError(
            "`score_map` should be of shape (height, width), 1 to 32,000 pixels a side. "
            f"Received: shape={scores.shape}"
        )
    low, high = scores.min(), scores.max()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            "`score_map` should hold values in [0, 1], see `normalized_score_map`. "
            f"Received: values from {low} to {high}"
        )
    loops = compiled_loops()
    if loops is None:
        return _by_merge_trees(scores)
    return _by_sweeping(loops, np.ascontiguousarray(scores), 0.0, 1.0, bool(low == high))


def contour_boxes_of_score_maps(
    score_maps: Iterable[ArrayLike], size: tuple[int, int] | None = RESIZE
) -> list[ContourBoxes]:
    """Resizes and normalises score maps and finds the boxes of their contours.

    What it returns can be passed to several metrics in place of the maps, so that the work is done
    once.

    Args:
        score_maps: Array of shape `(maps, height, width)`, or a list of arrays of rank 2.
        size: Height and width the maps are resized to. Defaults to `(224, 224)`. `None`: not.

    Returns:
        A list of one `ContourBoxes` a map.

    Raises:
        ValueError: If a map is not an array of numbers of rank 2.

    Example:

    >>> found = contour_boxes_of_score_maps(np.eye(14)[None])
    >>> found[0].largest[25].tolist()
    [0, 0, 223, 223]
    """
    loops = compiled_loops()
    found = []
    for each in score_maps:
        scores, low, span = resized_score_map(each, size)
        if not span:
            of_map = contour_boxes(np.zeros_like(scores))
        elif loops is None or max(scores.shape) > _LONGEST:
            of_map = contour_boxes((scores - low) / span)
        else:
            of_map = _by_sweeping(loops, scores, low, span, False)
        found.append(of_map._replace(is_degenerate=shows_nothing(each)))
    return found


def _by_sweeping(
    loops: ModuleType, scores: NDArray[np.float64], low: float, span: float, is_constant: bool
) -> ContourBoxes:
    boxes, levels, largest, maximum, is_tied = loops.swept(scores, low, span)
    if is_tied.any():
        image = ((scores - low) / span * 255).astype(np.uint8)
        for level in np.flatnonzero(is_tied).tolist():
            _, largest[level] = _boxes_by_opencv(image, level)
    height, width = scores.shape
    return ContourBoxes(
        boxes, levels, largest, maximum, (height, width), is_constant or not maximum
    )


def _by_merge_trees(scores: NDArray[np.float64]) -> ContourBoxes:
    height, width = scores.shape
    is_degenerate = bool(scores.min() == scores.max())
    scores = scores * 255
    levels = scores.astype(np.uint8)
    largest = np.zeros((LEVELS + 1, 4), dtype=np.int32)
    maximum = int(levels.max())
    if not maximum:
        nothing = np.zeros((0, 4), dtype=np.int32), np.zeros(0, dtype=np.intp)
        return ContourBoxes(*nothing, largest, maximum, (height, width), True)

    values = np.zeros((height + 2, width + 2), dtype=np.int16)
    values[1:-1, 1:-1] = levels
    fine = np.zeros(values.shape, dtype=np.int32)
    scores *= 1 << FINE_BITS
    np.copyto(fine[1:-1, 1:-1], scores, casting="unsafe")
    fine &= (1 << FINE_BITS) - 1
    basins = climb(values, fine, diagonal=True)
    tree = join(values, basins, diagonal=True)
    reach = extents(values, basins, diagonal=True)

    area = areas(values, basins)
    tree.merge(area, np.add)
    unmerged_reach = reach.copy()
    tree.merge(reach, np.minimum)
    basin, place = np.nonzero(tree.is_alive)
    boxes = [_boxes(reach[:, basin, place], 0, (height, width))]
    levels_of_boxes = [LEVELS - 1 - place]

    # The Euler characteristic is components less holes.
    with_holes = np.flatnonzero(tree.is_alive.sum(axis=0)[::-1] > euler_characteristics(values))
    is_asked = np.zeros(LEVELS, dtype=bool)  # Levels at which OpenCV is asked for everything.
    if with_holes.size <= _FEW_WITH_HOLES:
        is_asked[with_holes] = True
        kept = ~is_asked[levels_of_boxes[0]]
        boxes, levels_of_boxes = [boxes[0][kept]], [levels_of_boxes[0][kept]]
        at_most = area
    else:
        # The background is the inverted image above 254 - t, in a frame outside at all levels.
        inverted = 255 - values
        inverted[[0, -1]] = inverted[:, [0, -1]] = _OUTSIDE
        pits = climb(inverted, fine ^ ((1 << FINE_BITS) - 1), diagonal=False)
        pit_tree = join(inverted, pits, diagonal=False)
        pit_reach = extents(inverted, pits, diagonal=False)
        pit_tree.merge(pit_reach, np.minimum)
        basin, place = np.nonzero(pit_tree.is_alive)
        # A hole's contour runs through the pixels around it, one farther out.
        boxes.append(_boxes(pit_reach[:, basin, place], 1, (height, width)))
        levels_of_boxes.append(place)
        # Without its holes an outline encloses at least as much, and no more than its box. Where
        # this leaves one outline only, it is the largest.
        sides = reach[:2].astype(np.intp) + reach[2:]
        at_most = 2 * sides[0] * sides[1]
    best, is_open = _choose(tree, area, at_most)
    if with_holes.size > _FEW_WITH_HOLES and np.count_nonzero(is_open) > _FEW_OPEN:
        values, basins = _fill(values, basins, pits, pit_tree)
        tree, reach = join(values, basins, diagonal=True), unmerged_reach
        tree.merge(reach, np.minimum)
        area = areas(values, basins)
        tree.merge(area, np.add)
        best, is_open = _choose(tree, area, area)
    found = _boxes(reach[:, best, np.arange(LEVELS)], 0, (height, width))
    found[~tree.is_alive.any(axis=0)] = 0
    largest[:LEVELS] = found[::-1]
    for level in np.flatnonzero(is_open[::-1] | is_asked).tolist():
        of_level, largest[level] = _boxes_by_opencv(levels, level)
        if is_asked[level]:
            boxes.append(of_level)
            levels_of_boxes.append(np.full(len(of_level), level))
    return ContourBoxes(
        np.concatenate(boxes),
        np.concatenate(levels_of_boxes),
        largest,
        maximum,
        (height, width),
        is_degenerate,
    )


def _boxes(reach: NDArray[np.int16], grown: int, size: tuple[int, int]) -> NDArray[np.int32]:
    left, top, right, bottom = reach.astype(np.int32)
    return np.stack(
        [
            left - grown,
            top - grown,
            np.minimum(1 + grown - right, size[1] - 1),
            np.minimum(1 + grown - bottom, size[0] - 1),
        ],
        axis=-1,
    )


def _choose(
    tree: MergeTree, at_least: NDArray[np.intp], at_most: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Returns at each level the largest component, and whether another may be as large."""
    lower = np.where(tree.is_alive, at_least, -1)
    best = lower.argmax(axis=0)
    rivals = tree.is_alive & (at_most >= lower[best, np.arange(LEVELS)])
    return best, rivals.sum(axis=0) > 1


def _fill(
    values: NDArray[np.int16], basins: Basins, pits: Basins, pit_tree: MergeTree
) -> tuple[NDArray[np.int16], Basins]:
    """Raises every pit to the height of the lowest way out, and gives it to the basin there."""
    count = pits.peaks.size
    way_out, saddle = [0] * count, [0] * count
    way_out[0] = _OUTSIDE
    for pit in reversed(pit_tree.order):
        parent = pit_tree.parents[pit]
        if pit_tree.heights[pit] <= way_out[parent]:
            way_out[pit], saddle[pit] = pit_tree.heights[pit], pit_tree.saddles[pit]
        else:
            way_out[pit], saddle[pit] = way_out[parent], saddle[parent]
    floor = (255 - np.array(way_out)).astype(np.int16)
    filled = np.maximum(values, floor[pits.labels])
    owner = basins.labels.ravel()[saddle]
    labels = np.where(filled > values, owner[pits.labels], basins.labels)
    return filled, Basins(labels, basins.peaks)


def _boxes_by_opencv(
    levels: NDArray[np.uint8], level: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Returns the boxes of all contours at a level, and that of the largest."""
    cv2 = opencv()
    contours, _ = cv2.findContours(
        (levels > level).view(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE
    )
    boxes = np.array([cv2.boundingRect(contour) for contour in contours], dtype=np.int32)
    boxes[:, 2:] += boxes[:, :2]
    np.minimum(boxes[:, 2:], (levels.shape[1] - 1, levels.shape[0] - 1), out=boxes[:, 2:])
    return boxes, boxes[int(np.argmax([cv2.contourArea(contour) for contour in contours]))]
