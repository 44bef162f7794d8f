"""CutMix as a deterministic transform of training batches."""

from typing import Any

import keras
import tensorflow as tf

from keras_has.data.sampling import step_seed

_PURPOSE = 4  # Of the seeds: 0 to 3 are those of the batches.


def cut_mix(
    batches: tf.data.Dataset, num_classes: int, seed: int = 0, first_step: int = 0
) -> tf.data.Dataset:
    """Mixes images and labels of every batch with Keras' CutMix: a function of seed and step.

    A rectangle of each image is replaced by that of another image of the batch, and its label by
    the mean of both labels, weighted by area. The area is drawn from Beta(1, 1). Keras' layer alone
    would number its draws in a variable, so that a resumed run would mix other images.

    Args:
        batches: Batches of uint8 images (B, H, W, C) and integer labels (B,).
        num_classes: Number of classes.
        seed: Integer.
        first_step: Number of the first batch.

    Returns:
        A dataset of `(images, labels)`: uint8 (B, H, W, C) and float32 (B, num_classes), each row
        of which adds up to 1.

    Example:

    >>> batches = tf.data.Dataset.from_tensor_slices((np.ones((8, 4, 4, 3), "uint8"), range(8)))
    >>> images, labels = next(iter(cut_mix(batches.batch(8), num_classes=8)))
    >>> labels.numpy().sum(axis=1).round(3).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]

    Reference:
        [Yun et al., 2019](https://arxiv.org/abs/1905.04899).
    """
    layer = keras.layers.CutMix(factor=(1.0, 1.0), dtype="float32")

    def mix(step: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = batch
        seeds = _SeedsOfStep(step_seed(seed, step, _PURPOSE))
        mixing = layer.get_random_transformation(images, training=True, seed=seeds)
        mixed = layer.transform_images(images, mixing, training=True)
        labels = tf.one_hot(labels, num_classes)
        return tf.cast(mixed, images.dtype), layer.transform_labels(labels, mixing, training=True)

    steps = tf.data.Dataset.counter(first_step)
    numbered = tf.data.Dataset.zip((steps, batches))
    return numbered.map(mix, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


class _SeedsOfStep(keras.random.SeedGenerator):
    """Numbers the draws of one step, while Keras' own generator numbers those of all steps."""

    def __init__(self, seed: tf.Tensor) -> None:
        self._seed = tf.random.stateless_uniform([2], seed, None, None, tf.uint32)
        self._draws = 0

    def next(self, ordered: bool = True) -> Any:
        """Returns the seed of the next draw, uint32 (2,)."""
        self._draws += 1
        return self._seed + tf.constant([0, self._draws], tf.uint32)
