"""A run: data, strategy, model, training loop, run directory, and going on after an interruption.

This is the one place that knows how a network is trained. A run directory holds `recipe.json`
(the resolved recipe), `logs/` (TensorBoard), `checkpoint.json` and the weights it names, and, when
all is done, `results.json`, `panel.png` and `saved_model/`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_has import callbacks, data, drawing, layers, models
from keras_has.data.image_dataset import ImageDataset
from keras_has.export import export_localizer
from keras_has.metrics.localization_curve import THRESHOLDS
from keras_has.ops.boxes import best_centred_side
from trainers.optimizers import CoupledSGD, Regimes
from trainers.recipes import Recipe

_READERS: dict[str, Callable[..., ImageDataset]] = {
    "tiny_imagenet": data.tiny_imagenet,
    "imagenet": data.imagenet,
    "folder": data.image_folder,
}
_MOST_BYTES_IN_MEMORY = 2**30
# Fields of a recipe that say something of it and decide nothing.
_WORDS = ("description", "published", "choices")


class RunError(Exception):
    """Something that the person at the keyboard can mend; its message says how."""


class RunDirectory:
    """The files of one run. Each is written aside and renamed, so that none is ever half there.

    Args:
        path: The folder; it is made.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.logs = self.path / "logs"
        self.saved_model = self.path / "saved_model"
        self.panel = self.path / "panel.png"

    def claim(self, recipe: Recipe, data_dir: str | os.PathLike[str] | None = None) -> None:
        """Writes recipe and data folder, or checks that the run that is there has the same.

        Raises:
            RunError: If the folder holds another run, or something that is not a run.
        """
        file = self.path / "recipe.json"
        if file.is_file():
            there = Recipe.from_json(file.read_text(encoding="utf-8"))
            differences = [
                f"{field.name}: {getattr(there, field.name)!r} there, "
                f"{getattr(recipe, field.name)!r} asked for"
                for field in dataclasses.fields(Recipe)
                if field.name not in _WORDS
                and getattr(there, field.name) != getattr(recipe, field.name)
            ]
            data_there = self.read_json("data_dir.json")
            if data_there is not None and data_there != _resolved(data_dir):
                differences.append(f"data_dir: {data_there} there, {data_dir} asked for")
            if differences:
                raise RunError(
                    f"{self.path} holds a run of another recipe ({'; '.join(differences)}). "
                    "Choose another --run_dir, or delete that folder."
                )
            return
        if self.path.exists() and any(self.path.iterdir()):
            raise RunError(f"{self.path} is not empty and holds no run. Choose another --run_dir.")
        self.path.mkdir(parents=True, exist_ok=True)
        self.write("data_dir.json", json.dumps(_resolved(data_dir)) + "\n")
        self.write("recipe.json", recipe.to_json())

    def release(self) -> None:
        """Undoes `claim` where nothing was trained, so that a mended command can be given."""
        if not (self.path / "checkpoint.json").exists():
            for name in ("recipe.json", "data_dir.json"):
                (self.path / name).unlink(missing_ok=True)

    def write(self, name: str, text: str) -> None:
        """Writes a text file."""
        aside = self.path / f"{name}.tmp"
        aside.write_text(text, encoding="utf-8")
        aside.replace(self.path / name)

    def read_json(self, name: str) -> Any:
        """Returns what a JSON file holds, or None where there is none."""
        file = self.path / name
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None

    def save_checkpoint(self, model: keras.Model, history: list[dict[str, float]]) -> None:
        """Keeps weights, optimizer and history after an epoch; the file before is deleted."""
        name = f"checkpoint_{len(history):04d}.weights.h5"
        aside = self.path / f"aside_{name}"
        model.save_weights(aside)
        aside.replace(self.path / name)
        self.write("checkpoint.json", json.dumps({"weights": name, "history": history}))
        for old in self.path.glob("*checkpoint_*.weights.h5"):
            if old.name != name:
                old.unlink()

    def restore_checkpoint(self, model: keras.Model) -> list[dict[str, float]]:
        """Loads the last checkpoint into a compiled model; returns its history, [] without one."""
        checkpoint = self.read_json("checkpoint.json")
        if checkpoint is None:
            return []
        model.load_weights(self.path / checkpoint["weights"])
        history: list[dict[str, float]] = checkpoint["history"]
        return history


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


