"""Top-5 Loc: is the true class among the first five, and its box right."""

from typing import Any

import keras

from keras_has.metrics.localization_metric import LocalizationMetric


@keras.saving.register_keras_serializable(package="keras_has")
class Top5Localization(LocalizationMetric):
    """Top-5 Loc: the fraction of images with a right guess among the five most probable classes.

    A guess is a class and the box of its map. Of the five, only that of the true class can be
    right, so its box is the only one needed, as in `Top1Localization`, which this metric otherwise
    equals. Of equally probable classes the lower ones come first.

    Args:
        iou_threshold: Intersection over union to be exceeded, in `[0, 1)`. Defaults to `0.5`.
        name: Name of the metric. Defaults to `"top5_loc"`.
        dtype: Type of the result. Defaults to `None`: Keras' `floatx`.

    Call arguments:
        y_true: As of `Top1Localization`.
        y_pred: As of `Top1Localization`.
        sample_weight: As of `Top1Localization`.

    Returns:
        A fraction in `[0, 1]`; NaN as long as no image with a box was seen.

    Example:

    >>> metric = Top5Localization()
    >>> box = [0.0, 0.0, 10.0, 10.0]
    >>> metric.update_state(
    ...     {"label": [5, 4], "boxes": [[box], [box]]},
    ...     {"probabilities": [[0.3, 0.2, 0.2, 0.1, 0.1, 0.1]] * 2, "boxes": [box, box]},
    ... )
    >>> float(metric.result())
    0.5

    Reference:
        Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015: the
        challenge's localization measure.
    """

    def __init__(
        self, iou_threshold: float = 0.5, name: str = "top5_loc", dtype: Any = None
    ) -> None:
        super().__init__(iou_threshold, name, dtype, top=5)
