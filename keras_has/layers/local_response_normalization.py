"""Normalization over neighboring channels, as in AlexNet."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_has")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each value by a power of the mean square of its channel and its neighbors.

    `y_c = x_c / (1 + alpha / size * sum x_j**2)**beta`, with the sum over the `size` channels
    around `c`; there are none beyond the first and the last. Caffe's definition; it is computed in
    float32.

    Args:
        size: Number of channels, odd. Defaults to `5`.
        alpha: Weight of the mean square. Defaults to `1e-4`.
        beta: The power. Defaults to `0.75`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Input shape:
        `(batch, ..., channels)`.

    Output shape:
        The same.

    Raises:
        ValueError: If `size` is even or not positive.

    Example:

    >>> layer = LocalResponseNormalization(size=3, alpha=3.0, beta=1.0)
    >>> np.asarray(layer(np.ones((1, 4)))).round(2).astype("float64").round(2).tolist()
    [[0.33, 0.25, 0.25, 0.33]]

    Reference:
        [Krizhevsky et al., 2012](https://papers.nips.cc/paper/4824), section 3.3.
    """

    def __init__(
        self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if size < 1 or size % 2 == 0:
            raise ValueError(f"`size` should be odd and positive. Received: size={size}")
        self.size = size
        self.alpha = alpha
        self.beta = beta

    def call(self, inputs: Any) -> Any:
        """Returns the normalized values."""
        x = ops.cast(inputs, "float32")
        reach, channels = self.size // 2, inputs.shape[-1]
        rest = [[0, 0]] * (len(inputs.shape) - 1)
        squares = ops.pad(ops.square(x), [*rest, [reach, reach]])
        total = sum(squares[..., shift : shift + channels] for shift in range(self.size))
        return ops.cast(x / (1 + self.alpha / self.size * total) ** self.beta, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        own = {"size": self.size, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_config(), **own}
