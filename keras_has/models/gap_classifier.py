"""Any network of `keras.applications` with global pooling and an optionally doubled map."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_has.error_causes import cause_of
from keras_has.hdf5_check import check_hdf5
from keras_has.models.conv_bn_relu import conv_bn_relu
from keras_has.models.gap_head import gap_head
from keras_has.models.preprocessing import apply_preprocessing

STRIDED_LAYERS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
)
BORDER_LAYERS = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)
RESIZING_LAYERS = (
    keras.layers.Conv2DTranspose,
    keras.layers.UpSampling2D,
    keras.layers.Resizing,
    keras.Model,
)


def GAPClassifier(  # noqa: N802 (named like the functions of keras.applications)
    backbone: keras.Model | str,
    num_classes: int = 1000,
    input_shape: tuple[int | None, int | None, int] | None = None,
    weights: str | None = None,
    last_stage_stride: int = 2,
    feature_layer: str | None = None,
    extra_conv: int | None = None,
    pooling: str = "avg",
    preprocessing: keras.layers.Layer | Sequence[keras.layers.Layer] | None = None,
    dropout_rate: float = 0.0,
    name: str = "gap_classifier",
) -> keras.Model:
    """A network of `keras.applications` with global pooling and a softmax in place of its top.

    The result is one flat model: the backbone's layers under their own names, then
    `"cam_features"`, `"pooling"` and `"predictions"`. A backbone given as a model is copied with
    its weights and left as it is.

    With `last_stage_stride=1`, the layers that bring the map from its last but one size to its last
    size keep every position instead of every second one; the weights stay, so that pretrained
    networks can be fine-tuned on the larger map. Each of these layers keeps its window. A window of
    odd size is centred on each of the `n` positions it reads, padded evenly on both sides, and
    yields `n`; a window of 2 x 2, which cannot be centred, yields `n - 1` unless its padding is
    `"same"`. At every second position each of these layers computes exactly what it did; the layers
    behind them see closer neighbours. A network in which this cannot be done is refused.

    | tested backbone | input | `last_stage_stride=2` | `last_stage_stride=1` |
    |---|---|---|---|
    | ResNet50, ResNet50V2 | 224 | 7 | 14 |
    | MobileNet, MobileNetV2, MobileNetV3Small | 224 | 7 | 14 |
    | EfficientNetB0, EfficientNetV2B0 | 224 | 7 | 14 |
    | DenseNet121 (2 x 2 average pooling, `"valid"`) | 224 | 7 | 13 |
    | VGG16 (2 x 2 maximum pooling, `"valid"`) | 224 | 7 | 13 |
    | VGG16, `feature_layer="block5_conv3"` | 224 | 14 | |
    | InceptionV3 (3 x 3, `"valid"`: 17 positions gave 8) | 299 | 8 | 17 |
    | Xception | 299 | 10 | 19 |

    Maps of `n - 1` positions lack half a cell at each edge, so that stretched over the image they
    are half a cell off there, and right in the middle. ConvNeXt is refused. EfficientNet,
    MobileNetV3 and ConvNeXt normalize inside the network: `preprocessing` then sees pixels from 0
    to 255, and hiding has to fill with the mean colour instead of zero. What pixels the pretrained
    weights of a network expect, `keras_has.models.pixel_scaling` knows.

    Args:
        backbone: A Functional model with one input and one feature map
            `(batch, height, width, channels)` as its output, such as
            `keras.applications.ResNet50(include_top=False)`; or the name of one, such as
            `"ResNet50"`.
        num_classes: Number of classes. Defaults to `1000`.
        input_shape: `(height, width, channels)` in pixels, for a backbone given by name. Defaults
            to `None`, which means `(224, 224, 3)`.
        weights: For a backbone given by name: `None` (random), `"imagenet"` or the path of a
            weights file. Defaults to `None`.
        last_stage_stride: `2` leaves the backbone as it is; `1` doubles the map. Defaults to `2`.
        feature_layer: Name of the backbone's layer that gives the feature map; what follows it is
            left out. Defaults to `None`, the backbone's output.
        extra_conv: Number of 3 x 3 kernels of a convolution, with batch normalization and ReLU,
            between the feature map and the pooling, as VGG16 needs it; or `None`. Defaults to
            `None`.
        pooling: `"avg"` or `"max"`, over all positions of the map. Defaults to `"avg"`.
        preprocessing: `None`, a Keras layer or a list of Keras layers, applied to the input in
            order. Hiding comes last. Defaults to `None`.
        dropout_rate: Share of the pooled features dropped while training. Defaults to `0.0`.
        name: Name of the model. Defaults to `"gap_classifier"`.

    Returns:
        A `keras.Model` from images to class probabilities.

    Raises:
        ValueError: If an argument is outside its range, or if the backbone's last stride cannot be
            taken away without changing what it computes at the old positions.

    Example:

    >>> from keras_has.models import GAPClassifier
    >>> model = GAPClassifier("MobileNetV2", num_classes=10, last_stage_stride=1)
    >>> model.get_layer("cam_features").output.shape
    (None, 14, 14, 1280)

    Reference:
        [Choe et al., 2020](https://arxiv.org/abs/2001.07437) evaluate localization on networks
        whose last stage keeps its resolution; [Zhou et al.,
        2016](https://arxiv.org/abs/1512.04150) for the head.
    """
    if last_stage_stride not in (1, 2):
        raise ValueError(
            f"`last_stage_stride` should be 1 or 2. Received: last_stage_stride={last_stage_stride}"
        )
    if extra_conv is not None and (not isinstance(extra_conv, int) or extra_conv < 1):
        raise ValueError(
            f"`extra_conv` should be None or a positive integer. Received: extra_conv={extra_conv}"
        )
    network = _network(backbone, input_shape, weights, feature_layer)
    changes = _last_stage_changes(network) if last_stage_stride == 1 else {}

    inputs = keras.Input(network.inputs[0].shape[1:], name="images")
    x = apply_preprocessing(inputs, preprocessing)
    try:
        features = _copy(network, inputs, x, changes)
    except ValueError as error:
        if not changes:
            raise
        raise _refusal(network, "its layers do not fit together on the larger map.") from error
    if changes:
        _check_doubled(features.shape, network.compute_output_shape(x.shape), network)
    if extra_conv is None:
        features = keras.layers.Identity(name="cam_features")(features)
    else:
        features = conv_bn_relu(
            features, extra_conv, 3, name="extra_conv", relu_name="cam_features"
        )
    return keras.Model(inputs, gap_head(features, num_classes, pooling, dropout_rate), name=name)


def _network(
    backbone: keras.Model | str,
    input_shape: tuple[int | None, int | None, int] | None,
    weights: str | None,
    feature_layer: str | None,
) -> keras.Model:
    """Returns the Functional model from the backbone's input to the requested feature map."""
    if isinstance(backbone, str):
        build = getattr(keras.applications, backbone, None)
        if not callable(build):
            raise ValueError(
                "`backbone` should be a Functional Keras model or the name of a network of "
                f"`keras.applications`. Received: backbone={backbone}"
            )
        shape = input_shape or (224, 224, 3)
        try:
            if weights is not None and Path(weights).is_file():
                check_hdf5(weights)
            backbone = build(include_top=False, weights=weights, input_shape=shape)
        except Exception as error:  # Keras and HDF5 raise nearly everything for damaged files.
            if weights is None or not Path(weights).is_file():
                raise
            raise ValueError(
                f"{weights} cannot be loaded as the weights of {backbone}: {cause_of(error)}"
            ) from error
    elif input_shape is not None or weights is not None:
        raise ValueError(
            "`input_shape` and `weights` are for a `backbone` given by name; a model brings its "
            f"own. Received: backbone={backbone}, input_shape={input_shape}, weights={weights}"
        )
    if not isinstance(backbone, keras.Model) or not getattr(backbone, "inputs", None):
        raise ValueError(
            "`backbone` should be a Functional Keras model or the name of a network of "
            f"`keras.applications`. Received: backbone={backbone}"
        )
    outputs = backbone.outputs
    if feature_layer is not None:
        outputs = keras.tree.flatten(backbone.get_layer(feature_layer).output)
    if len(backbone.inputs) != 1 or len(outputs) != 1 or len(outputs[0].shape) != 4:
        raise ValueError(
            "`backbone` should have one input and end in one feature map (batch, height, width, "
            "channels): build it with `include_top=False` and without pooling. Received a backbone "
            f"with inputs={backbone.inputs} and outputs={outputs}"
        )
    return keras.Model(backbone.inputs[0], outputs[0], name=backbone.name)


def _copy(
    network: keras.Model,
    inputs: keras.KerasTensor,
    x: keras.KerasTensor,
    changes: dict[str, dict[str, Any]],
) -> keras.KerasTensor:
    """The feature map of a copy of the network, weights included, that stands on `x`.

    `x` was computed from `inputs`; `changes` maps names of layers to what is to change in their
    configurations.
    """

    def copy_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config(layer.get_config() | changes.get(layer.name, {}))

    def call_layer(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = keras.tree.map_structure(
            lambda value: x if value is inputs else value, (args, kwargs)
        )
        return layer(*args, **kwargs)

    copy = keras.models.clone_model(
        network, input_tensors=inputs, clone_function=copy_layer, call_function=call_layer
    )
    for layer in network.layers:
        if layer.weights:
            layer_copy = copy.get_layer(layer.name)
            layer_copy.set_weights(layer.get_weights())
            if isinstance(layer_copy, keras.layers.Normalization):
                layer_copy.finalize_state()  # It computes with constants made of its weights.
    return copy.output


def _last_stage_changes(network: keras.Model) -> dict[str, dict[str, Any]]:
    """What to change in which layers, by name, for the last stage to keep its resolution.

    The strides are followed through the graph, not read off the sizes of the maps: it works for
    inputs of unknown size, and a border lost to a `"valid"` window is not taken for a stride.
    """
    strides = {id(network.inputs[0]): 1}  # Of each tensor against the input.
    sources: dict[keras.Operation, list[keras.KerasTensor]] = {}  # What each operation reads.
    for operation in network.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        # Of a layer called more than once, these are what its first call read and gave.
        sources[operation] = keras.tree.flatten(operation.input)
        results = keras.tree.flatten(operation.output)
        if not all(id(tensor) in strides for tensor in sources[operation]):
            raise _refusal(network, f"a layer before {operation.name!r} is used more than once.")
        stride = max(strides[id(tensor)] for tensor in sources[operation])
        if isinstance(operation, STRIDED_LAYERS):
            stride *= max(operation.strides)
        elif not keeps_size(operation, sources[operation], results):
            raise _refusal(
                network, f"the layer {operation.name!r} changes the size of its map unaccountably."
            )
        strides.update((id(tensor), stride) for tensor in results)

    if id(network.outputs[0]) not in strides:
        raise _refusal(network, "its last layer is used more than once.")
    last_stride = strides[id(network.outputs[0])]
    changes: dict[str, dict[str, Any]] = {}
    for operation in sources:
        if not isinstance(operation, STRIDED_LAYERS) or max(operation.strides) == 1:
            continue
        if strides[id(operation.output)] == last_stride:
            if tuple(operation.strides) != (2, 2):
                raise _refusal(
                    network,
                    f"the layer {operation.name!r}, the last to make the map smaller, has strides "
                    f"{tuple(operation.strides)} instead of (2, 2).",
                )
            changes[operation.name] = {"strides": (1, 1)}
    if not changes:
        raise _refusal(network, "it has no layer with a stride.")

    readers = [operation for operation in sources if operation.name in changes]
    borders = [layer for layer in sources if isinstance(layer, keras.layers.ZeroPadding2D)]
    for border in borders:
        read_by = {
            operation.name
            for operation, tensors in sources.items()
            if any(tensor is border.output for tensor in tensors)
        }
        padded = [reader for reader in readers if reader.name in read_by]
        if padded:
            if len(padded) < len(read_by):
                raise _refusal(network, f"{border.name!r} pads for other layers as well.")
            changes[border.name] = {"padding": _even_zeros(network, border, padded)}
            readers = [reader for reader in readers if reader.name not in read_by]
    for reader in readers:
        if all(size % 2 == 1 for size in _window(reader)):
            changes[reader.name]["padding"] = "same"
    return changes


def _window(layer: keras.layers.Layer) -> tuple[int, int]:
    return tuple(layer.kernel_size if hasattr(layer, "kernel_size") else layer.pool_size)


def _even_zeros(
    network: keras.Model, border: keras.layers.Layer, readers: list[keras.layers.Layer]
) -> tuple[tuple[int, int], ...]:
    """The zeros on both sides with which the windows of `readers` keep the size of the map.

    A window of `k` with stride 2 gets by with `k - 2` zeros on an even map (MobileNet,
    EfficientNet); with stride 1 it takes `k - 1`.
    """
    windows = {(_window(reader), reader.padding) for reader in readers}
    if len(windows) > 1:
        raise _refusal(network, f"{border.name!r} pads for windows of different sizes.")
    window, padding = windows.pop()
    for zeros, size in zip(border.padding, window, strict=True):
        if padding != "valid" or sum(zeros) not in (size - 1, size - 2):
            raise _refusal(
                network,
                f"{border.name!r} pads {tuple(zeros)} zeros for a {padding!r} window of {size}.",
            )
    return tuple(((size - 1) // 2, size // 2) for size in window)


def keeps_size(
    operation: keras.Operation,
    sources: list[keras.KerasTensor],
    results: list[keras.KerasTensor],
) -> bool:
    """Whether an operation that has no strides leaves the size of a map alone, as far as is known.

    Vectors have no size to change, and pooling over all positions ends in one position.
    """
    if isinstance(operation, BORDER_LAYERS):
        return True
    if isinstance(operation, RESIZING_LAYERS):
        return False
    maps = [tensor.shape[1:3] for tensor in sources if len(tensor.shape) == 4]
    if not maps:
        return True
    for result in results:
        if len(result.shape) != 4 or result.shape[1:3] == (1, 1):
            continue
        for axis in (0, 1):
            sizes = [size[axis] for size in maps]
            size = result.shape[1 + axis]
            if size is not None and None not in sizes and size != max(sizes):
                return False
    return True


def _check_doubled(
    shape: tuple[int | None, ...], shape_before: tuple[int | None, ...], network: keras.Model
) -> None:
    """Refuse a copy whose map did not grow: it is too small, or pooled to one position."""
    for size, size_before in zip(shape[1:3], shape_before[1:3], strict=True):
        if size is not None and size_before is not None and size < max(2, 2 * size_before - 1):
            raise _refusal(network, f"its map would be {shape[1:3]} after {shape_before[1:3]}.")


def _refusal(network: keras.Model, reason: str) -> ValueError:
    return ValueError(
        f"`last_stage_stride` should be 2 for this backbone: {reason} "
        f"Received: last_stage_stride=1, backbone={network.name}"
    )
