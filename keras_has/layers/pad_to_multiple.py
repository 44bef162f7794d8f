"""Padding to a size that a network with strides divides evenly."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_has")
class PadToMultiple(keras.layers.Layer):
    """Pads images with zeros at the bottom and right to a multiple of a number of pixels.

    Networks with padding of the kind "same" put their cells elsewhere if a stride leaves a
    remainder. Behind it, the positions do not depend on the size.

    Args:
        multiple: Height and width of the output are multiples of it.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        The same with height and width rounded up.

    Raises:
        ValueError: If `multiple` is less than 1.

    Example:

    >>> PadToMultiple(4)(np.ones((1, 5, 8, 1))).shape
    TensorShape([1, 8, 8, 1])
    """

    def __init__(self, multiple: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if multiple < 1:
            raise ValueError(f"`multiple` should be at least 1. Received: multiple={multiple}")
        self.multiple = multiple

    def call(self, inputs: Any) -> Any:
        """Returns the padded images."""
        height, width = (-size % self.multiple for size in ops.shape(inputs)[1:3])
        return ops.pad(inputs, [[0, 0], [0, height], [0, width], [0, 0]])

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Returns the shape with height and width rounded up."""
        batch, *size, channels = input_shape
        padded = (None if side is None else side + -side % self.multiple for side in size)
        return (batch, *padded, channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "multiple": self.multiple}
