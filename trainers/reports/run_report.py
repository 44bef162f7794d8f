"""The report of a run, for each task that has one."""

from __future__ import annotations

import os
from pathlib import Path

from trainers.engine.run_directory import RunDirectory
from trainers.engine.run_error import RunError
from trainers.recipes import ImageRecipe, Recipe, VideoRecipe
from trainers.recipes.classification_recipe import ClassificationRecipe
from trainers.recipes.faces_recipe import FacesRecipe
from trainers.recipes.reidentification_recipe import ReidentificationRecipe
from trainers.recipes.segmentation_recipe import SegmentationRecipe
from trainers.reports.plots import check_matplotlib


def recipe_kind(run_dir: str | os.PathLike[str]) -> type[Recipe]:
    """Returns the class of the run's recipe, such as `ImageRecipe` or `VideoRecipe`.

    Raises:
        RunError: If there is no run, or its recipe belongs to no known task.
    """
    return RunDirectory(run_dir).read_task().recipe_class


def write_report(
    run_dir: str | os.PathLike[str],
    baseline_run_dir: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    images: int = 24,
    covered_images: int | None = None,
) -> Path:
    """Writes the report of a finished run.

    Args:
        run_dir: Folder of the run.
        baseline_run_dir: Folder of a run on the same data to compare with, or None.
        data_dir: Folder of the dataset; None for the one that each run was started with.
        out: File to write; None for `report.html` in `run_dir`.
        images: Number of images or timelines to show.
        covered_images: Largest number of images for measuring partly covered objects; None for
            1,000. Only for localization in images.

    Returns:
        The file.

    Raises:
        RunError: If a run does not exist or is not finished, the two cannot be compared, there is
            no report for their task, or Matplotlib is missing.
    """
    check_matplotlib()
    kind = recipe_kind(run_dir)
    if baseline_run_dir is not None and recipe_kind(baseline_run_dir) is not kind:
        raise RunError(
            f"{run_dir} and {baseline_run_dir} are runs of different tasks and cannot be compared. "
            "Choose another --baseline_run_dir."
        )
    if issubclass(kind, ImageRecipe):
        from trainers.reports.localization_report import write_localization_report

        covered = 1000 if covered_images is None else covered_images
        return write_localization_report(run_dir, baseline_run_dir, data_dir, out, images, covered)
    if covered_images:
        raise RunError(
            "--covered_images is only for runs that localize objects in images: leave it out. "
            f"Received: --covered_images={covered_images} for a run of the task {kind.TASK}."
        )
    if issubclass(kind, ClassificationRecipe):
        from trainers.reports.classification_report import write_classification_report

        if issubclass(kind, FacesRecipe):
            from trainers.reports.faces_run import FacesRun

            return write_classification_report(
                run_dir, baseline_run_dir, data_dir, out, images, FacesRun
            )
        return write_classification_report(run_dir, baseline_run_dir, data_dir, out, images)
    if issubclass(kind, VideoRecipe):
        from trainers.reports.sequence_report import write_sequence_report

        return write_sequence_report(run_dir, baseline_run_dir, data_dir, out, images)
    if issubclass(kind, SegmentationRecipe):
        from trainers.reports.segmentation_report import write_segmentation_report

        return write_segmentation_report(run_dir, baseline_run_dir, data_dir, out, images)
    if issubclass(kind, ReidentificationRecipe):
        from trainers.reports.reidentification_report import write_reidentification_report

        return write_reidentification_report(run_dir, baseline_run_dir, data_dir, out, images)
    raise RunError(f"There is no report for runs of the task {kind.TASK}.")
