"""GT-known Loc: whether the box is correct, given the true class."""

from typing import Any

import keras

from keras_has.metrics.localization_metric import LocalizationMetric


@keras.saving.register_keras_serializable(package="keras_has")
class GTKnownLocalization(LocalizationMetric):
    """GT-known Loc: the fraction of images whose box from the true class's map is correct.

    A box is correct if its intersection over union with any of the image's true boxes exceeds
    `iou_threshold`. Images without a true box are left out. A NaN box, which comes from a map that
    shows nothing, is incorrect.

    Counters (read them with `int(...)`): `hits`, `boxed_images`, `unboxed_images` (left out),
    `degenerate_maps` (boxed images whose predicted box is NaN).

    Args:
        iou_threshold: Intersection over union to exceed, in `[0, 1)`. Defaults to `0.5`.
        name: Name of the metric. Defaults to `"gt_known_loc"`.
        dtype: Type of the result. Defaults to `None`: Keras' `floatx`.

    Call arguments:
        y_true: Dict of `"boxes"`, a float tensor of shape `(batch, boxes, 4)`, padded by rows of
            -1. Other keys are ignored.
        y_pred: Dict of `"boxes"`, a float tensor of shape `(batch, 4)`: the box from the map of the
            true class.
        sample_weight: Optional tensor of shape `(batch,)`: 1 for an image, 0
            for padding of the last batch.

    Returns:
        A fraction in `[0, 1]`; NaN until an image with a box has been counted. Callbacks that
        monitor the metric treat NaN as no improvement.

    Example:

    >>> metric = GTKnownLocalization()
    >>> metric.update_state(
    ...     {"boxes": [[[0.0, 0.0, 10.0, 10.0]], [[0.0, 0.0, 10.0, 10.0]]]},
    ...     {"boxes": [[0.0, 0.0, 10.0, 6.0], [0.0, 0.0, 10.0, 5.0]]},  # IoU 0.6 and 0.5
    ... )
    >>> float(metric.result())
    0.5

    Reference:
        Singh and Lee, "Hide-and-Seek", ICCV 2017, section 4 and table 1.
    """

    def __init__(
        self, iou_threshold: float = 0.5, name: str = "gt_known_loc", dtype: Any = None
    ) -> None:
        super().__init__(iou_threshold, name, dtype)
