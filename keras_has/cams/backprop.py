"""Gradient saliency, the row "Backprop" of the paper's table 2."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_has.cams.class_scores import ClassScores
from keras_has.cams.gradients import GRADIENT_SCALE, as_differentiable, gradient_of
from keras_has.cams.layer_graph import LayerGraph
from keras_has.cams.map_method import MapMethod, chosen_class


class Backprop(MapMethod):
    """Gradient saliency: how much each pixel of the input moves the score of a class.

    `M(y, x) = max over channels of |dS_c / dI(y, x, channel)|`, where `S_c` is the class's score
    before the softmax. The map has the size of the image and exists for any classifier.

    Saliency consists of single bright pixels, whose largest connected component is tiny. Therefore
    the map is smoothed with a Gaussian, by default with 3 % of the image's shorter side; this is
    this project's choice. Simonyan et al. derive boxes from the raw map with color models and
    GraphCut, which is not reproduced here: results with this map are not comparable to theirs.

    Args:
        model: A Functional or Sequential classifier with one floating-point input, which outputs
            probabilities or logits. Gradients pass through preprocessing inside it.
        smoothing: Standard deviation of the Gaussian as a fraction of the image's shorter side, in
            [0, 1). Defaults to `0.03`. `0` disables smoothing.

    Call arguments:
        images: (B, H, W, C), as the model expects them; uint8 is cast to float.
        class_index: (B,) integers, or `None` for the predicted class.

    Returns:
        Two float32 tensors: maps (B, H, W), not negative, and probabilities (B, K).

    Raises:
        ValueError: If `smoothing` is out of range, the model ends in anything but a softmax or
            logits or takes integer inputs, or Keras runs on another backend than TensorFlow.

    Example:

    >>> model = keras_has.models.SmallGAP(3, (64, 64, 3))
    >>> maps, probabilities = keras_has.cams.Backprop(model)(np.ones((2, 64, 64, 3)))
    >>> maps.shape, probabilities.shape
    (TensorShape([2, 64, 64]), TensorShape([2, 3]))

    Reference:
        Simonyan et al., "Deep Inside Convolutional Networks", 2013, section 3; Singh and Lee,
        "Hide-and-Seek", ICCV 2017, table 2.
    """

    def __init__(self, model: keras.Model, smoothing: float = 0.03) -> None:
        if not 0 <= smoothing < 1:
            raise ValueError(f"`smoothing` should be in [0, 1). Received: smoothing={smoothing}")
        self.smoothing = float(smoothing)
        graph = LayerGraph(model)
        self._scores = ClassScores(graph)
        super().__init__(graph.model(self._scores.tensor))

    def __call__(
        self, images: tf.Tensor, class_index: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns maps and probabilities; see the class."""
        images = as_differentiable(images, self.networks[0])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            logits = self._scores.logits(self.networks[0](images, training=False))
            probabilities = tf.nn.softmax(logits)
            class_index = chosen_class(probabilities, class_index)
            scores = tf.gather(logits, class_index, axis=1, batch_dims=1) * GRADIENT_SCALE
        gradients = gradient_of(tape, scores, images, self.networks[0])
        maps = tf.reduce_max(tf.abs(gradients), axis=-1)
        return _smoothed(maps, self.smoothing), probabilities

    def probabilities(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the class probabilities (B, K), float32, without maps."""
        return tf.nn.softmax(self._scores.logits(self.networks[0](images, training=False)))


def _smoothed(maps: tf.Tensor, share: float) -> tf.Tensor:
    """Smooths with a Gaussian that is renormalized at the borders."""
    if share == 0:
        return maps
    height, width = tf.unstack(tf.cast(tf.shape(maps)[1:], tf.float32))
    deviation = share * tf.minimum(height, width)

    def weights(size: tf.Tensor) -> tf.Tensor:
        positions = tf.range(size)
        exponents = -tf.square((positions[:, None] - positions) / deviation) / 2
        return tf.nn.softmax(exponents)  # Each row: the weights of all pixels for one.

    return tf.einsum("yv,bvu,xu->byx", weights(height), maps, weights(width))
