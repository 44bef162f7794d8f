"""Whole models in Keras' files."""

import os
from pathlib import Path

import keras

from keras_has.error_causes import cause_of
from keras_has.hdf5_check import check_hdf5


def load_keras_model(path: str | os.PathLike[str]) -> keras.Model:
    """Loads a model without its optimizer; code in the file is refused, as Keras does by default.

    Args:
        path: A .keras or HDF5 file that `keras.Model.save` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, contains code, or has layers that are not known.

    Example:

    >>> keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]).save("a.keras")
    >>> load_keras_model("a.keras").output_shape
    (None, 3)
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no Keras model at {os.fspath(path)}.")
    try:
        if Path(path).suffix.lower() in (".h5", ".hdf5"):
            check_hdf5(path)
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras, zipfile and HDF5 raise nearly everything.
        raise ValueError(
            f"{os.fspath(path)} cannot be loaded as a Keras model: {cause_of(error)}"
        ) from error
    if not isinstance(model, keras.Model):
        raise ValueError(f"{os.fspath(path)} should contain a model. Received: {type(model)}")
    return model
