"""Localization in images: data, network and judgement of an `ImageRecipe`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_has import callbacks, cams, data, drawing, layers, metrics, models
from keras_has.data.image_dataset import ImageDataset
from keras_has.export import export_localizer
from keras_has.metrics.localization_curve import THRESHOLDS
from keras_has.ops.boxes import best_centred_side
from trainers.batch_norm import check_refreshable, refresh_batch_norm
from trainers.engine import runs
from trainers.engine.runs import RunDirectory, RunError, progress
from trainers.input_dropout import InputDropout
from trainers.recipes import ImageRecipe

_READERS: dict[str, Callable[..., ImageDataset]] = {
    "tiny_imagenet": data.tiny_imagenet,
    "cub": data.cub,
    "imagenet": data.imagenet,
    "folder": data.image_folder,
}
_MOST_BYTES_IN_MEMORY = 2**30
_TUNING_SEED = 2017
_NO_BOXES_SIDE = 0.8
TITLES = {"gt_known_loc": "GT-known Loc", "top1_loc": "Top-1 Loc", "top1_clas": "Top-1 Clas"}


def train(
    recipe: ImageRecipe,
    run_dir: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    on_bad_image: str = "error",
    strategy: tf.distribute.Strategy | None = None,
    network_from: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Does a run on images: `runs.train` with an `ImageTask`.

    Args:
        recipe: What to do.
        run_dir: Where to keep it.
        data_dir: The data set's folder; not for `parts`.
        on_bad_image: "error" to stop at a file that cannot be decoded and name it, "skip" to look
            for them first, leave them out, and list them at the end.
        strategy: None for all GPUs, or the CPU.
        network_from: Run directory whose network is judged, in place of training one.

    Returns:
        What `results.json` holds: fractions by name.

    Raises:
        RunError: For what the person at the keyboard can mend.
    """
    return runs.train(ImageTask(recipe, data_dir, on_bad_image), run_dir, strategy, network_from)


