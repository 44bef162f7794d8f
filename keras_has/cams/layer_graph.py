"""The tensors that each layer of a model reads and outputs."""

from __future__ import annotations

import dataclasses

import keras


@dataclasses.dataclass(frozen=True, eq=False)
class LayerCall:
    """One layer of a model with its inputs and outputs.

    Args:
        layer: The layer; a nested model counts as one.
        reads: Its symbolic inputs.
        gives: Its symbolic outputs; empty for a nested model, whose outputs in the outer model are
            not available. They appear in `reads` of the layers after it.
    """

    layer: keras.layers.Layer
    reads: tuple[keras.KerasTensor, ...]
    gives: tuple[keras.KerasTensor, ...]


class LayerGraph:
    """The layers of a Functional or Sequential model with one image and one vector of scores.

    A Sequential model is called again, layer by layer, on a new input: after `add`, its layers
    refer to tensors of models that no longer exist.

    Args:
        model: The model.

    Attributes:
        name: The model's name.
        image: The symbolic input.
        scores: The symbolic output, (B, K).
        calls: A tuple of `LayerCall`, in order, without input layers.

    Raises:
        ValueError: If the model is of another kind.

    Example:

    >>> from keras_has.cams.layer_graph import LayerGraph
    >>> graph = LayerGraph(keras_has.models.SmallGAP(2, (32, 32, 3)))
    >>> [call.layer.name for call in graph.calls][-2:]
    ['pooling', 'predictions']

    Reference:
        None; it follows from the Keras layers' attributes.
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
        """Returns a model that shares all layers and outputs the given tensors."""
        wanted = list(outputs) if len(outputs) > 1 else outputs[0]
        return keras.Model(self.image, wanted, name=f"{self.name}_opened")

    def called(self, name: str) -> LayerCall | None:
        """Returns the call of the layer with this name, or `None`."""
        return next((call for call in self.calls if call.layer.name == name), None)

    def that_gives(self, tensor: keras.KerasTensor) -> LayerCall | None:
        """Returns the call that outputs this tensor, or `None` if there is none."""
        return next(
            (call for call in self.calls if any(given is tensor for given in call.gives)), None
        )


def _flat(tensors: object) -> tuple[keras.KerasTensor, ...]:
    return tuple(keras.tree.flatten(tensors))
