"""Fixed bilinear upsampling of a map to the positions of a larger one."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_has")
class BilinearUpsampling(keras.layers.Layer):
    """Interpolates a map linearly at the positions of a reference, with no weights.

    Cell `i` of the map lies at position `offset + stride * i` of the reference, in cells of the
    reference from 0, in each direction. Between the cells the map is interpolated linearly; outside
    of the first and last cell it stays constant. Within them, this is the transposed convolution
    with a bilinear kernel and the crop of fully convolutional networks.

    Args:
        stride: Cells of the reference from one cell of the map to the next.
        offset: Position of the first cell of the map in the reference. Defaults to `(stride - 1) /
            2`, where the cells of the map divide the reference evenly.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: A list of the map and the reference, of which only the size matters.

    Input shape:
        `(batch, height, width, channels)` each.

    Output shape:
        Height and width of the reference, batch and channels of the map.

    Raises:
        ValueError: If `stride` is not positive.

    Example:

    >>> layer = BilinearUpsampling(2)
    >>> row = np.array([0.0, 4.0]).reshape(1, 1, 2, 1)
    >>> np.asarray(layer([row, np.zeros((1, 1, 4, 1))])).ravel().tolist()
    [0.0, 1.0, 3.0, 4.0]

    Reference:
        [Long et al., 2015](https://arxiv.org/abs/1411.4038), section 3.3.
    """

    def __init__(self, stride: float, offset: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not stride > 0:
            raise ValueError(f"`stride` should be positive. Received: stride={stride}")
        self.stride = float(stride)
        self.offset = (self.stride - 1) / 2 if offset is None else float(offset)

    def call(self, inputs: Any) -> Any:
        """Returns the map at the positions of the reference."""
        maps, reference = inputs
        rows, columns = (
            self._weights_between(ops.shape(maps)[axis], ops.shape(reference)[axis], maps.dtype)
            for axis in (1, 2)
        )
        return ops.einsum("yh,bhwc,xw->byxc", rows, maps, columns)

    def _weights_between(self, cells: Any, positions: Any, dtype: str) -> Any:
        """Returns the weight of every cell at every position, (positions, cells)."""
        cells, positions = ops.arange(cells), ops.arange(positions)
        cells, positions = ops.cast(cells, "float32"), ops.cast(positions, "float32")
        place = (positions - self.offset) / self.stride
        place = ops.clip(place, 0.0, ops.cast(cells[-1], "float32"))
        return ops.cast(ops.maximum(1 - ops.abs(place[:, None] - cells), 0.0), dtype)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Returns the size of the reference with the channels of the map."""
        maps, reference = input_shape
        return (maps[0], *reference[1:3], maps[3])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "stride": self.stride, "offset": self.offset}
