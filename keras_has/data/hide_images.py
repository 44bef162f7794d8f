"""Hide-and-Seek as a deterministic transform of a `tf.data` pipeline."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_has.data.element_seeds import map_with_seeds
from keras_has.ops import hiding


def hide_images(
    patch_size: int | Iterable[int] = (0, 16, 32, 44, 56),
    hide_probability: Any = 0.5,
    fill_value: Any = 0.0,
    data_format: str = "channels_last",
    seed: int = 0,
    num_parallel_calls: int = tf.data.AUTOTUNE,
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Returns a transform that hides random patches of a dataset's images.

    The same seed gives the same masks at any parallelism and after a restart of the program, as
    long as the global seed of TensorFlow, if one is set, is the same; every epoch and every element
    gets other masks. Apply it last, and after `cache`, which would freeze
    the masks. Batched datasets are quicker, and images of uint8 four times quicker than float32.

    Args:
        patch_size: See `keras_has.layers.HideAndSeek`.
        hide_probability: See `keras_has.layers.HideAndSeek`; a `tf.Variable` may be given, so that
            a callback can change it.
        fill_value: A number, or one per channel: 0 for normalised images, the dataset's mean colour
            for others.
        data_format: "channels_last" or "channels_first".
        seed: Integer.
        num_parallel_calls: See `tf.data.Dataset.map`.

    Returns:
        A function for `tf.data.Dataset.apply`. Elements may be images or batches of images, tuples
        whose first entry they are, or dicts that hold them under "image" or "images".

    Raises:
        ValueError: For arguments as in `keras_has.layers.HideAndSeek`.

    Example:

    >>> dataset = tf.data.Dataset.from_tensor_slices((np.ones((8, 32, 32, 3), "uint8"), range(8)))
    >>> dataset = dataset.batch(4).apply(keras_has.data.hide_images(patch_size=8, seed=3))

    Reference:
        Singh and Lee, ICCV 2017, arXiv:1704.04232, section 3.
    """
    patch_sizes = hiding.check_patch_size(patch_size)
    _check(hide_probability, data_format)
    if hiding.check_fill_value(fill_value) == "mean":
        raise ValueError(
            "`fill_value` should be a number or one per channel here: compute the mean with "
            f"`HideAndSeek.adapt`. Received: fill_value={fill_value}"
        )

    def transform(dataset: tf.data.Dataset) -> tf.data.Dataset:
        def hide_element(element: Any, element_seed: tf.Tensor) -> Any:
            def hide(images: tf.Tensor) -> tf.Tensor:
                return stateless_hide_images(
                    images, element_seed, patch_sizes, hide_probability, fill_value, data_format
                )

            if isinstance(element, dict):
                key = hiding.images_key(element)
                return {**element, key: hide(element[key])}
            if isinstance(element, tuple):
                return (hide(element[0]), *element[1:])
            return hide(element)

        return map_with_seeds(dataset, hide_element, seed, num_parallel_calls)

    return transform


def stateless_hide_images(
    images: tf.Tensor,
    seed: Any,
    patch_size: int | Iterable[int] = (0, 16, 32, 44, 56),
    hide_probability: Any = 0.5,
    fill_value: Any = 0.0,
    data_format: str = "channels_last",
) -> tf.Tensor:
    """Hides random patches of an image or a batch: a pure function of the images and the seed.

    Args:
        images: (H, W, C) or (B, H, W, C), any dtype; channels first with `data_format`.
        seed: Two integers, a tensor of shape (2,).
        patch_size: See `keras_has.layers.HideAndSeek`.
        hide_probability: Scalar in [0, 1]; the value of a tensor or variable is not checked.
        fill_value: A number, or one per channel.
        data_format: "channels_last" or "channels_first".

    Returns:
        The images, same shape and dtype.

    Raises:
        ValueError: For arguments as in `keras_has.layers.HideAndSeek`.

    Example:

    >>> stateless_hide_images(tf.ones((2, 2, 1)), (1, 2), 1, hide_probability=1.0)[..., 0].numpy()
    array([[0., 0.],
           [0., 0.]], dtype=float32)
    """
    patch_sizes = hiding.check_patch_size(patch_size)
    _check(hide_probability, data_format)
    images = tf.convert_to_tensor(images)
    hiding.check_images(images, hiding.check_fill_value(fill_value), data_format)
    xp = hiding.tensorflow_namespace()

    def uniform(shape: tuple) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, seed=seed)

    return hiding.draw_and_hide(
        images,
        uniform,
        patch_sizes,
        np.ones(len(patch_sizes), "float32"),
        tf.cast(hide_probability, tf.float32),
        np.asarray(fill_value, "float32"),
        data_format,
        xp,
    )


def _check(hide_probability: Any, data_format: str) -> None:
    if not (isinstance(hide_probability, tf.Variable) or tf.is_tensor(hide_probability)):
        hiding.check_hide_probability(hide_probability)
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            '`data_format` should be "channels_last" or "channels_first". '
            f"Received: data_format={data_format!r}"
        )
