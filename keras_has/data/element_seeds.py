"""Seeds and noise for the hiding transforms of a `tf.data` pipeline."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_has.ops import hiding
from keras_has.ops.seeded_noise import seeded_uniform


def map_with_seeds(
    dataset: tf.data.Dataset,
    function: Callable[[Any, tf.Tensor], Any],
    seed: int,
    num_parallel_calls: int = tf.data.AUTOTUNE,
) -> tf.data.Dataset:
    """Maps a function of an element and a seed over a dataset.

    Each element's seed depends on `seed` (and on the global seed of TensorFlow, if one is set), on
    the number of the element and on the epoch, but not on the parallelism or on a restart.

    Args:
        dataset: Any dataset.
        function: Called with an element and an int64 tensor of shape (2,).
        seed: Integer.
        num_parallel_calls: See `tf.data.Dataset.map`.

    Returns:
        The dataset of the results, in order.

    Example:

    >>> drawn = map_with_seeds(
    ...     tf.data.Dataset.range(3), lambda _, s: tf.random.stateless_uniform((), s), seed=1
    ... )
    >>> len(set(drawn.as_numpy_iterator()) | set(drawn.as_numpy_iterator()))
    6
    """
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)
    return tf.data.Dataset.zip((dataset, seeds)).map(
        function, num_parallel_calls=num_parallel_calls, deterministic=True
    )


def seed_of(element: dict[str, tf.Tensor], element_seed: tf.Tensor) -> tf.Tensor:
    """Returns an element's own `"hiding_seed"` as (B, 2), or `element_seed` if it has none.

    Args:
        element: A dict that may hold `"hiding_seed"`, (2,) or (B, 2).
        element_seed: The seed for elements without one, (2,).

    Example:

    >>> seed_of({"hiding_seed": tf.constant([1, 2])}, tf.constant([5, 6])).numpy()
    array([[1, 2]], dtype=int32)
    """
    seeds = element.get("hiding_seed")
    if seeds is None:
        return element_seed
    return seeds if len(seeds.shape) == 2 else seeds[None]


def dense_tensor(inputs: Any) -> tf.Tensor:
    """Returns arrays, lists of numbers and tensors as one dense tensor.

    Raises:
        ValueError: If `inputs` is ragged, sparse or no array.

    Example:

    >>> dense_tensor([[1.0, 2.0]]).shape
    TensorShape([1, 2])
    """
    if not isinstance(inputs, list | tuple):
        hiding.check_is_dense_tensor(inputs)
    return tf.convert_to_tensor(inputs)


def noise_of(seed: Any) -> Callable[[tuple], tf.Tensor]:
    """Returns the function from a shape to noise in [0, 1) that a seed defines.

    Args:
        seed: (2,) for one draw for the whole batch, or (B, 2) for one draw per example.

    Example:

    >>> noise_of((1, 2))((3, 4)).shape, noise_of([[1, 2], [3, 4]])((2, 5)).shape
    (TensorShape([3, 4]), TensorShape([2, 5]))
    """
    seeds = tf.convert_to_tensor(seed)
    if len(seeds.shape) == 2:
        return lambda shape: seeded_uniform(seeds, shape[1], hiding.tensorflow_namespace())
    return lambda shape: tf.random.stateless_uniform(shape, seed=seed)


def check_probability(hide_probability: Any) -> None:
    """Raises a ValueError if a probability is invalid; variables and tensors are not checked."""
    if not _is_of_tensorflow(hide_probability):
        hiding.check_hide_probability(hide_probability)


def checked_probabilities(hide_probability: Any) -> Any:
    """Returns a probability or several; variables and tensors are not checked.

    Raises:
        ValueError: If one is invalid.

    Example:

    >>> checked_probabilities([0.5, 1])
    (0.5, 1.0)
    """
    if _is_of_tensorflow(hide_probability):
        return hide_probability
    return hiding.check_hide_probabilities(hide_probability)


def _is_of_tensorflow(value: Any) -> bool:
    return isinstance(value, tf.Variable) or tf.is_tensor(value)
