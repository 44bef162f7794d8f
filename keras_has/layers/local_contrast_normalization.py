"""Normalization of the contrast around every pixel."""

from typing import Any

import keras
from keras import ops

_SMALLEST_DIVISOR = 1e-4


@keras.saving.register_keras_serializable(package="keras_has")
class LocalContrastNormalization(keras.layers.Layer):
    """Subtracts the mean around each pixel, and divides by the deviation around it.

    With `v` the image minus the mean of the `size` x `size` pixels around each one, and `s` the
    root mean square of `v` over the same pixels, the output is `v / max(s, mean(s))`, where the
    mean is over the image: flat regions are not amplified. Beyond the border there are no pixels.
    Every channel is normalized by itself, in float32. The windows are uniform, the choice of this
    project; others weight them by a Gaussian.

    Args:
        size: Side of the window in pixels. Defaults to `5`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        The same.

    Raises:
        ValueError: If `size` is not positive.

    Example:

    >>> flat = LocalContrastNormalization()(np.full((1, 8, 8, 1), 64.0))
    >>> np.abs(np.asarray(flat)).max().item()
    0.0

    Reference:
        [Jarrett et al., 2009](https://doi.org/10.1109/ICCV.2009.5459469), section 2.
    """

    def __init__(self, size: int = 5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if size < 1:
            raise ValueError(f"`size` should be positive. Received: size={size}")
        self.size = size

    def call(self, inputs: Any) -> Any:
        """Returns the normalized images."""
        x = ops.cast(inputs, "float32")
        centered = x - self._mean_around(x)
        deviation = ops.sqrt(self._mean_around(ops.square(centered)))
        of_image = ops.mean(deviation, axis=(1, 2), keepdims=True)
        divisor = ops.maximum(ops.maximum(deviation, of_image), _SMALLEST_DIVISOR)
        return ops.cast(centered / divisor, self.compute_dtype)

    def _mean_around(self, x: Any) -> Any:
        def sums(values: Any) -> Any:
            return ops.average_pool(
                ops.pad(values, [[0, 0], [before, after], [before, after], [0, 0]]),
                self.size,
                strides=1,
                data_format="channels_last",
            )

        before, after = (self.size - 1) // 2, self.size // 2
        # The share of the window that lies within the image.
        return sums(x) / sums(ops.ones_like(x[:1, :, :, :1]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "size": self.size}