class ImageTask(runs.Task):
    """Trains on images, and judges maps and boxes.

    Args:
        recipe: The recipe.
        data_dir: The data set's folder; not for `parts`.
        on_bad_image: "error" or "skip".
    """

    recipe: ImageRecipe

    def __init__(
        self,
        recipe: ImageRecipe,
        data_dir: str | os.PathLike[str] | None = None,
        on_bad_image: str = "error",
    ) -> None:
        super().__init__(recipe, data_dir)
        self.on_bad_image = on_bad_image
        self.train_split: ImageDataset
        self.val_split: ImageDataset
        self.bad_images: list[dict[str, str]] = []

    def load(self, directory: RunDirectory | None = None) -> None:
        """Reads both splits; with `on_bad_image="skip"` looks for bad files first."""
        recipe = self.recipe
        is_skipping = self.on_bad_image == "skip" and recipe.dataset != "parts"
        known = directory.read_json("bad_images.json") if is_skipping and directory else None
        self.bad_images = list(known or [])
        splits = {}
        for split in ("train", "val"):
            dataset = read_split(recipe, self.data_dir, split)
            if is_skipping and known is None:
                dataset, found = data.skip_bad_images(dataset, progress(f"checking {split}"))
                self.bad_images.extend(
                    {"image_id": bad.image_id, "path": str(bad.path), "reason": str(bad.reason)}
                    for bad in found
                )
            elif is_skipping:
                bad_ids = {bad["image_id"] for bad in self.bad_images}
                dataset = dataset.select([name not in bad_ids for name in dataset.image_ids])
            splits[split] = dataset
        if is_skipping and known is None and directory is not None:
            directory.write_json("bad_images.json", self.bad_images)
        if recipe.tuning_share:
            splits["train"], splits["val"] = tuning_split(splits["train"], recipe.tuning_share)
        for split, dataset in splits.items():
            if len(dataset) == 0:
                raise RunError(f"No image is left in {dataset.name}.")
            splits[split] = _in_memory(dataset, recipe, split)
        self.train_split, self.val_split = splits["train"], splits["val"]

    def build_model(self) -> keras.Model:
        """Returns the network, with normalisation and hiding inside."""
        scaling = pixel_layer(self.recipe, self.train_split)
        model = build_model(self.recipe, len(self.train_split.class_names), scaling)
        if self.recipe.batch_norm_refresh:
            try:
                check_refreshable(model)
            except ValueError as error:
                raise RunError(f"{error}. Leave --batch_norm_refresh out.") from error
        return model

    def compile_arguments(self) -> dict[str, Any]:
        """Cross-entropy of the class, and accuracy on what the network sees, hidden or not."""
        return {
            "loss": keras.losses.SparseCategoricalCrossentropy(),
            "metrics": [keras.metrics.SparseCategoricalAccuracy(name="top1_clas")],
        }

    def batches(self, first_step: int) -> tf.data.Dataset:
        """Training batches: crops and flips, uint8."""
        recipe = self.recipe
        return data.training_batches(
            self.train_split,
            recipe.batch_size,
            recipe.image_size,
            recipe.resize_size,
            recipe.horizontal_flip,
            recipe.class_balanced,
            seed=recipe.seed,
            first_step=first_step,
        )

    def describe(self, model: keras.Model) -> str:
        """Images, classes and parameters."""
        unboxed = sum(len(boxes) == 0 for boxes in self.val_split.boxes)
        kind = "tuning" if self.recipe.tuning_share else "validation"
        return (
            f"{len(self.train_split)} training images, {len(self.val_split)} {kind} images"
            + (f" ({unboxed} without a box: not in localization)" if unboxed else "")
            + f", {len(self.train_split.class_names)} classes; {model.count_params():,} parameters"
        )

    def evaluation_callback(self, directory: RunDirectory) -> callbacks.CAMLocalization:
        """One view of each image, each epoch."""
        return self._localization(1, log_dir=directory.logs)

    def summary_of_epoch(self, logs: dict[str, float]) -> str:
        """Loss and the four figures."""
        percent = {key: f"{100 * value:.1f}" for key, value in logs.items()}
        line = f"loss {logs['loss']:.3f}  train top1_clas {percent['top1_clas']}"
        if "val_loss" in logs:
            line += f"  |  val_loss {logs['val_loss']:.3f}  top1_clas {percent['val_top1_clas']}"
        if "val_gt_known_loc" in logs:
            line += (
                f"  gt_known_loc {percent['val_gt_known_loc']}  top1_loc {percent['val_top1_loc']}"
                f"  at {logs['val_cam_threshold']:.0%}"
                f"  (centred box {percent['val_centred_box']})"
            )
        return line

    def prepare_to_judge(self, model: keras.Model) -> None:
        """Estimates the statistics of batch normalization anew, where the recipe says so."""
        if self.recipe.batch_norm_refresh:
            refresh_batch_norm(model, self.batches(0).take(self.recipe.batch_norm_refresh))

    def judge(self, model: keras.Model, directory: RunDirectory) -> dict[str, Any]:
        """Evaluates at all thresholds, draws the panel, exports."""
        final = self.final_localization()
        results = judge(model, final, len(self.val_split))
        if final.panel is not None:
            drawing.write_png(directory.panel, final.panel)
        names, threshold = self.val_split.class_names, self.recipe.cam_threshold
        export_localizer(model, directory.saved_model, names, threshold)
        return {
            **results,
            "bad_images": len(self.bad_images),
            "centred_side_is_assumed": not _has_known_boxes(self.train_split),
        }

    def final_localization(
        self, method: Callable[[keras.Model], Any] | None = None
    ) -> callbacks.CAMLocalization:
        """Returns the evaluation of a finished run: all thresholds, as many views as the recipe's.

        Args:
            method: From a network to its maps; None for the recipe's.
        """
        return self._localization(
            self.recipe.crops,
            method,
            thresholds=THRESHOLDS,
            map_metrics={
                "val_max_box_acc": metrics.MaxBoxAccuracy(),
                "val_max_box_acc_v2": metrics.MaxBoxAccuracyV2(),
            },
        )

    def _localization(
        self, crops: int, method: Callable[[keras.Model], Any] | None = None, **settings: Any
    ) -> callbacks.CAMLocalization:
        recipe = self.recipe
        size = recipe.image_size if crops == 1 else recipe.resize_size
        return callbacks.CAMLocalization(
            data.evaluation_batches(self.val_split, recipe.batch_size, size),
            threshold=recipe.cam_threshold,
            class_names=self.val_split.class_names,
            centred_side=centred_side(self.train_split),
            method=method or map_method(recipe, crops),
            **settings,
        )

    def report(self, directory: RunDirectory, results: dict[str, Any]) -> str:
        """The table at the end of a run."""
        lines = [
            f"\n{self.recipe.name}, seed {self.recipe.seed}: {results['images']} "
            f"{'tuning' if self.recipe.tuning_share else 'validation'} images, per cent",
            *table_of_results(results),
        ]
        if self.recipe.published:
            figures = ", ".join(f"{TITLES[k]} {v}" for k, v in self.recipe.published.items())
            lines.append(f"  published: {figures}")
        lines += [
            f"TensorBoard: tensorboard --logdir {directory.logs}",
            f"Pictures:    {directory.panel}",
            f"Model:       {directory.saved_model}",
        ]
        if self.recipe.cam != "cam" or self.recipe.crops != 1:
            lines.append(
                "The model's boxes are of class activation maps of one view; the figures above are "
                f"of {self.recipe.cam}, {self.recipe.crops} view(s)."
            )
        if self.bad_images:
            lines.append(f"\n{len(self.bad_images)} files could not be decoded and were left out:")
            lines += [f"  {bad['path']}: {bad['reason']}" for bad in self.bad_images]
        return "\n".join(lines)

    def name_bad_input(self, error: Exception) -> str | None:
        """The file that could not be decoded."""
        for split in (self.train_split, self.val_split):
            named = data.name_bad_image(split, error)
            if named is not None:
                return str(named)
        return None