class _SummaryLines(keras.callbacks.Callback):
    """One line an epoch."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.began = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        values = dict(logs or {})
        percent = {key: 100 * value for key, value in values.items()}
        print(
            f"epoch {epoch + 1:>{len(str(self.recipe.epochs))}}/{self.recipe.epochs}  "
            f"loss {values['loss']:.3f}  train top1_clas {percent['top1_clas']:.1f}  |  "
            f"val_loss {values['val_loss']:.3f}  top1_clas {percent['val_top1_clas']:.1f}  "
            f"gt_known_loc {percent['val_gt_known_loc']:.1f}  "
            f"top1_loc {percent['val_top1_loc']:.1f}  at {values['val_cam_threshold']:.0%}  "
            f"(centred box {percent['val_centred_box']:.1f})  "
            f"{time.monotonic() - self.began:.0f} s",
            flush=True,
        )


def train(
    recipe: Recipe,
    run_dir: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    on_bad_image: str = "error",
    strategy: tf.distribute.Strategy | None = None,
) -> dict[str, Any]:
    """Does a run from where it stands to its end, and returns its results.

    Args:
        recipe: What to do.
        run_dir: Where to keep it. Given again with the same recipe, the run goes on from its last
            finished epoch; a finished run returns its results at once.
        data_dir: The data set's folder; not for `parts`.
        on_bad_image: "error" to stop at a file that cannot be decoded and name it, "skip" to look
            for them first, leave them out, and list them at the end.
        strategy: None for all GPUs, or the CPU.

    Returns:
        What `results.json` holds: fractions by name.

    Raises:
        RunError: For what the person at the keyboard can mend.
    """
    directory = RunDirectory(run_dir)
    directory.claim(recipe, data_dir)
    results: dict[str, Any] | None = directory.read_json("results.json")
    if results is not None and directory.saved_model.is_dir():
        print(f"{directory.path} is finished already.")
        _report(directory, recipe, results)
        return results
    keras.utils.set_random_seed(recipe.seed)
    strategy = strategy or choose_strategy()
    try:
        splits, bad_images = _load(recipe, data_dir, on_bad_image, directory)
    except (RunError, ValueError):
        directory.release()
        raise
    try:
        results = _fit_and_evaluate(recipe, directory, *splits, strategy)
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        for split in splits:
            named = data.name_bad_image(split, error)
            if named is not None:
                raise RunError(str(named)) from error
        raise
    except (RunError, ValueError):
        directory.release()
        raise
    results["bad_images"] = len(bad_images)
    directory.write("results.json", json.dumps(results, indent=2) + "\n")
    _report(directory, recipe, results)
    if bad_images:
        print(f"\n{len(bad_images)} files could not be decoded and were left out:")
        for bad in bad_images:
            print(f"  {bad['path']}: {bad['reason']}")
    return results


def _resolved(data_dir: str | os.PathLike[str] | None) -> str | None:
    return None if data_dir is None else str(Path(data_dir).resolve())


def choose_strategy() -> tf.distribute.Strategy:
    """Returns MirroredStrategy where there are GPUs, else TensorFlow's default."""
    gpus = tf.config.list_logical_devices("GPU")
    if not gpus:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus])


