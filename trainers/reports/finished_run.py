"""A finished run that is evaluated again for a report."""

from __future__ import annotations

import abc
import functools
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from trainers.engine.console import progress
from trainers.engine.run_directory import RunDirectory, open_finished
from trainers.engine.run_error import RunError
from trainers.engine.training import load_network
from trainers.recipes import Recipe
from trainers.tasks.task import Task

Example = TypeVar("Example")

# Rounding differs between devices and may change a few boxes or detections. A larger difference
# means another network or other data.
_MOST_DIFFERENCE = 0.005
_ROUNDING = 1e-6  # metrics return float32


class FinishedRun(abc.ABC):
    """A finished run: its recipe and results, its evaluation data and its network.

    On the page, `name` is the name of the run, `label` a shorter one, `key` its name in the script
    and `colour` the number of its colour in plots. `open_with_baseline` sets them for two runs.

    Args:
        run_dir: Folder of the run.
        data_dir: Folder of the dataset; None for the one that the run was started with.
        shares_data_with: Another run; its data are reused if they are the same. Optional.

    Raises:
        RunError: If there is no finished run of this kind, or its data or network cannot be read.
    """

    # The class of the recipe, and what an example of the data is called.
    recipe_kind: ClassVar[type[Recipe]]
    item: ClassVar[str]
    # Recipe fields that determine the data; runs share data only if these are equal.
    fields_of_data: ClassVar[tuple[str, ...]]

    recipe: Any
    task: Any

    def __init__(
        self,
        run_dir: str | os.PathLike[str],
        data_dir: str | os.PathLike[str] | None = None,
        shares_data_with: Self | None = None,
    ) -> None:
        directory, self.recipe, self.results = open_finished(run_dir, self.recipe_kind)
        self.path = directory.path
        self.name = f"{self.recipe.name}, seed {self.recipe.seed}"
        self.label = self.recipe.name
        self.key, self.colour = "run", 1
        if data_dir is None:
            data_dir = (directory.read_source() or {}).get("data_dir")
        self.task = self._make_task(directory, data_dir)
        other = shares_data_with
        if other is not None and self._has_data_of(other):
            self.task.data_dir = other.task.data_dir
            self.task.adopt_splits(other.task)
        else:
            self.task.load(directory)
        self.model = load_network(self.task, directory)

    @classmethod
    def open_with_baseline(
        cls,
        run_dir: str | os.PathLike[str],
        baseline_run_dir: str | os.PathLike[str] | None,
        data_dir: str | os.PathLike[str] | None,
    ) -> list[Self]:
        """Opens a run and, if there is one, the baseline to compare it with.

        Args:
            run_dir: Folder of the run.
            baseline_run_dir: Folder of a run on the same data, or None.
            data_dir: Folder of the dataset; None for the one that each run was started with.

        Returns:
            The baseline, if there is one, and last the run.

        Raises:
            RunError: If a run does not exist or is not finished, or the two cannot be compared.
        """
        run = cls(run_dir, data_dir)
        if baseline_run_dir is None:
            return [run]
        baseline = cls(baseline_run_dir, data_dir, shares_data_with=run)
        run.check_comparable(baseline)
        baseline.key, baseline.colour = "baseline", 0
        if run.name == baseline.name:
            run.name += " (this run)"
            baseline.name += " (baseline)"
        if run.label == baseline.label:
            run.label, baseline.label = run.name, baseline.name
        return [baseline, run]

    def check_comparable(self, baseline: Self) -> None:
        """Checks that two runs can be compared.

        Raises:
            RunError: If they were not evaluated on the same data.
        """
        for what, is_same in self._agreement(baseline).items():
            if not is_same:
                raise RunError(
                    f"{self.path} and {baseline.path} were not evaluated on the same {what} "
                    f"({self.split.name} and {baseline.split.name}), so they cannot be compared "
                    f"{self.item} by {self.item}. Choose another --baseline_run_dir."
                )

    @property
    def split(self) -> Any:
        """The dataset that the run is evaluated on."""
        return self.task.evaluated_split

    @functools.cached_property
    def history(self) -> list[dict[str, float]]:
        """The figures of each epoch, as logged while training."""
        return RunDirectory(self.path).read_history()

    @property
    def threshold(self) -> float:
        """The fixed threshold of runs with maps, as a fraction of a map's maximum."""
        return self.recipe.cam_threshold

    @property
    @abc.abstractmethod
    def figures(self) -> dict[str, float]:
        """The figures of `results.json`, evaluated again; NaN for those that cannot be measured."""

    def differences(self) -> list[str]:
        """Returns a text for each figure that differs from the one in `results.json`."""
        return [
            f"{key} is {self.results[key]:.4f} in results.json, {value:.4f} now"
            for key, value in self.figures.items()
            if math.isfinite(value) and abs(value - self.results[key]) > _ROUNDING
        ]

    @abc.abstractmethod
    def _make_task(
        self, directory: RunDirectory, data_dir: str | os.PathLike[str] | None
    ) -> Task: ...

    @abc.abstractmethod
    def _agreement(self, other: Self) -> dict[str, bool]:
        """Returns, for each part of the data, whether it is the same for both runs."""

    def _has_data_of(self, other: Self) -> bool:
        folders = [self.task.data_dir, other.task.data_dir]
        known = {None if folder is None else Path(folder).resolve() for folder in folders}
        return len(known) == 1 and all(
            getattr(self.recipe, key) == getattr(other.recipe, key) for key in self.fields_of_data
        )

    def _with_progress(self, examples: Iterable[Example]) -> Iterator[Example]:
        """Yields the examples and shows a progress bar on a terminal."""
        update = progress(f"evaluating {self.name}", self.item)
        for number, example in enumerate(examples, start=1):
            yield example
            if update is not None:
                update(number, len(self.split))

    def _check_figures(self, figures: Mapping[str, float], items: int, truths: int) -> None:
        """Checks that figures agree with those of `results.json`.

        Args:
            figures: The figures to check.
            items: Number of images or sequences; one more may differ in Top-1 Clas.
            truths: Number of true boxes or segments; one more may differ in the other figures.

        Raises:
            RunError: If a figure differs by more than rounding explains.
        """
        for key, value in figures.items():
            stored = self.results.get(key, math.nan)
            one_example = 1.5 / max(1, items if key == "top1_clas" else truths)
            is_same = abs(value - stored) <= max(_MOST_DIFFERENCE, one_example)
            if math.isfinite(value) and not is_same:
                raise RunError(
                    f"{self.path} has {key} = {stored:.4f} in results.json, but evaluating again "
                    f"gives {value:.4f}: these are not the {self.item}s that the run was evaluated "
                    "on. Give their folder as --data_dir."
                )
