"""The files of one run: recipe.json, logs/, checkpoint.json, results.json and what belongs to them.

A run directory contains `recipe.json` (the task and the resolved recipe), `source.json` (where the
data came from), `data.json` (classes and checksums of the data), `logs/` (TensorBoard),
`checkpoint.json` and the weights that it names, and, once the run is finished, `results.json`,
`panel.png` and `saved_model/`.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np

from keras_has.atomic_files import SUFFIX as PARTIAL_SUFFIX
from keras_has.atomic_files import atomic_path, write_atomically
from keras_has.error_causes import cause_of
from keras_has.hdf5_check import check_hdf5
from trainers.engine import data_digest, json_files
from trainers.engine.run_error import RunError
from trainers.recipes.recipe import Recipe
from trainers.tasks.registry import TaskEntry, task_of_fields

RecipeType = TypeVar("RecipeType", bound=Recipe)

_CHECKPOINT_NAME = re.compile(r"checkpoint_\d+\.weights\.h5")
# What a kill within the first epoch may leave.
_OF_THE_FIRST_EPOCH = ("partial_checkpoint_", "partial_best_", "best_")
_FILES_OF_AN_UNTRAINED_RUN = {
    *("recipe.json", "source.json", "bad_images.json", "logs"),
    data_digest.FILE,
}


class RunDirectory:
    """The files of one run. Every file is written under another name and renamed when complete.

    Args:
        path: The folder; `claim` creates it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.logs = self.path / "logs"
        self.saved_model = self.path / "saved_model"
        self.panel = self.path / "panel.png"

    def claim(self, recipe: Recipe, source: dict[str, str | None]) -> None:
        """Writes recipe and source, or checks that an existing run has the same ones.

        Starts anew in a folder whose run stopped before its first checkpoint.

        Args:
            recipe: The recipe to run.
            source: What else determines the result, by name: the folder of the data.

        Raises:
            RunError: If the folder contains a different run, or something that is not a run.
        """
        self.release()
        if (self.path / "recipe.json").is_file():
            is_evaluated = (self.path / "results.json").is_file()
            existing = self.read_recipe(type(recipe))
            compare = existing.differences if is_evaluated else existing.training_differences
            existing_source = self.read_source() or {}
            differences = compare(recipe) + [
                f"{key}: {existing_source.get(key)} there, {value} requested"
                for key, value in source.items()
                if existing_source and existing_source.get(key) != value
            ]
            if differences:
                raise RunError(
                    f"{self.path} contains a run with another recipe ({'; '.join(differences)}). "
                    "Choose another --run_dir, or delete that folder."
                )
            if not is_evaluated:
                self.write("recipe.json", recipe.to_json())
            return
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file. Choose another --run_dir.")
        if self.path.exists() and any(self.path.iterdir()):
            raise RunError(
                f"{self.path} is not empty and contains no run. Choose another --run_dir."
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"{self.path} cannot be created ({error}). Choose another --run_dir."
            ) from error
        self.write_json("source.json", source)
        self.write("recipe.json", recipe.to_json())

    def release(self) -> None:
        """Deletes what a run left that trained nothing, so that a corrected command can start.

        A folder with a checkpoint, or with anything that a run does not write before its first
        checkpoint, is left as it is.
        """
        entries = list(self.path.iterdir()) if self.path.is_dir() else []
        names = {
            entry.name.removesuffix(PARTIAL_SUFFIX)
            for entry in entries
            if not entry.name.startswith(_OF_THE_FIRST_EPOCH)
        }
        is_claimed = "recipe.json" in names or names == {"source.json"}
        if not is_claimed or not names <= _FILES_OF_AN_UNTRAINED_RUN:
            return
        # A kill in between has to leave a folder that is still recognized.
        for entry in sorted(entries, key=lambda entry: entry.name == "recipe.json"):
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def write(self, name: str, text: str) -> None:
        """Writes a text file."""
        write_atomically(self.path / name, text)

    def write_json(self, name: str, value: Any) -> None:
        """Writes a JSON file; numbers that are not finite become null."""
        json_files.write_json(self.path / name, value)

    def read_json(self, name: str) -> Any:
        """Returns the content of a JSON file, or `None` if it does not exist.

        Raises:
            RunError: If it cannot be read.
        """
        try:
            return json_files.read_json(self.path / name)
        except (OSError, ValueError) as error:
            raise self._damaged(name, error) from error

    def read_object(self, name: str) -> dict[str, Any] | None:
        """Returns the content of a JSON file that holds an object, or `None` without the file.

        Raises:
            RunError: If it cannot be read, or holds something else.
        """
        value = self.read_json(name)
        if value is not None and not isinstance(value, dict):
            raise self._damaged(name, ValueError(f"it holds no object but {str(value)[:40]!r}"))
        return value

    def read_source(self) -> dict[str, str | None] | None:
        """Returns where the data of the run came from, or `None` if it is not recorded.

        Raises:
            RunError: If it cannot be read, or holds something else.
        """
        source = self.read_object("source.json")
        for name, value in (source or {}).items():
            if not isinstance(value, str | None):
                error = f"`{name}` should be a text, not {value!r:.50}"
                raise self._damaged("source.json", ValueError(error))
        return source

    def check_data(self, current: dict[str, Any], accept_changes: bool = False) -> None:
        """Checks that the data are those that the run was trained on, and records them.

        Args:
            current: The digest of the data, see `data_digest.digest`.
            accept_changes: Whether to go on, with a message, if examples were added, removed or
                labelled otherwise.

        Raises:
            RunError: If the classes are others, or the examples are and changes are not accepted.
        """
        recorded = self.read_json(data_digest.FILE)
        if (self.path / "checkpoint.json").is_file():
            if recorded is None:
                print(
                    f"{self.path} does not record what it was trained on, because an older version "
                    "wrote it. The data are accepted as they are, and recorded."
                )
            else:
                changes = data_digest.changes(recorded, current, str(self.path))
                if changes and not accept_changes:
                    raise RunError(
                        f"The data have changed since {self.path} was trained: "
                        f"{'; '.join(changes)}. Restore them, or continue on the changed data with "
                        "--accept_changed_data."
                    )
                for change in changes:
                    print(f"The data have changed, which was accepted: {change}")
        if recorded != current:
            self.write_json(data_digest.FILE, current)

    def read_task(self) -> TaskEntry:
        """Returns the task of the run, as recipe.json states it.

        Raises:
            RunError: If there is no run, or its recipe belongs to no known task.
        """
        if not self.path.is_dir():
            raise RunError(f"There is no folder {self.path}.")
        fields = self.read_object("recipe.json")
        if fields is None:
            raise RunError(f"{self.path} contains no run: it has no recipe.json.")
        try:
            return task_of_fields(fields)
        except (TypeError, ValueError) as error:
            raise RunError(f"{self.path / 'recipe.json'} cannot be used: {error}.") from error

    def read_recipe(self, recipe_class: type[RecipeType]) -> RecipeType:
        """Returns the recipe of the run.

        Raises:
            RunError: If there is none, or it belongs to another task.
        """
        file = self.path / "recipe.json"
        if not file.is_file():
            raise RunError(f"{self.path} contains no run: it has no recipe.json.")
        try:
            return recipe_class.from_json(file.read_bytes())
        except (OSError, ValueError) as error:
            raise self._damaged("recipe.json", error) from error

    def read_results(self) -> dict[str, Any] | None:
        """Returns the results, null as NaN, or `None` if the run is not finished.

        Raises:
            RunError: If they cannot be read.
        """
        results = self.read_object("results.json")
        return None if results is None else json_files.null_to_nan(results)

    def save_checkpoint(self, model: keras.Model, history: list[dict[str, float]]) -> None:
        """Saves weights, optimizer, random states and history; deletes the previous checkpoint."""
        name = f"checkpoint_{len(history):04d}.weights.h5"
        with atomic_path(self.path / name, keep_suffix=True) as partial:
            model.save_weights(partial)
            checksum = _sha256(partial)
        random_states = [np.asarray(state.value).tolist() for state in _random_states(model)]
        self.write_json(
            "checkpoint.json",
            {"weights": name, "sha256": checksum, "history": history, "random": random_states},
        )
        for old in self.path.glob("*checkpoint_*.weights.h5"):
            if old.name != name:
                old.unlink()

    def save_best(self, model: keras.Model, epoch: int, former: int | None) -> None:
        """Saves the weights of the best epoch so far, and keeps those of the best one before.

        A kill may come before the checkpoint of the epoch: then the former one is the best again.

        Args:
            model: The network.
            epoch: The number of the epoch, from 1.
            former: The best of the epochs before, `None` if there is none.
        """
        with atomic_path(self._best(epoch), keep_suffix=True) as partial:
            model.save_weights(partial)
        kept = {self._best(number) for number in (epoch, former) if number is not None}
        for old in set(self.path.glob("best_*.weights.h5")) - kept:
            old.unlink()

    def restore_best(self, model: keras.Model, epoch: int) -> None:
        """Loads the weights of the best epoch.

        Raises:
            RunError: If they cannot be read.
        """
        path = self._best(epoch)
        try:
            model.load_weights(path)
        except Exception as error:  # HDF5 and Keras raise nearly everything for damaged files.
            raise self._damaged(path.name, error) from error

    def _best(self, epoch: int) -> Path:
        return self.path / f"best_{epoch:04d}.weights.h5"

    def restore_checkpoint(self, model: keras.Model) -> list[dict[str, float]]:
        """Loads the last checkpoint into a model; returns its history, [] without a checkpoint.

        Raises:
            RunError: If it cannot be read, or belongs to another network.
        """
        checkpoint = self._read_checkpoint()
        if checkpoint is None:
            return []
        name = checkpoint["weights"]
        states = _random_states(model)
        try:
            # Older runs have no random states: they continue exactly except for dropout.
            values = checkpoint.get("random", [np.asarray(state.value) for state in states])
            random_states = [
                np.reshape(np.array(value, state.dtype), state.shape)
                for state, value in zip(states, values, strict=True)
            ]
        except (OverflowError, TypeError, ValueError) as error:
            raise self._damaged("checkpoint.json", error) from error
        checksum = checkpoint.get("sha256")  # Older runs have none.
        try:
            if checksum not in (None, _sha256(self.path / name)):
                raise ValueError("its content is not what was saved")
        except (OSError, ValueError) as error:
            raise self._damaged(name, error) from error
        try:
            if checksum is None:
                check_hdf5(self.path / name)
            model.load_weights(self.path / name)
        except Exception as error:  # HDF5 and Keras raise nearly everything for damaged files.
            state = "may be damaged" if checksum is None else "is intact"
            raise RunError(
                f"The weights in {self.path / name} do not fit the network ({cause_of(error)}). "
                f"The file {state}. Use the data, and the versions of Keras and of this project, "
                f"with which the run was started, or delete {self.path} to start the run again."
            ) from error
        for state, value in zip(states, random_states, strict=True):
            state.assign(value)
        return list(checkpoint["history"])

    def _read_checkpoint(self) -> dict[str, Any] | None:
        """Returns checkpoint.json after checking the types of its entries."""
        checkpoint = self.read_object("checkpoint.json")
        if checkpoint is None:
            return None
        name, history = checkpoint.get("weights"), checkpoint.get("history")
        if not isinstance(name, str) or not _CHECKPOINT_NAME.fullmatch(name):
            error = f"weights should be checkpoint_NUMBER.weights.h5, not {str(name)[:40]!r}"
            raise self._damaged("checkpoint.json", ValueError(error))
        is_history = isinstance(history, list) and all(
            isinstance(logs, dict)
            and all(isinstance(value, int | float | None) for value in logs.values())
            for logs in history
        )
        if not is_history:
            error = f"history should list the figures of each epoch, not {str(history)[:40]!r}"
            raise self._damaged("checkpoint.json", ValueError(error))
        return {**checkpoint, "history": json_files.null_to_nan(history)}

    def read_history(self) -> list[dict[str, float]]:
        """Returns the figures of each epoch up to the last checkpoint, [] without a checkpoint.

        Raises:
            RunError: If they cannot be read.
        """
        checkpoint = self._read_checkpoint()
        return [] if checkpoint is None else list(checkpoint["history"])

    def copy_checkpoint(self, other: RunDirectory) -> None:
        """Copies the checkpoint of another run, and what is recorded about its data.

        Raises:
            RunError: If the other run has none.
        """
        checkpoint = other._read_checkpoint()
        if checkpoint is None:
            raise RunError(f"{other.path} contains no network: it has no checkpoint.json.")
        best = [path.name for path in other.path.glob("best_*.weights.h5")]
        try:
            for name in (*best, checkpoint["weights"]):
                with atomic_path(self.path / name) as partial:
                    shutil.copyfile(other.path / name, partial)
        except FileNotFoundError as error:
            raise RunError(f"{other.path} contains no readable network ({error}).") from error
        self.write_json("checkpoint.json", checkpoint)
        recorded = other.read_json(data_digest.FILE)
        if recorded is not None:
            self.write_json(data_digest.FILE, recorded)

    def _damaged(self, name: str, error: Exception) -> RunError:
        return RunError(
            f"{self.path / name} cannot be read ({cause_of(error)}). If this version of the "
            f"project wrote the run, the file is damaged: delete {self.path} to "
            "start the run again."
        )


