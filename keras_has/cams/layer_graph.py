"""Which layer of a model reads and gives which tensor."""

from __future__ import annotations

import dataclasses

import keras


@dataclasses.dataclass(frozen=True, eq=False)
class LayerCall:
    """One layer of a model with what it reads and gives.

    Args:
        layer: The layer; a model inside the model counts as one.
        reads: The symbolic tensors it reads.
        gives: The symbolic tensors it gives; empty for a model inside the model, which does not
            say what it gives here. The layers behind it do, in `reads`.
    """

    layer: keras.layers.Layer
    reads: tuple[keras.KerasTensor, ...]
    gives: tuple[keras.KerasTensor, ...]


class LayerGraph:
    """The layers of a Functional or Sequential model with one image and one vector of scores.

    A Sequential model is called anew, layer by layer, on an input of its own: after `add`, its
    layers speak of tensors of models that are no more.

    Args:
        model: The model.

    Attributes:
        name: The model's name.
        image: The symbolic input.
        scores: The symbolic output, (B, K).
        calls: A tuple of `LayerCall`, in order, without input layers.

    Raises:
        ValueError: If the model is none of these.

    Example:

    >>> from keras_has.cams.layer_graph import LayerGraph
    >>> graph = LayerGraph(keras_has.models.SmallGAP(2, (32, 32, 3)))
    >>> [call.layer.name for call in graph.calls][-2:]
    ['pooling', 'predictions']

    Reference:
        None; it is what Keras' layers say of themselves.
    """

    def __init__(self, model: keras.Model) -> None:
        inputs = getattr(model, "inputs", None) or []
        outputs = getattr(model, "outputs", None) or []
        if len(inputs) != 1 or len(outputs) != 1 or len(outputs[0].shape) != 2:
            raise ValueError(
                "`model` should be a Functional or Sequential model with one input and one output "
                f"(batch, classes). Received: model '{getattr(model, 'name', model)}' with "
                f"inputs={inputs}, outputs={outputs}"
            )
        self.name: str = model.name
        self.image, self.scores = inputs[0], outputs[0]
        calls = []
        if isinstance(model, keras.Sequential):
            self.image = tensor = keras.Input(batch_shape=inputs[0].shape, dtype=inputs[0].dtype)
            for layer in model.layers:
                before, tensor = tensor, layer(tensor)
                gives = () if isinstance(layer, keras.Model) else (tensor,)
                calls.append(LayerCall(layer, (before,), gives))
            self.scores = tensor
        else:
            for layer in model.layers:
                if not isinstance(layer, keras.layers.InputLayer):
                    gives = () if isinstance(layer, keras.Model) else _flat(layer.output)
                    calls.append(LayerCall(layer, _flat(layer.input), gives))
        self.calls = tuple(calls)

    def model(self, *outputs: keras.KerasTensor) -> keras.Model:
        """Returns a model that shares all layers and gives the tensors asked for."""
        wanted = list(outputs) if len(outputs) > 1 else outputs[0]
        return keras.Model(self.image, wanted, name=f"{self.name}_opened")

    def called(self, name: str) -> LayerCall | None:
        """Returns the call of the layer of this name, or `None`."""
        return next((call for call in self.calls if call.layer.name == name), None)

    def that_gives(self, tensor: keras.KerasTensor) -> LayerCall | None:
        """Returns the call that gives this tensor, or `None` if no layer is known to."""
        return next(
            (call for call in self.calls if any(given is tensor for given in call.gives)), None
        )


def _flat(tensors: object) -> tuple[keras.KerasTensor, ...]:
    return tuple(keras.tree.flatten(tensors))
