"""Accuracy on hidden and on whole training images."""

from typing import Any

import keras
from keras import ops

from keras_has.metrics.counting_metric import CountingMetric

Tensor = Any


@keras.saving.register_keras_serializable(package="keras_has")
class HidingAccuracy(CountingMetric):
    """Top-1 accuracy, apart for the examples that a hiding layer leaves whole and for the others.

    A hiding layer with `whole_every=n` hides nothing in the examples 0, n, 2n, ... of each batch.
    Both groups are drawn from the same data, so their difference is the effect of hiding on the
    present network. While nothing is hidden, as in `evaluate`, both are the same in expectation.

    Args:
        whole_every: As given to the layer, at least 2. Defaults to `10`.
        name: Name of the metric. Defaults to `"hiding_accuracy"`.
        dtype: Type of the result. Defaults to `None`: Keras' `floatx`.

    Raises:
        ValueError: If `whole_every` is out of range.

    `update_state` takes class indices (B,) or (B, 1), or one-hot or multi-hot labels (B, K), and
    scores (B, K). An example with several true classes is right if its highest score is that of one
    of them. `result` returns a dict: `"hidden_accuracy"` and `"whole_accuracy"`, NaN without
    examples.

    Example:

    >>> import numpy as np
    >>> metric = HidingAccuracy(whole_every=2)
    >>> metric.update_state([0, 1, 0, 1], np.eye(2)[[0, 0, 0, 1]])
    >>> {name: float(value) for name, value in metric.result().items()}
    {'hidden_accuracy': 0.5, 'whole_accuracy': 1.0}
    """

    def __init__(
        self, whole_every: int = 10, name: str = "hiding_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if not isinstance(whole_every, int) or whole_every < 2:
            raise ValueError(
                f"`whole_every` should be an int of at least 2. Received: whole_every={whole_every}"
            )
        self.whole_every = whole_every
        # Rows: hidden, whole; columns: right, all.
        self.counts = self.add_counter("counts", (2, 2))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts the examples of a batch; see the class."""
        scores = ops.convert_to_tensor(y_pred)
        labels = ops.convert_to_tensor(y_true)
        chosen = ops.argmax(scores, axis=-1)
        if len(labels.shape) == 2 and labels.shape[-1] == scores.shape[-1] != 1:
            is_chosen = ops.one_hot(chosen, scores.shape[-1], dtype="bool")
            is_right = ops.any(is_chosen & (labels > 0.5), axis=-1)
        else:
            is_right = ops.equal(ops.reshape(ops.cast(labels, chosen.dtype), (-1,)), chosen)
        counts = ops.ones_like(is_right, dtype="bool")
        if sample_weight is not None:
            counts = ops.reshape(ops.cast(sample_weight, "bool"), (-1,))
        is_whole = ops.equal(ops.arange(ops.shape(is_right)[0]) % self.whole_every, 0)
        groups = ops.stack([~is_whole & counts, is_whole & counts], axis=1)
        right = groups & ops.expand_dims(is_right, 1)
        self.count(self.counts, ops.stack([right, groups], axis=2))

    def result(self) -> dict[str, Tensor]:
        """Returns both accuracies."""
        accuracies = self.fraction(self.counts[:, 0], self.counts[:, 1])
        return {"hidden_accuracy": accuracies[0], "whole_accuracy": accuracies[1]}

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "whole_every": self.whole_every}
