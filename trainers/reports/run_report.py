"""The report of a run, for each task that has one."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from keras_has.atomic_files import write_atomically
from trainers.engine.run_directory import RunDirectory
from trainers.engine.run_error import RunError
from trainers.recipes import Recipe
from trainers.reports.plots import check_matplotlib
from trainers.reports.report_file import report_file

if TYPE_CHECKING:
    from trainers.reports.finished_run import FinishedRun

# For each task the module NAME_report with `report_text`, and the class of its runs in NAME_run.
# They are imported on use, after the check for Matplotlib.
_REPORTS = {
    "classification": ("classification", "Classification"),
    "faces": ("classification", "Faces"),
    "image_localization": ("localization", "Localization"),
    "reidentification": ("reidentification", "Reidentification"),
    "segmentation": ("segmentation", "Segmentation"),
    "temporal_localization": ("sequence", "Sequence"),
}


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
    options = {}
    if kind.TASK == "image_localization":
        options["covered_images"] = 1000 if covered_images is None else covered_images
    elif covered_images:
        raise RunError(
            "--covered_images is only for runs that localize objects in images: leave it out. "
            f"Received: --covered_images={covered_images} for a run of the task {kind.TASK}."
        )
    if kind.TASK not in _REPORTS:
        raise RunError(f"There is no report for runs of the task {kind.TASK}.")
    report_name, run_name = _REPORTS[kind.TASK]
    report = importlib.import_module(f"trainers.reports.{report_name}_report")
    run_module = importlib.import_module(f"trainers.reports.{run_name.lower()}_run")
    run_class: type[FinishedRun] = getattr(run_module, f"{run_name}Run")
    runs = run_class.open_with_baseline(run_dir, baseline_run_dir, data_dir)
    file = report_file(runs[-1].path, out)
    write_atomically(file, report.report_text(runs, images, **options))
    return file
