"""A run: strategy, run directory, training loop, and going on after an interruption.

This is the one place that knows how a network is trained, whatever it is trained on: a `Task` says
what that is. A run directory holds `recipe.json` (the resolved recipe), `logs/` (TensorBoard),
`checkpoint.json` and the weights it names, and, when all is done, `results.json`, `panel.png` and
`saved_model/`.
"""

from __future__ import annotations

import abc
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence, Sized
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from trainers.engine.text_files import write_aside
from trainers.optimizers import CoupledSGD, Regimes
from trainers.recipes import Recipe

RecipeType = TypeVar("RecipeType", bound=Recipe)


class RunError(Exception):
    """Something that the person at the keyboard can mend; its message says how."""


class RunDirectory:
    """The files of one run. Each is written aside and renamed, so that none is ever half there.

    Args:
        path: The folder; `claim` makes it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.logs = self.path / "logs"
        self.saved_model = self.path / "saved_model"
        self.panel = self.path / "panel.png"

    def claim(self, recipe: Recipe, source: dict[str, str | None]) -> None:
        """Writes recipe and source, or checks that the run that is there has the same.

        Args:
            recipe: What is to be done.
            source: What else decides the result, by name: the folder of the data.

        Raises:
            RunError: If the folder holds another run, or something that is not a run.
        """
        if (self.path / "recipe.json").is_file():
            recipe_there = self.read_recipe(type(recipe))
            is_judged = (self.path / "results.json").is_file()
            differences = (
                recipe_there.differences(recipe)
                if is_judged
                else recipe_there.training_differences(recipe)
            )
            there = self.read_json("source.json") or {}
            differences += [
                f"{key}: {there.get(key)} there, {value} asked for"
                for key, value in source.items()
                if there and there.get(key) != value
            ]
            if differences:
                raise RunError(
                    f"{self.path} holds a run of another recipe ({'; '.join(differences)}). "
                    "Choose another --run_dir, or delete that folder."
                )
            if not is_judged:
                self.write("recipe.json", recipe.to_json())
            return
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file. Choose another --run_dir.")
        if self.path.exists() and any(self.path.iterdir()):
            raise RunError(f"{self.path} is not empty and holds no run. Choose another --run_dir.")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"{self.path} cannot be made ({error}). Choose another --run_dir."
            ) from error
        self.write_json("source.json", source)
        self.write("recipe.json", recipe.to_json())

    def release(self) -> None:
        """Undoes `claim` where nothing was trained, so that a mended command can be given."""
        if not (self.path / "checkpoint.json").exists():
            for name in ("recipe.json", "source.json"):
                (self.path / name).unlink(missing_ok=True)

    def write(self, name: str, text: str) -> None:
        """Writes a text file."""
        write_aside(self.path / name, text)

    def write_json(self, name: str, value: Any) -> None:
        """Writes a JSON file; numbers that are not finite, which JSON has not, become null."""
        self.write(name, json.dumps(_finite(value), indent=2, allow_nan=False) + "\n")

    def read_json(self, name: str) -> Any:
        """Returns what a JSON file holds, or None where there is none.

        Raises:
            RunError: If it cannot be read.
        """
        file = self.path / name
        if not file.is_file():
            return None
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._damaged(name, error) from error

    def read_recipe(self, kind: type[RecipeType]) -> RecipeType:
        """Returns the recipe of the run.

        Raises:
            RunError: If there is none, or it is of another kind.
        """
        file = self.path / "recipe.json"
        if not file.is_file():
            raise RunError(f"{self.path} holds no run: there is no recipe.json in it.")
        try:
            return kind.from_json(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._damaged("recipe.json", error) from error

    def read_results(self) -> dict[str, Any] | None:
        """Returns the results of a finished run; None if it is not finished. Null is read as NaN.

        Raises:
            RunError: If they cannot be read.
        """
        results = self.read_json("results.json")
        return None if results is None else _with_nan(results)

    def save_checkpoint(self, model: keras.Model, history: list[dict[str, float]]) -> None:
        """Keeps weights, optimizer, random state and history; the checkpoint before is deleted."""
        name = f"checkpoint_{len(history):04d}.weights.h5"
        aside = self.path / f"aside_{name}"
        model.save_weights(aside)
        aside.replace(self.path / name)
        random_states = [np.asarray(state.value).tolist() for state in _random_states(model)]
        self.write_json(
            "checkpoint.json", {"weights": name, "history": history, "random": random_states}
        )
        for old in self.path.glob("*checkpoint_*.weights.h5"):
            if old.name != name:
                old.unlink()

    def restore_checkpoint(self, model: keras.Model) -> list[dict[str, float]]:
        """Loads the last checkpoint into a model; returns its history, [] without one.

        Raises:
            RunError: If it cannot be read, or is of another network.
        """
        checkpoint = self.read_json("checkpoint.json")
        if checkpoint is None:
            return []
        try:
            name, history = checkpoint["weights"], checkpoint["history"]
            states = _random_states(model)
            # Runs from before random states were kept have none: all but dropout goes on exactly.
            random_states = checkpoint.get("random", [state.value for state in states])
            if len(states) != len(random_states):
                raise ValueError(f"{len(random_states)} random states for {len(states)}")
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged("checkpoint.json", error) from error
        try:
            model.load_weights(self.path / name)
        except (OSError, ValueError, KeyError) as error:
            raise self._damaged(name, error) from error
        for state, value in zip(states, random_states, strict=True):
            state.assign(np.asarray(value, state.dtype))
        return list(history)

    def copy_checkpoint(self, other: RunDirectory) -> None:
        """Takes over the checkpoint of another run.

        Raises:
            RunError: If that has none.
        """
        checkpoint = other.read_json("checkpoint.json")
        try:
            name = checkpoint["weights"]
            shutil.copyfile(other.path / name, self.path / f"aside_{name}")
        except (KeyError, TypeError, OSError) as error:
            raise RunError(f"{other.path} holds no network that can be read ({error}).") from error
        (self.path / f"aside_{name}").replace(self.path / name)
        self.write_json("checkpoint.json", checkpoint)

    def _damaged(self, name: str, error: Exception) -> RunError:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return RunError(
            f"{self.path / name} cannot be read ({reason}). If the run was made by this version of "
            f"the project, the file is damaged: delete {self.path} to begin that run anew."
        )


class Task(abc.ABC):
    """What a run trains, and how it judges the network: images or videos.

    Args:
        recipe: The recipe.
        data_dir: The data set's folder; None for generated ones.
    """

    train_split: Sized
    val_split: Sized

    def __init__(self, recipe: Recipe, data_dir: str | os.PathLike[str] | None = None) -> None:
        self.recipe = recipe
        self.data_dir = data_dir

    @property
    def source(self) -> dict[str, str | None]:
        """What decides the result beside the recipe, by name: the folder of the data."""
        return {"data_dir": None if self.data_dir is None else str(Path(self.data_dir).resolve())}

    @abc.abstractmethod
    def load(self, directory: RunDirectory) -> None:
        """Reads the data. Raises RunError for what a person can mend."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches an epoch: the recipe's, or those that the training data fill."""
        recipe = self.recipe
        return recipe.steps_per_epoch or max(1, len(self.train_split) // recipe.batch_size)

    @abc.abstractmethod
    def build_model(self) -> keras.Model:
        """Returns the network, not compiled."""

    def optimizer(self) -> keras.optimizers.Optimizer:
        """Returns stochastic gradient descent as the recipe describes it."""
        recipe, steps = self.recipe, self.steps_per_epoch
        rate: Any = recipe.learning_rate
        if recipe.schedule == "regimes":
            rate = recipe.regimes[0][1]  # `Regimes` sets it, epoch by epoch
        else:
            rate = keras.optimizers.schedules.CosineDecay(rate, recipe.epochs * steps)
        return CoupledSGD(
            rate,
            decay_rate=recipe.weight_decay,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
        )

    @abc.abstractmethod
    def compile_arguments(self) -> dict[str, Any]:
        """Returns loss and metrics of training."""

    @abc.abstractmethod
    def batches(self, first_step: int) -> tf.data.Dataset:
        """Returns an endless dataset of training batches from that step on."""

    @abc.abstractmethod
    def describe(self, model: keras.Model) -> str:
        """Returns in a line or two what is going to be trained on what."""

    @abc.abstractmethod
    def evaluation_callback(self, directory: RunDirectory) -> keras.callbacks.Callback:
        """Returns the callback that evaluates after each epoch and writes into `logs`."""

    @abc.abstractmethod
    def summary_of_epoch(self, logs: dict[str, float]) -> str:
        """Returns the figures of an epoch in one line."""

    @abc.abstractmethod
    def judge(self, model: keras.Model, directory: RunDirectory) -> dict[str, Any]:
        """Evaluates the trained network, draws, exports, and returns the results."""

    @abc.abstractmethod
    def report(self, directory: RunDirectory, results: dict[str, Any]) -> str:
        """Returns what is printed at the end."""

    @abc.abstractmethod
    def prepare_to_judge(self, model: keras.Model) -> None:
        """Changes a trained network before it is judged, if the recipe says so."""

    def name_bad_input(self, error: Exception) -> str | None:
        """Returns which file made TensorFlow fail, or None if none did."""
        return None


class _KeepCheckpoints(keras.callbacks.Callback):
    def __init__(self, directory: RunDirectory, history: list[dict[str, float]]) -> None:
        super().__init__()
        self.directory = directory
        self.history = history

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.history.append({key: float(value) for key, value in (logs or {}).items()})
        self.directory.save_checkpoint(self.model, self.history)


class _AgreeOnStatistics(keras.callbacks.Callback):
    """Gives all replicas the mean of their batch normalization statistics, at each epoch's end.

    What is then evaluated is what is saved, and a continued run equals one that was not cut.
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for variable in self.model.non_trainable_variables:
            if keras.backend.is_float_dtype(variable.dtype):
                variable.assign(variable.value)


class _EveryFew(keras.callbacks.Callback):
    """Evaluates after every few epochs, and after the last."""

    def __init__(self, evaluation: keras.callbacks.Callback, recipe: Recipe) -> None:
        super().__init__()
        self.evaluation = evaluation
        self.recipe = recipe

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self.evaluation.set_model(model)

    def set_params(self, params: dict[str, Any] | None) -> None:
        super().set_params(params)
        self.evaluation.set_params(params)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        done = epoch + 1
        if done % self.recipe.evaluate_every == 0 or done == self.recipe.epochs:
            self.evaluation.on_epoch_end(epoch, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.evaluation.on_train_end(logs)


class _SummaryLines(keras.callbacks.Callback):
    """One line an epoch."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.began = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        epochs = self.task.recipe.epochs
        print(
            f"epoch {epoch + 1:>{len(str(epochs))}}/{epochs}  "
            f"{self.task.summary_of_epoch(dict(logs or {}))}  "
            f"{time.monotonic() - self.began:.0f} s",
            flush=True,
        )


def train(
    task: Task,
    run_dir: str | os.PathLike[str],
    strategy: tf.distribute.Strategy | None = None,
    network_from: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Does a run from where it stands to its end, and returns its results.

    Args:
        task: What to do.
        run_dir: Where to keep it. Given again with the same recipe, the run goes on from its last
            finished epoch; a finished run returns its results at once.
        strategy: None for all GPUs, or the CPU.
        network_from: Run directory of a finished run of a recipe that trains alike: its network is
            judged, and none trained.

    Returns:
        What `results.json` holds: fractions by name.

    Raises:
        RunError: For what the person at the keyboard can mend.
    """
    recipe = task.recipe
    directory = RunDirectory(run_dir)
    directory.claim(recipe, task.source)
    results = directory.read_results()
    if results is not None and directory.saved_model.is_dir():
        print(f"{directory.path} is finished already.")
        print(task.report(directory, results))
        return results
    keras.utils.set_random_seed(recipe.seed)
    try:
        task.load(directory)
        if network_from is not None:
            _adopt_network(task, directory, RunDirectory(network_from))
        model = _fit(task, directory, strategy or choose_strategy())
        task.prepare_to_judge(model)
        results = task.judge(model, directory)
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        named = task.name_bad_input(error)
        if named is None:
            raise
        raise RunError(named) from error
    except (RunError, ValueError):
        directory.release()
        raise
    directory.write_json("results.json", results)
    print(task.report(directory, results))
    return results


def load_network(
    task: Task, directory: RunDirectory, strategy: tf.distribute.Strategy | None = None
) -> keras.Model:
    """Returns the trained network of a finished run, as the task judges it.

    Args:
        task: Its data have to be loaded.
        directory: Where the run is.
        strategy: None for all GPUs, or the CPU.

    Raises:
        RunError: If the run is not finished, or cannot be read.
    """
    if directory.read_results() is None:
        raise RunError(f"{directory.path} holds no finished run: there is no results.json in it.")
    strategy = strategy or choose_strategy()
    model = _build(task, strategy)
    with strategy.scope():
        directory.restore_checkpoint(model)
    task.prepare_to_judge(model)
    return model


def open_finished(
    run_dir: str | os.PathLike[str], kind: type[RecipeType]
) -> tuple[RunDirectory, RecipeType, dict[str, Any]]:
    """Returns a finished run: its directory, recipe and results.

    Args:
        run_dir: Where it is.
        kind: The class of its recipe.

    Raises:
        RunError: If there is none, it is of another kind, or it is not finished.
    """
    directory = RunDirectory(run_dir)
    if not directory.path.is_dir():
        raise RunError(f"There is no folder {directory.path}.")
    recipe = directory.read_recipe(kind)
    results = directory.read_results()
    if results is None:
        raise RunError(
            f"{directory.path} holds no finished run: there is no results.json in it. "
            "The command that began it goes on with it."
        )
    return directory, recipe, results


def choose_strategy() -> tf.distribute.Strategy:
    """Returns MirroredStrategy where there are GPUs, else TensorFlow's default."""
    gpus = tf.config.list_logical_devices("GPU")
    if not gpus:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus])


