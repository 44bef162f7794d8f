"""Which examples a training batch contains: pure functions of the seed and the step."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_has.data.dataset import Dataset

RowsOfStep = Callable[[tf.Tensor], tf.Tensor]


def step_seed(seed: int, step: tf.Tensor, purpose: int) -> tf.Tensor:
    """Returns a seed for one purpose at one step, an int64 tensor of shape (2,)."""
    return tf.stack([tf.constant(seed, tf.int64) * 16 + purpose, tf.cast(step, tf.int64)])


def shuffled_rows(dataset: Dataset, batch_size: int, seed: int) -> RowsOfStep:
    """Returns a function from a step to its rows: every example once per epoch, shuffled."""
    count = len(dataset)

    def rows(step: tf.Tensor) -> tf.Tensor:
        place = tf.cast(step, tf.int64) * batch_size + tf.range(batch_size, dtype=tf.int64)
        epoch = place // count
        seeds = tf.stack(
            [tf.fill([batch_size], tf.constant(seed, tf.int64)), epoch, tf.zeros_like(epoch)],
            axis=1,
        )
        # tf.random.experimental.index_shuffle does not accept one seed per index, but a batch may
        # contain the end of one epoch and the start of the next. With four rounds, small seeds
        # hardly shuffle.
        return tf.raw_ops.RandomIndexShuffle(
            index=place % count, seed=seeds, max_index=tf.constant(count - 1, tf.int64), rounds=8
        )

    return rows


def balanced_rows(dataset: Dataset, batch_size: int, seed: int) -> RowsOfStep:
    """Returns a function from a step to its rows: a uniform class, then a uniform example of it.

    Raises:
        ValueError: If a class has no example.
    """
    order = np.argsort(dataset["label"], kind="stable")
    counts = np.bincount(dataset["label"], minlength=len(dataset.class_names))
    if not counts.all():
        empty = dataset.class_names[int(np.argmin(counts))]
        raise ValueError(
            "`class_balanced` sampling needs an example of every class. "
            f"Received: {dataset.name} has none of class {empty!r}"
        )
    starts = np.cumsum(counts) - counts

    def rows(step: tf.Tensor) -> tf.Tensor:
        # float64: with float32 the 1,300th image of a class would be drawn unevenly.
        draw = tf.random.stateless_uniform(
            [2, batch_size], step_seed(seed, step, 3), dtype=tf.float64
        )
        classes = tf.cast(draw[0] * len(counts), tf.int64)
        members = tf.cast(draw[1] * tf.cast(tf.gather(counts, classes), tf.float64), tf.int64)
        return tf.gather(order, tf.gather(starts, classes) + members)

    return rows


def example_seeds(
    seed: int, step: tf.Tensor, batch_size: int, rows: tf.Tensor, count: int
) -> tf.Tensor:
    """Returns one seed for each example of a step, from `seed`, the epoch and the row alone.

    Neighbouring examples have neighbouring seeds: hash them before use.

    Args:
        seed: Integer.
        step: Number of the batch.
        batch_size: Examples per batch.
        rows: The positions of the examples in the dataset, (batch_size,).
        count: Number of examples in the dataset.

    Returns:
        int32 tensor of shape (batch_size, 2).

    Example:

    >>> example_seeds(1, 2, 3, tf.constant([7, 0, 4]), count=8).numpy()[:, 1].tolist()
    [7, 0, 4]
    """
    place = tf.cast(step, tf.int64) * batch_size + tf.range(batch_size, dtype=tf.int64)
    # 65,537 is odd, so that seeds and epochs do not collide before the 65,537th epoch.
    epochs = (tf.constant(seed % 2**31, tf.int64) * 65_537 + place // count) % 2**31
    return tf.cast(tf.stack([epochs, tf.cast(rows, tf.int64)], axis=-1), tf.int32)
