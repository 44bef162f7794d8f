"""Breakdowns that every report can use, whatever the task of the run.

Each function takes the runs of the page: the baseline, if there is one, and last the run itself.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trainers.reports.finished_run import FinishedRun
from trainers.reports.page import Plot, Table
from trainers.reports.plots import (
    Series,
    bar_label,
    bar_plot,
    line_plot,
    ranked_bars,
    series_of_shares,
    to_svg,
)
from trainers.reports.proportions import NO_VALUE, percent

_MOST_CLASSES = 40
_NOT_COMPARED = ("name", "description", "overridden", "published", "choices", "cam_threshold")


def figures_table(
    runs: Sequence[FinishedRun],
    titles: Mapping[str, str],
    more_columns: Mapping[str, Mapping[str, str]] | None = None,
    more_rows: Sequence[Sequence[str]] = (),
) -> Table:
    """Returns the table of the runs' figures and their difference, in percent.

    Args:
        runs: The runs.
        titles: For each key of results.json, the title of its row. Rows without a value in any run
            are left out.
        more_columns: Further columns: for each title, the cells by key.
        more_rows: Rows below the figures: a title and one cell for each run.
    """
    more_columns = more_columns or {}
    head = ["Percent", *(run.name for run in runs)]
    head += ["Difference"] * (len(runs) > 1)
    head += list(more_columns)
    rows = []
    for key, title in titles.items():
        values = [_number(run.results.get(key)) for run in runs]
        if not any(map(math.isfinite, values)):
            continue
        cells = [title, *map(percent, values)]
        if len(runs) > 1:
            cells.append(percent(values[1] - values[0], signed=True))
        rows.append(cells + [column.get(key, NO_VALUE) for column in more_columns.values()])
    rows += [[*row, *[""] * (len(head) - len(row))] for row in more_rows]
    return Table(head, rows, "From results.json of each run.")


def recipe_differences(runs: Sequence[FinishedRun]) -> list[list[str]]:
    """Returns a table row for each recipe field in which two runs differ."""
    if len(runs) == 1:
        return []
    rows = []
    for field in dataclasses.fields(runs[-1].recipe):
        values = [getattr(run.recipe, field.name) for run in runs]
        if field.name not in _NOT_COMPARED and values[0] != values[1]:
            rows.append([f"Recipe: {field.name}", *(str(value) or NO_VALUE for value in values)])
    return rows


def curves(
    runs: Sequence[FinishedRun],
    points: Sequence[tuple[Sequence[float], Sequence[float]]],
    labels: tuple[str, str, str],
    caption: str,
    **settings: Any,
) -> Plot:
    """Plots one curve for each run.

    Args:
        runs: The runs.
        points: x and y of each run, y in percent.
        labels: Label of the x axis, of the y axis, and the description of the plot.
        caption: Text below the plot.
        **settings: See `plots.line_plot`; `more_series` are drawn before those of the runs.
    """
    series = list(settings.pop("more_series", ()))
    series += [
        Series(run.name, list(y), list(x), colour=run.colour)
        for run, (x, y) in zip(runs, points, strict=True)
    ]
    return Plot(to_svg(line_plot(series, *labels, **settings)), caption)


def training_curves(runs: Sequence[FinishedRun], titles: Mapping[str, str]) -> list[Plot]:
    """Plots figures over the epochs, of training and of evaluation; none without a history.

    Args:
        runs: The runs.
        titles: Label of the y axis for each key of the history, such as "loss". Keys other than
            "loss" are fractions, and their labels say that they are in percent.
    """
    epochs = max(len(run.history) for run in runs)
    if epochs == 0:
        return []
    plots = []
    for key, title in titles.items():
        scale = 1.0 if key == "loss" else 100.0
        series = []
        for run in runs:
            kinds = {f"val_{key}": run.task.evaluated_examples, key: "training"}
            for place, (name, kind) in enumerate(kinds.items()):
                points = [(n, logs[name]) for n, logs in enumerate(run.history, 1) if name in logs]
                if not points:  # a figure of training alone, or of evaluation alone
                    continue
                series.append(
                    Series(
                        f"{run.label}, {kind}",
                        [scale * value for _, value in points],
                        [epoch for epoch, _ in points],
                        colour=run.colour + 2 * place,
                    )
                )
        figure = line_plot(
            series,
            "epoch",
            title,
            f"{title} over the epochs",
            x_range=(0, epochs),
            y_is_share=key != "loss",
            x_is_whole=True,
        )
        caption = (
            f"{title[0].upper()}{title[1:]} over the epochs. Training: the mean over an epoch, "
            "while the network changes, on images as it sees them, cropped, flipped and with parts "
            f"hidden. {runs[-1].task.evaluated_examples.capitalize()}: at the end of the epoch, "
            "nothing hidden."
        )
        plots.append(Plot(to_svg(figure), caption))
    return plots


def by_class(
    runs: Sequence[FinishedRun],
    values: Sequence[np.ndarray],
    counts: ArrayLike,
    labels: tuple[str, str],
    caption: str,
    counted: str,
) -> Plot:
    """Plots a value of each class as a ranked bar, sorted by the last run.

    Of many classes the best and the worst are shown. Classes with a count of 0 are left out.

    Args:
        runs: The runs.
        values: (classes,) fractions of each run.
        counts: (classes,) number of examples of each class, written behind its name.
        labels: Label of the x axis and the description of the plot.
        caption: What the plot shows; how it is sorted and what is left out are added.
        counted: What is counted, such as "number of images".
    """
    names = runs[-1].split.class_names
    counts = np.asarray(counts)
    known = np.flatnonzero(counts)
    order = known[np.argsort(-values[-1][known], kind="stable")]
    caption += f", sorted by {runs[-1].name}; the {counted} is in brackets."
    if len(order) > _MOST_CLASSES:
        half = _MOST_CLASSES // 2
        caption += f" The {half} best and the {half} worst of {len(order)} classes."
        order = np.concatenate([order[:half], order[-half:]])
    shown_names = [names[label] for label in order]
    shown_counts = [int(counts[label]) for label in order]
    series = [
        Series(run.name, (100 * of_run[order]).tolist(), colour=run.colour)
        for run, of_run in zip(runs, values, strict=True)
    ]
    tooltips = {
        bar_label(name, count): name
        for name, count in zip(shown_names, shown_counts, strict=True)
        if not bar_label(name, count).startswith(f"{name} ")
    }
    figure = ranked_bars(shown_names, series, *labels, shown_counts)
    return Plot(to_svg(figure, tooltips), caption)


def accuracy_by_class(
    runs: Sequence[FinishedRun],
    outcomes: Sequence[np.ndarray],
    class_labels: ArrayLike,
    title: str,
    condition: str = "",
) -> Plot:
    """Plots the share of right images of each class.

    Args:
        runs: The runs.
        outcomes: (N,) of each run: 1 for right and 0 for wrong; NaN, in the last run, for images
            that are not counted.
        class_labels: (N,) the class of each image.
        title: Name of the accuracy.
        condition: What is added to the name in the caption.
    """
    is_known = np.isfinite(outcomes[-1])
    known_labels = np.asarray(class_labels)[is_known]
    counts = np.bincount(known_labels, minlength=len(runs[-1].split.class_names))
    accuracies = [
        np.bincount(known_labels, of_run[is_known], len(counts)) / np.maximum(counts, 1)
        for of_run in outcomes
    ]
    return by_class(
        runs,
        accuracies,
        counts,
        (f"{title} (% of the images of a class)", f"{title} of each class"),
        f"{title}{condition} of each class",
        "number of images",
    )


def by_group(
    runs: Sequence[FinishedRun],
    outcomes: Sequence[np.ndarray],
    groups: ArrayLike,
    group_names: Sequence[str],
    labels: tuple[str, str, str],
    caption: str,
) -> Plot:
    """Plots the share of right outcomes in each group, with 95% confidence intervals.

    Args:
        runs: The runs.
        outcomes: (N,) of each run: 1 for right and 0 for wrong.
        groups: (N,) index of each row's group, or -1 for none. Empty groups are left out.
        group_names: Names of the groups.
        labels: Label of the x axis, of the y axis, and the description of the plot.
        caption: What the plot shows; a sentence on the intervals is added.
    """
    groups = np.asarray(groups)
    present = [place for place in range(len(group_names)) if (groups == place).any()]
    counts = [int((groups == place).sum()) for place in present]
    series = [
        series_of_shares(
            run.name, [int(of_run[groups == place].sum()) for place in present], counts, run.colour
        )
        for run, of_run in zip(runs, outcomes, strict=True)
    ]
    figure = bar_plot([group_names[place] for place in present], series, *labels, counts)
    return Plot(to_svg(figure), f"{caption} Lines: 95% confidence intervals (Wilson).")


def _number(value: float | None) -> float:
    return math.nan if value is None else value