def map_method(recipe: ImageRecipe, crops: int) -> Callable[[keras.Model], Any]:
    """Returns the function from a network to its maps and probabilities that a recipe asks for."""
    kinds = {"cam": cams.CAM, "backprop": cams.Backprop, "grad_cam": cams.GradCAM}
    kind = kinds[recipe.cam]
    if crops == 1:
        return kind
    return lambda model: cams.TenCrop(kind(model), recipe.image_size)


def judge(model: keras.Model, final: callbacks.CAMLocalization, images: int) -> dict[str, Any]:
    """Evaluates a network at all thresholds, and returns the results by name."""
    final.set_model(model)
    figures = final.evaluate(draw=True)
    curve = final.localization_curve
    v1, v2 = (final.map_metrics[f"val_max_box_acc{suffix}"] for suffix in ("", "_v2"))
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
        "max_box_curves": {"v1": v1.curve().tolist(), "v2": v2.curve().tolist()},
    }


def table_of_results(results: dict[str, Any]) -> list[str]:
    """Returns the lines of a table, in per cent, and what has to be said of them."""
    threshold = results["cam_threshold"]
    rows = [("Top-1 Clas", "top1_clas", "")]
    if not _has_boxes(results):
        return [
            f"  {'Top-1 Clas':<46}{100 * results['top1_clas']:6.1f}",
            "  No image has a box: localization is not measured.",
        ]
    rows += [
        (f"GT-known Loc at {threshold:.0%} of the maximum", "gt_known_loc", ""),
        ("GT-known Loc, threshold cross-fitted", "gt_known_loc_cross_fitted", ""),
        (
            "GT-known Loc, best threshold (optimistic)",
            "gt_known_loc_best",
            f"at {results['gt_known_loc_best_threshold']:.0%}",
        ),
        (f"Top-1 Loc at {threshold:.0%} of the maximum", "top1_loc", ""),
        ("Top-1 Loc, threshold cross-fitted", "top1_loc_cross_fitted", ""),
        ("MaxBoxAcc (best threshold: optimistic)", "max_box_acc", ""),
        ("MaxBoxAccV2 (best thresholds: optimistic)", "max_box_acc_v2", ""),
        (
            "Centred box (GT-known Loc without a network)",
            "centred_box",
            f"side {results['centred_side']:.2f}",
        ),
    ]
    if results.get("centred_side_is_assumed"):
        rows[-1] = (*rows[-1][:2], f"{rows[-1][2]}, assumed: no training boxes are known")
    lines = [
        f"  {name:<46}{100 * results[key]:6.1f}  {remark}".rstrip() for name, key, remark in rows
    ]
    if results["degenerate_maps"]:
        lines.append(
            f"  {results['degenerate_maps']:.0f} maps were constant or not finite: counted wrong"
        )
    if results["gt_known_loc_cross_fitted"] <= results["centred_box"]:
        lines.append(
            "  GT-known Loc is not above the centred box: this run does not show localization."
        )
    return lines


def _has_boxes(results: dict[str, Any]) -> bool:
    return bool(np.isfinite(results.get("gt_known_loc", np.nan)))


