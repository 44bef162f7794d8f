"""Top-1 Clas: classification accuracy over all images, with or without boxes."""

from typing import Any

import keras

from keras_has.metrics.counting_metric import CountingMetric
from keras_has.metrics.image_outcomes import (
    as_probabilities,
    counts,
    has_nan,
    true_class_is_among,
)

Tensor = Any


@keras.saving.register_keras_serializable(package="keras_has")
class Top1Classification(CountingMetric):
    """Top-1 Clas: the fraction of images whose most probable class is the true one.

    It also counts images without a box. Ties between classes go to the lowest index, as in
    `argmax`.

    Counters (read them with `int(...)`): `hits`, `images`, `nan_predictions` (images with a NaN
    among their probabilities; they count as incorrect, although `argmax` might be correct).

    Args:
        name: Name of the metric. Defaults to `"top1_clas"`.
        dtype: Type of the result. Defaults to `None`: Keras' `floatx`.

    Call arguments:
        y_true: Dict of `"label"`, an integer tensor of shape `(batch,)`. Other keys are ignored.
        y_pred: Dict of `"probabilities"`, a tensor of shape `(batch, classes)`. Other keys are
            ignored.
        sample_weight: Optional tensor of shape `(batch,)`: 1 for an image, 0
            for padding of the last batch.

    Returns:
        A fraction in `[0, 1]`; NaN until an image has been counted.

    Example:

    >>> metric = Top1Classification()
    >>> metric.update_state({"label": [0, 0]}, {"probabilities": [[0.9, 0.1], [0.2, 0.8]]})
    >>> float(metric.result())
    0.5

    Reference:
        Singh and Lee, "Hide-and-Seek", ICCV 2017, section 4 and table 1.
    """

    def __init__(self, name: str = "top1_clas", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.hits = self.add_counter("hits")
        self.images = self.add_counter("images")
        self.nan_predictions = self.add_counter("nan_predictions")

    def update_state(
        self,
        y_true: dict[str, Tensor],
        y_pred: dict[str, Tensor],
        sample_weight: Tensor | None = None,
    ) -> None:
        """Counts a batch.

        Args:
            y_true: `{"label": (batch,)}`.
            y_pred: `{"probabilities": (batch, classes)}`.
            sample_weight: `None`, or `(batch,)`: 1 for an image, 0 for padding of the last batch.

        Raises:
            ValueError: If the probabilities have the wrong shape.
        """
        probabilities = as_probabilities(y_pred["probabilities"])
        is_counted = counts(probabilities, sample_weight)
        is_right = true_class_is_among(y_true["label"], probabilities, top=1)
        self.count(self.hits, is_counted & is_right)
        self.count(self.images, is_counted)
        self.count(self.nan_predictions, is_counted & has_nan(probabilities))

    def result(self) -> Tensor:
        """Returns the fraction of correctly classified images; NaN before the first image."""
        return self.fraction(self.hits, self.images)