def progress(title: str) -> Callable[[int, int], None] | None:
    """Returns a function that shows progress on a terminal, and None where there is none."""
    if not sys.stderr.isatty():
        return None
    shown = 0.0

    def show(done: int, total: int) -> None:
        nonlocal shown
        if done == total or time.monotonic() - shown > 0.2:
            shown = time.monotonic()
            end = "\n" if done == total else ""
            print(f"\r{title} {done}/{total}", end=end, file=sys.stderr, flush=True)

    return show


def _adopt_network(task: Task, directory: RunDirectory, other: RunDirectory) -> None:
    """Copies the checkpoint of a finished run that trained alike."""
    differences = other.read_recipe(type(task.recipe)).training_differences(task.recipe)
    if differences:
        raise RunError(
            f"The network of {other.path} was trained otherwise ({'; '.join(differences)}), so "
            f"it is not that of {task.recipe.name}. Leave --network_from out to train one."
        )
    data_there = other.read_json("source.json")
    if data_there is not None and data_there != task.source:
        raise RunError(
            f"The network of {other.path} was trained on other data ({data_there}; asked for are "
            f"{task.source})."
        )
    if other.read_results() is None:
        raise RunError(f"{other.path} is not finished: there is no results.json in it.")
    directory.copy_checkpoint(other)


