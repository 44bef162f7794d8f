"""The report of a run that classifies images; its text is in a template of the same name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from keras_has.atomic_files import write_atomically
from trainers.reports import page
from trainers.reports.breakdowns import (
    accuracy_by_class,
    figures_table,
    recipe_differences,
    training_curves,
)
from trainers.reports.classification_run import ClassificationRun
from trainers.reports.confusions import confusion_matrix, frequent_confusions
from trainers.reports.page import Table, size_of
from trainers.reports.proportions import NO_VALUE
from trainers.reports.report_file import report_file, report_title
from trainers.reports.seen_images import evaluated_images, training_images

_MOST_BYTES = 7_500_000
_CURVES = {"loss": "loss (cross-entropy)", "top1_clas": "Top-1 Clas (% of images)"}


def write_classification_report(
    run_dir: str | os.PathLike[str],
    baseline_run_dir: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    images: int = 24,
    run_class: type[ClassificationRun] = ClassificationRun,
) -> Path:
    """Writes the report of a finished run that classifies images.

    Args:
        run_dir: Folder of the run.
        baseline_run_dir: Folder of a run on the same images to compare with, or None.
        data_dir: Folder of the dataset; None for the one that each run was started with.
        out: File to write; None for `report.html` in `run_dir`.
        images: Number of evaluated images to show, and twice the number of each run's training
            images.
        run_class: The class of the runs.

    Returns:
        The file.

    Raises:
        RunError: If a run does not exist or is not finished, or the two cannot be compared.
    """
    runs = run_class.open_with_baseline(run_dir, baseline_run_dir, data_dir)
    file = report_file(runs[-1].path, out)
    write_atomically(file, report_text(runs, images))
    return file


def report_text(runs: Sequence[ClassificationRun], images: int) -> str:
    """Returns the page.

    Args:
        runs: The baseline, if there is one, and last the run.
        images: See `write_classification_report`.
    """
    run = runs[-1]
    outcomes = [one.outcomes["is_top1"].astype("float64") for one in runs]
    training = training_images(runs, max(1, images // 2))
    used = sum(size_of(*group.entries) for group in training)
    groups, left_out = evaluated_images(runs, images, _MOST_BYTES - used)
    return page.render(
        "classification_report.html.j2",
        title=report_title(runs),
        sections={
            "figures": "Figures",
            "epochs": "Epochs",
            "training": "Training images",
            "classes": "Classes",
            "images": "Mistakes",
        },
        runs=runs,
        run=run,
        figures=_figures(runs),
        curves=training_curves(runs, _CURVES),
        training=training,
        by_class=accuracy_by_class(runs, outcomes, run.split["label"], "Top-1 Clas"),
        matrix=confusion_matrix(run),
        confusions=frequent_confusions(runs),
        groups=groups,
        left_out=left_out,
    )


def _figures(runs: Sequence[ClassificationRun]) -> Table:
    published = runs[-1].recipe.published
    columns = {"Published": {key: f"{value:g}" for key, value in published.items()}}
    rows = [
        ["Best epoch", *(str(run.results.get("best_epoch", NO_VALUE)) for run in runs)],
        [f"Loss, {runs[-1].task.evaluated_epoch}", *(f"{run.results['loss']:.3f}" for run in runs)],
    ]
    return figures_table(
        runs,
        dict(runs[-1].task.columns),
        columns if published else None,
        [*rows, *recipe_differences(runs)],
    )
