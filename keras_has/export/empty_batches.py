"""Exported models accept empty batches, on which TensorFlow's convolutions fail."""

import tensorflow as tf


def fill_empty(batch: tf.Tensor) -> tf.Tensor:
    """Returns a batch, or one example of zeros if it has none: cut the result to its length again.

    Args:
        batch: Tensor of known rank, whose first axis runs over the examples.

    Example:

    >>> fill_empty(tf.zeros((0, 2))).shape, fill_empty(tf.ones((3, 2))).shape
    (TensorShape([1, 2]), TensorShape([3, 2]))
    """
    missing = tf.maximum(1 - tf.shape(batch)[0], 0)
    return tf.pad(batch, [[0, missing], *[[0, 0]] * (len(batch.shape) - 1)])
