"""Weights files in Keras' own format, read by the types of layers instead of their names."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import keras
import numpy as np

from keras_has.error_causes import cause_of
from keras_has.hdf5_check import check_hdf5

# What Keras calls the groups of a file, for the layer types that hold weights here.
GROUP_NAMES = {
    keras.layers.BatchNormalization: "batch_normalization",
    keras.layers.Conv2D: "conv2d",
    keras.layers.Dense: "dense",
    keras.layers.DepthwiseConv2D: "depthwise_conv2d",
}


def load_layer_type_weights(
    path: str | os.PathLike[str], layers: Sequence[keras.layers.Layer]
) -> None:
    """Fills layers with the arrays of a `.weights.h5` file, whatever the layers are called.

    Keras numbers the groups of such a file by layer type, in the order of the layers:
    `layers/conv2d/vars/0`, `layers/conv2d_1/vars/0` and so on. So the n-th convolution of `layers`
    gets the n-th convolution of the file. Layers of other types, and groups of the file that no
    layer asks for (such as a classifier that is to be replaced), are left alone. Nothing is
    changed unless every array is there, of the right shape and finite.

    Args:
        path: File to read, as `keras.Model.save_weights` writes it.
        layers: Layers that have their weights already, in the order of the network.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is cut off, no weights file, or of another network.

    Example:

    >>> import keras
    >>> from keras_has.models.layer_type_weights import load_layer_type_weights
    >>> ones = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="other")])
    >>> ones.layers[0].set_weights([np.ones((2, 3)), np.ones(3)])
    >>> ones.save_weights("ones.weights.h5")
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="predictions")])
    >>> load_layer_type_weights("ones.weights.h5", model.layers)
    >>> float(np.min(model.layers[0].get_weights()[0]))
    1.0

    Reference:
        `keras.Model.save_weights`, Keras 3.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"The weights file {path} is missing: `weights` should be the path of a `.weights.h5` "
            "file."
        )
    try:
        check_hdf5(path)
        with h5py.File(path, "r") as file:
            if "layers" not in file:
                raise ValueError(
                    f"{path} should be a Keras 3 weights file with a group 'layers'. "
                    f"Found: groups {sorted(file)}"
                )
            found = [_arrays(path, file, *named) for named in _named_groups(layers)]
    except Exception as error:  # HDF5 raises errors of many kinds about damaged files.
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        raise ValueError(
            f"{path} ({path.stat().st_size} bytes) cannot be read as a weights file: it is cut off "
            f"or of another format ({cause_of(error)})."
        ) from error
    for (layer, _), arrays in zip(_named_groups(layers), found, strict=True):
        layer.set_weights(arrays)


def _named_groups(
    layers: Sequence[keras.layers.Layer],
) -> Iterator[tuple[keras.layers.Layer, str]]:
    counts = dict.fromkeys(GROUP_NAMES.values(), 0)
    for layer in layers:
        name = GROUP_NAMES.get(type(layer))
        if name is not None:
            yield layer, f"layers/{name}" + (f"_{counts[name]}" if counts[name] else "")
            counts[name] += 1


def _arrays(path: Path, file: h5py.File, layer: keras.layers.Layer, group: str) -> list[np.ndarray]:
    """The arrays of one layer, checked against the weights that the layer has now."""
    arrays = []
    for number, weight in enumerate(layer.weights):
        name = f"{group}/vars/{number}"
        if name not in file:
            raise ValueError(
                f"{path} should hold '{name}' of shape {tuple(weight.shape)} for the layer "
                f"'{layer.name}': it is of another network. Found: {len(file['layers'])} groups"
            )
        array = np.asarray(file[name])
        if array.shape != tuple(weight.shape):
            raise ValueError(
                f"{path} should hold '{name}' of shape {tuple(weight.shape)} for the layer "
                f"'{layer.name}': it is of another network. Found: shape {array.shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{path} should hold finite numbers. Found: NaN or inf in '{name}'")
        arrays.append(array)
    return arrays
