"""Base class of GT-known, Top-1 and Top-5 localization."""

from typing import Any

from keras import ops

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


class LocalizationMetric(CountingMetric):
    """The fraction of images whose box and, in some subclasses, whose class is correct.

    Args:
        iou_threshold: Intersection over union that the box must exceed.
        name: Name of the metric.
        dtype: Type of the result.
        top: The true class must be among this many most probable classes. `None`: the class is
            ignored.
    """

    def __init__(
        self, iou_threshold: float, name: str | None, dtype: Any = None, top: int | None = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if not 0 <= iou_threshold < 1:
            raise ValueError(
                "`iou_threshold` should be a number in [0, 1). "
                f"Received: iou_threshold={iou_threshold}"
            )
        self.iou_threshold = float(iou_threshold)
        self._top = top
        self.hits = self.add_counter("hits")
        self.boxed_images = self.add_counter("boxed_images")
        self.unboxed_images = self.add_counter("unboxed_images")
        self.degenerate_maps = self.add_counter("degenerate_maps")
        if top is not None:
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
            y_pred: `{"probabilities": (batch, classes), "boxes": (batch, 4)}`.
            sample_weight: `None`, or `(batch,)`: 1 for an image, 0 for padding of the last batch.

        Raises:
            ValueError: If boxes or probabilities have the wrong shape.
        """
        true_boxes = as_boxes(y_true["boxes"], 'y_true["boxes"]', rank=3)
        boxes = as_boxes(y_pred["boxes"], 'y_pred["boxes"]', rank=2)
        is_counted = counts(boxes, sample_weight)
        is_boxed = is_counted & ops.any(is_box(true_boxes), axis=1)
        is_hit = is_boxed & box_is_right(true_boxes, boxes[:, None], self.iou_threshold)[:, 0]
        if self._top is not None:
            probabilities = as_probabilities(y_pred["probabilities"])
            is_hit = is_hit & true_class_is_among(y_true["label"], probabilities, self._top)
            self.count(self.nan_predictions, is_boxed & has_nan(probabilities))
        self.count(self.hits, is_hit)
        self.count(self.boxed_images, is_boxed)
        self.count(self.unboxed_images, is_counted & ~is_boxed)
        self.count(self.degenerate_maps, is_boxed & ~ops.all(ops.isfinite(boxes), axis=-1))

    def result(self) -> Tensor:
        """Returns the fraction of boxed images that are correct; NaN before the first one."""
        return self.fraction(self.hits, self.boxed_images)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "iou_threshold": self.iou_threshold}
