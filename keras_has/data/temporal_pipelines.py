"""From a `TemporalDataset` to batches, for training and for evaluation."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from keras_has.data.temporal_dataset import TemporalDataset

_BUCKET_BATCHES = 8  # batches among which sequences of like length are put together


def temporal_training_batches(
    dataset: TemporalDataset,
    batch_size: int,
    num_features: int | None = 2000,
    normalize_labels: bool = False,
    seed: int = 0,
    first_step: int = 0,
) -> tf.data.Dataset:
    """Returns an endless dataset of training batches, each a pure function of seed and step.

    Every video comes once an epoch, in an order of its own each epoch. Either the same number of
    features is sampled uniformly from each video; or all are taken, and padded to the longest of
    the batch, where videos of like length are put into one batch to pad little.

    Nothing is hidden here: `keras_has.layers.TemporalHideAndSeek` in the model or
    `keras_has.data.hide_video_segments` does it.

    Args:
        dataset: What to train on.
        batch_size: Videos a batch.
        num_features: How many features to sample from each video, the paper's 2,000 by default, or
            None for all of them.
        normalize_labels: Whether labels are divided by their number, as a softmax needs; else they
            are 0 and 1.
        seed: Integer.
        first_step: Number of the first batch.

    Returns:
        A dataset of `(inputs, labels)`. Inputs are features, (B, T, D) float32, or, where
        `num_features` is None, a dict of `"features"`, padded by 0, and `"mask"`, (B, T) bool,
        False for padding. Labels are (B, classes) float32.

    Raises:
        ValueError: For an empty dataset, or a batch size or number of features below 1.

    Example:

    >>> batches = temporal_training_batches(keras_has.data.phases(num_videos=12), 4, 50)
    >>> batches.element_spec[0].shape
    TensorShape([4, 50, 24])
    """
    _check(dataset, batch_size, num_features)
    rows_of_step = _shuffled_rows(dataset, batch_size, num_features is None, seed)
    labels = dataset.labels.astype(np.float32)
    if normalize_labels:
        labels /= np.maximum(labels.sum(axis=1, keepdims=True), 1)

    def load(step: np.ndarray) -> tuple[np.ndarray, ...]:
        rows = rows_of_step(int(step))
        features, mask, _ = _load(dataset, rows, num_features)
        return features, mask, labels[rows]

    def batch(step: tf.Tensor) -> tuple[Any, tf.Tensor]:
        features, mask, targets = tf.numpy_function(
            load, [step], (tf.float32, tf.bool, tf.float32), stateful=False
        )
        features = _shaped(features, batch_size, num_features, dataset)
        targets = tf.ensure_shape(targets, (batch_size, labels.shape[1]))
        if num_features is not None:
            return features, targets
        mask = tf.ensure_shape(mask, (batch_size, None))
        return {"features": features, "mask": mask}, targets

    steps = tf.data.Dataset.counter(first_step)
    return steps.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def temporal_evaluation_batches(
    dataset: TemporalDataset, batch_size: int, num_features: int | None = 2000
) -> tf.data.Dataset:
    """Returns the whole dataset once, in order, in batches for evaluation.

    Args:
        dataset: What to evaluate on.
        batch_size: Videos a batch; the last one may be smaller.
        num_features: How many features to sample from each video, or None for all of them, padded.

    Returns:
        A dataset of dicts: `"features"`, (B, T, D) float32; `"mask"`, (B, T) bool, False for
        padding; `"labels"`, (B, classes) float32; `"step_seconds"`, (B,) float32, the time a
        feature stands for; and `"index"`, (B,) int64, which videos of `dataset` they are, whose
        segments `dataset.truth` gives.

    Raises:
        ValueError: For an empty dataset, or a batch size or number of features below 1.

    Example:

    >>> batches = temporal_evaluation_batches(keras_has.data.phases("val", num_videos=3), 2, 50)
    >>> [batch["index"].tolist() for batch in batches.as_numpy_iterator()]
    [[0, 1], [2]]
    """
    _check(dataset, batch_size, num_features)
    labels = dataset.labels.astype(np.float32)

    def load(rows: np.ndarray) -> tuple[np.ndarray, ...]:
        return (*_load(dataset, rows, num_features), labels[rows])

    def batch(rows: tf.Tensor) -> dict[str, tf.Tensor]:
        features, mask, seconds, targets = tf.numpy_function(
            load, [rows], (tf.float32, tf.bool, tf.float32, tf.float32), stateful=False
        )
        return {
            "features": _shaped(features, None, num_features, dataset),
            "mask": tf.ensure_shape(mask, (None, num_features)),
            "labels": tf.ensure_shape(targets, (None, labels.shape[1])),
            "step_seconds": tf.ensure_shape(seconds, (None,)),
            "index": rows,
        }

    rows = tf.data.Dataset.range(len(dataset)).batch(batch_size)
    return rows.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _check(dataset: TemporalDataset, batch_size: int, num_features: int | None) -> None:
    if len(dataset) == 0:
        raise ValueError(f"`dataset` should hold at least one video. Received: {dataset.name}")
    for name, value in (("batch_size", batch_size), ("num_features", num_features)):
        if value is not None and value < 1:
            raise ValueError(f"`{name}` should be at least 1. Received: {name}={value}")


def _load(
    dataset: TemporalDataset, rows: np.ndarray, num_features: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns features and mask, padded to the longest, and the seconds a feature stands for."""
    read = [dataset.read(int(row), num_features) for row in rows]
    widths = {features.shape[1] for features, _ in read}
    if len(widths) > 1:
        raise ValueError(
            f"The features of {dataset.name!r} should be of one length each. Received: {widths}"
        )
    lengths = np.array([len(features) for features, _ in read])
    padded = np.zeros((len(rows), lengths.max(), widths.pop()), np.float32)
    for row, (features, _) in enumerate(read):
        padded[row, : len(features)] = features
    mask = np.arange(lengths.max()) < lengths[:, None]
    return padded, mask, np.array([seconds for _, seconds in read], np.float32)


def _shaped(
    features: tf.Tensor, batch_size: int | None, num_features: int | None, dataset: TemporalDataset
) -> tf.Tensor:
    width = dataset.read(0, 1)[0].shape[1]
    return tf.ensure_shape(features, (batch_size, num_features, width))


def _shuffled_rows(dataset: TemporalDataset, batch_size: int, by_length: bool, seed: int) -> Any:
    """Returns the function from a step to its rows: every video once an epoch."""
    count = len(dataset)
    lengths = dataset.lengths() if by_length else None

    @functools.lru_cache(maxsize=4)
    def order(epoch: int) -> np.ndarray:
        random = np.random.default_rng((seed % 2**63, epoch))
        rows = random.permutation(count)
        if lengths is None:
            return rows
        # Neighbours in length come together, the groups themselves in random order again.
        buckets = np.array_split(rows, max(1, count // (batch_size * _BUCKET_BATCHES)))
        groups = []
        for bucket in buckets:
            ordered = bucket[np.argsort(lengths[bucket], kind="stable")]
            groups += np.split(ordered, range(batch_size, len(ordered), batch_size))
        return np.concatenate([groups[index] for index in random.permutation(len(groups))])

    def rows_of_step(step: int) -> np.ndarray:
        places = step * batch_size + np.arange(batch_size)
        return np.array([order(int(place // count))[place % count] for place in places])

    return rows_of_step
