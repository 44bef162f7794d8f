"""Temporal class activation maps, and detections from them."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import ArrayLike, NDArray

from keras_has.ops.cam import class_activation_maps
from keras_has.ops.segments import runs_above

Tensor = Any

SCORES = ("mean", "max")


def temporal_class_activation_maps(features: Tensor, kernel: Tensor) -> Tensor:
    r"""Computes temporal class activation maps: how strongly each step supports each class.

    With F the features before global pooling over time and W the kernel of the dense layer after
    it, `CAM(t, c) = sum_i W(i, c) F_i(t)`: no bias and no ReLU. Computed in float32, whatever the
    precision of the network.

    Args:
        features: (B, T, D).
        kernel: (D, classes).

    Returns:
        (B, T, classes) float32.

    Raises:
        ValueError: If the shapes do not match.

    Example:

    >>> maps = temporal_class_activation_maps([[[1.0, 0.0], [2.0, 3.0]]], [[1.0], [-1.0]])
    >>> np.asarray(maps)[0, :, 0]
    array([ 1., -1.], dtype=float32)

    Reference:
        Singh and Lee, "Hide-and-Seek", ICCV 2017, section 3.3.
    """
    features = ops.convert_to_tensor(features)
    if len(features.shape) != 3:
        raise ValueError(
            "`features` should be of shape (B, T, D). "
            f"Received: features.shape={tuple(features.shape)}"
        )
    return class_activation_maps(features, kernel)


def detections_from_maps(
    maps: ArrayLike,
    step_seconds: ArrayLike = 1.0,
    threshold: float = 0.5,
    mask: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    score: str = "mean",
) -> list[Mapping[str, NDArray[Any]]]:
    """Turns temporal class activation maps into detections, in NumPy.

    Each run of steps above `threshold` times the maximum of a class's map is a detection. A map
    whose maximum is not positive, or that contains a NaN, gives none.

    The paper does not say how detections are scored. This project uses the mean of the map in the
    run, in the map's own units and not divided by the video's maximum, so that videos can be ranked
    against each other.

    Args:
        maps: (B, T, classes).
        step_seconds: Duration of a step in seconds, a number or (B,).
        threshold: Fraction of the maximum to be exceeded, in [0, 1). Defaults to the paper's 0.5.
        mask: (B, T) bool, False for padding, or None.
        labels: (B, classes) of 0 and 1, the classes that each video shows, if they are taken as
            known: no other class is detected. None for all classes.
        score: `"mean"` (default) or `"max"` of the map in the run.

    Returns:
        A list of B dicts: `"segments"`, (n, 2) float32, start and end in seconds; `"labels"`, (n,)
        int64; `"scores"`, (n,) float32. Ordered by class, then by time.

    Raises:
        ValueError: If an argument has the wrong shape or is out of range.

    Example:

    >>> maps = np.array([0, 1, 4, 3, 0, 3], "float32")[None, :, None]
    >>> detections_from_maps(maps, step_seconds=0.5)[0]["segments"]
    array([[1. , 2. ],
           [2.5, 3. ]], dtype=float32)

    Reference:
        Singh and Lee, ICCV 2017, section 3.3: 50 % of the maximum.
    """
    check_threshold_and_score(threshold, score)
    values = np.array(maps, np.float32)  # A copy, in which padding is overwritten.
    if values.ndim != 3:
        raise ValueError(f"`maps` should be of shape (B, T, classes). Received: {values.shape}")
    if mask is not None:
        values[~np.asarray(mask, bool)] = -np.inf
    values = np.moveaxis(values, 2, 1)
    largest = values.max(axis=2, initial=-np.inf, keepdims=True)
    is_detected = (largest > 0) & (largest < np.inf)
    if labels is not None:
        is_detected &= (np.asarray(labels) > 0)[:, :, None]
    level = np.full_like(largest, np.inf)
    np.multiply(largest, np.float32(threshold), out=level, where=is_detected)
    video, label, start, end = runs_above(values, level)
    scores = _run_scores(values, (video, label, start, end), score)
    seconds = np.broadcast_to(np.asarray(step_seconds, np.float32), len(values))[video]
    segments = np.stack([start, end], axis=1).astype(np.float32) * seconds[:, None]
    cuts = np.searchsorted(video, np.arange(len(values) + 1))
    return [
        {"segments": segments[a:b], "labels": label[a:b], "scores": scores[a:b]}
        for a, b in itertools.pairwise(cuts)
    ]


def check_threshold_and_score(threshold: float, score: str) -> None:
    """Raises a ValueError if a threshold or a score is invalid."""
    if not 0 <= threshold < 1:
        raise ValueError(f"`threshold` should be in [0, 1). Received: threshold={threshold}")
    if score not in SCORES:
        raise ValueError(f"`score` should be one of {SCORES}. Received: score={score!r}")


def _run_scores(
    values: NDArray[np.float32], runs: tuple[NDArray[np.int64], ...], score: str
) -> NDArray[np.float32]:
    video, label, start, end = runs
    if not len(start):
        return np.zeros(0, np.float32)
    first = (video * values.shape[1] + label) * values.shape[2]
    # Between [start, end, start, end, ...] every second stretch is a run.
    edges = np.stack([first + start, first + end], axis=1).reshape(-1)
    flat = np.append(values.reshape(-1), np.float32(0))
    if score == "max":
        return np.maximum.reduceat(flat, edges)[::2]
    # Padding is minus infinity; only the runs themselves are summed.
    inside = np.where(np.isfinite(flat), flat, 0).astype(np.float64)
    return (np.add.reduceat(inside, edges)[::2] / (end - start)).astype(np.float32)


def detections_in_graph(
    maps: Tensor,
    step_seconds: Tensor = 1.0,
    threshold: float = 0.5,
    mask: Tensor | None = None,
    labels: Tensor | None = None,
    score: str = "mean",
) -> dict[str, Tensor]:
    """Computes `detections_from_maps` in a TensorFlow graph, for exported models.

    Args:
        maps: (B, T, classes) tensor.
        step_seconds: Scalar or (B,).
        threshold: See `detections_from_maps`.
        mask: (B, T) bool, or None.
        labels: (B, classes), or None.
        score: See `detections_from_maps`.

    Returns:
        A dict of `"segments"`, (B, n, 2) float32, padded with -1; `"labels"`, (B, n) int64, padded
        with -1; `"scores"`, (B, n) float32, padded with 0. n is the largest number of detections in
        a video of the batch.

    Raises:
        ValueError: If a threshold or score is invalid.

    Example:

    >>> maps = tf.constant([0.0, 1.0, 4.0, 3.0, 0.0, 3.0])[None, :, None]
    >>> detections_in_graph(maps, step_seconds=0.5)["scores"].numpy()
    array([[3.5, 3. ]], dtype=float32)
    """
    import tensorflow as tf

    check_threshold_and_score(threshold, score)
    values = tf.transpose(tf.cast(maps, tf.float32), (0, 2, 1))
    if mask is not None:
        values = tf.where(tf.cast(mask, tf.bool)[:, None], values, -np.inf)
    largest = tf.reduce_max(values, axis=2, keepdims=True)
    is_detected = (largest > 0) & (largest < np.inf)
    is_detected &= ~tf.reduce_any(tf.math.is_nan(values), axis=2, keepdims=True)
    if labels is not None:
        is_detected &= (tf.cast(labels, tf.float32) > 0)[:, :, None]
    is_above = is_detected & (values > threshold * largest)
    padded = tf.pad(is_above, ((0, 0), (0, 0), (1, 1)))
    begins = padded[..., 1:] & ~padded[..., :-1]
    starts = tf.where(begins)
    ends = tf.where(padded[..., :-1] & ~padded[..., 1:])
    count = tf.shape(starts)[0]
    # The number of each run, at each of its steps.
    run = tf.cumsum(tf.cast(tf.reshape(begins[..., :-1], [-1]), tf.int32)) - 1
    inside = tf.reshape(is_above, [-1])
    reduce = tf.math.unsorted_segment_mean if score == "mean" else tf.math.unsorted_segment_max
    scores = reduce(
        tf.boolean_mask(tf.reshape(values, [-1]), inside), tf.boolean_mask(run, inside), count
    )
    video = starts[:, 0]
    batch = tf.shape(values, out_type=tf.int64)[0]
    seconds = tf.broadcast_to(tf.cast(step_seconds, tf.float32), batch[None])
    times = tf.cast(tf.stack([starts[:, 2], ends[:, 2]], axis=1), tf.float32)
    times *= tf.gather(seconds, video)[:, None]

    def padded_rows(rows: Tensor, fill: Any) -> Tensor:
        ragged = tf.RaggedTensor.from_value_rowids(rows, video, batch)
        return ragged.to_tensor(tf.cast(fill, rows.dtype))

    return {
        "segments": padded_rows(times, -1),
        "labels": padded_rows(starts[:, 1], -1),
        "scores": padded_rows(scores, 0),
    }
