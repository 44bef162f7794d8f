"""Layers that erase a rectangle of some training images."""

from collections.abc import Mapping
from typing import Any

import keras

# Keras' layer draws each probability and area from a range: here, a probability from one value.
_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "random_erasing": {"factor": (0.5, 0.5), "scale": (0.02, 0.4)},
    "cutout": {"factor": (1.0, 1.0), "scale": (0.25, 0.25)},
}


def erasing_layers(augmentation: str, seed: int) -> list[keras.Layer]:
    """Returns the layer of an augmentation that erases, for scaled images; none for others.

    Args:
        augmentation: The recipe's `augmentation`.
        seed: The recipe's seed.
    """
    if augmentation not in _ARGUMENTS:
        return []
    # Not in half precision, in which Keras' layer places rectangles inaccurately.
    return [
        keras.layers.RandomErasing(
            **_ARGUMENTS[augmentation],
            fill_value=0.0,  # the mean after normalization
            value_range=(-1.0, 1.0),
            seed=seed,
            dtype="float32",
        )
    ]
