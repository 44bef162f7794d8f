"""The report of a run of re-identification; its text is in a template of the same name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from keras_has.evaluation.reidentification import ranked_tile
from trainers.reports import page
from trainers.reports.breakdowns import figures_table, recipe_differences, training_curves
from trainers.reports.page import Group, Table, render_macro, size_of
from trainers.reports.proportions import percent
from trainers.reports.reidentification_run import ReidentificationRun, differences
from trainers.reports.report_file import report_title
from trainers.reports.samples import render_groups, sample_and_extremes
from trainers.reports.seen_images import training_images
from trainers.reports.tiles import View, tile_picture
from trainers.tasks.reidentification import Reidentification

_MOST_BYTES = 7_500_000
_NEAREST = 8
_CURVES = {"loss": "loss (cross-entropy)", "rank1": "rank-1 (% of queries)", "map": "mAP (%)"}


def report_text(runs: Sequence[ReidentificationRun], images: int) -> str:
    """Returns the page.

    Args:
        runs: The baseline, if there is one, and last the run.
        images: Number of queries to show, and of training images.
    """
    run = runs[-1]
    training = training_images(runs, images)
    used = sum(size_of(*group.entries) for group in training)
    groups, left_out = _rankings(runs, images, _MOST_BYTES - used)
    return page.render(
        "reidentification_report.html.j2",
        title=report_title(runs),
        sections={
            "figures": "Figures",
            "epochs": "Epochs",
            "training": "Training images",
            "rankings": "Ranked galleries",
        },
        runs=runs,
        run=run,
        figures=_figures(runs),
        differences=[(title, *map(_signed, rest)) for title, *rest in differences(runs)],
        curves=training_curves(runs, _CURVES),
        training=training,
        groups=groups,
        left_out=left_out,
    )


def _signed(value: float) -> str:
    return percent(value, signed=True)


def _figures(runs: Sequence[ReidentificationRun]) -> Table:
    published = runs[-1].recipe.published
    columns = {"Published": {key: f"{value:g}" for key, value in published.items()}}
    return figures_table(
        runs,
        dict(Reidentification.columns),
        columns if published else None,
        recipe_differences(runs),
    )


def _rankings(
    runs: Sequence[ReidentificationRun], count: int, most_bytes: int
) -> tuple[list[Group], int]:
    """Returns a sample of queries and the extremes with their ranked galleries.

    Args:
        runs: The baseline, if there is one, and last the run.
        count: Largest number of queries.
        most_bytes: Largest size; queries beyond it are left out.
    """
    split = runs[-1].split
    scores = [run.scores.average_precision for run in runs]
    labels = split["label"][split["is_query"]]
    names = [run.name for run in runs]
    groups = sample_and_extremes(labels, scores, count, names, "the average precision of a query")

    def render(query: int) -> tuple[Markup, int]:
        entry = Markup("").join(_ranking(run, query) for run in runs)
        return entry, size_of(entry)

    return render_groups(groups, render, most_bytes)


def _ranking(run: ReidentificationRun, query: int) -> Markup:
    """Returns a query and its nearest gallery images in one run."""
    split, truth = run.split, run.evaluator.truth
    (nearest,) = run.evaluator.nearest([query], _NEAREST)
    query_row = np.flatnonzero(split["is_query"])[query]
    rows = [query_row, *np.flatnonzero(~split["is_query"])[nearest]]
    is_match = [None, *np.isin(nearest, truth.matches[query]).tolist()]
    views = []
    for rank, (row, is_right, example) in enumerate(
        zip(rows, is_match, split.examples(np.array(rows), columns=()), strict=True)
    ):
        identity = split.class_names[split["label"][row]]
        picture = ranked_tile(example["image"].numpy(), is_right)
        size = picture.shape[:2]
        kind = "match" if is_right else "no match"
        title = f"Query {identity}" if is_right is None else f"Rank {rank}: {identity}, {kind}"
        label = "query" if is_right is None else f"{rank}: {identity}"
        views.append(View(tile_picture(picture, size), size, (), title, label=label))
    precision = run.scores.average_precision[query]
    name = f"{run.label}: {split.class_names[split['label'][query_row]]}"
    return render_macro("tile", views, name, f"average precision {percent(precision)}")