def build_model(recipe: Recipe, num_classes: int, mean: np.ndarray, std: np.ndarray) -> keras.Model:
    """Returns the network of a recipe, with normalisation and hiding inside.

    Args:
        recipe: The recipe.
        num_classes: Number of classes.
        mean: (3,) of pixels in [0, 255].
        std: (3,) likewise.

    Returns:
        A flat Functional model, not compiled.

    Raises:
        RunError: For a network that there is not.
    """
    preprocessing: list[keras.Layer] = [
        keras.layers.Normalization(mean=mean, variance=np.square(std), dtype="float32")
    ]
    if any(recipe.patch_size):
        preprocessing.append(
            layers.HideAndSeek(
                recipe.patch_size,
                recipe.hide_probability,
                recipe.fill_value if len(recipe.fill_value) > 1 else recipe.fill_value[0],
                data_format="channels_last",
                seed=recipe.seed,
            )
        )
    shape = (recipe.image_size, recipe.image_size, 3)
    settings: dict[str, Any] = {"pooling": recipe.pooling, "preprocessing": preprocessing}
    if recipe.model == "small_gap":
        if recipe.widths:
            settings["widths"] = recipe.widths
        return models.SmallGAP(num_classes, shape, map_stride=recipe.map_stride, **settings)
    if recipe.model == "alexnet_gap":
        return models.AlexNetGAP(num_classes, shape, **settings)
    if recipe.model == "googlenet_gap":
        return models.GoogLeNetGAP(num_classes, shape, **settings)
    if not hasattr(keras.applications, recipe.model):
        raise RunError(
            f"There is no model {recipe.model!r}: --model should be small_gap, alexnet_gap, "
            "googlenet_gap, or a network of keras.applications such as ResNet50."
        )
    return models.GAPClassifier(
        recipe.model,
        num_classes,
        shape,
        weights=recipe.weights or None,
        last_stage_stride=1 if recipe.map_stride < 32 else 2,
        **settings,
    )


def read_split(recipe: Recipe, data_dir: str | os.PathLike[str] | None, split: str) -> ImageDataset:
    """Returns the index of one split, "train" or "val".

    Raises:
        RunError: If the data set is not there or not sound.
    """
    if recipe.dataset == "parts":
        return data.parts(
            split, image_size=recipe.image_size, progress=_progress(f"drawing {split}")
        )
    if data_dir is None:
        raise RunError(f"--dataset={recipe.dataset} needs --data_dir=FOLDER, where its images are.")
    try:
        return _READERS[recipe.dataset](data_dir, split)
    except (OSError, ValueError) as error:
        raise RunError(str(error)) from error


def _load(
    recipe: Recipe,
    data_dir: str | os.PathLike[str] | None,
    on_bad_image: str,
    directory: RunDirectory,
) -> tuple[tuple[ImageDataset, ImageDataset], list[dict[str, str]]]:
    """Returns the training and the validation split, and the files that were left out."""
    is_skipping = on_bad_image == "skip" and recipe.dataset != "parts"
    bad_images = directory.read_json("bad_images.json") if is_skipping else []
    is_known = bad_images is not None
    bad_images = bad_images or []
    splits = []
    for split in ("train", "val"):
        dataset = read_split(recipe, data_dir, split)
        if is_skipping:
            if is_known:
                paths = {bad["path"] for bad in bad_images}
                dataset = dataset.select([str(p) not in paths for p in dataset.image_paths])
            else:
                checking = _progress(f"checking {split}")
                dataset, found = data.skip_bad_images(dataset, checking)
                bad_images.extend(
                    {"path": str(bad.path), "reason": str(bad.reason)} for bad in found
                )
        splits.append(_in_memory(dataset, recipe, split))
    if is_skipping and not is_known:
        directory.write("bad_images.json", json.dumps(bad_images, indent=2) + "\n")
    train_split, val_split = splits
    if len(train_split) == 0 or len(val_split) == 0:
        raise RunError(f"No image is left in {train_split.name} or {val_split.name}.")
    return (train_split, val_split), bad_images


def _in_memory(dataset: ImageDataset, recipe: Recipe, split: str) -> ImageDataset:
    """Decodes once what is small and of the right size already."""
    size = recipe.image_size
    fits = len(dataset) * size * size * 3 <= _MOST_BYTES_IN_MEMORY
    sizes = dataset.image_sizes
    if not fits or sizes is None or len(dataset) == 0 or not (sizes == size).all():
        return dataset
    try:
        return dataset.in_memory(_progress(f"reading {split}"))
    except data.BadImageError as error:
        raise RunError(str(error)) from error


