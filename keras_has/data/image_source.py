"""Where the pixels of a data set come from, in two steps: by the batch, then image by image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_has.data.image_dataset import ImageDataset


def image_source(
    dataset: ImageDataset,
) -> tuple[Callable[[tf.Tensor], tf.Tensor], Callable[[tf.Tensor], tf.Tensor]]:
    """Returns what looks up a batch of images and what turns each of them into pixels.

    Both are for `tf.data.Dataset.map`. Looking up by the batch is what lets records be read with
    one call of Python a batch; what is slow and parallel, reading single files and decoding, comes
    in the second step.

    Args:
        dataset: Images in files, in records or in memory.

    Returns:
        `load(rows)`, from int64 positions of shape `(B,)` to B paths, encoded images or images; and
        `decode(loaded)`, from one of these to uint8 of shape `(height, width, 3)`.

    Example:

    >>> load, decode = image_source(keras_has.data.parts("val", num_images=20))
    >>> decode(load([3, 1])[0]).shape
    TensorShape([64, 64, 3])
    """
    import tensorflow as tf

    from keras_has.data.image_files import decode_image

    if dataset.records is not None:
        records = dataset.records

        def read(rows: np.ndarray) -> np.ndarray:
            encoded = np.empty(len(rows), object)
            encoded[:] = records.read(rows)
            return encoded

        def load_records(rows: tf.Tensor) -> tf.Tensor:
            encoded = tf.numpy_function(read, [rows], tf.string, stateful=False)
            encoded.set_shape(rows.shape)
            return encoded

        return load_records, decode_image

    with tf.device("CPU:0"):
        source = tf.constant(dataset.image_paths if dataset.images is None else dataset.images)

    def load(rows: tf.Tensor) -> tf.Tensor:
        return tf.gather(source, rows)

    if dataset.images is not None:
        return load, lambda image: image
    return load, lambda path: decode_image(tf.io.read_file(path))