def _build(task: Task, strategy: tf.distribute.Strategy) -> keras.Model:
    """Returns the network, compiled."""
    recipe = task.recipe
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(recipe.mixed_precision or "float32")
    try:
        with strategy.scope():
            model = task.build_model()
            model.compile(task.optimizer(), **task.compile_arguments())
            model.optimizer.build(model.trainable_variables)
    finally:
        keras.config.set_dtype_policy(policy)
    return model


def _fit(task: Task, directory: RunDirectory, strategy: tf.distribute.Strategy) -> keras.Model:
    recipe = task.recipe
    model = _build(task, strategy)
    with strategy.scope():
        history = directory.restore_checkpoint(model)
    steps = task.steps_per_epoch
    print(
        f"{recipe.name}: {recipe.description}\n{task.describe(model)}; "
        f"{strategy.num_replicas_in_sync} device(s); {steps} steps an epoch"
    )
    if 0 < len(history) < recipe.epochs:
        print(f"going on after epoch {len(history)}")
    print(f"TensorBoard: tensorboard --logdir {directory.logs}", flush=True)
    _write_recipe(recipe, directory, len(history))
    all_callbacks: list[keras.callbacks.Callback] = [
        _EveryFew(task.evaluation_callback(directory), recipe),
        keras.callbacks.TensorBoard(directory.logs, write_graph=False),
        _SummaryLines(task),
        _KeepCheckpoints(directory, history),
    ]
    if strategy.num_replicas_in_sync > 1:
        all_callbacks.insert(0, _AgreeOnStatistics())
    if recipe.schedule == "regimes":
        all_callbacks.insert(0, Regimes(recipe.regimes))
    if len(history) < recipe.epochs:
        try:
            model.fit(
                task.batches(len(history) * steps),
                epochs=recipe.epochs,
                initial_epoch=len(history),
                steps_per_epoch=steps,
                shuffle=False,
                callbacks=all_callbacks,
                verbose=1 if sys.stdout.isatty() else 0,
            )
        except KeyboardInterrupt:
            raise RunError(
                f"Interrupted after epoch {len(history)} of {recipe.epochs}. "
                "The same command goes on from there."
            ) from None
    return model


def _write_recipe(recipe: Recipe, directory: RunDirectory, step: int) -> None:
    """Writes the recipe as text for TensorBoard."""
    rows = [f"| {field} | {value} |" for field, value in json.loads(recipe.to_json()).items()]
    with tf.summary.create_file_writer(str(directory.logs / "recipe")).as_default(step=step):
        tf.summary.text("recipe", "\n".join(["| field | value |", "|---|---|", *rows]))


def _random_states(model: keras.Model) -> Sequence[keras.Variable]:
    """Returns the states of all random generators: weights files lack those of dropout."""
    weights = {id(variable) for variable in model.weights}
    metrics = {id(variable) for variable in model.metrics_variables}
    return [
        variable
        for variable in model.variables
        if id(variable) not in weights | metrics and variable.dtype in ("uint32", "int64")
    ]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_nan(each) for each in value]
    return math.nan if value is None else value
