"""A seed of its own for each element of a `tf.data` pipeline, the same at any parallelism."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def map_with_seeds(
    dataset: tf.data.Dataset,
    function: Callable[[Any, tf.Tensor], Any],
    seed: int,
    num_parallel_calls: int = tf.data.AUTOTUNE,
) -> tf.data.Dataset:
    """Maps a function of an element and a seed over a dataset.

    The seeds depend on `seed` (and on the global seed of TensorFlow, if one is set), on the number
    of the element and on the epoch: not on the parallelism, and not on a restart.

    Args:
        dataset: Any dataset.
        function: Called with an element and an int64 tensor of shape (2,).
        seed: Integer.
        num_parallel_calls: See `tf.data.Dataset.map`.

    Returns:
        The dataset of what `function` returns, in order.

    Example:

    >>> drawn = map_with_seeds(
    ...     tf.data.Dataset.range(3), lambda _, s: tf.random.stateless_uniform((), s), seed=1
    ... )
    >>> len(set(drawn.as_numpy_iterator()) | set(drawn.as_numpy_iterator()))
    6
    """
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)
    return tf.data.Dataset.zip((dataset, seeds)).map(
        function, num_parallel_calls=num_parallel_calls, deterministic=True
    )
