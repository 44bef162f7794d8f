"""What runs on images and on sequences share when they are judged again for a report."""

from __future__ import annotations

import abc
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from trainers.engine import runs
from trainers.engine.runs import RunDirectory, RunError, Task, progress
from trainers.recipes import Recipe

Judged = TypeVar("Judged")

# Another device adds up in another order, and few boxes or detections may move, one of a small set;
# where more do, it is another network or other data.
_MOST_DIFFERENCE = 0.005
_ROUNDING = 1e-6  # metrics give their results in float32


class FinishedRun(abc.ABC):
    """A finished run: its recipe and results, the data that it was judged on, and its network.

    `name` is what to call it, `label` the same in short, `key` its name for the script of a page
    and `colour` its number in plots; `open_beside` gives others to one of two runs on one page.

    Args:
        run_dir: Where it is.
        data_dir: The data set's folder; None for the one that the run was started with.
        shares_data_with: A run whose data are taken over where they are the same, or None.

    Raises:
        RunError: If there is no finished run of that kind, or its data or network cannot be read.
    """

    # The class of its recipe, and what it is judged on, one of them.
    recipe_kind: ClassVar[type[Recipe]]
    item: ClassVar[str]
    # What decides the data and what is known of them, and so has to be the same to share them.
    fields_of_data: ClassVar[tuple[str, ...]]

    recipe: Any
    task: Any

    def __init__(
        self,
        run_dir: str | os.PathLike[str],
        data_dir: str | os.PathLike[str] | None = None,
        shares_data_with: Self | None = None,
    ) -> None:
        directory, self.recipe, self.results = runs.open_finished(run_dir, self.recipe_kind)
        self.path = directory.path
        self.name = f"{self.recipe.name}, seed {self.recipe.seed}"
        self.label = self.recipe.name
        self.key, self.colour = "run", 1
        if data_dir is None:
            data_dir = (directory.read_json("source.json") or {}).get("data_dir")
        self.task = self._make_task(directory, data_dir)
        other = shares_data_with
        if other is not None and self._has_data_of(other):
            self.task.data_dir = other.task.data_dir
            self.task.train_split, self.task.val_split = other.task.train_split, other.split
        else:
            self.task.load(directory)
        self.model = runs.load_network(self.task, directory)

    @classmethod
    def open_beside(
        cls,
        run_dir: str | os.PathLike[str],
        baseline_run_dir: str | os.PathLike[str] | None,
        data_dir: str | os.PathLike[str] | None,
    ) -> list[Self]:
        """Opens a run, and the one to compare it with.

        Args:
            run_dir: The run.
            baseline_run_dir: A run on the same data to compare with, or None.
            data_dir: The data set's folder; None for the one that each run was started with.

        Returns:
            The run, the last; and before it the one to compare with, if there is one.

        Raises:
            RunError: If a run is not there or not finished, or the two cannot be compared.
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
        """Raises where the two cannot be laid side by side.

        Raises:
            RunError: If they are not judged on the same data.
        """
        for what, is_same in self._agreement(baseline).items():
            if not is_same:
                raise RunError(
                    f"{self.path} and {baseline.path} are not judged on the same {what} "
                    f"({self.split.name} and {baseline.split.name}), so that they cannot be "
                    f"compared {self.item} by {self.item}. Choose another --baseline_run_dir."
                )

    @property
    def split(self) -> Any:
        """The data set that it is judged on."""
        return self.task.val_split

    @property
    def threshold(self) -> float:
        """The fixed threshold, a share of the map's maximum."""
        return self.recipe.cam_threshold

    @property
    @abc.abstractmethod
    def figures(self) -> dict[str, float]:
        """What was found now of what `results.json` has, NaN where there is nothing to measure."""

    def differences(self) -> list[str]:
        """Returns which figures of `results.json` differ from those found now, as text."""
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
        """Returns whether the two are judged on the same, by what that is."""

    def _has_data_of(self, other: Self) -> bool:
        folders = [self.task.data_dir, other.task.data_dir]
        known = {None if each is None else Path(each).resolve() for each in folders}
        return len(known) == 1 and all(
            getattr(self.recipe, key) == getattr(other.recipe, key) for key in self.fields_of_data
        )

    def _with_progress(self, judged: Iterable[Judged]) -> Iterator[Judged]:
        """Yields what is given, and shows on a terminal how far that is."""
        show = progress(f"judging {self.name}")
        for number, each in enumerate(judged, start=1):
            yield each
            if show is not None:
                show(number, len(self.split))

    def _check_figures(self, figures: Mapping[str, float], items: int, truths: int) -> None:
        """Raises where figures are not those of `results.json`.

        Args:
            figures: What was found.
            items: How many images or sequences were judged: one moves Top-1 Clas by as much.
            truths: How many true boxes or segments there are: one moves the others.
        """
        for key, value in figures.items():
            there = self.results.get(key, math.nan)
            of_one = 1.5 / max(1, items if key == "top1_clas" else truths)
            is_same = abs(value - there) <= max(_MOST_DIFFERENCE, of_one)
            if math.isfinite(value) and not is_same:
                raise RunError(
                    f"{self.path} has {key} = {there:.4f} in results.json, and {value:.4f} is "
                    f"found now: the {self.item}s are not those that it was judged on. "
                    "Give their folder as --data_dir."
                )
