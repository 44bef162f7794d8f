"""Hide-and-Seek as a deterministic transform of a `tf.data` pipeline."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_has.data.element_seeds import (
    checked_probabilities,
    dense_tensor,
    map_with_seeds,
    noise_of,
    seed_of,
)
from keras_has.ops import hiding


def hide_images(
    patch_size: float | Iterable[float] = (0, 16, 32, 44, 56),
    hide_probability: Any = 0.5,
    fill_value: Any = 0.0,
    data_format: str = "channels_last",
    seed: int = 0,
    num_parallel_calls: int = tf.data.AUTOTUNE,
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Returns a transform that hides random patches of a dataset's images.

    The same seed gives the same masks at any parallelism and after a restart of the program, as
    long as the global seed of TensorFlow, if one is set, is the same; masks differ between epochs
    and elements. Apply it last, and after `cache`, which would freeze the masks. Batched datasets
    are faster, and uint8 images four times faster than float32.

    If the elements are dicts with `"hiding_seed"`, (2,) integers per example, each image's mask is
    a function of its seed alone, the same as in `keras_has.layers.HideAndSeek`, and `seed` is not
    used.

    Args:
        patch_size: See `keras_has.layers.HideAndSeek`.
        hide_probability: See `keras_has.layers.HideAndSeek`; may be a `tf.Variable`, of rank 1 for
            several probabilities, so that a callback can change it.
        fill_value: A number, or one per channel: 0 for normalized images, the dataset's mean color
            for others.
        data_format: "channels_last" or "channels_first".
        seed: Integer.
        num_parallel_calls: See `tf.data.Dataset.map`.

    Returns:
        A function for `tf.data.Dataset.apply`. Elements may be images or batches of images; dicts
        that hold them under "image" or "images"; or tuples whose first entry is either.

    Raises:
        ValueError: If an argument is invalid, as in `keras_has.layers.HideAndSeek`.

    Example:

    >>> dataset = tf.data.Dataset.from_tensor_slices((np.ones((8, 32, 32, 3), "uint8"), range(8)))
    >>> dataset = dataset.batch(4).apply(keras_has.data.hide_images(patch_size=8, seed=3))

    Reference:
        Singh and Lee, ICCV 2017, arXiv:1704.04232, section 3.
    """
    patch_sizes = hiding.check_patch_size(patch_size)
    _check_data_format(data_format)
    hide_probability = checked_probabilities(hide_probability)
    if hiding.check_fill_value(fill_value) == "mean":
        raise ValueError(
            "`fill_value` should be a number or one per channel here: compute the mean with "
            f"`HideAndSeek.adapt`. Received: fill_value={fill_value}"
        )

    def transform(dataset: tf.data.Dataset) -> tf.data.Dataset:
        def hide_element(element: Any, element_seed: tf.Tensor) -> Any:
            def hide(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
                return stateless_hide_images(
                    images, seed, patch_sizes, hide_probability, fill_value, data_format
                )

            if isinstance(element, tuple):
                return (hide_element(element[0], element_seed), *element[1:])
            if isinstance(element, dict):
                key = hiding.images_key(element)
                return {**element, key: hide(element[key], seed_of(element, element_seed))}
            return hide(element, element_seed)

        return map_with_seeds(dataset, hide_element, seed, num_parallel_calls)

    return transform


def stateless_hide_images(
    images: tf.Tensor,
    seed: Any,
    patch_size: float | Iterable[float] = (0, 16, 32, 44, 56),
    hide_probability: Any = 0.5,
    fill_value: Any = 0.0,
    data_format: str = "channels_last",
) -> tf.Tensor:
    """Hides random patches of an image or a batch: a pure function of the images and the seed.

    Args:
        images: (H, W, C) or (B, H, W, C), any dtype; channels first with `data_format`.
        seed: Two integers, a tensor of shape (2,), for the whole batch; or one pair per image, of
            shape (B, 2), or (1, 2) for a single image: see `keras_has.ops.seeded_noise`.
        patch_size: See `keras_has.layers.HideAndSeek`.
        hide_probability: A number in [0, 1], or a sequence of them from which each image draws one;
            the value of a tensor or variable is not checked.
        fill_value: A number, or one per channel.
        data_format: "channels_last" or "channels_first".

    Returns:
        The images, same shape and dtype.

    Raises:
        ValueError: If an argument is invalid, as in `keras_has.layers.HideAndSeek`.

    Example:

    >>> stateless_hide_images(tf.ones((2, 2, 1)), (1, 2), 1, hide_probability=1.0)[..., 0].numpy()
    array([[0., 0.],
           [0., 0.]], dtype=float32)
    """
    patch_sizes = hiding.check_patch_size(patch_size)
    _check_data_format(data_format)
    hide_probability = checked_probabilities(hide_probability)
    images = dense_tensor(images)
    hiding.check_images(images, hiding.check_fill_value(fill_value), data_format)
    xp = hiding.tensorflow_namespace()

    return hiding.draw_and_hide(
        images,
        noise_of(seed),
        patch_sizes,
        np.ones(len(patch_sizes), "float32"),
        tf.cast(hide_probability, tf.float32),
        np.asarray(fill_value, "float32"),
        data_format,
        xp,
    )


def _check_data_format(data_format: str) -> None:
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            '`data_format` should be "channels_last" or "channels_first". '
            f"Received: data_format={data_format!r}"
        )
