"""The interface of all map methods."""

from __future__ import annotations

import abc

import keras
import tensorflow as tf


class MapMethod(abc.ABC):
    """A method that shows where a network sees a class.

    A method is created once from one or several models and then called on batches; it creates no
    variables. It runs the models in inference mode: nothing is hidden or dropped, whatever layers
    the models contain. It works eagerly, in a `tf.function` and, called on a replica's share of a
    batch, in `strategy.run`.

    Subclasses implement `__call__`, and `probabilities` where that is cheaper than a map.

    Args:
        *networks: The models that the method calls. They are kept in the attribute `networks`, a
            tuple, so that they can be saved together with the method's graph.

    Call arguments:
        images: (B, H, W, C), as the models expect them.
        class_index: (B,) integers, the class of each map; or `None` for the class with the highest
            probability.

    Returns:
        Two float32 tensors: maps (B, h, w) and class probabilities (B, K).

    Raises:
        ValueError: If Keras runs on another backend than TensorFlow.

    Example:

    >>> class Brightness(keras_has.cams.MapMethod):
    ...     def __call__(self, images, class_index=None):
    ...         images = tf.cast(images, tf.float32)
    ...         return tf.reduce_max(images, axis=-1), tf.ones((len(images), 1))
    >>> maps, probabilities = Brightness()(np.ones((2, 4, 4, 3)))
    >>> maps.shape, probabilities.shape
    (TensorShape([2, 4, 4]), TensorShape([2, 1]))

    Reference:
        See the methods: `CAM`, `GradCAM`, `Backprop`, `TenCrop`, `Ensemble`.
    """

    def __init__(self, *networks: keras.Model) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                f"`{type(self).__name__}` runs on Keras' TensorFlow backend. "
                f"Received: backend={keras.backend.backend()}"
            )
        self.networks = networks

    @abc.abstractmethod
    def __call__(
        self, images: tf.Tensor, class_index: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns maps and probabilities; see the class."""

    def probabilities(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the class probabilities (B, K), float32, without maps.

        Args:
            images: As in the call.
        """
        return self(images)[1]


def chosen_class(probabilities: tf.Tensor, class_index: tf.Tensor | None) -> tf.Tensor:
    """Returns `class_index` as int32, or the class with the highest probability if it is `None`.

    Args:
        probabilities: (B, K).
        class_index: (B,) integers in `[0, K)`, or `None`.

    Raises:
        tf.errors.InvalidArgumentError: If an index is not in `[0, K)`. Negative indices do not
            count from the end.
    """
    if class_index is None:
        return tf.argmax(probabilities, axis=1, output_type=tf.int32)
    class_index = tf.cast(class_index, tf.int32)
    classes = tf.shape(probabilities)[1]
    is_class = tf.reduce_all((class_index >= 0) & (class_index < classes))
    message = "`class_index` should contain integers from 0 to the number of classes - 1. Received:"
    check = tf.debugging.Assert(is_class, [message, class_index, "for classes:", classes])
    # Eagerly, `Assert` raises at once and returns nothing.
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(class_index)
