"""Global pooling over time that ignores padding."""

from typing import Any

import keras
from keras import ops

Tensor = Any

POOLINGS = ("max", "avg")


@keras.saving.register_keras_serializable(package="keras_has")
class TemporalPooling(keras.Layer):
    """Maximum or mean of each feature over the time of each sequence, without its padding.

    Args:
        pooling: `"max"` (default, the paper's) or `"avg"`.
        **kwargs: `name` and `dtype`, as in every Keras layer.

    Call arguments:
        inputs: (B, T, D).
        mask: Bool, (B, T), False for padding; or None. Within a model Keras passes on the mask of
            the layers before.

    Input shape:
        (B, T, D); B and T may be unknown.

    Output shape:
        (B, D). A sequence that is all padding gives 0.

    Raises:
        ValueError: If `pooling` is unknown, or the inputs are not of rank 3.

    Example:

    >>> layer = keras_has.layers.TemporalPooling("avg")
    >>> sequence, mask = np.array([[[1.0], [3.0], [8.0]]]), np.array([[True, True, False]])
    >>> float(layer(sequence, mask=mask)[0, 0])
    2.0

    Reference:
        Singh and Lee, ICCV 2017, arXiv:1704.04232: global maximum pooling for actions.
    """

    def __init__(self, pooling: str = "max", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if pooling not in POOLINGS:
            raise ValueError(f"`pooling` should be one of {POOLINGS}. Received: pooling={pooling}")
        self.pooling = pooling
        self.supports_masking = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Pools; see the class."""
        if len(inputs.shape) != 3:
            raise ValueError(
                "`inputs` should be of shape (B, T, D). "
                f"Received: inputs of shape {tuple(inputs.shape)}"
            )
        if mask is None:
            return ops.max(inputs, axis=1) if self.pooling == "max" else ops.mean(inputs, axis=1)
        is_step = ops.expand_dims(ops.cast(mask, "bool"), -1)
        zero = ops.zeros((), dtype=inputs.dtype)
        if self.pooling == "max":
            lowest = ops.cast(float("-inf"), inputs.dtype)
            largest = ops.max(ops.where(is_step, inputs, lowest), axis=1)
            return ops.where(ops.any(is_step, axis=1), largest, zero)
        # In float32: half precision cannot represent every number of steps.
        total = ops.sum(ops.cast(ops.where(is_step, inputs, zero), "float32"), axis=1)
        count = ops.maximum(ops.sum(ops.cast(is_step, "float32"), axis=1), 1.0)
        return ops.cast(total / count, inputs.dtype)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Returns None: the output has no time axis."""
        return

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """Returns the input's shape without time."""
        return (input_shape[0], input_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs to build the layer again."""
        return {**super().get_config(), "pooling": self.pooling}