def best_epoch(history: Sequence[Mapping[str, float]], figure: str) -> int | None:
    """Returns the first epoch with the highest figure, counted from 1; `None` without any.

    Args:
        history: The figures of each epoch, not all of which were evaluated.
        figure: The name of the figure.

    Example:

    >>> best_epoch([{"val_top1_clas": 0.5}, {}, {"val_top1_clas": 0.7}], "val_top1_clas")
    3
    """
    evaluated = [
        (logs[figure], -number)
        for number, logs in enumerate(history, 1)
        if not math.isnan(logs.get(figure, math.nan))
    ]
    return -max(evaluated)[1] if evaluated else None


def open_finished(
    run_dir: str | os.PathLike[str], recipe_class: type[RecipeType]
) -> tuple[RunDirectory, RecipeType, dict[str, Any]]:
    """Returns a finished run: its directory, recipe and results.

    Args:
        run_dir: Its folder.
        recipe_class: The class of its recipe.

    Raises:
        RunError: If there is no run, it belongs to another task, or it is not finished.
    """
    directory = RunDirectory(run_dir)
    if not directory.path.is_dir():
        raise RunError(f"There is no folder {directory.path}.")
    recipe = directory.read_recipe(recipe_class)
    results = directory.read_results()
    if results is None:
        raise RunError(
            f"{directory.path} contains no finished run: it has no results.json. "
            "The command that started it resumes it."
        )
    return directory, recipe, results


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _random_states(model: keras.Model) -> list[keras.Variable]:
    """Returns the states of all random generators: weights files do not contain dropout's."""
    weights = {id(variable) for variable in model.weights}
    metrics = {id(variable) for variable in model.metrics_variables}
    return [
        variable
        for variable in model.variables
        if id(variable) not in weights | metrics and variable.dtype in ("uint32", "int64")
    ]
