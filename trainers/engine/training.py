"""The training loop and its callbacks: trains, resumes and evaluates any task."""

from __future__ import annotations

import json
import math
import os
import time
from typing import Any

import keras
import tensorflow as tf

from keras_has.callbacks import Regimes
from keras_has.error_causes import cause_of
from trainers.engine import data_digest
from trainers.engine.console import epoch_line, is_terminal, print_problems
from trainers.engine.event_files import purge_events
from trainers.engine.run_directory import RunDirectory, best_epoch
from trainers.engine.run_error import RunError
from trainers.engine.strategies import choose_strategy
from trainers.recipes.recipe import Recipe
from trainers.tasks.registry import find_task
from trainers.tasks.task import Task


def train_recipe(
    recipe: Recipe,
    run_dir: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    strategy: tf.distribute.Strategy | None = None,
    network_from: str | os.PathLike[str] | None = None,
    accept_changed_data: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Trains or resumes the run of a recipe and returns its results.

    Args:
        recipe: The recipe; its class determines the task.
        run_dir: The run directory.
        data_dir: The folder of the dataset; `None` for generated datasets.
        strategy: See `train`.
        network_from: See `train`.
        accept_changed_data: See `train`.
        **options: Further arguments of the task, such as `on_bad_image`.

    Returns:
        The content of `results.json`: fractions by name.

    Raises:
        RunError: For errors the user can fix.
    """
    task = find_task(recipe.TASK).task_class()(recipe, data_dir, **options)
    return train(task, run_dir, strategy, network_from, accept_changed_data)


def train(
    task: Task,
    run_dir: str | os.PathLike[str],
    strategy: tf.distribute.Strategy | None = None,
    network_from: str | os.PathLike[str] | None = None,
    accept_changed_data: bool = False,
) -> dict[str, Any]:
    """Trains or resumes a run and returns its results.

    Args:
        task: What to train.
        run_dir: The run directory. With the same recipe, a run resumes after its last finished
            epoch, and a finished run returns its results at once.
        strategy: `None` for all GPUs, or the CPU.
        network_from: Directory of a finished run whose recipe trains in the same way: its network
            is evaluated instead of training one.
        accept_changed_data: Whether to resume a run, with a message, although examples were added,
            removed or labelled otherwise since. A run whose classes changed is never resumed.

    Returns:
        The content of `results.json`: fractions by name.

    Raises:
        RunError: For errors the user can fix.
    """
    recipe = task.recipe
    directory = RunDirectory(run_dir)
    directory.claim(recipe, task.source)
    results = directory.read_results()
    if results is not None and directory.saved_model.is_dir():
        try:
            report = task.report(directory, results)
        # An entry is missing, or of another type than the report of the task expects.
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            file = directory.path / "results.json"
            raise RunError(
                f"{file} is damaged ({cause_of(error)}). Delete it, and the same command evaluates "
                "the network again."
            ) from error
        print(
            f"{directory.path} is finished already: these figures are those of the data as they "
            "were then. To evaluate again, delete its results.json."
        )
        print(report)
        return results
    if recipe.deterministic:
        _enable_determinism()
    keras.utils.set_random_seed(recipe.seed)
    try:
        task.load(directory)
        if network_from is not None:
            _adopt_network(task, directory, RunDirectory(network_from))
        current = data_digest.digest(task.train_split, task.val_split)
        directory.check_data(current, accept_changed_data)
        model = _fit(task, directory, strategy or choose_strategy())
        task.prepare_for_evaluation(model)
        results = task.evaluate(model, directory)
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        message = task.name_bad_input(error)
        if message is None:
            raise
        raise RunError(message) from error
    except (RunError, ValueError):
        directory.release()
        raise
    directory.write_json("results.json", results)
    print(task.report(directory, results))
    return results


def load_network(
    task: Task, directory: RunDirectory, strategy: tf.distribute.Strategy | None = None
) -> keras.Model:
    """Returns the trained network of a finished run, ready for evaluation.

    Args:
        task: The task, with its data loaded.
        directory: The run directory.
        strategy: `None` for all GPUs, or the CPU.

    Raises:
        RunError: If the run is not finished, or cannot be read.
    """
    if directory.read_results() is None:
        raise RunError(f"{directory.path} contains no finished run: it has no results.json.")
    recorded = directory.read_json(data_digest.FILE)
    if recorded is not None:
        current = data_digest.digest(task.train_split, task.val_split)
        for change in data_digest.changes(recorded, current, str(directory.path)):
            print(f"The data have changed since {directory.path} was trained: {change}")
    strategy = strategy or choose_strategy()
    model = _build(task, strategy)
    with strategy.scope():
        directory.restore_checkpoint(model)
        _restore_best(task, directory, model)
    task.prepare_for_evaluation(model)
    return model


class _SaveCheckpoints(keras.callbacks.Callback):
    """Saves a checkpoint after each epoch."""

    def __init__(self, directory: RunDirectory, history: list[dict[str, float]]) -> None:
        super().__init__()
        self.directory = directory
        self.history = history

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.history.append({key: float(value) for key, value in (logs or {}).items()})
        self.directory.save_checkpoint(self.model, self.history)


class _KeepBestWeights(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the highest figure, which the task evaluates."""

    def __init__(
        self, directory: RunDirectory, history: list[dict[str, float]], figure: str
    ) -> None:
        super().__init__()
        self.directory = directory
        self.history = history
        self.figure = figure

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        former = best_epoch(self.history, self.figure)
        if best_epoch([*self.history, logs or {}], self.figure) == epoch + 1:
            self.directory.save_best(self.model, epoch + 1, former)


class _StopAtInvalidLoss(keras.callbacks.Callback):
    """Stops a run whose loss is NaN or infinite, before an epoch with it can become a checkpoint.

    Raises:
        RunError: The message gives the loss, epoch and step, and what was kept.
    """

    def __init__(self, directory: RunDirectory, history: list[dict[str, float]]) -> None:
        super().__init__()
        self.directory = directory
        self.history = history

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if math.isfinite(loss):
            return
        done = len(self.history)
        kept = (
            f"The checkpoint of epoch {done} is kept in {self.directory.path}."
            if done
            else "There is no checkpoint yet."
        )
        raise RunError(
            f"The loss should be finite. Received: loss={loss} in epoch {done + 1}, step "
            f"{int(self.model.optimizer.iterations)}. {kept} Lower the learning rate, or check the "
            "data for values that are not finite."
        )


class _AverageReplicaStatistics(keras.callbacks.Callback):
    """Sets the batch normalization statistics of all replicas to their mean after each epoch.

    The evaluated statistics are then the saved ones, and a resumed run equals an uninterrupted one.
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for variable in self.model.non_trainable_variables:
            if keras.backend.is_float_dtype(variable.dtype):
                variable.assign(variable.value)


class _EvaluateSomeEpochs(keras.callbacks.Callback):
    """Runs an evaluation callback every `evaluate_every` epochs and after the last epoch."""

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


class _PrintEpochs(keras.callbacks.Callback):
    """Prints one summary line per epoch."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task
        self.start = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        figures = self.task.summary_of_epoch(dict(logs or {}))
        seconds = time.monotonic() - self.start
        print(epoch_line(epoch + 1, self.task.recipe.epochs, figures, seconds), flush=True)


def _adopt_network(task: Task, directory: RunDirectory, other: RunDirectory) -> None:
    """Copies the checkpoint of a finished run whose recipe trains in the same way."""
    differences = other.read_recipe(type(task.recipe)).training_differences(task.recipe)
    if differences:
        raise RunError(
            f"The network of {other.path} was trained differently ({'; '.join(differences)}), so "
            f"it is not the one of {task.recipe.name}. Omit --network_from to train one."
        )
    other_source = other.read_source()
    if other_source is not None and other_source != task.source:
        raise RunError(
            f"The network of {other.path} was trained on other data ({other_source} instead of "
            f"{task.source})."
        )
    if other.read_results() is None:
        raise RunError(f"{other.path} is not finished: it has no results.json.")
    directory.copy_checkpoint(other)


def _enable_determinism() -> None:
    """Makes the order in which TensorFlow adds up numbers the same in every run.

    Op determinism is not enough: `AddN`, which sums the gradients of a tensor with several uses,
    starts with whichever term it may overwrite first, and that depends on the order of operations
    that run at the same time. One thread between operations fixes the order. Operations themselves
    still use all cores.

    Raises:
        RunError: If TensorFlow ran something already, after which threads cannot be set.
    """
    tf.config.experimental.enable_op_determinism()
    try:
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise RunError(
            "deterministic=True has to be set before TensorFlow runs its first operation. Start "
            "the run in a new process."
        ) from error


def _build(task: Task, strategy: tf.distribute.Strategy) -> keras.Model:
    """Returns the compiled network."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(task.recipe.mixed_precision or "float32")
    try:
        with strategy.scope():
            model = task.build_model()
            model.compile(task.optimizer(), **task.compile_arguments())
            model.optimizer.build(model.trainable_variables)
    finally:
        keras.config.set_dtype_policy(policy)
    return model


def _fit(task: Task, directory: RunDirectory, strategy: tf.distribute.Strategy) -> keras.Model:
    """Returns the network, trained from the last checkpoint to the last epoch."""
    recipe = task.recipe
    model = _build(task, strategy)
    with strategy.scope():
        history = directory.restore_checkpoint(model)
    steps = task.steps_per_epoch
    print(
        f"{recipe.name}: {recipe.summary}\n{task.describe(model)}; "
        f"{strategy.num_replicas_in_sync} device(s); {steps} steps per epoch"
    )
    if 0 < len(history) < recipe.epochs:
        print(f"resuming after epoch {len(history)}")
    # A kill may come between the log of an epoch and its checkpoint.
    purge_events(directory.logs, len(history))
    print_problems("problems in the data", task.problems)
    print(f"TensorBoard: tensorboard --logdir {directory.logs}", flush=True)
    _log_start(task, directory, len(history))
    all_callbacks: list[keras.callbacks.Callback] = [
        _StopAtInvalidLoss(directory, history),
        _EvaluateSomeEpochs(task.evaluation_callback(directory), recipe),
        keras.callbacks.TensorBoard(directory.logs, write_graph=False),
        _PrintEpochs(task),
        _SaveCheckpoints(directory, history),
    ]
    if task.selection:
        all_callbacks.insert(-1, _KeepBestWeights(directory, history, task.selection))
    if strategy.num_replicas_in_sync > 1:
        all_callbacks.insert(0, _AverageReplicaStatistics())
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
                verbose=1 if is_terminal() else 0,
            )
        except KeyboardInterrupt:
            raise RunError(
                f"Interrupted after epoch {len(history)} of {recipe.epochs}. "
                "The same command resumes the run."
                if history
                else "Interrupted in the first epoch. The same command starts the run again."
            ) from None
    with strategy.scope():
        _restore_best(task, directory, model)
    return model


def _restore_best(task: Task, directory: RunDirectory, model: keras.Model) -> None:
    """Loads the weights of the epoch that the task chooses, if it chooses one."""
    epoch = best_epoch(directory.read_history(), task.selection) if task.selection else None
    if epoch is not None:
        directory.restore_best(model, epoch)


def _log_start(task: Task, directory: RunDirectory, step: int) -> None:
    """Writes the recipe as text for TensorBoard and, once, a picture of training examples."""
    rows = [f"| {name} | {value} |" for name, value in json.loads(task.recipe.to_json()).items()]
    with tf.summary.create_file_writer(str(directory.logs / "recipe")).as_default(step=step):
        tf.summary.text("recipe", "\n".join(["| field | value |", "|---|---|", *rows]))
        panel = task.training_panel() if step == 0 else None
        if panel is not None:
            tf.summary.image("training examples", panel[None])
