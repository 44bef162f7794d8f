"""The hiding layers of a model, for callbacks that change them during training."""

from collections.abc import Iterable, Iterator

import keras

from keras_has.layers.hiding_layer import HidingLayer


def hiding_layers(
    model: keras.Model, chosen: HidingLayer | Iterable[HidingLayer] | None = None
) -> list[HidingLayer]:
    """Returns the hiding layers of a model, or those that were chosen.

    Args:
        model: The model; layers of models inside it count, too.
        chosen: One layer, several, or `None` for all of the model.

    Raises:
        ValueError: If there is none.

    Example:

    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras_has.layers.HideAndSeek(2)])
    >>> len(hiding_layers(model))
    1
    """
    if isinstance(chosen, HidingLayer):
        return [chosen]
    found = list(dict.fromkeys(_layers_of(model)) if chosen is None else chosen)
    if not found or not all(isinstance(layer, HidingLayer) for layer in found):
        raise ValueError(
            "`layers` should be `HideAndSeek` or `TemporalHideAndSeek` layers, or None for all "
            f"that the model contains. Received: layers={chosen}; model '{model.name}' contains "
            f"{[layer.name for layer in _layers_of(model)] or 'none'}"
        )
    return found


def _layers_of(model: keras.Model) -> Iterator[HidingLayer]:
    for layer in model.layers:
        if isinstance(layer, HidingLayer):
            yield layer
        elif isinstance(layer, keras.Model):
            yield from _layers_of(layer)
