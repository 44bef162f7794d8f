"""What finished runs on images have in common, whatever their task."""

from __future__ import annotations

import os
from typing import ClassVar

import numpy as np

from trainers.engine.run_directory import RunDirectory
from trainers.reports.finished_run import FinishedRun
from trainers.tasks.image_task import ImageTask


class ImageRun(FinishedRun):
    """A finished run of a task on images; a subclass evaluates its images.

    See `FinishedRun` for the arguments.
    """

    # The class of the run's task.
    task_class: ClassVar[type[ImageTask]]
    item = "image"
    fields_of_data = ("dataset", "image_size", "tuning_share")

    def describe_prediction(self, predicted: int, probability: float, is_right: bool) -> str:
        """Returns the predicted class of an image in words.

        Args:
            predicted: The most probable class.
            probability: Its probability.
            is_right: Whether it is the true class.
        """
        outcome = "right" if is_right else "wrong"
        return f"{self.label}: {self.split.class_names[predicted]} ({probability:.0%}, {outcome})"

    def _make_task(
        self, directory: RunDirectory, data_dir: str | os.PathLike[str] | None
    ) -> ImageTask:
        is_known_bad = (directory.path / "bad_images.json").is_file()
        return self.task_class(self.recipe, data_dir, "skip" if is_known_bad else "error")

    def _has_data_of(self, other: ImageRun) -> bool:
        # Runs may skip different files.
        is_whole = other.task.on_bad_image == self.task.on_bad_image == "error"
        return is_whole and super()._has_data_of(other)

    def _agreement(self, other: ImageRun) -> dict[str, bool]:
        ours, theirs = self.split, other.split
        return {
            "images": np.array_equal(ours.ids, theirs.ids),
            "classes": ours.class_names == theirs.class_names,
            "labels": np.array_equal(ours["label"], theirs["label"]),
        }
