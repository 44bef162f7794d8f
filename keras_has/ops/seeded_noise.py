"""Uniform noise that is a function of one seed per example."""

from typing import Any

import keras
import numpy as np
from keras import ops

Tensor = Any

# Multipliers and shifts of the "lowbias32" integer hash; the golden ratio spreads the positions.
_MULTIPLIERS = (0x7FEB352D, 0x846CA68B)
_SHIFTS = (16, 15, 16)
_GOLDEN_RATIO = 0x9E3779B9
_SECOND_KEY = 0x85EBCA6B


def seeded_uniform(seeds: Tensor, count: Any, xp: Any = keras.ops) -> Tensor:
    """Returns uniform noise in which each row depends on that row's seed alone.

    A counter-based generator: the seed pair is hashed to two 32-bit keys, and the number of each
    position is hashed with both. Only integer additions, multiplications, shifts and exclusive-ors
    occur, so that the noise is the same, bit for bit, eagerly, in a graph, under XLA, on any device
    and on every Keras backend, and does not depend on how examples are batched. The seeds may be
    as simple as consecutive integers.

    Args:
        seeds: (B, 2) integers; of 64-bit integers the lower 32 bits count.
        count: Values per example, an int or a scalar tensor.
        xp: The namespace of functions to use, see `keras_has.ops.hiding.tensor_namespace`.

    Returns:
        (B, count) float32 in [0, 1), multiples of 2^-24.

    Raises:
        ValueError: If `seeds` is not of shape (B, 2).

    Example:

    >>> noise = np.asarray(seeded_uniform(np.array([[1, 2], [1, 3]], "int32"), 4))
    >>> alone = np.asarray(seeded_uniform(np.array([[1, 3]], "int32"), 4))
    >>> noise.shape, bool((noise[1] == alone[0]).all())
    ((2, 4), True)

    Reference:
        Wellons, "Prospecting for hash functions" (lowbias32); Salmon et al., "Parallel random
        numbers: as easy as 1, 2, 3", SC 2011, for counter-based generators.
    """
    if len(seeds.shape) != 2 or seeds.shape[1] not in (2, None):
        raise ValueError(
            "`hiding_seed` should hold two integers per example, in shape (B, 2), or (2,) for one "
            f"example. Received: hiding_seed of shape {tuple(seeds.shape)}"
        )
    seeds = _words(seeds, xp)
    first, second = seeds[:, :1], seeds[:, 1:]
    key = _hashed(_xor(_hashed(first, xp), second, xp), xp)
    other_key = _hashed(_hashed(_xor(second, _constant(_SECOND_KEY, xp), xp), xp) + first, xp)
    position = _words(xp.arange(count, dtype="int32"), xp) * _constant(_GOLDEN_RATIO, xp)
    words = _hashed(_xor(_hashed(key + position, xp), other_key, xp), xp)
    # float32 holds 24 bits exactly.
    return xp.cast(_shifted(words, 8, xp), "float32") * 2.0**-24


def _is_torch(xp: Any) -> bool:
    # In tf.data, TensorFlow's functions are used whatever the backend of Keras is.
    return keras.backend.backend() == "torch" and not hasattr(xp, "bitwise")


def _words(integers: Tensor, xp: Any) -> Tensor:
    # PyTorch has few operations on unsigned integers. Signed ones wrap around alike.
    return xp.cast(integers, "int32" if _is_torch(xp) else "uint32")


def _constant(value: int, xp: Any) -> Any:
    constant = np.array(value, "uint32")
    # PyTorch tensors and NumPy arrays do not multiply without a warning.
    return int(constant.astype("int32")) if _is_torch(xp) else constant


def _hashed(words: Tensor, xp: Any) -> Tensor:
    for shift, multiplier in zip(_SHIFTS, (*_MULTIPLIERS, None), strict=True):
        words = _xor(words, _shifted(words, shift, xp), xp)
        if multiplier is not None:
            words = words * _constant(multiplier, xp)
    return words


def _shifted(words: Tensor, bits: int, xp: Any) -> Tensor:
    """Shifts to the right and fills with zeros, for signed integers as well."""
    if hasattr(xp, "bitwise"):
        return xp.bitwise.right_shift(words, _constant(bits, xp))
    shifted = ops.right_shift(words, bits)
    if not _is_torch(xp):
        return shifted
    return ops.bitwise_and(shifted, np.int32((1 << (32 - bits)) - 1))


def _xor(a: Tensor, b: Tensor, xp: Any) -> Tensor:
    return xp.bitwise.bitwise_xor(a, b) if hasattr(xp, "bitwise") else ops.bitwise_xor(a, b)
