"""Fully convolutional networks for semantic segmentation on any backbone."""

from __future__ import annotations

import keras

from keras_has.layers import BilinearUpsampling
from keras_has.models.cell_grid import CellGrid, cell_grids
from keras_has.models.gap_classifier import BORDER_LAYERS

OUTPUT_STRIDES = (32, 16, 8)


def FCN(  # noqa: N802 (named like the functions of keras.applications)
    backbone: keras.Model, num_classes: int = 21, output_stride: int = 32, name: str = "fcn"
) -> keras.Model:
    """A network from images to logits for each pixel, on the layers of a classifier.

    The classifier's last map is scored by a 1 x 1 convolution and interpolated linearly to the size
    of the image, with no weights (FCN-32s). With `output_stride` 16 or 8, maps of stride 16 and 8
    are scored, too, and added on the way. Every map is put where the centers of its receptive
    fields are, which gives the crop offsets of the published networks. The layers and weights are
    those of the classifier, not copies: a trained classifier is transplanted.

    A map of stride 16 or 8 is, in plain chains with maximum pooling (AlexNet, VGG), what the
    pooling to that stride gives, as published; in other networks the last map of that stride.
    Backbones whose last map has a smaller stride have no map to add there.

    | backbone | input |
    |---|---|
    | `AlexNet(conv1_padding=100)` | any size |
    | `EfficientNetLite0`, `GAPClassifier(...)` of a network of `keras.applications` | any size |

    Backbones with padding of the kind "same" need the layer `PadToMultiple(32)` as their last
    preprocessing, or inputs of such sizes, for their maps to be where they should.

    Args:
        backbone: A flat Functional model with the layer `"cam_features"`, such as all classifiers
            of `keras_has.models`; or one that ends in a feature map.
        num_classes: Number of classes. Defaults to `21`.
        output_stride: `32`, `16` or `8`. Defaults to `32`.
        name: Name of the model. Defaults to `"fcn"`.

    Returns:
        A `keras.Model` from images (batch, height, width, channels) to logits, float32 (batch,
        height, width, num_classes). All scores start from 0.

    Raises:
        ValueError: If an argument is out of range, or the backbone changes the size of its maps in
            unknown ways.

    Example:

    >>> from keras_has.models import FCN, AlexNet
    >>> model = FCN(AlexNet(input_shape=(None, None, 3), conv1_padding=100))
    >>> model.output.shape
    (None, None, None, 21)

    Reference:
        [Long et al., 2015](https://arxiv.org/abs/1411.4038).
    """
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(
            f"`output_stride` should be 32, 16 or 8. Received: output_stride={output_stride}"
        )
    if num_classes < 1:
        raise ValueError(f"`num_classes` should be at least 1. Received: num_classes={num_classes}")
    names = {layer.name for layer in backbone.layers}
    features = backbone.output
    if "cam_features" in names:
        features = backbone.get_layer("cam_features").output
    if len(features.shape) != 4:
        raise ValueError(
            '`backbone` should have a layer "cam_features" or end in a feature map. '
            f"Received: backbone={backbone.name}"
        )
    network = keras.Model(backbone.inputs[0], features)
    grids = cell_grids(network)

    grid = grids[id(features)]
    scores = _scores(features, num_classes, "score")
    for stride in OUTPUT_STRIDES[1:]:
        if output_stride <= stride < grid.stride:
            skip = _map_of_stride(network, grids, stride)
            skip_grid = grids[id(skip)]
            skip_scores = _scores(skip, num_classes, f"score_{stride}")
            upsampled = _upsampling(grid, skip_grid, f"upsampled_{stride}")([scores, skip_scores])
            scores = keras.layers.Add(name=f"fused_{stride}")([upsampled, skip_scores])
            grid = skip_grid
    logits = _upsampling(grid, CellGrid(), "logits", "float32")([scores, network.inputs[0]])
    return keras.Model(network.inputs[0], logits, name=name)


def _scores(features: keras.KerasTensor, num_classes: int, name: str) -> keras.KerasTensor:
    return keras.layers.Conv2D(num_classes, 1, kernel_initializer="zeros", name=name)(features)


def _upsampling(
    grid: CellGrid, reference: CellGrid, name: str, dtype: str | None = None
) -> BilinearUpsampling:
    """Returns the layer from a map to a larger one, given where the cells of both lie."""
    return BilinearUpsampling(
        grid.stride / reference.stride,
        (grid.offset - reference.offset) / reference.stride,
        name=name,
        dtype=dtype,
    )


def _map_of_stride(
    network: keras.Model, grids: dict[int, CellGrid], stride: int
) -> keras.KerasTensor:
    """Returns the map of a stride that is added to the scores; see `FCN`."""
    operations = [
        operation
        for operation in network.operations
        if not isinstance(operation, keras.layers.InputLayer)
    ]
    sources = {operation: keras.tree.flatten(operation.input) for operation in operations}
    is_chain = all(len(tensors) == 1 for tensors in sources.values())
    makers: dict[int, keras.Operation] = {}
    for operation, tensors in sources.items():
        before = min(grids[id(tensor)].stride for tensor in tensors)
        result = keras.tree.flatten(operation.output)[0]
        after = grids[id(result)].stride
        makers[id(result)] = operation
        is_pooling = is_chain and isinstance(operation, keras.layers.MaxPooling2D)
        if is_pooling and before < after == stride:
            return result
        if before == stride < after:
            tensor = tensors[0]
            while isinstance(makers.get(id(tensor)), BORDER_LAYERS):
                tensor = makers[id(tensor)].input
            return tensor
    raise ValueError(
        f"`output_stride` should be larger for this backbone, which has no map of stride {stride}. "
        f"Received: backbone={network.name}"
    )
