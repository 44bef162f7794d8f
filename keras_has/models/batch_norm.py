"""Batch normalization statistics, re-estimated on unhidden images."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_has.layers import HideAndSeek, InputDropout


def refresh_batch_norm(model: keras.Model, batches: Iterable[tuple[Any, Any]]) -> None:
    """Replaces moving means and variances by their averages over some batches without hiding.

    A network trained on images with hidden patches has the statistics of such images, but is tested
    on whole ones. All statistics are measured with the network in training mode, each batch
    normalized by itself; no weight changes.

    Args:
        model: The network, which is changed in place.
        batches: Batches of (images, labels), such as a `tf.data.Dataset`; all of them are used.

    Raises:
        ValueError: If the network has dropout, or if there is no batch.

    Example:

    >>> import keras, numpy as np, tensorflow as tf
    >>> model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.BatchNormalization()])
    >>> images = np.full((2, 8, 4, 4, 3), 5.0, "float32")
    >>> refresh_batch_norm(model, tf.data.Dataset.from_tensor_slices((images, np.zeros((2, 8)))))
    >>> model.layers[0].moving_mean.numpy().round(3).tolist()
    [5.0, 5.0, 5.0]
    """
    import tensorflow as tf  # only here: the other models need Keras alone

    check_refreshable(model)
    layers = _all_layers(model)
    hiding = [layer for layer in layers if isinstance(layer, HideAndSeek)]
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    probabilities = [layer.hide_probability for layer in hiding]
    momentums = [layer.momentum for layer in norms]

    @tf.function
    def forward(images: tf.Tensor) -> None:
        model(images, training=True)

    sums: list[np.ndarray] = []
    count = 0
    variables = [v for layer in norms for v in (layer.moving_mean, layer.moving_variance)]
    try:
        for layer in hiding:
            layer.hide_probability = 0.0
        for layer in norms:
            layer.momentum = 0.0  # the moving statistics are then those of the last batch
        for images, _ in batches:
            forward(images)
            statistics = [np.asarray(variable.value, "float64") for variable in variables]
            sums = [a + b for a, b in zip(sums, statistics, strict=True)] if sums else statistics
            count += 1
        if count == 0:
            raise ValueError("`batches` should have at least one batch. Received: none.")
        for variable, total in zip(variables, sums, strict=True):
            variable.assign((total / count).astype("float32"))
    finally:
        for layer, probability in zip(hiding, probabilities, strict=True):
            layer.hide_probability = probability
        for layer, momentum in zip(norms, momentums, strict=True):
            layer.momentum = momentum


def check_refreshable(model: keras.Model) -> None:
    """Checks that a network can be passed to `refresh_batch_norm`.

    Args:
        model: The network.

    Raises:
        ValueError: If the network has dropout, which would distort the statistics.
    """
    dropping = [
        layer.name
        for layer in _all_layers(model)
        if isinstance(layer, keras.layers.Dropout | InputDropout)
    ]
    if dropping:
        raise ValueError(
            "`model` should have no dropout, which would distort the statistics of batch "
            f"normalization. Received: {model.name} with {', '.join(dropping)}"
        )


def _all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers of a model, and those of the models inside it."""
    found: list[keras.layers.Layer] = []
    for layer in model.layers:
        found += _all_layers(layer) if isinstance(layer, keras.Model) else [layer]
    return found