def read_split(
    recipe: ImageRecipe, data_dir: str | os.PathLike[str] | None, split: str
) -> ImageDataset:
    """Returns the index of one split, "train" or "val".

    Raises:
        RunError: If the data set is not there or not sound.
    """
    if recipe.dataset == "parts" and data_dir is None:
        return data.parts(
            split, image_size=recipe.image_size, progress=progress(f"drawing {split}")
        )
    if data_dir is None:
        raise RunError(f"--dataset={recipe.dataset} needs --data_dir=FOLDER, where its images are.")
    try:
        if data.is_tfrecords(data_dir):
            return _records(recipe, data_dir, split)
        if recipe.dataset == "parts":
            raise ValueError(
                f"{data_dir} holds no records of `python -m trainers.prepare`; parts are generated "
                "and need no --data_dir."
            )
        if recipe.dataset == "imagenet" and recipe.tuning_share:
            return data.imagenet(data_dir, split, read_boxes=True)
        return _READERS[recipe.dataset](data_dir, split)
    except (OSError, ValueError) as error:
        raise RunError(str(error)) from error


def _records(recipe: ImageRecipe, data_dir: str | os.PathLike[str], split: str) -> ImageDataset:
    """Returns a split of records, which have to be of the recipe's data set."""
    dataset = data.tfrecords(data_dir, split, progress(f"indexing {split}"))
    kind = dataset.name.split("/")[0]
    if kind in ImageRecipe.DATASETS and kind != recipe.dataset:
        raise ValueError(
            f"{data_dir} holds records of {kind}, and --dataset={recipe.dataset} is asked for."
        )
    return dataset


def tuning_split(dataset: ImageDataset, share: float) -> tuple[ImageDataset, ImageDataset]:
    """Divides a training split into one to train on and one to choose settings on.

    Of each class the same share, rounded up, is set aside; which images, a fixed seed decides.

    Args:
        dataset: The training split.
        share: In (0, 1).

    Returns:
        What is left to train on, and what was set aside.

    Raises:
        RunError: If nothing of a class would be left.
    """
    random = np.random.default_rng(_TUNING_SEED)
    is_aside = np.zeros(len(dataset), bool)
    for label, name in enumerate(dataset.class_names):
        rows = random.permutation(np.flatnonzero(dataset.labels == label))
        count = int(np.ceil(share * len(rows)))
        if len(rows) and count == len(rows):
            raise RunError(
                f"--tuning_share={share} leaves no training image of class {name!r} in "
                f"{dataset.name}, which has {len(rows)}."
            )
        is_aside[rows[:count]] = True
    return dataset.select(~is_aside), dataset.select(is_aside)


def pixel_layer(recipe: ImageRecipe, dataset: ImageDataset) -> keras.Layer:
    """Returns the layer that scales pixels: by mean and deviation, or as a network was made with.

    Raises:
        RunError: If the recipe has no mean, and the data are not in memory.
    """
    if not recipe.mean and inspect.isfunction(getattr(keras.applications, recipe.model, None)):
        return models.pixel_scaling(recipe.model)
    mean, std = mean_and_std(recipe, dataset)
    return keras.layers.Normalization(mean=mean, variance=np.square(std), dtype="float32")


def build_model(recipe: ImageRecipe, num_classes: int, scaling: keras.Layer) -> keras.Model:
    """Returns the network of a recipe, with normalisation and hiding inside.

    Args:
        recipe: The recipe.
        num_classes: Number of classes.
        scaling: The layer that scales pixels, see `pixel_layer`.

    Returns:
        A flat Functional model, not compiled.

    Raises:
        RunError: For a network or weights that there are not, or settings that do not go together.
    """
    preprocessing: list[keras.Layer] = [scaling]
    # The mean colour: 0 after normalisation, and something else where a network has its own scale.
    fill_value = recipe.fill_value or getattr(scaling, "mean_colour", (0.0,))
    if recipe.input_dropout:
        preprocessing.append(
            InputDropout(recipe.input_dropout, recipe.input_dropout_at_test, seed=recipe.seed)
        )
    if any(recipe.patch_size):
        preprocessing.append(_hiding(recipe, recipe.patch_size, fill_value))
    settings: dict[str, Any] = {"pooling": recipe.pooling, "preprocessing": preprocessing}
    if any(recipe.conv1_patch_size):
        if recipe.model not in ("small_gap", "alexnet_gap"):
            raise RunError(
                "--conv1_patch_size is for small_gap and alexnet_gap. "
                f"Received: --model={recipe.model}"
            )
        settings["conv1_hiding"] = _hiding(recipe, recipe.conv1_patch_size, (0.0,))
    shape = (recipe.image_size, recipe.image_size, 3)
    if recipe.weights and recipe.model in ("small_gap", "alexnet_gap", "googlenet_gap"):
        raise RunError(
            "--weights are for efficientnet_lite0 and networks of keras.applications. "
            f"Received: --model={recipe.model} --weights={recipe.weights}"
        )
    if recipe.weights not in ("", "imagenet", "random") and not Path(recipe.weights).is_file():
        raise RunError(f"There is no weights file {recipe.weights} (--weights).")
    try:
        return _network(recipe, num_classes, shape, settings)
    except (OSError, ValueError) as error:
        raise RunError(str(error)) from error


