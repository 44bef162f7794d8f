"""Localization at every threshold of the map: fixed, best and cross-fitted."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_has.metrics.counting_metric import CountingMetric
from keras_has.metrics.image_outcomes import (
    as_boxes,
    as_probabilities,
    box_is_right,
    counts,
    has_nan,
    is_box,
    true_class_is_among,
)

Tensor = Any

THRESHOLDS = tuple(step / 20 for step in range(1, 20))


@keras.saving.register_keras_serializable(package="keras_has")
class LocalizationCurve(CountingMetric):
    """GT-known Loc and Top-1 Loc at every threshold of the class activation map.

    The best threshold depends on the network and on the size of its map, and it can change the
    result as much as the method does. Report three figures together:

    - `at(0.2)`, at a threshold fixed beforehand: what the paper reports;
    - `best()`, at the best of all thresholds: chosen on the images that are scored, so it is an
      optimistic bound, not a result;
    - `cross_fitted()`: the images are split into two halves, and each half is scored at the best
      threshold of the other half. No image influences the threshold at which it is scored.

    Images with a true box are assigned to the two halves alternately, so the halves do not depend
    on the batch size. Ties between thresholds go to the smallest. The threshold is always chosen by
    GT-known Loc, for Top-1 Loc as well, because it is a property of the map, not of the classifier.
    Thus both figures describe the same boxes, and Top-1 Loc never exceeds GT-known Loc.

    Boxes are scored as in `GTKnownLocalization`, classes as in `Top1Localization`.

    Counters: `images_by_half` of shape `(2,)`, `hits_by_half` and `top1_hits_by_half` of shape
    `(2, thresholds)`; `unboxed_images` (left out), `degenerate_maps` (boxed images with a NaN in a
    predicted box) and `nan_predictions` (boxed images with a NaN among their probabilities).
    Metrics updated separately, in replicas or processes, each split their own images.

    Args:
        thresholds: Increasing thresholds in `[0, 1)`, the same as those passed to
            `boxes_from_maps`. Defaults to 0.05, 0.1, ..., 0.95.
        iou_threshold: Intersection over union to exceed, in `[0, 1)`. Defaults to `0.5`.
        name: Name of the metric. Defaults to `"gt_known_loc_curve"`.
        dtype: For compatibility with Keras; results are Python floats. Defaults to `None`.

    Call arguments:
        y_true: Dict of `"label"`, an integer tensor of shape `(batch,)`, and `"boxes"`, a float
            tensor of shape `(batch, boxes, 4)`, padded by rows of -1.
        y_pred: Dict of `"probabilities"`, of shape `(batch, classes)`, and `"boxes"`, of shape
            `(batch, thresholds, 4)`: the boxes from the map of the true class.
        sample_weight: Optional tensor of shape `(batch,)`: 1 for an image, 0
            for padding of the last batch.

    Returns:
        A dict of floats, see `result`. NaN if there are no images.

    Example:

    >>> metric = LocalizationCurve(thresholds=[0.2, 0.4])
    >>> right, wrong = [0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 2.0, 2.0]
    >>> metric.update_state(
    ...     {"label": [0] * 4, "boxes": [[right]] * 4},
    ...     {
    ...         "probabilities": [[0.9, 0.1]] * 2 + [[0.1, 0.9]] * 2,
    ...         "boxes": [[wrong, right], [wrong, right], [right, right], [right, wrong]],
    ...     },
    ... )
    >>> metric.curve().tolist(), metric.top1_curve().tolist()
    ([0.5, 0.75], [0.0, 0.5])
    >>> metric.best(), metric.at(0.2)
    ((0.4, 0.75), 0.5)
    >>> metric.cross_fitted_thresholds(), metric.cross_fitted()  # 0.2 ties on the second half
    ((0.2, 0.4), 0.5)

    Reference:
        Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020, on
        separating the threshold from the method. The cross-fitting is specific to this project.
    """

    def __init__(
        self,
        thresholds: Sequence[float] | NDArray[np.floating] = THRESHOLDS,
        iou_threshold: float = 0.5,
        name: str = "gt_known_loc_curve",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        values = np.asarray(thresholds, dtype=np.float64)
        is_in_range = values.ndim == 1 and values.size and np.all((values >= 0) & (values < 1))
        if not is_in_range or np.any(np.diff(values) <= 0):
            raise ValueError(
                "`thresholds` should be an increasing sequence of numbers in [0, 1). "
                f"Received: thresholds={thresholds}"
            )
        if not 0 <= iou_threshold < 1:
            raise ValueError(
                "`iou_threshold` should be a number in [0, 1). "
                f"Received: iou_threshold={iou_threshold}"
            )
        self.thresholds = tuple(values.tolist())
        self.iou_threshold = float(iou_threshold)
        self.images_by_half = self.add_counter("images_by_half", (2,))
        self.hits_by_half = self.add_counter("hits_by_half", (2, values.size))
        self.top1_hits_by_half = self.add_counter("top1_hits_by_half", (2, values.size))
        self.unboxed_images = self.add_counter("unboxed_images")
        self.degenerate_maps = self.add_counter("degenerate_maps")
        self.nan_predictions = self.add_counter("nan_predictions")

    def update_state(
        self,
        y_true: dict[str, Tensor],
        y_pred: dict[str, Tensor],
        sample_weight: Tensor | None = None,
    ) -> None:
        """Counts a batch.

        Args:
            y_true: `{"label": (batch,), "boxes": (batch, boxes, 4)}`.
            y_pred: `{"probabilities": (batch, classes), "boxes": (batch, thresholds, 4)}`.
            sample_weight: `None`, or `(batch,)`: 1 for an image, 0 for padding of the last batch.

        Raises:
            ValueError: If boxes or probabilities have the wrong shape.
        """
        true_boxes = as_boxes(y_true["boxes"], 'y_true["boxes"]', rank=3)
        boxes = as_boxes(y_pred["boxes"], 'y_pred["boxes"]', rank=3)
        probabilities = as_probabilities(y_pred["probabilities"])
        if boxes.shape[1] not in (None, len(self.thresholds)):
            raise ValueError(
                '`y_pred["boxes"]` should have one box for each of '
                f"the {len(self.thresholds)} thresholds. Received: shape={tuple(boxes.shape)}"
            )
        is_counted = counts(boxes, sample_weight)
        is_boxed = is_counted & ops.any(is_box(true_boxes), axis=1)
        is_hit = box_is_right(true_boxes, boxes, self.iou_threshold)
        class_is_right = true_class_is_among(y_true["label"], probabilities, top=1)

        # Boxed images alternate between the two halves, counted over all batches.
        boxed = ops.cast(is_boxed, self.images_by_half.dtype)
        number = ops.sum(self.images_by_half) + ops.cumsum(boxed) - 1
        is_odd = ops.equal(number % 2, 1)
        is_in_half = ops.stack([is_boxed & ~is_odd, is_boxed & is_odd], axis=1)
        is_hit = ops.expand_dims(is_in_half, 2) & ops.expand_dims(is_hit, 1)
        self.count(self.images_by_half, is_in_half)
        self.count(self.hits_by_half, is_hit)
        self.count(self.top1_hits_by_half, is_hit & class_is_right[:, None, None])
        self.count(self.unboxed_images, is_counted & ~is_boxed)
        self.count(self.degenerate_maps, is_boxed & ~ops.all(ops.isfinite(boxes), axis=(1, 2)))
        self.count(self.nan_predictions, is_boxed & has_nan(probabilities))

    def curve(self) -> NDArray[np.float64]:
        """Returns GT-known Loc at each of `thresholds`."""
        return self._accuracy(self._hits())

    def top1_curve(self) -> NDArray[np.float64]:
        """Returns Top-1 Loc at each of `thresholds`."""
        return self._accuracy(self._top1_hits())

    def at(self, threshold: float) -> float:
        """Returns GT-known Loc at one of `thresholds`.

        Raises:
            ValueError: If `threshold` is not one of them.
        """
        return float(self.curve()[self._index(threshold)])

    def top1_at(self, threshold: float) -> float:
        """Returns Top-1 Loc at one of `thresholds`.

        Raises:
            ValueError: If `threshold` is not one of them.
        """
        return float(self.top1_curve()[self._index(threshold)])

    def best(self) -> tuple[float, float]:
        """Returns the threshold of the highest GT-known Loc, and that GT-known Loc.

        This is an oracle, an optimistic bound: it is chosen on the images that are scored.
        """
        return self._best(self.curve())

    def top1_best(self) -> tuple[float, float]:
        """Returns the threshold of the highest GT-known Loc, and Top-1 Loc there."""
        return self._best(self.top1_curve())

    def cross_fitted(self) -> float:
        """Returns GT-known Loc, with each half scored at the best threshold of the other."""
        return self._cross_fitted(self._hits())

    def top1_cross_fitted(self) -> float:
        """Returns Top-1 Loc, with each half scored at the best threshold of the other."""
        return self._cross_fitted(self._top1_hits())

    def cross_fitted_thresholds(self) -> tuple[float, float]:
        """Returns the thresholds at which the first and the second half are scored.

        They are NaN if a half has no images.
        """
        if not self._images().all():
            return float("nan"), float("nan")
        first, second = self._cross_fitted_indices()
        return self.thresholds[first], self.thresholds[second]

    def result(self) -> dict[str, float]:
        """Returns the cross-fitted and the best figures; requires eager execution.

        Returns:
            A dict of `"gt_known_loc_cross_fitted"`, `"top1_loc_cross_fitted"`,
            `"gt_known_loc_best"`, `"gt_known_loc_best_threshold"` and
            `"top1_loc_at_best_threshold"`. For fixed thresholds, see `at` and `top1_at`.
        """
        threshold, accuracy = self.best()
        return {
            "gt_known_loc_cross_fitted": self.cross_fitted(),
            "top1_loc_cross_fitted": self.top1_cross_fitted(),
            "gt_known_loc_best": accuracy,
            "gt_known_loc_best_threshold": threshold,
            "top1_loc_at_best_threshold": self.top1_best()[1],
        }

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "thresholds": self.thresholds,
            "iou_threshold": self.iou_threshold,
        }

    def _images(self) -> NDArray[np.integer]:
        return _array(self.images_by_half)

    def _hits(self) -> NDArray[np.integer]:
        return _array(self.hits_by_half)

    def _top1_hits(self) -> NDArray[np.integer]:
        return _array(self.top1_hits_by_half)

    def _accuracy(self, hits_by_half: NDArray[np.integer]) -> NDArray[np.float64]:
        images = self._images().sum()
        if not images:
            return np.full(len(self.thresholds), np.nan)
        return np.asarray(hits_by_half.sum(axis=0) / images, dtype=np.float64)

    def _best(self, accuracies: NDArray[np.float64]) -> tuple[float, float]:
        if not self._images().any():
            return float("nan"), float("nan")
        index = int(np.argmax(self._hits().sum(axis=0)))  # Ties: the smallest.
        return self.thresholds[index], float(accuracies[index])

    def _cross_fitted_indices(self) -> tuple[int, int]:
        best_of_first, best_of_second = np.argmax(self._hits(), axis=1)
        return int(best_of_second), int(best_of_first)

    def _cross_fitted(self, hits_by_half: NDArray[np.integer]) -> float:
        images = self._images()
        if not images.all():
            return float("nan")
        first, second = self._cross_fitted_indices()
        return float((hits_by_half[0, first] + hits_by_half[1, second]) / images.sum())

    def _index(self, threshold: float) -> int:
        index = int(np.argmin(np.abs(np.subtract(self.thresholds, threshold))))
        if not np.isclose(self.thresholds[index], threshold, rtol=0, atol=1e-6):
            raise ValueError(
                f"`threshold` should be one of {self.thresholds}. Received: threshold={threshold}"
            )
        return index


def _array(counter: keras.Variable) -> NDArray[np.integer]:
    # In Keras 3.15 on TensorFlow and PyTorch, `ops.convert_to_numpy` causes a NumPy 2 warning.
    tensor = ops.convert_to_tensor(counter)
    return np.asarray(tensor.cpu() if keras.backend.backend() == "torch" else tensor)
