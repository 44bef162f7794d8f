"""Boxes: from maps, between image sizes, centred, and their overlap. All in NumPy and OpenCV.

A box is `(x0, y0, x1, y1)` in absolute pixels, half-open: `x1 - x0` is its width. A box without
area, such as the rows of -1 that pad a batch, overlaps nothing; neither does a NaN box,
the result for a map without a box.
"""

from collections.abc import Sequence
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_has.ops.opencv import opencv

# The smallest normal float32. TensorFlow flushes smaller numbers to 0. Treating them alike keeps
# the boxes equal to those of an exported model.
SMALLEST_POSITIVE = np.finfo(np.float32).tiny

CENTRED_SIDES = tuple(step / 20 for step in range(1, 21))


def box_iou(boxes_a: ArrayLike, boxes_b: ArrayLike) -> NDArray[np.float64]:
    """Computes the elementwise intersection over union of boxes.

    `IoU(a, b) = |a and b| / (|a| + |b| - |a and b|)`. The arguments broadcast: for the matrix
    of all pairs, pass `boxes_a[:, None]` and `boxes_b[None]`.

    Args:
        boxes_a: Array of shape `(..., 4)`.
        boxes_b: Array of shape `(..., 4)`.

    Returns:
        A float64 array of the shape that `...` of both broadcast to, values in `[0, 1]`; 0 where
        either box has no area or is not finite. Equal fractions give equal numbers, so that a
        comparison with 0.5 is exact.

    Example:

    >>> box_iou([1, 2, 6, 7], [[3, 1, 5, 6], [-1, -1, -1, -1]]).round(4).tolist()
    [0.2963, 0.0]
    """
    a = np.asarray(boxes_a, dtype=np.float64)
    b = np.asarray(boxes_b, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        low = np.maximum(a[..., :2], b[..., :2])
        high = np.minimum(a[..., 2:], b[..., 2:])
        intersection = np.prod(np.maximum(high - low, 0), axis=-1)
        area_a = np.prod(a[..., 2:] - a[..., :2], axis=-1)
        area_b = np.prod(b[..., 2:] - b[..., :2], axis=-1)
        union = area_a + area_b - intersection
        overlap = (intersection > 0) & np.isfinite(union)
    iou: NDArray[np.float64] = np.zeros(overlap.shape)
    return np.divide(intersection, union, out=iou, where=overlap)


def boxes_from_maps(
    maps: ArrayLike,
    threshold: float | Sequence[float] | NDArray[np.floating],
    size: tuple[int, int] | None = None,
) -> NDArray[np.float32]:
    """Finds the box of each map: tight around the largest component above a threshold.

    Each map is enlarged (bilinear, half-pixel centres) and compared with a fraction of its own
    maximum, `map > threshold * max(map)`. Of the 8-connected components of these pixels, the
    one with the most pixels is used. Ties go to the box with the smaller top, then left, bottom and
    right. The box is NaN if the map is constant, contains a value that is not finite, or has no
    value above 0.

    OpenCV releases Python's lock, so a thread pool over parts of `maps` is even faster.

    Args:
        maps: Array of shape `(maps, height, width)`.
        threshold: Fraction of the maximum, in `[0, 1)`, or a sequence of such fractions. The
            paper's are 0.2 (AlexNet) and 0.3 (GoogLeNet).
        size: Height and width to which the maps are enlarged first; boxes are in these pixels.
            Defaults to `None`: the maps keep their size.

    Returns:
        A float32 array of shape `(maps, 4)`, or `(maps, thresholds, 4)` for a sequence.

    Raises:
        ValueError: If `maps` is not of rank 3 with at least one pixel, or `threshold` or `size` are
            out of range.

    Example:

    >>> maps = [[[0, 0, 0, 0], [0, 2, 5, 0], [0, 0, 3, 0], [1, 0, 0, 0]]]
    >>> boxes_from_maps(maps, threshold=0.3).tolist()
    [[1.0, 1.0, 3.0, 3.0]]
    >>> boxes_from_maps(maps, threshold=[0.3, 0.5, 0.6])[0].tolist()
    [[1.0, 1.0, 3.0, 3.0], [2.0, 1.0, 3.0, 3.0], [2.0, 1.0, 3.0, 2.0]]

    Reference:
        Singh and Lee, "Hide-and-Seek", ICCV 2017, section 4: threshold, largest connected
        component, tight box. Interpolation and neighbourhood are not in the paper.
    """
    with np.errstate(over="ignore"):
        maps = np.ascontiguousarray(maps, dtype=np.float32)
    if maps.ndim != 3 or 0 in maps.shape[1:]:
        raise ValueError(
            "`maps` should be of shape (maps, height, width), with at least one pixel. "
            f"Received: maps.shape={maps.shape}"
        )
    thresholds = np.asarray(threshold, dtype=np.float32)
    if (
        thresholds.ndim > 1
        or not thresholds.size
        or not np.all((thresholds >= 0) & (thresholds < 1))
    ):
        raise ValueError(
            "`threshold` should be a number in [0, 1), or a sequence of such numbers. "
            f"Received: threshold={threshold}"
        )
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError(
            f"`size` should be a pair of positive integers, height and width. Received: size={size}"
        )
    cv2 = opencv()
    height, width = maps.shape[1:] if size is None else size
    # 8-connected components are two pixels apart. 16-bit labels are faster if they suffice.
    few = ((height + 1) // 2) * ((width + 1) // 2) < np.iinfo(np.uint16).max
    label_type = cv2.CV_16U if few else cv2.CV_32S
    boxes = np.full((len(maps), thresholds.size, 4), np.nan, dtype=np.float32)
    pixels = maps.reshape(len(maps), maps.shape[1] * maps.shape[2])
    has_shape = np.isfinite(pixels).all(axis=1) & (pixels.max(axis=1) > pixels.min(axis=1))
    for index in np.flatnonzero(has_shape):
        image = maps[index]
        if size is not None:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        cutoffs = np.maximum(thresholds.reshape(-1, 1, 1) * image.max(), SMALLEST_POSITIVE)
        for number, above in enumerate((image > cutoffs).view(np.uint8)):
            boxes[index, number] = _largest_component(cv2, above, label_type)
    return boxes[:, 0] if thresholds.ndim == 0 else boxes


def _largest_component(cv2: ModuleType, above: NDArray[np.uint8], label_type: int) -> ArrayLike:
    count, _, statistics, _ = cv2.connectedComponentsWithStats(
        above, connectivity=8, ltype=label_type
    )
    if count < 2:  # Label 0 is the background.
        return np.nan
    components = statistics[1:]
    if count > 2:
        area = components[:, cv2.CC_STAT_AREA]
        components = components[area == area.max()]
    left, top, width, height, _ = components.T
    right, bottom = left + width, top + height
    first = np.lexsort((right, bottom, left, top))[0] if len(components) > 1 else 0
    return left[first], top[first], right[first], bottom[first]


def scale_boxes(boxes: ArrayLike, from_size: ArrayLike, to_size: ArrayLike) -> NDArray[np.float32]:
    """Scales boxes from one image size to another.

    Args:
        boxes: Array of shape `(..., 4)`.
        from_size: Height and width in pixels that `boxes` refer to: one pair, or an array of shape
            `(..., 2)` that broadcasts with the boxes.
        to_size: Target height and width in pixels, likewise.

    Returns:
        A float32 array of boxes, not rounded. NaN boxes and boxes without area stay so.

    Raises:
        ValueError: If a size in `from_size` is not above 0.

    Example:

    >>> scale_boxes([1, 2, 4, 3], from_size=(20, 10), to_size=(10, 35)).tolist()
    [3.5, 1.0, 14.0, 1.5]
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    old, new = np.asarray(from_size, dtype=np.float64), np.asarray(to_size, dtype=np.float64)
    if not np.all(old > 0):
        raise ValueError(f"`from_size` should be above 0. Received: from_size={from_size!r}")
    old, new = old[..., [1, 0, 1, 0]], new[..., [1, 0, 1, 0]]
    return (boxes * new / old).astype(np.float32)


def centred_boxes(image_sizes: ArrayLike, side: float) -> NDArray[np.float32]:
    """Returns a centred box with the shape of each image: a baseline without a network.

    Args:
        image_sizes: Array of shape `(images, 2)`: height and width in pixels.
        side: Side of the box as a fraction of the image's, in `(0, 1]`.

    Returns:
        A float32 array of shape `(images, 4)`, not rounded to whole pixels.

    Raises:
        ValueError: If `side` is out of range.

    Example:

    >>> centred_boxes([[100, 200]], side=0.5).tolist()
    [[50.0, 25.0, 150.0, 75.0]]
    """
    if not 0 < side <= 1:
        raise ValueError(f"`side` should be in (0, 1]. Received: side={side}")
    sizes = np.asarray(image_sizes, dtype=np.float64)[..., ::-1]
    low, high = sizes * (1 - side) / 2, sizes * (1 + side) / 2
    return np.concatenate([low, high], axis=-1).astype(np.float32)


def best_centred_side(
    boxes: Sequence[ArrayLike],
    image_sizes: ArrayLike,
    sides: Sequence[float] = CENTRED_SIDES,
) -> float:
    """Finds the side at which the centred box is correct for the most images.

    It is correct if its intersection over union with any of the image's boxes is above 0.5. A
    method that does not beat `centred_boxes` at this side has not shown that it localizes.

    Args:
        boxes: For each image an array of shape `(boxes, 4)`; padding rows are ignored.
        image_sizes: Array of shape `(images, 2)`: height and width in pixels.
        sides: Sides to try, as fractions of the image's. Defaults to 0.05, 0.1 to 1.

    Returns:
        The best of `sides`; ties go to the smallest.

    Raises:
        ValueError: If there is no box or no side, or not one entry of `boxes` for each image.

    Example:

    >>> best_centred_side([[[10, 10, 90, 90]], [[20, 20, 80, 80]]], [[100, 100]] * 2)
    0.6
    """
    sizes = np.asarray(image_sizes, dtype=np.float64)
    if len(boxes) != len(sizes):
        raise ValueError(
            "`boxes` should hold one array for each image. "
            f"Received: len(boxes)={len(boxes)}, len(image_sizes)={len(sizes)}"
        )
    counts = [len(np.atleast_2d(rows)) if np.size(rows) else 0 for rows in boxes]
    if not sum(counts) or not len(sides):
        raise ValueError(
            "`boxes` should hold a box and `sides` a side. "
            f"Received: {sum(counts)} boxes, sides={sides}"
        )
    stacked = np.concatenate([np.reshape(rows, (-1, 4)) for rows in boxes])
    owner = np.repeat(np.arange(len(sizes)), counts)
    candidates = sorted(float(side) for side in sides)
    hits = [
        np.unique(owner[box_iou(stacked, centred_boxes(sizes, side)[owner]) > 0.5]).size
        for side in candidates
    ]
    return candidates[int(np.argmax(hits))]