def _fit_and_evaluate(
    recipe: Recipe,
    directory: RunDirectory,
    train_split: ImageDataset,
    val_split: ImageDataset,
    strategy: tf.distribute.Strategy,
) -> dict[str, Any]:
    steps = recipe.steps_per_epoch or max(1, len(train_split) // recipe.batch_size)
    mean, std = _mean_and_std(recipe, train_split)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(recipe.mixed_precision or "float32")
    try:
        with strategy.scope():
            model = build_model(recipe, len(train_split.class_names), mean, std)
            model.compile(
                _optimizer(recipe, steps),
                keras.losses.SparseCategoricalCrossentropy(),
                metrics=[keras.metrics.SparseCategoricalAccuracy(name="top1_clas")],
            )
            model.optimizer.build(model.trainable_variables)
            history = directory.restore_checkpoint(model)
    finally:
        keras.config.set_dtype_policy(policy)
    _describe(recipe, directory, train_split, val_split, model, strategy, steps, len(history))
    # The batch is shared out over the replicas.
    batches = data.training_batches(
        train_split,
        recipe.batch_size,
        recipe.image_size,
        recipe.resize_size,
        recipe.horizontal_flip,
        recipe.class_balanced,
        seed=recipe.seed,
        first_step=len(history) * steps,
    )
    evaluation = data.evaluation_batches(val_split, recipe.batch_size, recipe.image_size)
    localization = callbacks.CAMLocalization(
        evaluation,
        threshold=recipe.cam_threshold,
        log_dir=directory.logs,
        class_names=val_split.class_names,
        centred_side=_centred_side(train_split),
    )
    all_callbacks: list[keras.callbacks.Callback] = [
        localization,
        keras.callbacks.TensorBoard(directory.logs, write_graph=False),
        _SummaryLines(recipe),
        _KeepCheckpoints(directory, history),
    ]
    if strategy.num_replicas_in_sync > 1:
        all_callbacks.insert(0, _AgreeOnStatistics())
    if recipe.schedule == "regimes":
        all_callbacks.insert(0, Regimes(recipe.regimes))
    if len(history) < recipe.epochs:
        try:
            model.fit(
                batches,
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
    final = callbacks.CAMLocalization(
        evaluation,
        threshold=recipe.cam_threshold,
        class_names=val_split.class_names,
        centred_side=localization.centred_side,
        thresholds=THRESHOLDS,
    )
    final.set_model(model)
    figures = final.evaluate(draw=True)
    if final.panel is not None:
        drawing.write_png(directory.panel, final.panel)
    export_localizer(model, directory.saved_model, val_split.class_names, recipe.cam_threshold)
    return _results(figures, final, len(val_split))


def _results(
    figures: dict[str, float], final: callbacks.CAMLocalization, images: int
) -> dict[str, Any]:
    curve = final.localization_curve
    return {
        "images": images,
        **{key.removeprefix("val_"): value for key, value in figures.items()},
        **curve.result(),
        "cross_fitted_thresholds": list(curve.cross_fitted_thresholds()),
        "centred_side": final.centred_side,
        "curve": {
            "thresholds": list(curve.thresholds),
            "gt_known_loc": curve.curve().tolist(),
            "top1_loc": curve.top1_curve().tolist(),
        },
    }


def _mean_and_std(recipe: Recipe, dataset: ImageDataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation of each channel: the recipe's, or the data's."""
    if recipe.mean and recipe.std:
        return np.array(recipe.mean, "float32"), np.array(recipe.std, "float32")
    if dataset.images is None:
        raise RunError(
            f"--dataset={recipe.dataset} is not read into memory: its recipe has to give mean and "
            "std of its pixels (--mean=123.7,116.1,103.0 --std=58.4,57.1,57.4 for photographs)."
        )
    count = dataset.images[..., 0].size
    sums = np.zeros(3)
    squares = np.zeros(3)
    for start in range(0, len(dataset), 1000):  # a few images at a time: sums in float64 are large
        pixels = dataset.images[start : start + 1000].astype("float64")
        sums += pixels.sum((0, 1, 2))
        squares += np.square(pixels).sum((0, 1, 2))
    mean = sums / count
    return mean.astype("float32"), np.sqrt(squares / count - mean**2).astype("float32")


def _optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
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


def _centred_side(dataset: ImageDataset) -> float:
    """Returns the side of the best centred box of the training boxes, or 0.8 without any."""
    if dataset.image_sizes is None or not any(len(boxes) for boxes in dataset.boxes):
        return 0.8
    return best_centred_side(dataset.boxes, dataset.image_sizes)


def _describe(
    recipe: Recipe,
    directory: RunDirectory,
    train_split: ImageDataset,
    val_split: ImageDataset,
    model: keras.Model,
    strategy: tf.distribute.Strategy,
    steps: int,
    epochs_done: int,
) -> None:
    """Prints what begins, and writes the recipe as text for TensorBoard."""
    unboxed = sum(len(boxes) == 0 for boxes in val_split.boxes)
    print(
        f"{recipe.name}: {recipe.description}\n"
        f"{len(train_split)} training images, {len(val_split)} validation images"
        + (f" ({unboxed} without a box: not in localization)" if unboxed else "")
        + f", {len(train_split.class_names)} classes; {model.count_params():,} parameters; "
        f"{strategy.num_replicas_in_sync} device(s); {steps} steps an epoch"
    )
    if 0 < epochs_done < recipe.epochs:
        print(f"going on after epoch {epochs_done}")
    print(f"TensorBoard: tensorboard --logdir {directory.logs}", flush=True)
    rows = [
        f"| {field.name} | {getattr(recipe, field.name)} |" for field in dataclasses.fields(Recipe)
    ]
    with tf.summary.create_file_writer(str(directory.logs / "recipe")).as_default(step=epochs_done):
        tf.summary.text("recipe", "\n".join(["| field | value |", "|---|---|", *rows]))


def _report(directory: RunDirectory, recipe: Recipe, results: dict[str, Any]) -> None:
    """Prints the table at the end of a run."""
    threshold = recipe.cam_threshold
    rows = [
        ("Top-1 Clas", results["top1_clas"], ""),
        (f"GT-known Loc at {threshold:.0%} of the maximum", results["gt_known_loc"], ""),
        ("GT-known Loc, threshold cross-fitted", results["gt_known_loc_cross_fitted"], ""),
        (
            "GT-known Loc, best threshold (optimistic)",
            results["gt_known_loc_best"],
            f"at {results['gt_known_loc_best_threshold']:.0%}",
        ),
        (f"Top-1 Loc at {threshold:.0%} of the maximum", results["top1_loc"], ""),
        ("Top-1 Loc, threshold cross-fitted", results["top1_loc_cross_fitted"], ""),
        (
            "Centred box (GT-known Loc without a network)",
            results["centred_box"],
            f"side {results['centred_side']:.2f}",
        ),
    ]
    print(f"\n{recipe.name}, seed {recipe.seed}: {results['images']} validation images, per cent")
    for name, value, remark in rows:
        print(f"  {name:<46}{100 * value:6.1f}  {remark}".rstrip())
    published = {"gt_known_loc": "GT-known Loc", "top1_loc": "Top-1 Loc", "top1_clas": "Top-1 Clas"}
    if recipe.published:
        figures = ", ".join(f"{published[k]} {v}" for k, v in recipe.published.items())
        print(f"  published: {figures}")
    if results["degenerate_maps"]:
        print(f"  {results['degenerate_maps']:.0f} maps were constant or not finite: counted wrong")
    if results["gt_known_loc_cross_fitted"] <= results["centred_box"]:
        print("  GT-known Loc is not above the centred box: this run does not show localization.")
    print(
        f"TensorBoard: tensorboard --logdir {directory.logs}\n"
        f"Pictures:    {directory.panel}\n"
        f"Model:       {directory.saved_model}"
    )


def _progress(title: str) -> Callable[[int, int], None] | None:
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
