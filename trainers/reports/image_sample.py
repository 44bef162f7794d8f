"""Which images a report shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def spread_over_classes(labels: ArrayLike, count: int) -> list[int]:
    """Returns rows that are spread over the classes, decided by nothing but the order of the data.

    The first image of each class is taken, then the second of each, and so on; where not all
    classes of a round fit, evenly spread ones are.

    Args:
        labels: (N,) integers.
        count: How many at most.

    Example:

    >>> spread_over_classes([0, 0, 0, 1, 1, 2], 4)
    [0, 3, 5, 1]
    """
    labels = np.asarray(labels)
    by_class = [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
    chosen: list[int] = []
    number = 0
    while len(chosen) < count:
        of_round = [rows[number] for rows in by_class if number < len(rows)]
        if not of_round:
            break
        chosen += evenly(of_round, count - len(chosen))
        number += 1
    return chosen


def evenly(rows: Sequence[int], count: int) -> list[int]:
    """Returns at most `count` of some rows, evenly spread over them.

    Example:

    >>> evenly([3, 5, 8, 9, 12], 3)
    [3, 8, 12]
    """
    if len(rows) <= count:
        return list(rows)
    return [rows[place] for place in np.linspace(0, len(rows) - 1, count).round().astype(int)]


def extremes(values: ArrayLike, count: int, leave_out: Sequence[int] = ()) -> list[int]:
    """Returns the rows of the largest positive values, the largest first.

    Args:
        values: (N,); NaN is never chosen.
        count: How many at most.
        leave_out: Rows not to choose.
    """
    values = np.array(values, "float64")
    values[list(leave_out)] = np.nan
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")[:count]
    return [int(row) for row in order if values[row] > 0]
