"""Top-1 Clas: is the predicted class right, over all images, boxed or not."""

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

    It counts all images, those without a box too. Of equally probable classes the lowest is the
    predicted one, as `argmax` has it.

    Counters, to be read with `int(...)`: `hits`, `images`, `nan_predictions` (images with a NaN
    among their probabilities; they are wrong, where an `argmax` might call them right).

    Args:
        name: Name of the metric. Defaults to `"top1_clas"`.
        dtype: Type of the result. Defaults to `None`: Keras' `floatx`.

    Call arguments:
        y_true: Dict of `"label"`, an integer tensor of shape `(batch,)`. Other keys are ignored.
        y_pred: Dict of `"probabilities"`, a tensor of shape `(batch, classes)`. Likewise.
        sample_weight: Optional tensor of shape `(batch,)`: 0 for the padding of a last batch, 1 for
            an image.

    Returns:
        A fraction in `[0, 1]`; NaN as long as no image was seen.

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
            sample_weight: `None`, or `(batch,)`: 0 for the padding of a last batch, 1 for an image.

        Raises:
            ValueError: If the probabilities are not of this shape.
        """
        probabilities = as_probabilities(y_pred["probabilities"])
        is_counted = counts(probabilities, sample_weight)
        is_right = true_class_is_among(y_true["label"], probabilities, top=1)
        self.count(self.hits, is_counted & is_right)
        self.count(self.images, is_counted)
        self.count(self.nan_predictions, is_counted & has_nan(probabilities))

    def result(self) -> Tensor:
        """Returns the fraction of images that are right; NaN before the first of them."""
        return self.fraction(self.hits, self.images)
