"""Top-1 Loc: are both the predicted class and its box right."""

from typing import Any

import keras

from keras_has.metrics.localization_metric import LocalizationMetric


@keras.saving.register_keras_serializable(package="keras_has")
class Top1Localization(LocalizationMetric):
    """Top-1 Loc: the fraction of images whose predicted class and its box are both right.

    The metric wants the box of the class predicted, and yet takes that of the true class: where the
    prediction is right the two classes are one, and where it is wrong the box does not matter. So
    one map an image serves this metric and GT-known Loc. Box and images without one are judged as
    in `GTKnownLocalization`. The predicted class is the most probable; of equal ones the lowest.

    Counters, to be read with `int(...)`: `hits`, `boxed_images`, `unboxed_images` (left out),
    `degenerate_maps` (boxed images whose predicted box is NaN), `nan_predictions` (boxed images
    with a NaN among their probabilities; they are wrong).

    Args:
        iou_threshold: Intersection over union to be exceeded, in `[0, 1)`. Defaults to `0.5`.
        name: Name of the metric. Defaults to `"top1_loc"`.
        dtype: Type of the result. Defaults to `None`: Keras' `floatx`.

    Call arguments:
        y_true: Dict of `"label"`, an integer tensor of shape `(batch,)`, and `"boxes"`, a float
            tensor of shape `(batch, boxes, 4)`, padded by rows of -1.
        y_pred: Dict of `"probabilities"`, of shape `(batch, classes)`, and `"boxes"`, of shape
            `(batch, 4)`: the box from the map of the true class.
        sample_weight: Optional tensor of shape `(batch,)`: 0 for the padding of a last batch, 1 for
            an image.

    Returns:
        A fraction in `[0, 1]`; NaN as long as no image with a box was seen.

    Example:

    >>> metric = Top1Localization()
    >>> box = [0.0, 0.0, 10.0, 10.0]
    >>> metric.update_state(
    ...     {"label": [0, 0], "boxes": [[box], [box]]},
    ...     {"probabilities": [[0.9, 0.1], [0.2, 0.8]], "boxes": [box, box]},
    ... )
    >>> float(metric.result())
    0.5

    Reference:
        Singh and Lee, "Hide-and-Seek", ICCV 2017, section 4 and table 1.
    """

    def __init__(
        self, iou_threshold: float = 0.5, name: str = "top1_loc", dtype: Any = None
    ) -> None:
        super().__init__(iou_threshold, name, dtype, top=1)
