"""Images as the network sees them: while training, and where its class is most wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from trainers.reports.classification_run import ClassificationRun
from trainers.reports.image_run import ImageRun
from trainers.reports.page import Group, render_macro
from trainers.reports.samples import (
    extremes,
    render_groups,
    sample_and_extremes,
    spread_over_classes,
)
from trainers.reports.tiles import View, tile_picture


def training_images(runs: Sequence[ImageRun], count: int) -> list[Group]:
    """Returns the first training images of each run, before and after hiding.

    Args:
        runs: The baseline, if there is one, and last the run.
        count: Largest number of images of each run.
    """
    groups = []
    for run in runs:
        images = run.task.training_images(count)
        entries = []
        for cropped, seen, name in zip(images.cropped, images.seen, images.classes, strict=True):
            views = [_view(cropped, f"Training image of class {name}", "cropped")]
            if images.are_changed:
                views.append(_view(seen, f"The same image as {run.name} sees it", "seen"))
            entries.append(render_macro("tile", views, name))
        groups.append(Group(f"Training images of {run.name}", "", entries))
    return groups


def evaluated_images(
    runs: Sequence[ClassificationRun], count: int, most_bytes: int
) -> tuple[list[Group], int]:
    """Returns the most confident mistakes of the last run, and a sample of all images.

    Args:
        runs: The baseline, if there is one, and last the run.
        count: Largest number of images: half of them mistakes. With a baseline, half of the others
            are those whose true class lost or gained most probability.
        most_bytes: Largest size; images beyond it are left out.

    Returns:
        The groups of images, and the number left out.
    """
    run = runs[-1]
    labels, outcomes = run.split["label"], run.outcomes
    confidence = np.where(outcomes["is_top1"], np.nan, outcomes["probability"])
    mistakes = extremes(confidence, count // 2)
    others = count - len(mistakes)
    note = "The wrong classes with the highest probabilities, the highest first."
    groups = [(f"Most confident mistakes of {run.name}", note, mistakes)]
    if len(runs) > 1:
        scores = [one.outcomes["label_probability"] for one in runs]
        names = [one.name for one in runs]
        score = "the probability of the true class"
        groups += sample_and_extremes(labels, scores, others, names, score)
    else:
        note = "The first of each class, in the order of the data: a fair sample."
        groups.append(("Sample", note, spread_over_classes(labels, others)))
    pixels = run.pixels(sorted({row for _, _, rows in groups for row in rows}))

    def render(row: int) -> tuple[Markup, int]:
        name = run.split.class_names[labels[row]]
        title = f"Image {run.split.ids[row]} of class {name}"
        caption = "; ".join(one.describe(row) for one in runs)
        tile = render_macro(
            "tile", [_view(pixels[row], title)], name, f"{run.split.ids[row]} · {caption}"
        )
        return tile, len(tile)

    return render_groups(groups, render, most_bytes)


def _view(image: np.ndarray, title: str, label: str = "") -> View:
    size = (image.shape[0], image.shape[1])
    return View(tile_picture(image, size), size, (), title, label=label)
