"""Which classes a run takes for one another."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from trainers.reports.classification_run import ClassificationRun
from trainers.reports.page import Table
from trainers.reports.proportions import count_and_share

_MOST_CLASSES = 25
_MOST_CONFUSIONS = 10


@dataclasses.dataclass(frozen=True)
class ConfusionMatrix:
    """A confusion matrix for a page.

    Args:
        names: Names of the classes.
        counts: Number of images by true and predicted class.
        shades: Strength of the colour of each cell, in [0, 1].
        caption: What the matrix shows.
    """

    names: Sequence[str]
    counts: Sequence[Sequence[int]]
    shades: Sequence[Sequence[float]]
    caption: str


def confusion_matrix(run: ClassificationRun) -> ConfusionMatrix | None:
    """Returns the confusion matrix of a run; None if it has too many classes for a page."""
    counts = run.confusions
    if len(counts) > _MOST_CLASSES:
        return None
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    is_right = np.eye(len(counts), dtype=bool)
    shades = np.zeros(shares.shape)
    for cells in (is_right, ~is_right):
        shades[cells] = shares[cells] / max(shares[cells].max(initial=0.0), 1e-9)
    return ConfusionMatrix(
        run.split.class_names,
        counts.tolist(),
        shades.round(3).tolist(),
        f"Number of images by true class (rows) and predicted class (columns), {run.name}. The "
        "shade is the share of the row, relative to the largest one: green for right classes, "
        "orange for mistakes.",
    )


def frequent_confusions(runs: Sequence[ClassificationRun]) -> Table:
    """Returns a table of the pairs of classes that the last run confuses most often.

    Args:
        runs: The baseline, if there is one, and last the run.
    """
    run = runs[-1]
    names, totals = run.split.class_names, run.confusions.sum(axis=1)
    mistakes = np.where(np.eye(len(names), dtype=bool), 0, run.confusions)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    pairs = [
        (true, predicted)
        for true, predicted in zip(*np.unravel_index(order, mistakes.shape), strict=True)
        if mistakes[true, predicted]
    ]
    rows = [
        [
            f"{names[true]} taken for {names[predicted]}",
            *(count_and_share(one.confusions[true, predicted], totals[true]) for one in runs),
        ]
        for true, predicted in pairs
    ]
    caption = "Most frequent mistakes: number of images, and share of those of the true class"
    caption += f", sorted by {run.name}." if len(runs) > 1 else "."
    return Table(["True and predicted class", *(one.name for one in runs)], rows, caption)
