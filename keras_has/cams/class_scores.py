"""The class scores of a classifier before the softmax."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_has.cams.layer_graph import LayerCall, LayerGraph


class ClassScores:
    """Finds the class scores before the softmax ("logits") of a model.

    In a model that ends in a dense layer with a softmax activation they are not a tensor of their
    own: they are recomputed in float32 from this layer's input. If the last layer is linear, the
    model's output is used.

    Args:
        graph: The layers of the model. The last one is a dense layer with a softmax or no
            activation, or a separate softmax layer.

    Attributes:
        tensor: The symbolic tensor inside the model whose value `logits` takes.

    Raises:
        ValueError: If the model ends in another way, or has a single output. A sigmoid is refused
            too, because its scores do not compete.

    Example:

    >>> from keras_has.cams.class_scores import ClassScores
    >>> from keras_has.cams.layer_graph import LayerGraph
    >>> model = keras_has.models.SmallGAP(2, (32, 32, 3))
    >>> scores = ClassScores(LayerGraph(model))
    >>> scores.tensor is model.get_layer("pooling").output
    True
    >>> scores.logits(np.zeros((1, 128))).numpy().tolist()  # The bias.
    [[0.0, 0.0]]

    Reference:
        None; it follows from the Keras layers' attributes.
    """

    def __init__(self, graph: LayerGraph) -> None:
        self._dense: keras.layers.Dense | None = None
        self.tensor = graph.scores
        call = _last_call(graph, self.tensor)
        while _is(call, keras.layers.Activation, "linear"):
            self.tensor = call.reads[0]  # It only changes the dtype, under mixed precision.
            call = _last_call(graph, self.tensor)
        if _is(call, keras.layers.Dense, "softmax"):
            self._dense = call.layer
            self.tensor = call.reads[0]
        elif _is(call, keras.layers.Activation, "softmax") or (
            isinstance(call.layer, keras.layers.Softmax) and call.layer.axis in (-1, 1)
        ):
            self.tensor = call.reads[0]
        elif not _is(call, keras.layers.Dense, "linear"):
            activation = getattr(call.layer, "activation", None)
            name = "" if activation is None else f" with activation {activation.__name__}"
            raise _refusal(graph, f"{type(call.layer).__name__} '{call.layer.name}'{name}")
        if graph.scores.shape[-1] == 1:
            raise ValueError(
                "`model` should have at least two outputs, one per class, because the softmax of a "
                f"single score is always 1. Received: model '{graph.name}' with one output"
            )

    def logits(self, value: tf.Tensor) -> tf.Tensor:
        """Returns the scores (B, K), float32.

        Args:
            value: The value of `tensor` for the images.
        """
        value = tf.cast(value, tf.float32)
        if self._dense is None:
            return value
        logits = keras.ops.matmul(value, keras.ops.cast(self._dense.kernel, "float32"))
        if self._dense.bias is not None:
            logits += keras.ops.cast(self._dense.bias, "float32")
        return logits


def _is(call: LayerCall, kind: type[keras.layers.Layer], activation: str) -> bool:
    return isinstance(call.layer, kind) and call.layer.activation is keras.activations.get(
        activation
    )


def _last_call(graph: LayerGraph, tensor: keras.KerasTensor) -> LayerCall:
    call = graph.that_gives(tensor)
    if call is None:
        raise _refusal(graph, "an operation, or a model inside the model")
    return call


def _refusal(graph: LayerGraph, last: str) -> ValueError:
    return ValueError(
        "`model` should end in a Dense layer with a softmax or without activation, or in a softmax "
        "layer, so that its class scores before the softmax are known. "
        f"Received: model '{graph.name}', which ends in {last}"
    )
