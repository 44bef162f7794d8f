"""Random seeds that differ between the replicas of a distribution strategy."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_has")
class ReplicaSeedGenerator(keras.random.SeedGenerator):
    """A `keras.random.SeedGenerator` whose seeds differ between replicas.

    Under `tf.distribute.MirroredStrategy` every replica has a copy of the generator's state and
    advances it in the same way, so that with Keras' own generator all replicas draw the same
    numbers. This one folds the replica's number into the seed. With one replica it behaves like
    Keras' generator.

    Args:
        seed: Integer, or None for a random one.
        **kwargs: See `keras.random.SeedGenerator`.

    Example:

    >>> generator = ReplicaSeedGenerator(7)
    >>> noise = keras.random.uniform((2, 3), seed=generator)
    """

    def next(self, ordered: bool = True) -> Any:
        """Returns the next seed of this replica."""
        seed = super().next(ordered)
        if keras.backend.backend() != "tensorflow":
            return seed
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return seed
        return tf.random.experimental.stateless_fold_in(seed, context.replica_id_in_sync_group)
