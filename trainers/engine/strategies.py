"""Distribution strategies."""

import tensorflow as tf


def choose_strategy() -> tf.distribute.Strategy:
    """Returns a MirroredStrategy over all GPUs, or TensorFlow's default if there is none."""
    gpus = tf.config.list_logical_devices("GPU")
    if not gpus:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus])
