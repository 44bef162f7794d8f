"""The report of a run, whatever it was trained on."""

from __future__ import annotations

import os
from pathlib import Path

from trainers.engine.run_directory import RunDirectory
from trainers.engine.run_error import RunError
from trainers.recipes import Recipe, VideoRecipe


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
    shown: int = 24,
    covered_images: int | None = None,
) -> Path:
    """Writes the report of a finished run on images or on sequences.

    Args:
        run_dir: The run.
        baseline_run_dir: A run on the same data to compare with, or None.
        data_dir: The data set's folder; None for the one that each run was started with.
        out: File to write; None for `report.html` in `run_dir`.
        shown: How many images or timelines to show.
        covered_images: On how many images to measure classification of partly covered objects;
            None for 1,000, and for sequences.

    Returns:
        The file.

    Raises:
        RunError: If a run is not there or not finished, or the two cannot be compared.
    """
    kind = recipe_kind(run_dir)
    if baseline_run_dir is not None and recipe_kind(baseline_run_dir) is not kind:
        raise RunError(
            f"{run_dir} and {baseline_run_dir} cannot be compared: one is a run on images, the "
            "other one on sequences. Choose another --baseline_run_dir."
        )
    if kind is VideoRecipe:
        if covered_images:
            raise RunError("--covered_images is for runs on images: leave it out for sequences.")
        from trainers.reports.sequence_report import write_sequence_report

        return write_sequence_report(run_dir, baseline_run_dir, data_dir, out, shown)
    from trainers.reports.image_report import write_image_report

    covered = 1000 if covered_images is None else covered_images
    return write_image_report(run_dir, baseline_run_dir, data_dir, out, shown, covered)
