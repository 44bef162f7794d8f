"""GT-known Loc: is the box right, the class being told."""

from typing import Any

import keras

from keras_has.metrics.localization_metric import LocalizationMetric


@keras.saving.register_keras_serializable(package="keras_has")
class GTKnownLocalization(LocalizationMetric):
    """GT-known Loc: the fraction of images whose box from the true class's map is right.

    A box is right if its intersection over union with any of the image's true boxes is above
    `iou_threshold`; exactly at it is not enough. An image without a true box says nothing and is
    left out; a box of NaN, from a map without a shape, is wrong.

    Counters, to be read with `int(...)`: `hits`, `boxed_images`, `unboxed_images` (left out),
    `degenerate_maps` (boxed images whose predicted box is NaN).

    Args:
        iou_threshold: Intersection over union to be exceeded, in `[0, 1)`. Defaults to `0.5`.
        name: Name of the metric. Defaults to `"gt_known_loc"`.
        dtype: Type of the result. Defaults to `None`: Keras' `floatx`.

    Call arguments:
        y_true: Dict of `"boxes"`, a float tensor of shape `(batch, boxes, 4)`, padded by rows of
            -1. Other keys are ignored.
        y_pred: Dict of `"boxes"`, a float tensor of shape `(batch, 4)`: the box from the map of the
            true class.
        sample_weight: Optional tensor of shape `(batch,)`: 0 for the padding of a last batch, 1 for
            an image.

    Returns:
        A fraction in `[0, 1]`. It is NaN as long as no image with a box was seen: no figure is
        honest there, and a callback that monitors it takes NaN for no improvement.

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
