"""The report of a run that classifies images; its text is in a template of the same name."""

from __future__ import annotations

from collections.abc import Sequence

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
from trainers.reports.report_file import report_title
from trainers.reports.seen_images import evaluated_images, training_images

_MOST_BYTES = 7_500_000
_CURVES = {"loss": "loss (cross-entropy)", "top1_clas": "Top-1 Clas (% of images)"}


def report_text(runs: Sequence[ClassificationRun], images: int) -> str:
    """Returns the page.

    Args:
        runs: The baseline, if there is one, and last the run.
        images: Number of evaluated images to show, and twice the number of training images.
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
