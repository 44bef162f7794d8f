"""Top-1 Loc: whether both the predicted class and its box are correct."""

from typing import Any

import keras

from keras_has.metrics.localization_metric import LocalizationMetric


@keras.saving.register_keras_serializable(package="keras_has")
class Top1Localization(LocalizationMetric):
    """Top-1 Loc: the fraction of images whose predicted class and box are both correct.

    The definition uses the box of the predicted class, but this metric takes the box of the true
    class: if the prediction is correct, the two are the same, and otherwise the box does not
    matter. One map per image therefore serves both this metric and GT-known Loc. Boxes, and images
    without one, are treated as in `GTKnownLocalization`. The predicted class is the most probable
    one; ties go to the lowest index.

    Counters (read them with `int(...)`): `hits`, `boxed_images`, `unboxed_images` (left out),
    `degenerate_maps` (boxed images whose predicted box is NaN), `nan_predictions` (boxed images
    with a NaN among their probabilities; they count as incorrect).

    Args:
        iou_threshold: Intersection over union to exceed, in `[0, 1)`. Defaults to `0.5`.
        name: Name of the metric. Defaults to `"top1_loc"`.
        dtype: Type of the result. Defaults to `None`: Keras' `floatx`.

    Call arguments:
        y_true: Dict of `"label"`, an integer tensor of shape `(batch,)`, and `"boxes"`, a float
            tensor of shape `(batch, boxes, 4)`, padded by rows of -1.
        y_pred: Dict of `"probabilities"`, of shape `(batch, classes)`, and `"boxes"`, of shape
            `(batch, 4)`: the box from the map of the true class.
        sample_weight: Optional tensor of shape `(batch,)`: 1 for an image, 0
            for padding of the last batch.

    Returns:
        A fraction in `[0, 1]`; NaN until an image with a box has been counted.

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
