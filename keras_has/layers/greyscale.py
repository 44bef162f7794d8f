"""Grey images from colored ones."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_has")
class Greyscale(keras.layers.Layer):
    """Replaces the channels of an image by their mean.

    It stands in front of networks for grey images, so that they take the RGB images of all readers;
    of a grey image, whose channels are equal, nothing changes.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, height, width, 1)`.

    Example:

    >>> np.asarray(Greyscale()(np.array([[[[1.0, 2.0, 6.0]]]])))
    array([[[[3.]]]], dtype=float32)
    """

    def call(self, inputs: Any) -> Any:
        """Returns the mean of the channels."""
        return ops.mean(inputs, axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape with one channel."""
        return (*input_shape[:-1], 1)
