"""Gradient-weighted class activation maps, for networks without a GAP head."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_has.cams.class_scores import ClassScores
from keras_has.cams.gradients import GRADIENT_SCALE, as_differentiable, gradient_of
from keras_has.cams.layer_graph import LayerGraph
from keras_has.cams.map_method import MapMethod, chosen_class


class GradCAM(MapMethod):
    """Grad-CAM: the features of a layer, weighted by the gradient of a class score.

    `M = ReLU(sum_k a_k A_k)` with `a_k = mean over positions of dS_c / dA_k`, where `A` are the
    layer's features and `S_c` is the class's score before the softmax. On a model with global
    average pooling after this layer it equals `CAM`, clipped at 0 and divided by the number of
    positions.

    Args:
        model: A Functional or Sequential classifier with one floating-point input, which outputs
            probabilities or logits.
        layer: Name of the layer whose features `(batch, height, width, channels)` are weighted.
            Defaults to `None`: the last one with a map of more than one position.

    Call arguments:
        images: (B, H, W, C), as the model expects them.
        class_index: (B,) integers, or `None` for the predicted class.

    Returns:
        Two float32 tensors: maps (B, h, w), not negative, and probabilities (B, K).

    Raises:
        ValueError: If there is no such layer, the model ends in anything but a softmax or logits
            or takes integers, or Keras runs on another backend than TensorFlow.

    Example:

    >>> model = keras_has.models.SmallGAP(3, (64, 64, 3))
    >>> maps, probabilities = keras_has.cams.GradCAM(model)(np.ones((2, 64, 64, 3)))
    >>> maps.shape, probabilities.shape
    (TensorShape([2, 16, 16]), TensorShape([2, 3]))

    Reference:
        Selvaraju et al., "Grad-CAM", ICCV 2017, equations 1 and 2.
    """

    def __init__(self, model: keras.Model, layer: str | None = None) -> None:
        graph = LayerGraph(model)
        self._scores = ClassScores(graph)
        features = _last_map(graph) if layer is None else _map_of(graph, layer)
        super().__init__(graph.model(features, self._scores.tensor))

    def __call__(
        self, images: tf.Tensor, class_index: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns maps and probabilities; see the class."""
        images = as_differentiable(images, self.networks[0])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            # Watched, so that all layers are recorded, trainable or not.
            tape.watch(images)
            features, value = self.networks[0](images, training=False)
            logits = self._scores.logits(value)
            probabilities = tf.nn.softmax(logits)
            class_index = chosen_class(probabilities, class_index)
            scores = tf.gather(logits, class_index, axis=1, batch_dims=1) * GRADIENT_SCALE
        weights = tf.reduce_mean(gradient_of(tape, scores, features, self.networks[0]), axis=(1, 2))
        maps = tf.einsum("bhwk,bk->bhw", tf.cast(features, tf.float32), weights)
        return tf.nn.relu(maps), probabilities

    def probabilities(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the class probabilities (B, K), float32, without maps."""
        return tf.nn.softmax(self._scores.logits(self.networks[0](images, training=False)[1]))


def _is_map(tensor: keras.KerasTensor) -> bool:
    return len(tensor.shape) == 4 and tuple(tensor.shape[1:3]) != (1, 1)


def _last_map(graph: LayerGraph) -> keras.KerasTensor:
    """The last map that a layer reads; this also finds the output of a nested model."""
    maps = [
        tensor
        for call in graph.calls
        if not isinstance(call.layer, keras.Model)
        for tensor in call.reads
        if _is_map(tensor) and tensor is not graph.image
    ]
    if not maps:
        raise ValueError(
            "`model` should have a layer with an output (batch, height, width, channels). Received:"
            f" model '{graph.name}' with the layers {[call.layer.name for call in graph.calls]}"
        )
    return maps[-1]


def _map_of(graph: LayerGraph, name: str) -> keras.KerasTensor:
    maps = {
        call.layer.name: call.gives[0]
        for call in graph.calls
        if call.gives and _is_map(call.gives[0])
    }
    if name not in maps:
        raise ValueError(
            "`layer` should be the name of a layer with an output (batch, height, width, channels),"
            f" such as one of {list(maps)[-8:]}, the last of them in the model '{graph.name}'. "
            f"Received: layer={name}"
        )
    return maps[name]
