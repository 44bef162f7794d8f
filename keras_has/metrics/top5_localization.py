"""Top-5 Loc: whether the true class is among the top five and its box is correct."""

from typing import Any

import keras

from keras_has.metrics.localization_metric import LocalizationMetric


@keras.saving.register_keras_serializable(package="keras_has")
class Top5Localization(LocalizationMetric):
    """Top-5 Loc: the fraction of images with a correct guess among the five most probable classes.

    A guess is a class and the box from its map. Only the guess of the true class can be correct, so
    its box is the only one needed, as in `Top1Localization`. Everything else also works as there.
    Ties between classes go to the lower index.

    Args:
        iou_threshold: Intersection over union to exceed, in `[0, 1)`. Defaults to `0.5`.
        name: Name of the metric. Defaults to `"top5_loc"`.
        dtype: Type of the result. Defaults to `None`: Keras' `floatx`.

    Call arguments:
        y_true: See `Top1Localization`.
        y_pred: See `Top1Localization`.
        sample_weight: See `Top1Localization`.

    Returns:
        A fraction in `[0, 1]`; NaN until an image with a box has been counted.

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
        localization measure of the challenge.
    """

    def __init__(
        self, iou_threshold: float = 0.5, name: str = "top5_loc", dtype: Any = None
    ) -> None:
        super().__init__(iou_threshold, name, dtype, top=5)
