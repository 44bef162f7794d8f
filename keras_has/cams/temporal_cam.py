"""Temporal class activation maps of a network for sequences with a pooling head."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_has.cams.map_method import MapMethod, chosen_class
from keras_has.ops.cam import class_activation_maps

Sequences = Any


class TemporalCAM(MapMethod):
    """Temporal class activation maps: the last features, weighted by the classifier's kernel.

    `CAM(t, c) = sum_i W(i, c) F_i(t)`, without bias or ReLU, in float32, at the time steps of the
    last features. One forward pass gives maps and probabilities.

    Args:
        model: A flat Functional model with the layers "cam_features" (the features before pooling)
            and "predictions" (the dense layer after it), such as `keras_has.models.TemporalGAP`,
            masked or not. It may output probabilities or logits; logits go through a softmax.

    Call arguments:
        sequences: (B, T, D) features; or a dict of `"features"` and, for a model that takes one,
            `"mask"` (B, T), False for padding. A missing mask means that nothing is padding.
        class_index: (B,) integers, or `None` for the predicted class.

    Returns:
        Two float32 tensors: maps (B, T) and probabilities (B, K).

    Raises:
        ValueError: If a layer is missing or "predictions" is no dense layer, or Keras runs on
            another backend than TensorFlow.

    Example:

    >>> method = keras_has.cams.TemporalCAM(keras_has.models.TemporalGAP(3, (None, 8), widths=(4,)))
    >>> maps, probabilities = method(np.ones((2, 10, 8)))
    >>> all_maps, _ = method.all_maps(np.ones((2, 10, 8)))
    >>> maps.shape, probabilities.shape, all_maps.shape
    (TensorShape([2, 10]), TensorShape([2, 3]), TensorShape([2, 10, 3]))

    Reference:
        Singh and Lee, "Hide-and-Seek", ICCV 2017, section 3.3.
    """

    def __init__(self, model: keras.Model) -> None:
        layers = {layer.name: layer for layer in getattr(model, "layers", ())}
        if not {"cam_features", "predictions"} <= set(layers):
            raise ValueError(
                "Temporal class activation maps need a flat Functional model with the layers "
                '"cam_features" and "predictions", such as `keras_has.models.TemporalGAP`. '
                f"Received: model '{getattr(model, 'name', model)}' with the layers {list(layers)}"
            )
        predictions = layers["predictions"]
        if not isinstance(predictions, keras.layers.Dense):
            raise ValueError(
                'The layer "predictions" should be a Dense layer. '
                f"Received: model '{model.name}' with {predictions}"
            )
        self._predictions = predictions
        self.takes_mask = isinstance(model.input, dict)
        inputs = model.input["features"] if self.takes_mask else model.input
        self.feature_size = int(inputs.shape[-1])
        scores = model.outputs[0]
        self._outputs_logits = (
            scores is predictions.output and predictions.activation is keras.activations.linear
        )
        super().__init__(keras.Model(model.input, [layers["cam_features"].output, scores]))

    @property
    def kernel(self) -> Any:
        """The classifier's kernel, (D, K), which weights the D features."""
        return self._predictions.kernel

    def __call__(
        self, sequences: Sequences, class_index: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns maps of one class and probabilities; see the class."""
        features, probabilities = self._features_and_probabilities(sequences)
        class_index = chosen_class(probabilities, class_index)
        return class_activation_maps(features, self.kernel, class_index), probabilities

    def all_maps(self, sequences: Sequences) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the maps of all classes, (B, T, K) float32, and the probabilities (B, K).

        Args:
            sequences: As in the call.
        """
        features, probabilities = self._features_and_probabilities(sequences)
        return class_activation_maps(features, self.kernel), probabilities

    def probabilities(self, images: Sequences) -> tf.Tensor:
        """Returns the class probabilities (B, K), float32, without maps."""
        return self._features_and_probabilities(images)[1]

    def _features_and_probabilities(self, sequences: Sequences) -> tuple[tf.Tensor, tf.Tensor]:
        if not isinstance(sequences, dict):
            sequences = {"features": sequences}
        inputs = tf.convert_to_tensor(sequences["features"])
        if self.takes_mask:
            mask = sequences.get("mask")
            if mask is None:
                mask = tf.ones(tf.shape(inputs)[:2], tf.bool)
            inputs = {"features": inputs, "mask": tf.convert_to_tensor(mask)}
        features, scores = self.networks[0](inputs, training=False)
        scores = tf.cast(scores, tf.float32)
        return features, tf.nn.softmax(scores) if self._outputs_logits else scores
