"""C3D, the 3D convolutional network that extracts the features of the paper's videos."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_has.error_causes import cause_of
from keras_has.hdf5_check import check_hdf5

# Pooling window and stride, then the kernels of the convolutions before it.
_BLOCKS = (
    (("conv1a", 64),),
    (("conv2a", 128),),
    (("conv3a", 256), ("conv3b", 256)),
    (("conv4a", 512), ("conv4b", 512)),
    (("conv5a", 512), ("conv5b", 512)),
)
_DENSE = ("fc6", "fc7", "fc8")
_FEATURE_LAYERS = (
    *(name for block in _BLOCKS for name, _ in block),
    *(f"pool{number}" for number in range(1, 6)),
    *_DENSE,
)


def C3D(  # noqa: N802 (named like the functions of keras.applications)
    weights: str | os.PathLike[str] | None = None,
    feature_layer: str = "fc7",
    num_classes: int = 487,
    input_shape: tuple[int, int, int, int] = (16, 112, 112, 3),
    width_multiplier: float = 1.0,
    name: str = "c3d",
) -> keras.Model:
    """Eight 3D convolutions and two dense layers, up to the requested feature layer.

    Kernels are 3 x 3 x 3, stride 1, padded to keep the size, ReLU behind each; five maximum
    poolings halve height and width, all but the first also the time. In the published network the
    last one rounds up (7 x 7 becomes 4 x 4), so a row and a column of zeros are put behind its
    input, which changes nothing after a ReLU. Ports that pad on all sides shift the grid by one
    and give other features.

    | layer | kernels | output for 16 frames of 112 x 112 |
    |---|---|---|
    | conv1a, pool1 (1 x 2 x 2) | 64 | 16 x 56 x 56 |
    | conv2a, pool2 | 128 | 8 x 28 x 28 |
    | conv3a, conv3b, pool3 | 256 | 4 x 14 x 14 |
    | conv4a, conv4b, pool4 | 512 | 2 x 7 x 7 |
    | conv5a, conv5b, pool5 | 512 | 1 x 4 x 4 |
    | fc6, fc7 | 4,096 | 4,096, after the ReLU |
    | fc8 | 487 | softmax |

    The network was trained on frames warped to 171 x 128 (width x height), blue first, values from
    0 to 255, the mean of Sports-1M subtracted, and the centre or a random 112 x 112 cut out.
    Nothing of that is in the model; `keras_has.data.frame_preparation` does it.

    Nothing is downloaded. A weights file is read by the order of its layers, whatever their names:
    kernels of convolutions with their biases, then those of dense layers; what lies behind
    `feature_layer` is not needed. Kernels have to be channels-last, and the rows of fc6 in the
    order height, width, channel, which their shapes cannot show: a file converted from Caffe
    without turning these rows gives meaningless features.

    Args:
        weights: Path of a Keras weights file, `.weights.h5` or `.h5`; or `None` (default) for
            random weights.
        feature_layer: The layer that is the output: `"fc7"` (default, the paper's), `"fc6"`,
            `"fc8"` for class probabilities, a convolution such as `"conv5b"`, or a pooling such as
            `"pool5"`.
        num_classes: Width of fc8. Defaults to `487`, the classes of Sports-1M.
        input_shape: `(frames, height, width, 3)`. Defaults to `(16, 112, 112, 3)`.
        width_multiplier: Factor for the width of every layer but fc8, for experiments. Defaults to
            `1.0`, the published network.
        name: Name of the model. Defaults to `"c3d"`.

    Returns:
        A `keras.Model` from clips to features.

    Raises:
        FileNotFoundError: If there is no such weights file.
        ValueError: If an argument is outside its range, or the file is not one of this network's
            weights; the message names file and layer.

    Example:

    >>> from keras_has.models import C3D
    >>> model = C3D(width_multiplier=1 / 64)
    >>> model.get_layer("pool5").output.shape, model.output_shape
    ((None, 1, 4, 4, 8), (None, 64))

    Reference:
        [Tran et al., 2015](https://arxiv.org/abs/1412.0767), figure 3;
        [Singh and Lee, 2017](https://arxiv.org/abs/1704.04232), section 4.4, for its use.
    """
    if feature_layer not in _FEATURE_LAYERS:
        raise ValueError(
            f"`feature_layer` should be one of {_FEATURE_LAYERS}. "
            f"Received: feature_layer={feature_layer!r}"
        )
    if width_multiplier <= 0 or num_classes < 1:
        raise ValueError(
            "`width_multiplier` should be greater than 0 and `num_classes` at least 1. Received: "
            f"width_multiplier={width_multiplier}, num_classes={num_classes}"
        )
    if len(input_shape) != 4 or input_shape[-1] != 3:
        raise ValueError(
            "`input_shape` should be (frames, height, width, 3). "
            f"Received: input_shape={input_shape}"
        )
    if min(input_shape[0] / 16, input_shape[1] / 32, input_shape[2] / 32) < 1:
        raise ValueError(
            "`input_shape` should be at least 16 frames of 32 x 32 pixels, as five poolings need. "
            f"Received: input_shape={input_shape}"
        )
    model = _network(feature_layer, num_classes, input_shape, width_multiplier, name)
    if weights is not None:
        _load(model, Path(weights))
    return model


def _network(
    feature_layer: str,
    num_classes: int,
    input_shape: Sequence[int],
    width_multiplier: float,
    name: str,
) -> keras.Model:
    def scaled(width: int) -> int:
        return max(4, round(width * width_multiplier))

    inputs = x = keras.Input(input_shape, name="clips")
    for number, block in enumerate(_BLOCKS, start=1):
        for layer, kernels in block:
            x = keras.layers.Conv3D(
                scaled(kernels), 3, padding="same", activation="relu", name=layer
            )(x)
            if layer == feature_layer:
                return keras.Model(inputs, x, name=name)
        if number == 5:
            x = keras.layers.ZeroPadding3D(((0, 0), (0, 1), (0, 1)), name="pool5_pad")(x)
        window = (1, 2, 2) if number == 1 else (2, 2, 2)
        x = keras.layers.MaxPooling3D(window, name=f"pool{number}")(x)
        if f"pool{number}" == feature_layer:
            return keras.Model(inputs, x, name=name)
    x = keras.layers.Flatten(name="flatten")(x)
    for number, layer in enumerate(_DENSE, start=6):
        if layer == "fc8":
            x = keras.layers.Dense(num_classes, activation="softmax", dtype="float32", name=layer)(
                x
            )
        else:
            x = keras.layers.Dense(scaled(4096), activation="relu", name=layer)(x)
        if layer == feature_layer:
            break
        x = keras.layers.Dropout(0.5, name=f"dropout{number}")(x)
    return keras.Model(inputs, x, name=name)


def _load(model: keras.Model, path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(
            f"There should be a weights file of C3D at {path}. Pass the path of one; none is ever "
            "downloaded."
        )
    pairs = _weights_in_order(path)
    layers = [layer for layer in model.layers if layer.weights]
    if len(pairs) < len(layers):
        raise ValueError(
            f"{path} should hold kernel and bias of the {len(layers)} layers up to "
            f"{layers[-1].name}. Received: those of {len(pairs)} layers."
        )
    for layer, (where, kernel, bias) in zip(layers, pairs, strict=False):
        expected = tuple(layer.kernel.shape)
        if kernel.shape != expected or bias.shape != expected[-1:]:
            advice = (
                " Its kernels are channels-first, as Caffe, Theano and PyTorch keep them: convert "
                "them to channels-last."
                if kernel.ndim == 5 and kernel.shape[:2] == expected[-1:-3:-1]
                else ""
            )
            raise ValueError(
                f"{path}: the kernel of {layer.name} should be of shape {expected}, its bias of "
                f"{expected[-1:]}. Received: {kernel.shape} and {bias.shape} in {where!r}.{advice}"
            )
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise ValueError(f"{path}: weights should be finite. Received: NaN or inf in {where!r}")
        layer.set_weights([kernel, bias])


def _weights_in_order(path: Path) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Returns place, kernel and bias of each layer, convolutions before dense layers."""
    import h5py

    groups: dict[str, list[tuple[str, Any]]] = {}

    def add(place: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not place.startswith(("optimizer", "vars")):
            groups.setdefault(place.rpartition("/")[0], []).append((place, item))

    found = []
    try:
        check_hdf5(path)
        with h5py.File(path, "r") as file:
            file.visititems(add)
            for place, items in groups.items():
                arrays = [item for _, item in items]
                kernels = [array for array in arrays if array.ndim in (2, 5)]
                biases = [array for array in arrays if array.ndim == 1]
                if len(kernels) == len(biases) == 1 and len(arrays) == 2:
                    found.append(
                        (place, np.asarray(kernels[0], "float32"), np.asarray(biases[0], "float32"))
                    )
    except Exception as error:  # HDF5 raises errors of many kinds about damaged files.
        raise ValueError(
            f"{path} should be a Keras weights file (HDF5): {cause_of(error)}"
        ) from error
    # By name, numbers as numbers: conv1a, conv2a ... as well as conv3d, conv3d_1 ... conv3d_10.
    found.sort(key=lambda item: (item[1].ndim != 5, _natural(item[0])))
    return found


def _natural(place: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", place)]