_OWN_NETWORKS = ("small_gap", "alexnet_gap", "googlenet_gap", "efficientnet_lite0")


def _network(
    recipe: ImageRecipe, num_classes: int, shape: tuple[int, int, int], settings: dict[str, Any]
) -> keras.Model:
    last_stage_stride = 1 if recipe.map_stride < 32 else 2
    if recipe.model == "small_gap":
        widths = {"widths": recipe.widths} if recipe.widths else {}
        return models.SmallGAP(
            num_classes, shape, map_stride=recipe.map_stride, **widths, **settings
        )
    if recipe.model == "alexnet_gap":
        return models.AlexNetGAP(num_classes, shape, **settings)
    if recipe.model == "googlenet_gap":
        return models.GoogLeNetGAP(
            num_classes,
            shape,
            width_multiplier=recipe.width_multiplier,
            map_stride=recipe.map_stride,
            **settings,
        )
    if recipe.model == "efficientnet_lite0":
        if recipe.weights in ("", "imagenet"):
            raise RunError(
                "efficientnet_lite0 starts from ImageNet weights in a file: --weights=PATH "
                "(docs/data.md says which), or from nothing: --weights=random."
            )
        return models.EfficientNetLite0(
            num_classes,
            shape,
            weights=None if recipe.weights == "random" else recipe.weights,
            last_stage_stride=last_stage_stride,
            batch_norm_momentum=recipe.batch_norm_momentum,
            **settings,
        )
    if not inspect.isfunction(getattr(keras.applications, recipe.model, None)):
        raise RunError(
            f"There is no model {recipe.model!r}: --model should be {', '.join(_OWN_NETWORKS)}, "
            "or a network of keras.applications such as ResNet50."
        )
    return models.GAPClassifier(
        recipe.model,
        num_classes,
        shape,
        weights=None if recipe.weights in ("", "random") else recipe.weights,
        last_stage_stride=last_stage_stride,
        **settings,
    )


def _hiding(
    recipe: ImageRecipe, sizes: Sequence[int], fill_value: tuple[float, ...]
) -> layers.HideAndSeek:
    return layers.HideAndSeek(
        sizes,
        recipe.hide_probability,
        fill_value if len(fill_value) > 1 else fill_value[0],
        data_format="channels_last",
        seed=recipe.seed,
    )


def _in_memory(dataset: ImageDataset, recipe: ImageRecipe, split: str) -> ImageDataset:
    """Decodes once what is small and of the right size already."""
    size = recipe.image_size
    fits = len(dataset) * size * size * 3 <= _MOST_BYTES_IN_MEMORY
    sizes = dataset.image_sizes
    if not fits or sizes is None or len(dataset) == 0 or not (sizes == size).all():
        return dataset
    try:
        return dataset.in_memory(progress(f"reading {split}"))
    except data.BadImageError as error:
        raise RunError(str(error)) from error


def mean_and_std(recipe: ImageRecipe, dataset: ImageDataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation of each channel: the recipe's, or the data's.

    Raises:
        RunError: If the recipe has none and the data are not in memory.
    """
    if recipe.mean:
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


def centred_side(dataset: ImageDataset) -> float:
    """Returns the side of the best centred box of the training boxes, or 0.8 without any."""
    if not _has_known_boxes(dataset):
        return _NO_BOXES_SIDE
    return best_centred_side(dataset.boxes, dataset.image_sizes)


def _has_known_boxes(dataset: ImageDataset) -> bool:
    return dataset.image_sizes is not None and any(len(boxes) for boxes in dataset.boxes)
