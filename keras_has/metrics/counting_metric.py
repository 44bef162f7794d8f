"""Base class of the metrics: integer counts of images, which merge by addition."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

Tensor = Any


def counter_dtype() -> str:
    """Returns the widest integer type of the backend: 32 bits for JAX, otherwise 64.

    A float32 counter, Keras' default, stops increasing at 2**24 = 16,777,216 images.
    """
    return "int32" if keras.backend.backend() == "jax" else "int64"


class CountingMetric(keras.metrics.Metric):
    """A metric whose entire state consists of counts of images.

    The counts are integers, so they are exact and can be added: over batches, over replicas and,
    with `merge_state`, over metrics that saw different parts of the data.

    Args:
        name: Name of the metric.
        dtype: Type of the result. Defaults to `None`: Keras' `floatx`.
    """

    def add_counter(self, name: str, shape: tuple[int, ...] = ()) -> keras.Variable:
        """Adds an integer state variable that starts at 0 and is summed over replicas."""
        return self.add_variable(
            shape=shape, initializer="zeros", dtype=counter_dtype(), aggregation="sum", name=name
        )

    def count(self, counter: keras.Variable, is_counted: Tensor) -> None:
        """Adds the number of true values of `is_counted` along the first axis to `counter`.

        Raises:
            RuntimeError: If the metric was created in the scope of a strategy but is updated
                outside its replicas, where the sums would be wrong.
        """
        _check_replica_context(self, counter)
        counter.assign_add(ops.sum(ops.cast(is_counted, counter.dtype), axis=0))

    def fraction(self, part: Tensor, whole: Tensor) -> Tensor:
        """Returns `part / whole`, or NaN where `whole` is 0."""
        part, whole = ops.cast(part, self.dtype), ops.cast(whole, self.dtype)
        return ops.where(whole > 0, part / ops.maximum(whole, 1), float("nan"))

    def merge_state(self, metrics: Iterable["CountingMetric"]) -> None:
        """Adds the counts of other metrics, which saw other images, to this metric.

        Args:
            metrics: Metrics of the same class and configuration; names may differ.

        Raises:
            ValueError: If a metric has a different class or configuration.
        """
        metrics = list(metrics)
        for metric in metrics:
            if type(metric) is not type(self) or self._settings() != metric._settings():
                raise ValueError(
                    "`metrics` should have the same class and configuration as this one, "
                    f"{type(self).__name__} with {self._settings()}. "
                    f"Received: {metric} with {metric.get_config()}"
                )
        for metric in metrics:
            for mine, other in zip(self.variables, metric.variables, strict=True):
                mine.assign_add(other.value)

    def _settings(self) -> dict[str, Any]:
        config: dict[str, Any] = self.get_config()
        return {key: value for key, value in config.items() if key != "name"}


def _check_replica_context(metric: CountingMetric, counter: keras.Variable) -> None:
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    if not isinstance(counter.value, tf.distribute.DistributedValues):
        return
    # Keras traces the metrics of `compile` once, outside of the replicas and without counting.
    if str(getattr(tf.compat.v1.get_default_graph(), "name", "")).startswith("scratch_graph"):
        return
    if not tf.distribute.has_strategy() or tf.distribute.in_cross_replica_context():
        raise RuntimeError(
            f"The metric {metric.name!r} was created inside `strategy.scope()`, so every replica "
            "counts separately. Update it inside `strategy.run`, as `fit` and `evaluate` do, or "
            "create it outside the scope."
        )
