"""Gradients of class scores, also in half precision."""

from __future__ import annotations

import keras
import tensorflow as tf

# Half precision would lose small gradients: scores are multiplied by a power of two and gradients
# divided by it, both exactly, as in loss scaling.
GRADIENT_SCALE = 256.0


def gradient_of(
    tape: tf.GradientTape, scores: tf.Tensor, source: tf.Tensor, model: keras.Model
) -> tf.Tensor:
    """Returns the float32 gradient of scaled scores, with the scale removed.

    Args:
        tape: The tape that has recorded `scores`.
        scores: Class scores times `GRADIENT_SCALE`, (B,).
        source: The tensor to differentiate with respect to.
        model: The model, for the error message.

    Raises:
        ValueError: If the scores are not differentiable with respect to the source.
    """
    gradient = tape.gradient(scores, source)
    if gradient is None:
        raise ValueError(
            "`model` should be differentiable from the image to the class scores; a layer that "
            f"rounds or casts to integers is not. Received: model '{model.name}'"
        )
    return tf.cast(gradient, tf.float32) / GRADIENT_SCALE


def as_differentiable(images: tf.Tensor, model: keras.Model) -> tf.Tensor:
    """Returns the images in the floating-point dtype of the model's input.

    Args:
        images: (B, H, W, C) of any type.
        model: A model with one input.

    Raises:
        ValueError: If the model takes integer inputs, which have no gradients.

    Example:

    >>> from keras_has.cams.gradients import as_differentiable
    >>> model = keras_has.models.SmallGAP(3, (64, 64, 3))
    >>> as_differentiable(np.zeros((1, 64, 64, 3), "uint8"), model).dtype.name
    'float32'
    """
    dtype = tf.as_dtype(model.inputs[0].dtype)
    if not dtype.is_floating:
        raise ValueError(
            "`model` should take floating-point images: create its Input without `dtype`. "
            f"Received: model '{model.name}' with an input of dtype={dtype.name}"
        )
    return tf.cast(images, dtype)
