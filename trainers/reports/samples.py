"""Which images, or classes of videos, a report shows as examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from trainers.reports.page import Group


def spread_over_classes(labels: ArrayLike, count: int) -> list[int]:
    """Returns rows spread over the classes, chosen only by the order of the data.

    Takes the first row of each class, then the second of each, and so on. If a round has more
    classes than rows are left to choose, evenly spaced classes are taken.

    Args:
        labels: (N,) integers.
        count: Largest number of rows.

    Example:

    >>> spread_over_classes([0, 0, 0, 1, 1, 2], 4)
    [0, 3, 5, 1]
    """
    labels = np.asarray(labels)
    by_class = [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
    chosen: list[int] = []
    number = 0
    while len(chosen) < count:
        this_round = [rows[number] for rows in by_class if number < len(rows)]
        if not this_round:
            break
        chosen += evenly(this_round, count - len(chosen))
        number += 1
    return chosen


def evenly(rows: Sequence[int], count: int) -> list[int]:
    """Returns at most `count` of the rows, evenly spaced.

    Example:

    >>> evenly([3, 5, 8, 9, 12], 3)
    [3, 8, 12]
    """
    if len(rows) <= count:
        return list(rows)
    return [rows[place] for place in np.linspace(0, len(rows) - 1, count).round().astype(int)]


def extremes(values: ArrayLike, count: int, excluded: Sequence[int] = ()) -> list[int]:
    """Returns the rows with the largest positive values, the largest first.

    Args:
        values: (N,); rows with NaN are never chosen.
        count: Largest number of rows.
        excluded: Rows not to choose.
    """
    values = np.array(values, "float64")
    values[list(excluded)] = np.nan
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")[:count]
    return [int(row) for row in order if values[row] > 0]


def sample_and_extremes(
    labels: ArrayLike, scores: Sequence[ArrayLike], count: int, names: Sequence[str], score: str
) -> list[tuple[str, str, list[int]]]:
    """Returns the rows of a fair sample and of the extremes, with titles and explanations.

    Half of the rows are a sample, a quarter each are the largest losses and gains of the run
    against the baseline; without a baseline, the lowest and the highest scores. If nothing has a
    score, all rows are a sample.

    Args:
        labels: (N,) class of each row.
        scores: (N,) scores in [0, 1] of the baseline, if there is one, and of the run; NaN for
            rows without a score.
        count: Largest number of rows.
        names: Names of the baseline, if there is one, and of the run.
        score: Name of the score in the explanations.

    Returns:
        Title, explanation and rows of each group.
    """
    values = [np.asarray(one, "float64") for one in scores]
    has_score = np.isfinite(values[-1])
    candidates = np.flatnonzero(has_score) if has_score.any() else np.arange(len(has_score))
    extreme_count = count // 4 if has_score.any() else 0
    places = spread_over_classes(np.asarray(labels)[candidates], count - 2 * extreme_count)
    sample = [int(candidates[place]) for place in places]
    note = "The first of each class, in the order of the data: a fair sample."
    groups = [("Sample", note, sample)]
    if not extreme_count:
        return groups
    if len(values) == 1:
        note = f"Selected from all others at the threshold of the run, by {score}."
        lowest = extremes(1 - values[0], extreme_count, sample)
        highest = extremes(values[0], extreme_count, [*sample, *lowest])
        return [*groups, ("Worst", note, lowest), ("Best", note, highest)]
    note = f"Selected from all others, by the change from {names[0]} to {names[1]} in {score}."
    gain = values[1] - values[0]
    return [
        *groups,
        ("Largest losses", note, extremes(-gain, extreme_count, sample)),
        ("Largest gains", note, extremes(gain, extreme_count, sample)),
    ]


def render_groups(
    groups: Sequence[tuple[str, str, list[int]]],
    render: Callable[[int], tuple[Markup, int]],
    most_bytes: int,
) -> tuple[list[Group], int]:
    """Renders the examples of groups until a page is full.

    Args:
        groups: Title, explanation and rows of each group.
        render: Returns the HTML of a row and its size in bytes, and is called again for the next
            row only if the size still fits.
        most_bytes: Largest total size; rows beyond it are left out.

    Returns:
        The groups that have examples, and the number of rows left out.
    """
    used = left_out = 0
    rendered = []
    for title, note, rows in groups:
        entries = []
        for row in rows:
            entry, size = render(row)
            if used + size > most_bytes:
                left_out += 1
                continue
            used += size
            entries.append(entry)
        if entries:
            rendered.append(Group(title, note, entries))
    return rendered, left_out
