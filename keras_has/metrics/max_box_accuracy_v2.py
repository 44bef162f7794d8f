"""MaxBoxAccV2: the boxes of all contours, at the best threshold for each of several IoUs."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_has.metrics.max_box_metric import MaxBoxMetric


@keras.saving.register_keras_serializable(package="keras_has")
class MaxBoxAccuracyV2(MaxBoxMetric):
    """MaxBoxAccV2: mean over three IoU thresholds of the best fraction of correct images.

    Differs from `MaxBoxAccuracy` in two ways. The boxes of all contours count, including those of
    holes, and one correct box among them is enough. The result is the mean of the accuracies at IoU
    0.3, 0.5 and 0.7, each at its own best threshold.

    To find the contours only once for both metrics:

    ```python
    found = contour_boxes_of_score_maps(score_maps)
    for metric in (max_box_accuracy, max_box_accuracy_v2):
        metric.update_state(boxes, found, image_sizes)
    ```

    The counters are those of `MaxBoxAccuracy`; `hits` has the shape `(IoU thresholds, thresholds)`.

    Args:
        iou_thresholds: Minimum intersections over union of a correct box. Defaults to
            `(0.3, 0.5, 0.7)`.
        threshold_interval: Step between thresholds. Defaults to `0.001`.
        resize: Height and width that score maps are resized to. Defaults to `(224, 224)`. `None`
            keeps their size.
        box_format: `"half_open"` (default) or `"inclusive"`, see `MaxBoxAccuracy`.
        name: Name of the metric. Defaults to `"max_box_acc_v2"`.
        dtype: For compatibility with Keras; results are Python floats. Defaults to `None`.

    Call arguments:
        boxes: See `MaxBoxAccuracy`.
        score_maps: See `MaxBoxAccuracy`.
        image_sizes: See `MaxBoxAccuracy`.
        sample_weight: See `MaxBoxAccuracy`.

    Returns:
        A fraction in `[0, 1]`; NaN until an image with a box has been counted.

    Example:

    >>> score_map = np.zeros((10, 10))
    >>> score_map[1:8, 1:8] = 0.5
    >>> score_map[9:, 9:] = 1.0
    >>> metric = MaxBoxAccuracyV2(resize=None)
    >>> metric.update_state(boxes=[[[1, 1, 8, 8]]], score_maps=[score_map])
    >>> metric.accuracies(), metric.best_thresholds()
    ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))

    Reference:
        Choe et al., "Evaluation for Weakly Supervised Object Localization: Protocol, Metrics, and
        Datasets", 2020, and https://github.com/clovaai/wsolevaluation.
    """

    def __init__(
        self,
        iou_thresholds: Sequence[float] = (0.3, 0.5, 0.7),
        threshold_interval: float = 0.001,
        resize: Sequence[int] | None = (224, 224),
        box_format: str = "half_open",
        name: str = "max_box_acc_v2",
        dtype: Any = None,
    ) -> None:
        super().__init__(iou_thresholds, threshold_interval, resize, box_format, name, dtype)

    def curve(self) -> NDArray[np.float64]:
        """Returns the accuracies, of shape `(IoU thresholds, thresholds)`."""
        return self._curves()

    def best_thresholds(self) -> tuple[float, ...]:
        """Returns the best threshold for each IoU threshold; ties go to the smallest."""
        return tuple(self._best()[0].tolist())

    def accuracies(self) -> tuple[float, ...]:
        """Returns the highest accuracy over all thresholds for each IoU threshold."""
        return tuple(self._best()[1].tolist())

    def result(self) -> float:
        """Returns the mean of `accuracies`."""
        return float(np.mean(self.accuracies()))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "iou_thresholds": self.iou_thresholds}
