"""What all metrics of this project share: counts of images in integers, merged by adding."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

Tensor = Any


def counter_dtype() -> str:
    """The widest integer the backend has by default: JAX has 32 bits, the others 64.

    A float32 counter, Keras' default, stands still at 2**24 = 16,777,216 images.
    """
    return "int32" if keras.backend.backend() == "jax" else "int64"


class CountingMetric(keras.metrics.Metric):
    """A metric whose whole state is counts of images.

    Counts are integers, so they are exact, and they add up: over batches, over replicas and, with
    `merge_state`, over metrics that saw different parts of the data.

    Args:
        name: Name of the metric.
        dtype: Type of the result. Defaults to `None`: Keras' `floatx`.
    """

    def add_counter(self, name: str, shape: tuple[int, ...] = ()) -> keras.Variable:
        """Adds an integer state variable, which starts at 0 and is summed over replicas."""
        return self.add_variable(
            shape=shape, initializer="zeros", dtype=counter_dtype(), aggregation="sum", name=name
        )

    def count(self, counter: keras.Variable, is_counted: Tensor) -> None:
        """Adds to `counter` how often `is_counted` is true along the first axis.

        Raises:
            RuntimeError: For a metric that was made in the scope of a strategy and is updated
                outside of its replicas, where sums would come out wrong.
        """
        _check_place(self, counter)
        counter.assign_add(ops.sum(ops.cast(is_counted, counter.dtype), axis=0))

    def fraction(self, part: Tensor, whole: Tensor) -> Tensor:
        """`part / whole`, and NaN where `whole` is 0: no image, no accuracy."""
        part, whole = ops.cast(part, self.dtype), ops.cast(whole, self.dtype)
        return ops.where(whole > 0, part / ops.maximum(whole, 1), float("nan"))

    def merge_state(self, metrics: Iterable["CountingMetric"]) -> None:
        """Adds the counts of other metrics, which saw other images, to those of this one.

        Args:
            metrics: Metrics of the same class and configuration; names may differ.

        Raises:
            ValueError: If a metric is of another class or configuration.
        """
        metrics = list(metrics)
        for metric in metrics:
            if type(metric) is not type(self) or self._settings() != metric._settings():
                raise ValueError(
                    "`metrics` should be of the same class and configuration as this one, "
                    f"{type(self).__name__} with {self._settings()}. "
                    f"Received: {metric} with {metric.get_config()}"
                )
        for metric in metrics:
            for mine, other in zip(self.variables, metric.variables, strict=True):
                mine.assign_add(other.value)

    def _settings(self) -> dict[str, Any]:
        config: dict[str, Any] = self.get_config()
        return {key: value for key, value in config.items() if key != "name"}


def _check_place(metric: CountingMetric, counter: keras.Variable) -> None:
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    if not isinstance(counter.value, tf.distribute.DistributedValues):
        return
    if not tf.distribute.has_strategy() or tf.distribute.in_cross_replica_context():
        raise RuntimeError(
            f"The metric {metric.name!r} was made inside `strategy.scope()`, so it counts in each "
            "replica: update it inside `strategy.run`, as `fit` and `evaluate` do, or make it "
            "outside of the scope."
        )
