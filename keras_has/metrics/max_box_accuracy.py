"""MaxBoxAcc: the box of the largest contour, at the threshold that is best over all images."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_has.metrics.max_box_metric import MaxBoxMetric


@keras.saving.register_keras_serializable(package="keras_has")
class MaxBoxAccuracy(MaxBoxMetric):
    """MaxBoxAcc: the fraction of images whose largest contour has a correct box, at the best `tau`.

    Each score map is resized to `resize` (bicubic), normalized to `[0, 1]`, quantized to
    `uint8(255 * map)` and thresholded strictly above `int(tau * max)`, for `tau` = 0, 0.001, ...,
    0.999. The box is the bounding rectangle of the contour with the largest polygon area. It is
    correct if its intersection over union with any true box, scaled and truncated to whole pixels,
    is at least `iou_threshold`; the IoU is computed with inclusive corners. All images share one
    `tau`, the one with the most correct boxes. It is chosen on the images that are scored, so the
    result is an oracle.

    The counts equal those of the authors' code at every threshold. The 1,000 thresholds give at
    most 255 different masks, whose contours are found once: see `keras_has.ops.contour_boxes`.

    **Corners.** The authors' files store inclusive corners. This project's boxes are half-open, so
    1 is subtracted from `x1` and `y1`: boxes read by `keras_has.data.wsol_metadata` become the rows
    of the files again. With `box_format="inclusive"`, boxes are used unchanged.

    The metric works in NumPy and OpenCV: `update_state` takes arrays (or eager tensors) and raises
    `TypeError` inside `tf.function`; it cannot be passed to `compile`.

    Counters (read them with `int(...)`): `boxed_images`; `unboxed_images` (left out);
    `degenerate_maps` (boxed images whose map is constant or not finite; as in the authors' code,
    their box is `0, 0, 0, 0`, or the box of the rounding differences of a constant map, and nearly
    always incorrect). `hits` has the shape `(1, thresholds)`.

    Args:
        iou_threshold: Minimum intersection over union of a correct box. Defaults to `0.5`.
        threshold_interval: Step between thresholds. Defaults to `0.001`.
        resize: Height and width that score maps are resized to. Defaults to `(224, 224)`. `None`
            keeps their size.
        box_format: `"half_open"` (default) or `"inclusive"`.
        name: Name of the metric. Defaults to `"max_box_acc"`.
        dtype: For compatibility with Keras; results are Python floats. Defaults to `None`.

    Call arguments:
        boxes: Array of shape `(batch, boxes, 4)`, padded by rows of -1, or a list of arrays.
        score_maps: Array of shape `(batch, height, width)`, or a list of arrays or `ContourBoxes`.
        image_sizes: Array of shape `(batch, 2)`: height and width that `boxes` refer to. `None`
            means the size of the resized map.
        sample_weight: Optional array of shape `(batch,)`: 0 for padding of the last batch.

    Returns:
        A fraction in `[0, 1]`; NaN until an image with a box has been counted.

    Example:

    >>> score_map = np.zeros((10, 10))
    >>> score_map[2:8, 2:8] = 0.5
    >>> score_map[3:6, 3:6] = 1.0
    >>> metric = MaxBoxAccuracy(resize=None)
    >>> metric.update_state(boxes=[[[3, 3, 7, 7]]], score_maps=[score_map])
    >>> metric.result(), metric.best_threshold()
    (1.0, 0.499)

    Reference:
        Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020,
        section 4.2, and https://github.com/clovaai/wsolevaluation.
    """

    _all_contours = False

    def __init__(
        self,
        iou_threshold: float = 0.5,
        threshold_interval: float = 0.001,
        resize: Sequence[int] | None = (224, 224),
        box_format: str = "half_open",
        name: str = "max_box_acc",
        dtype: Any = None,
    ) -> None:
        super().__init__((iou_threshold,), threshold_interval, resize, box_format, name, dtype)
        self.iou_threshold = self.iou_thresholds[0]

    def curve(self) -> NDArray[np.float64]:
        """Returns the accuracy at each of `thresholds`, NaN before the first image."""
        return self._curves()[0]

    def best_threshold(self) -> float:
        """Returns the threshold with the highest accuracy; ties go to the smallest."""
        return float(self._best()[0][0])

    def result(self) -> float:
        """Returns the highest accuracy over all thresholds."""
        return float(self._best()[1][0])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "iou_threshold": self.iou_threshold}
