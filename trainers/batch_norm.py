"""Statistics of batch normalization, estimated anew on images of which nothing is hidden."""

import keras
import numpy as np
import tensorflow as tf

from keras_has.layers import HideAndSeek
from trainers.input_dropout import InputDropout


def refresh_batch_norm(model: keras.Model, batches: tf.data.Dataset) -> None:
    """Replaces moving means and variances by their means over some batches, nothing hidden.

    A network that was trained on hidden images has statistics of hidden images; it is tested on
    whole ones. The statistics are all taken with the network as it is in training, each batch
    normalized by itself, and no weight changes.

    Args:
        model: The network; it is changed.
        batches: Batches of (images, labels); all of them are used.

    Raises:
        ValueError: If the network drops values, which are not to be counted, or without batches.
    """
    check_refreshable(model)
    inside = _all_layers(model)
    hiding = [layer for layer in inside if isinstance(layer, HideAndSeek)]
    norms = [layer for layer in inside if isinstance(layer, keras.layers.BatchNormalization)]
    probabilities = [float(layer.hide_probability) for layer in hiding]
    momentums = [layer.momentum for layer in norms]

    @tf.function
    def forward(images: tf.Tensor) -> None:
        model(images, training=True)

    sums: list[np.ndarray] = []
    count = 0
    try:
        for layer in hiding:
            layer.hide_probability = 0.0
        for layer in norms:
            layer.momentum = 0.0  # the moving statistics are then those of the last batch
        for images, _ in batches:
            forward(images)
            of_batch = [
                np.asarray(variable.value, "float64")
                for layer in norms
                for variable in (layer.moving_mean, layer.moving_variance)
            ]
            sums = [a + b for a, b in zip(sums, of_batch, strict=True)] if sums else of_batch
            count += 1
        if count == 0:
            raise ValueError("`batches` should hold at least one batch. Received: none.")
        variables = [v for layer in norms for v in (layer.moving_mean, layer.moving_variance)]
        for variable, total in zip(variables, sums, strict=True):
            variable.assign((total / count).astype("float32"))
    finally:
        for layer, probability in zip(hiding, probabilities, strict=True):
            layer.hide_probability = probability
        for layer, momentum in zip(norms, momentums, strict=True):
            layer.momentum = momentum


def check_refreshable(model: keras.Model) -> None:
    """Raises a ValueError for a network that drops values, which would be counted in."""
    dropping = [
        layer.name
        for layer in _all_layers(model)
        if isinstance(layer, keras.layers.Dropout | InputDropout)
    ]
    if dropping:
        raise ValueError(
            "Batch normalization cannot be refreshed in a network with dropout, which would be "
            f"counted in. Received: {model.name} with {', '.join(dropping)}"
        )


def _all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers of a model, and those of the models inside it."""
    found: list[keras.layers.Layer] = []
    for layer in model.layers:
        found += _all_layers(layer) if isinstance(layer, keras.Model) else [layer]
    return found
