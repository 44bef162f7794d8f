"""Where the cells of a network's maps lie in its input image."""

from __future__ import annotations

import dataclasses

import keras

from keras_has.layers import PadToMultiple
from keras_has.models.gap_classifier import BORDER_LAYERS, STRIDED_LAYERS, keeps_size


@dataclasses.dataclass(frozen=True)
class CellGrid:
    """The positions of the cells of a map: the centers of their receptive fields.

    Cell `i` lies at pixel `offset + stride * i` of the image, in each direction.

    Args:
        stride: Pixels from one cell to the next.
        offset: Position of the first cell in pixels; the first pixel is at 0.
    """

    stride: int = 1
    offset: float = 0.0


def cell_grids(network: keras.Model) -> dict[int, CellGrid]:
    """Returns the grid of every tensor of a network, by the `id` of the tensor.

    Where paths with different offsets meet, their mean is taken. Layers with padding of the kind
    "same" are taken to see maps that their stride divides.

    Args:
        network: A flat Functional model of convolutions, poolings, and layers that keep the size of
            maps.

    Raises:
        ValueError: If a layer changes the size of its map in another way.

    Example:

    >>> inputs = keras.Input((8, 8, 3))
    >>> model = keras.Model(inputs, keras.layers.Conv2D(1, 4, strides=2)(inputs))
    >>> cell_grids(model)[id(model.output)]
    CellGrid(stride=2, offset=1.5)
    """
    grids = {id(network.inputs[0]): CellGrid()}
    for operation in network.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        # Of a layer called more than once, these are what its first call read and gave.
        sources = keras.tree.flatten(operation.input)
        results = keras.tree.flatten(operation.output)
        known = [grids[id(tensor)] for tensor in sources if id(tensor) in grids]
        if len(known) < len(sources):
            raise _refusal(network, f"a layer before {operation.name!r} is used more than once.")
        stride = max(grid.stride for grid in known)
        offsets = [grid.offset for grid in known if grid.stride == stride]
        grid = CellGrid(stride, sum(offsets) / len(offsets))
        if isinstance(operation, STRIDED_LAYERS):
            grid = _behind_windows(operation, grid)
        elif isinstance(operation, BORDER_LAYERS):
            is_padding = isinstance(operation, keras.layers.ZeroPadding2D)
            border = (operation.padding if is_padding else operation.cropping)[0][0]
            grid = CellGrid(stride, grid.offset + (-border if is_padding else border) * stride)
        elif not isinstance(operation, PadToMultiple) and not keeps_size(
            operation, sources, results
        ):
            raise _refusal(
                network, f"{operation.name!r} changes the size of its map unaccountably."
            )
        grids.update((id(tensor), grid) for tensor in results)
    return grids


def _behind_windows(layer: keras.layers.Layer, grid: CellGrid) -> CellGrid:
    """Returns the grid of what a convolution or pooling gives."""
    size = (layer.kernel_size if hasattr(layer, "kernel_size") else layer.pool_size)[0]
    size = (size - 1) * getattr(layer, "dilation_rate", (1, 1))[0] + 1
    step = layer.strides[0]
    before = max(size - step, 0) // 2 if layer.padding == "same" else 0
    return CellGrid(grid.stride * step, grid.offset + ((size - 1) / 2 - before) * grid.stride)


def _refusal(network: keras.Model, reason: str) -> ValueError:
    return ValueError(
        f"`network` should be a chain of convolutions and poolings: {reason} "
        f"Received: network={network.name}"
    )
