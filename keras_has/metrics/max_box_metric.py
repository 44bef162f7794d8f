"""Base class of MaxBoxAcc and MaxBoxAccV2: hits at every threshold of the score map."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_has.metrics.counting_metric import CountingMetric
from keras_has.ops.contour_boxes import (
    ContourBoxes,
    compiled_loops,
    contour_boxes_of_score_maps,
)
from keras_has.ops.inclusive_boxes import inclusive_box_iou, truncated_boxes

BOX_FORMATS = ("half_open", "inclusive")


def host_array(values: Any, name: str) -> NDArray[Any]:
    """Returns `values` as a NumPy array.

    Raises:
        TypeError: If it is a symbolic tensor, as inside `tf.function` or `jax.jit`.
    """
    try:
        return np.asarray(values.cpu() if hasattr(values, "cpu") else values)
    except (NotImplementedError, TypeError) as error:
        raise TypeError(
            f"`{name}` should be an array or an eager tensor: this metric works in NumPy and "
            "OpenCV, outside `tf.function` and `jax.jit`, and cannot be passed to `compile`. Call "
            "`update_state` "
            f"on the outputs of `predict`. Received: {name}={values}"
        ) from error


def threshold_steps(threshold_interval: float) -> NDArray[np.float64]:
    """Returns the thresholds of the protocol: 0, one interval, two intervals, ... below 1.

    Raises:
        ValueError: If `threshold_interval` is out of range.
    """
    if not 0 < threshold_interval <= 1:
        raise ValueError(
            "`threshold_interval` should be a number in (0, 1]. "
            f"Received: threshold_interval={threshold_interval}"
        )
    return np.arange(0, 1, threshold_interval)


def checked_resize(resize: Sequence[int] | None) -> tuple[int, int] | None:
    """Returns `resize` as a pair.

    Raises:
        ValueError: If it is neither `None` nor a pair of positive integers.
    """
    if resize is None:
        return None
    pair = tuple(int(side) for side in resize)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(
            "`resize` should be a pair of positive integers, height and width, or None. "
            f"Received: resize={resize}"
        )
    return pair[0], pair[1]


def numbers(counter: keras.Variable) -> NDArray[np.int64]:
    """Returns the counts of a counter."""
    tensor: Any = ops.convert_to_tensor(counter)
    return np.asarray(tensor.cpu() if hasattr(tensor, "cpu") else tensor).astype(np.int64)


class MaxBoxMetric(CountingMetric):
    """Accuracy of boxes at every threshold of the score map, and its maximum.

    Args:
        iou_thresholds: Minimum intersections over union of a correct box.
        threshold_interval: Step between thresholds.
        resize: Height and width that score maps are resized to, or `None`.
        box_format: `"half_open"` or `"inclusive"`.
        name: Name of the metric.
        dtype: Type of the result.
    """

    _all_contours = True

    def __init__(
        self,
        iou_thresholds: Sequence[float],
        threshold_interval: float,
        resize: Sequence[int] | None,
        box_format: str,
        name: str | None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if not len(iou_thresholds) or not all(0 <= threshold <= 1 for threshold in iou_thresholds):
            raise ValueError(
                "`iou_thresholds` should be numbers in [0, 1]. "
                f"Received: iou_thresholds={iou_thresholds}"
            )
        if box_format not in BOX_FORMATS:
            raise ValueError(
                f"`box_format` should be one of {BOX_FORMATS}. Received: box_format={box_format!r}"
            )
        self._steps = threshold_steps(threshold_interval)
        self.threshold_interval = float(threshold_interval)
        self.iou_thresholds = tuple(float(threshold) for threshold in iou_thresholds)
        self.resize = checked_resize(resize)
        self.box_format = box_format
        self.hits = self.add_counter("hits", (len(self.iou_thresholds), self._steps.size))
        self.boxed_images = self.add_counter("boxed_images")
        self.unboxed_images = self.add_counter("unboxed_images")
        self.degenerate_maps = self.add_counter("degenerate_maps")

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """The thresholds, as fractions of the map's maximum."""
        return self._steps.copy()

    def update_state(
        self,
        boxes: Any,
        score_maps: Any,
        image_sizes: Any = None,
        sample_weight: Any = None,
    ) -> None:
        """Counts a batch.

        Args:
            boxes: Array of shape `(batch, boxes, 4)`, `x0, y0, x1, y1`, padded by rows of -1; or a
                list with one array of shape `(boxes, 4)` per image.
            score_maps: Array of shape `(batch, height, width)`; or a list with one array of
                shape `(height, width)` or one `ContourBoxes` per image.
            image_sizes: Array of shape `(batch, 2)`: height and width in pixels that `boxes` refer
                to. Defaults to `None`: they refer to the resized map.
            sample_weight: `None`, or `(batch,)`: 1 for an image, 0 for padding of the last batch.

        Raises:
            ValueError: If the arguments differ in length, or boxes have the wrong shape or negative
                coordinates without being padding. Nothing is counted then.
            TypeError: If a tensor is symbolic, as inside `tf.function`.
        """
        if not isinstance(score_maps, list | tuple):
            score_maps = host_array(score_maps, "score_maps")
        if not isinstance(boxes, list | tuple):
            boxes = host_array(boxes, "boxes")
        sizes = None if image_sizes is None else host_array(image_sizes, "image_sizes")
        count = len(score_maps)
        if len(boxes) != count or (sizes is not None and sizes.shape != (count, 2)):
            raise ValueError(
                "`boxes`, `score_maps` and `image_sizes` should have one entry per image. "
                f"Received: {len(boxes)} boxes, {count} score maps and image sizes of shape "
                f"{None if sizes is None else sizes.shape}"
            )
        is_counted = np.ones(count, bool)
        if sample_weight is not None:
            is_counted = host_array(sample_weight, "sample_weight").astype(bool).reshape(-1)
        hits = np.zeros(self.hits.shape, dtype=np.int64)
        boxed = unboxed = degenerate = 0
        for index in np.flatnonzero(is_counted):
            rows = self._rows(host_array(boxes[index], "boxes"))
            if not len(rows):
                unboxed += 1
                continue
            boxed += 1
            found = score_maps[index]
            if not isinstance(found, ContourBoxes):
                found = contour_boxes_of_score_maps([host_array(found, "score_maps")], self.resize)[
                    0
                ]
            size = found.size if sizes is None else (sizes[index, 0], sizes[index, 1])
            true_boxes = truncated_boxes(rows, size, found.size)
            degenerate += found.is_degenerate
            best = self._best_iou(found, true_boxes)
            levels = (self._steps * found.maximum).astype(np.intp)
            hits += best[levels] >= np.array(self.iou_thresholds)[:, None]
        for counter, number in (
            (self.hits, hits),
            (self.boxed_images, boxed),
            (self.unboxed_images, unboxed),
            (self.degenerate_maps, degenerate),
        ):
            counter.assign_add(np.asarray(number, dtype=counter.dtype))

    def _rows(self, boxes: NDArray[Any]) -> NDArray[np.float64]:
        """Returns an image's boxes with inclusive corners, as in the protocol's files."""
        if boxes.size == 0:
            return np.zeros((0, 4))
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(
                f"`boxes` should have shape (N, 4) for every image. Received: shape={boxes.shape}"
            )
        rows = boxes.astype(np.float64)
        is_box = np.isfinite(rows).all(axis=1) & np.any(rows >= 0, axis=1)
        if self.box_format == "inclusive":
            is_box &= np.all(rows[:, 2:] >= rows[:, :2], axis=1)
        else:
            is_box &= np.all(rows[:, 2:] > rows[:, :2], axis=1)
            rows[:, 2:] = np.maximum(rows[:, 2:] - 1, rows[:, :2])
        if np.any(rows[is_box] < 0):
            wrong = is_box & np.any(rows < 0, axis=1)
            raise ValueError(
                "`boxes` should have no negative coordinates, except for padding rows of -1. "
                f"Received: {boxes[wrong][0].tolist()}"
            )
        return rows[is_box]

    def _best_iou(self, found: ContourBoxes, true_boxes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the highest IoU of a predicted and a true box at each gray level."""
        boxes, levels = found.boxes, found.levels
        if not self._all_contours:
            boxes, levels = found.largest, np.arange(len(found.largest))
        loops = compiled_loops()
        if loops is not None:
            best = loops.highest_overlaps(boxes, levels, true_boxes)
        else:
            best = np.full(len(found.largest), -1.0)
            np.maximum.at(best, levels, inclusive_box_iou(boxes[:, None], true_boxes).max(axis=1))
        if best.min() < 0:  # Without a contour, the protocol uses the box 0, 0, 0, 0.
            best[best < 0] = inclusive_box_iou(np.zeros(4), true_boxes).max()
        return np.asarray(best, dtype=np.float64)

    def _curves(self) -> NDArray[np.float64]:
        images = int(numbers(self.boxed_images))
        if not images:
            return np.full(self.hits.shape, np.nan)
        return numbers(self.hits) / images

    def _best(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the best threshold and the best accuracy for each IoU threshold."""
        curves = self._curves()
        if np.isnan(curves).any():
            nothing = np.full(len(self.iou_thresholds), np.nan)
            return nothing, nothing
        index = curves.argmax(axis=1)
        return self._steps[index], curves.max(axis=1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "threshold_interval": self.threshold_interval,
            "resize": self.resize,
            "box_format": self.box_format,
        }
