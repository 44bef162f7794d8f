"""Hide-and-Seek in time as a deterministic transform of a `tf.data` pipeline."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_has.data.element_seeds import (
    check_probability,
    dense_tensor,
    map_with_seeds,
    noise_of,
    seed_of,
)
from keras_has.ops import hiding


def hide_video_segments(
    segment_length: int | None = None,
    num_segments: int | None = None,
    hide_probability: Any = 0.5,
    fill_value: Any = 0.0,
    seed: int = 0,
    num_parallel_calls: int = tf.data.AUTOTUNE,
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Returns a transform that hides random segments of a dataset's sequences.

    The same seed gives the same masks at any parallelism and after a restart of the program, as
    long as the global seed of TensorFlow, if one is set, is the same; masks differ between epochs
    and elements. Apply it last, and after `cache`, which would freeze the masks.

    If the elements are dicts with `"hiding_seed"`, (2,) integers per example, what is hidden in a
    sequence is a function of its seed alone, the same as in `keras_has.layers.TemporalHideAndSeek`,
    and `seed` is not used.

    Args:
        segment_length: See `keras_has.layers.TemporalHideAndSeek`.
        num_segments: See `keras_has.layers.TemporalHideAndSeek`; 20 if no length is given.
        hide_probability: See `keras_has.layers.TemporalHideAndSeek`; may be a `tf.Variable`, so
            that a callback can change it.
        fill_value: A number, or one per feature: the dataset's mean feature, or 0 for standardized
            features.
        seed: Integer.
        num_parallel_calls: See `tf.data.Dataset.map`.

    Returns:
        A function for `tf.data.Dataset.apply`. Elements may be sequences or batches of sequences;
        dicts that hold them under "features" or "frames", optionally with their "mask" (False for
        padding, which is left unchanged and not counted); or tuples whose first entry is either.

    Raises:
        ValueError: If an argument is invalid, as in `keras_has.layers.TemporalHideAndSeek`.

    Example:

    >>> dataset = tf.data.Dataset.from_tensor_slices((np.ones((8, 40, 5), "float32"), range(8)))
    >>> dataset = dataset.batch(4).apply(keras_has.data.hide_video_segments(num_segments=10))

    Reference:
        Singh and Lee, ICCV 2017, arXiv:1704.04232, section 3.3.
    """
    hiding.check_segments(segment_length, num_segments)
    check_probability(hide_probability)
    if hiding.check_fill_value(fill_value) == "mean":
        raise ValueError(
            "`fill_value` should be a number or one per feature here: compute the mean with "
            f"`TemporalHideAndSeek.adapt`. Received: fill_value={fill_value}"
        )

    def hide_element(element: Any, element_seed: tf.Tensor) -> Any:
        if isinstance(element, tuple):
            return (hide_element(element[0], element_seed), *element[1:])

        def hide(sequences: tf.Tensor, seed: tf.Tensor, mask: Any = None) -> tf.Tensor:
            return stateless_hide_video_segments(
                sequences,
                seed,
                segment_length,
                num_segments,
                hide_probability,
                fill_value,
                mask,
            )

        if isinstance(element, dict):
            key = hiding.sequences_key(element)
            seeds = seed_of(element, element_seed)
            return {**element, key: hide(element[key], seeds, element.get("mask"))}
        return hide(element, element_seed)

    def transform(dataset: tf.data.Dataset) -> tf.data.Dataset:
        return map_with_seeds(dataset, hide_element, seed, num_parallel_calls)

    return transform


def stateless_hide_video_segments(
    sequences: tf.Tensor,
    seed: Any,
    segment_length: int | None = None,
    num_segments: int | None = None,
    hide_probability: Any = 0.5,
    fill_value: Any = 0.0,
    mask: Any = None,
) -> tf.Tensor:
    """Hides random segments of a sequence or a batch: a pure function of its arguments.

    Args:
        sequences: (T, D) or (B, T, D) features, or (T, H, W, C) or (B, T, H, W, C) frames.
        seed: Two integers, a tensor of shape (2,), for the whole batch; or one pair per sequence,
            of shape (B, 2), or (1, 2) for a single sequence: see `keras_has.ops.seeded_noise`.
        segment_length: Steps per segment, or None.
        num_segments: Number of equal segments; 20 if no length is given.
        hide_probability: Scalar in [0, 1].
        fill_value: A number, or one per feature or channel.
        mask: (T,) or (B, T) bool, False for padding; or None.

    Returns:
        The sequences, same shape and dtype.

    Raises:
        ValueError: If an argument is invalid, as in `keras_has.layers.TemporalHideAndSeek`.

    Example:

    >>> features = tf.ones((4, 1))
    >>> mask = [True, True, True, False]
    >>> hidden = stateless_hide_video_segments(features, (1, 2), 2, hide_probability=1.0, mask=mask)
    >>> hidden[:, 0].numpy()
    array([0., 0., 0., 1.], dtype=float32)
    """
    segment_length, num_segments = hiding.check_segments(segment_length, num_segments)
    check_probability(hide_probability)
    sequences = dense_tensor(sequences)
    hiding.check_sequences(sequences, hiding.check_fill_value(fill_value))
    return hiding.draw_and_hide_segments(
        sequences,
        noise_of(seed),
        segment_length,
        num_segments,
        tf.cast(hide_probability, tf.float32),
        np.asarray(fill_value, "float32"),
        mask,
        hiding.tensorflow_namespace(),
    )
