"""The report of a run of segmentation; its text is in `templates/segmentation_report.html.j2`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from keras_has import drawing
from keras_has.data.mask_files import voc_palette
from trainers.reports import page
from trainers.reports.breakdowns import by_class, figures_table, recipe_differences
from trainers.reports.page import Group, Plot, render_macro, size_of
from trainers.reports.proportions import percent
from trainers.reports.report_file import report_title
from trainers.reports.samples import render_groups, sample_and_extremes
from trainers.reports.segmentation_run import LabelledImage, SegmentationRun
from trainers.reports.tiles import View, tile_picture

_MOST_BYTES = 7_500_000
FIGURES = {
    "mean_iou": "Mean IoU",
    "pixel_acc": "Pixel accuracy",
    "mean_class_acc": "Mean accuracy of the classes",
    "most_frequent_class": "Most frequent class: mean IoU",
    "most_frequent_class_pixel_acc": "Most frequent class: pixel accuracy",
    "most_frequent_class_per_pixel": "Most frequent class of each pixel: mean IoU",
    "most_frequent_class_per_pixel_pixel_acc": "Most frequent class of each pixel: pixel accuracy",
}


def report_text(runs: Sequence[SegmentationRun], images: int) -> str:
    """Returns the page.

    Args:
        runs: The baseline, if there is one, and last the run.
        images: Number of images to show with their label maps.
    """
    run = runs[-1]
    groups, left_out = _label_maps(runs, images)
    colors = voc_palette()[: len(run.split.class_names)]
    return page.render(
        "segmentation_report.html.j2",
        title=report_title(runs),
        sections={"figures": "Figures", "maps": "Label maps", "classes": "Classes"},
        runs=runs,
        run=run,
        figures=figures_table(runs, FIGURES, more_rows=recipe_differences(runs)),
        legend=[
            (name, f"#{bytes(color).hex()}")
            for name, color in zip(run.split.class_names, colors.tolist(), strict=True)
        ],
        groups=groups,
        left_out=left_out,
        classes=_classes(runs),
    )


def _classes(runs: Sequence[SegmentationRun]) -> Plot:
    """Returns the plot of the IoU of each class."""
    images = (runs[-1].split["label_counts"] > 0).sum(0)
    return by_class(
        runs,
        [np.nan_to_num(run.class_iou) for run in runs],
        images,
        ("IoU (%)", "IoU of each class"),
        "IoU of each class that occurs",
        "number of images with the class",
    )


def _label_maps(runs: Sequence[SegmentationRun], count: int) -> tuple[list[Group], int]:
    """Returns a sample of images and the extremes with their label maps, and how many are left out.

    Args:
        runs: The baseline, if there is one, and last the run.
        count: Largest number of images.
    """
    scores = [run.image_iou for run in runs]
    most_frequent = runs[-1].split["label_counts"].argmax(1)
    names = [run.name for run in runs]
    score = "the mean IoU of the image by itself"
    groups = sample_and_extremes(most_frequent, scores, count, names, score)
    rows = [row for _, _, of_group in groups for row in of_group]
    results = [run.with_pixels(rows) for run in runs]

    def render(row: int) -> tuple[Markup, int]:
        tile = _tile(runs, row, [of_run[row] for of_run in results], [one[row] for one in scores])
        return tile, size_of(tile)

    return render_groups(groups, render, _MOST_BYTES)


def _tile(
    runs: Sequence[SegmentationRun],
    row: int,
    images: Sequence[LabelledImage],
    scores: Sequence[float],
) -> Markup:
    """Returns an image with its true labels and those of each run."""
    image, mask = images[-1].image, images[-1].mask
    name = str(runs[-1].split.ids[row])
    pictures = [(image, "image", ""), (drawing.label_map_overlay(image, mask), "true labels", "")]
    for run, result, iou in zip(runs, images, scores, strict=True):
        overlay = drawing.label_map_overlay(image, result.label_map)
        pictures.append((overlay, run.label, percent(iou)))
    views = [
        View(
            tile_picture(picture, mask.shape),
            mask.shape,
            (),
            f"Image {name}: {label}",
            label=label,
            iou=iou or None,
        )
        for picture, label, iou in pictures
    ]
    return render_macro("tile", views, name, "mean IoU of this image in percent")
