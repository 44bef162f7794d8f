"""Preprocessing layers between the input of a model and its network."""

from collections.abc import Sequence

import keras


def apply_preprocessing(
    inputs: keras.KerasTensor,
    preprocessing: keras.layers.Layer | Sequence[keras.layers.Layer] | None = None,
) -> keras.KerasTensor:
    """Passes the symbolic input of a model through its preprocessing layers.

    This is how normalization and hiding get into a training model. The paper's order puts hiding
    last: normalize, then hide.

    Args:
        inputs: The symbolic input of the model.
        preprocessing: `None`, a Keras layer, or a list of Keras layers that are applied in order.
            Defaults to `None`, which leaves the input as it is.

    Returns:
        The symbolic tensor that the network starts from.

    Raises:
        ValueError: If `preprocessing` holds anything but Keras layers.

    Example:

    >>> import keras
    >>> from keras_has.models.preprocessing import apply_preprocessing
    >>> inputs = keras.Input((224, 224, 3))
    >>> x = apply_preprocessing(
    ...     inputs, [keras.layers.CenterCrop(200, 200), keras.layers.Rescaling(1 / 255)]
    ... )
    >>> x.shape
    (None, 200, 200, 3)

    Reference:
        [Singh and Lee, 2017](https://arxiv.org/abs/1704.04232): hiding is the last step of the
        preprocessing.
    """
    if preprocessing is None:
        return inputs
    layers = preprocessing if isinstance(preprocessing, Sequence) else [preprocessing]
    for layer in layers:
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(
                "`preprocessing` should be None, a Keras layer or a list of Keras layers. "
                f"Received: preprocessing={preprocessing}"
            )
    x = inputs
    for layer in layers:
        x = layer(x)
    return x
