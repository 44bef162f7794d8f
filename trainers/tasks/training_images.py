"""Training images as the network sees them: cropped, flipped, with parts hidden or erased."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_has import drawing
from keras_has.evaluation import Panel
from keras_has.models.preprocessing import apply_preprocessing

_COLUMNS = 4
_SIDE = 96  # of a picture in the panel, in pixels


@dataclasses.dataclass(frozen=True)
class TrainingImages:
    """Images of the first training batch.

    Args:
        cropped: (N, H, W, 3) uint8, after cropping, flipping and mixing.
        seen: (N, H, W, 3) uint8, the same as the network sees them.
        classes: The class of each image in words; several with their shares, one per
            line, if images are mixed.
    """

    cropped: np.ndarray
    seen: np.ndarray
    classes: Sequence[str]

    @property
    def are_changed(self) -> bool:
        """Whether anything is hidden or erased in any of the images."""
        return bool((np.abs(self.cropped.astype("int16") - self.seen) > 1).any())  # 1: rounding

    def draw(self) -> drawing.Picture:
        """Returns a sheet of the images, before and after hiding if anything is hidden."""
        views = "cropped, and as" if self.are_changed else "as"
        panel = Panel(f"training images, {views} the network sees them", _COLUMNS)
        for cropped, seen, name in zip(self.cropped, self.seen, self.classes, strict=True):
            pair = [cropped, seen] if self.are_changed else [seen]
            tiles = [drawing.localization_tile(image, side=_SIDE) for image in pair]
            panel.add(np.concatenate(tiles, axis=1), name)
        return panel.draw()


def training_images(
    batches: tf.data.Dataset,
    layers: Sequence[keras.Layer],
    class_names: Sequence[str],
    count: int,
) -> TrainingImages:
    """Returns the first images of the first batch, as a network with these layers sees them.

    Args:
        batches: Batches of images, in pixels from 0 to 255, and their labels.
        layers: New layers in front of the network: the scaling of pixels, and what follows it. As
            their random states are new, they hide what the network sees hidden in its first step.
        class_names: Names of the classes.
        count: Largest number of images.
    """
    images, labels, *_ = next(iter(batches))
    inputs = keras.Input(images.shape[1:])
    model = keras.Model(inputs, apply_preprocessing(inputs, layers))
    scaled = np.asarray(model(images, training=True), "float32")[:count]
    return TrainingImages(
        _to_uint8(np.asarray(images[:count])),
        _to_pixels(scaled, layers[0]),
        _describe_all(labels, class_names)[:count] or [""] * len(scaled),
    )


def _to_pixels(scaled: np.ndarray, scaling: keras.Layer) -> np.ndarray:
    """Inverts the scaling of pixels, which is linear up to an offset, and may swap channels."""
    colours = np.concatenate([np.zeros((1, 3)), np.eye(3)]).reshape(4, 1, 1, 3).astype("float32")
    offset, *rows = np.asarray(scaling(255 * colours), "float64")[:, 0, 0]
    pixels = (scaled - offset) @ np.linalg.inv((np.array(rows) - offset) / 255)
    return _to_uint8(pixels)


def _to_uint8(pixels: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(pixels), 0, 255).astype("uint8")


def _describe_all(labels: Any, class_names: Sequence[str]) -> list[str]:
    """Returns the classes in words; nothing for labels that are not classes, such as masks."""
    if not tf.is_tensor(labels) or labels.shape.rank > 2:
        return []
    return [_describe(label, class_names) for label in labels.numpy()]


def _describe(label: np.ndarray, class_names: Sequence[str]) -> str:
    """Returns a class, or the shares of several if images are mixed."""
    if label.ndim == 0:
        return class_names[int(label)]
    shares = [(share, name) for share, name in zip(label, class_names, strict=True) if share > 0]
    largest = sorted(shares, key=lambda pair: -pair[0])
    return ",\n".join(name if share == 1 else f"{name} {share:.0%}" for share, name in largest)
