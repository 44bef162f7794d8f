"""Class activation maps of a network with a GAP head."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_has.cams.class_scores import ClassScores
from keras_has.cams.layer_graph import LayerCall, LayerGraph
from keras_has.cams.map_method import MapMethod, chosen_class
from keras_has.ops.cam import class_activation_maps


class CAM(MapMethod):
    """Class activation maps: the last features, weighted by the classifier's kernel.

    `CAM(c, I) = sum_i W(i, c) F_i(I)`, without bias or ReLU, in float32, at the resolution of the
    last features. One forward pass gives maps and probabilities.

    Args:
        model: A flat Functional model with the layers "cam_features" (the features before pooling)
            and "predictions" (the dense layer after it), as in `keras_has.models`. It may
            output probabilities or logits.

    Call arguments:
        images: (B, H, W, C), as the model expects them.
        class_index: (B,) integers, or `None` for the predicted class.

    Returns:
        Two float32 tensors: maps (B, h, w) and probabilities (B, K).

    Raises:
        ValueError: If a layer is missing, the model ends in anything but a softmax or logits, or
            Keras runs on another backend than TensorFlow.

    Example:

    >>> model = keras_has.models.SmallGAP(3, (64, 64, 3))
    >>> maps, probabilities = keras_has.cams.CAM(model)(np.zeros((2, 64, 64, 3)), [0, 2])
    >>> maps.shape, probabilities.shape
    (TensorShape([2, 16, 16]), TensorShape([2, 3]))

    Reference:
        Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, equation
        2; Singh and Lee, "Hide-and-Seek", ICCV 2017, section 3.1.
    """

    def __init__(self, model: keras.Model) -> None:
        graph = LayerGraph(model)
        features, predictions = _call(graph, "cam_features"), _call(graph, "predictions")
        if not isinstance(predictions.layer, keras.layers.Dense):
            raise ValueError(
                'The layer "predictions" should be a Dense layer. '
                f"Received: model '{model.name}' with {predictions.layer}"
            )
        self._predictions = predictions.layer
        self._scores = ClassScores(graph)
        super().__init__(graph.model(features.gives[0], self._scores.tensor))

    @property
    def kernel(self) -> Any:
        """The classifier's kernel, (D, K), which weights the D features."""
        return self._predictions.kernel

    def __call__(
        self, images: tf.Tensor, class_index: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns maps and probabilities; see the class."""
        features, logits = self._features_and_logits(images)
        probabilities = tf.nn.softmax(logits)
        class_index = chosen_class(probabilities, class_index)
        return class_activation_maps(features, self.kernel, class_index), probabilities

    def probabilities(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the class probabilities (B, K), float32, without maps."""
        return tf.nn.softmax(self._features_and_logits(images)[1])

    def _features_and_logits(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features, value = self.networks[0](images, training=False)
        return features, self._scores.logits(value)


def _call(graph: LayerGraph, name: str) -> LayerCall:
    call = graph.called(name)
    if call is not None and call.gives:
        return call
    raise ValueError(
        'Class activation maps need a flat Functional model with the layers "cam_features" (the '
        'features before pooling) and "predictions" (the dense layer after it), as those of '
        f"`keras_has.models`. Received: model '{graph.name}' without a layer '{name}'"
    )
