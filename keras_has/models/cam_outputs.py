"""What localization needs of a model: its last features and its classifier's kernel."""

from typing import Any

import keras


def cam_model(model: keras.Model) -> keras.Model:
    """Returns a model that shares all layers and gives the last features and the probabilities.

    Args:
        model: A flat Functional model with the layers "cam_features" and "predictions", as those
            of `keras_has.models`.

    Returns:
        A model with the outputs `[features, probabilities]`: (B, h, w, D) and (B, K).

    Raises:
        ValueError: If a layer is missing.
    """
    outputs = [_layer(model, "cam_features").output, _layer(model, "predictions").output]
    return keras.Model(model.input, outputs, name=f"{model.name}_with_features")


def cam_kernel(model: keras.Model) -> Any:
    """Returns the variable of the classifier's kernel, (D, K), of a model as in `cam_model`."""
    return _layer(model, "predictions").kernel


def _layer(model: keras.Model, name: str) -> keras.Layer:
    for layer in model.layers:
        if layer.name == name:
            return layer
    raise ValueError(
        'Class activation maps need a flat Functional model with the layers "cam_features" (the '
        'features before pooling) and "predictions" (the dense layer after it), as those of '
        f"`keras_has.models`. Received: model '{model.name}' without a layer '{name}'"
    )
