"""Columns of a dataset: one value for each example, of one size or of any number of rows."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf


class Column(abc.ABC):
    """One named value for each of N examples, which knows how to select rows."""

    @property
    @abc.abstractmethod
    def values(self) -> Any:
        """All values: an array, or a tuple of arrays where their lengths differ."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """Returns the number of examples."""

    @abc.abstractmethod
    def select(self, rows: np.ndarray) -> Column:
        """Returns the column of the examples at `rows`, in that order."""

    @abc.abstractmethod
    def padded(self) -> np.ndarray:
        """Returns one array with a first axis of N; missing rows are filled."""

    @abc.abstractmethod
    def lookup(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns a function for graphs from the position of one example to its value."""

    def padded_lookup(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns the same for `padded`, whose entries have one shape and can be batched."""
        return DenseColumn(self.padded()).lookup()


class DenseColumn(Column):
    """Values of one shape, as an array of shape `(N, ...)`.

    Args:
        values: What `numpy.asarray` takes: numbers, strings or booleans.

    Example:

    >>> DenseColumn([3, 5, 7]).select(np.array([2, 0])).values.tolist()
    [7, 3]
    """

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)

    @property
    def values(self) -> np.ndarray:
        """The array."""
        return self._values

    def __len__(self) -> int:
        return len(self._values)

    def select(self, rows: np.ndarray) -> DenseColumn:
        """Returns the column of the examples at `rows`, in that order."""
        return DenseColumn(self._values[rows])

    def padded(self) -> np.ndarray:
        """Returns the array: nothing is missing."""
        return self._values

    def lookup(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns a function for graphs from the position of one example to its value."""
        import tensorflow as tf

        with tf.device("CPU:0"):
            table = tf.constant(self._values)
        return lambda row: table[row]


class RaggedColumn(Column):
    """Any number of rows for each example, such as the boxes of an image.

    Args:
        values: N arrays of shape `(number of rows, *row_shape)`; an empty one stands for no rows.
        dtype: Their dtype.
        row_shape: The shape of one row. Defaults to `()`.
        fill: What `padded` puts in the place of missing rows. Defaults to `-1`.

    Raises:
        ValueError: If an entry has another shape; the message gives its position.

    Example:

    >>> boxes = RaggedColumn([[[0, 0, 4, 4]], []], np.float32, (4,))
    >>> boxes.padded().tolist()
    [[[0.0, 0.0, 4.0, 4.0]], [[-1.0, -1.0, -1.0, -1.0]]]
    """

    def __init__(
        self, values: Sequence[Any], dtype: Any, row_shape: tuple[int, ...] = (), fill: Any = -1
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.row_shape = row_shape
        self.fill = fill
        self._values = tuple(self._entry(value, index) for index, value in enumerate(values))

    def _entry(self, value: Any, index: int) -> np.ndarray:
        array = np.asarray(value, self.dtype)
        if array.size == 0:
            return array.reshape(0, *self.row_shape)
        if array.shape[1:] != self.row_shape or array.ndim != 1 + len(self.row_shape):
            wanted = ", ".join(map(str, ("number of rows", *self.row_shape)))
            raise ValueError(
                f"each entry should have shape ({wanted}). "
                f"Received: shape {array.shape} at position {index}."
            )
        return array

    @property
    def values(self) -> tuple[np.ndarray, ...]:
        """The arrays of the examples."""
        return self._values

    def __len__(self) -> int:
        return len(self._values)

    def select(self, rows: np.ndarray) -> RaggedColumn:
        """Returns the column of the examples at `rows`, in that order."""
        return RaggedColumn(
            [self._values[row] for row in rows], self.dtype, self.row_shape, self.fill
        )

    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows of all examples below each other, and how many each example has."""
        counts = np.fromiter((len(value) for value in self._values), np.int64, len(self))
        filled = [self._values[index] for index in np.flatnonzero(counts)]
        empty = np.zeros((0, *self.row_shape), self.dtype)
        return np.concatenate(filled) if filled else empty, counts

    def padded(self) -> np.ndarray:
        """Returns one array of shape `(N, M, *row_shape)`, M the most rows of an example, or 1."""
        flat, counts = self.flat()
        shape = (len(self), max(1, counts.max(initial=0)), *self.row_shape)
        padded = np.full(shape, self.fill, self.dtype)
        padded[np.arange(shape[1]) < counts[:, None]] = flat
        return padded

    def lookup(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns a function for graphs from the position of one example to its rows."""
        import tensorflow as tf

        flat, counts = self.flat()
        with tf.device("CPU:0"):
            rows = tf.constant(flat)
            ends, lengths = tf.constant(np.cumsum(counts)), tf.constant(counts)
        return lambda row: rows[ends[row] - lengths[row] : ends[row]]
