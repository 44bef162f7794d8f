"""Localization in time: data, network and judgement of a `VideoRecipe`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_has import callbacks, data, drawing, layers, metrics, models
from keras_has.data.temporal_dataset import TemporalDataset
from keras_has.temporal_export import export_temporal_localizer
from trainers.engine import runs
from trainers.engine.runs import RunDirectory, RunError
from trainers.recipes import VideoRecipe

# What to train and evaluate on where the recipe does not say.
_SPLITS = {
    "phases": ("train", "val"),
    "watch_untrimmed": ("train", "test"),
    # As the paper does: see the recipe.
    "thumos14": ("validation", "validation"),
    "activitynet": ("training", "validation"),
}
_ADAM_BETA = 0.9


def train(
    recipe: VideoRecipe,
    run_dir: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    strategy: tf.distribute.Strategy | None = None,
    network_from: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Does a run on sequences: `runs.train` with a `VideoTask`.

    Args:
        recipe: What to do.
        run_dir: Where to keep it.
        data_dir: The data set's folder; not for `phases`.
        strategy: None for all GPUs, or the CPU.
        network_from: Run directory whose network is judged, in place of training one.

    Returns:
        What `results.json` holds: fractions by name.

    Raises:
        RunError: For what the person at the keyboard can mend.
    """
    return runs.train(VideoTask(recipe, data_dir), run_dir, strategy, network_from)


class VideoTask(runs.Task):
    """Trains on sequences of features, and judges detections.

    Args:
        recipe: The recipe.
        data_dir: The data set's folder; not for `phases`.
    """

    recipe: VideoRecipe

    def __init__(self, recipe: VideoRecipe, data_dir: str | os.PathLike[str] | None = None) -> None:
        super().__init__(recipe, data_dir)
        self.train_split: TemporalDataset
        self.val_split: TemporalDataset

    @property
    def num_features(self) -> int | None:
        """Features sampled from each video, or None for all."""
        return self.recipe.num_features or None

    def load(self, directory: RunDirectory | None = None) -> None:
        """Reads both splits."""
        train, val = _SPLITS[self.recipe.dataset]
        self.train_split = read_split(self.recipe, self.data_dir, self.recipe.split or train)
        self.val_split = read_split(self.recipe, self.data_dir, self.recipe.val_split or val)
        if self.recipe.all_videos:
            self.val_split = self.val_split.select([len(s) > 0 for s in self.val_split.segments])
        if self.train_split.class_names != self.val_split.class_names:
            raise RunError(
                f"{self.train_split.name} and {self.val_split.name} have different classes: "
                f"{self.train_split.class_names} and {self.val_split.class_names}."
            )

    def build_model(self) -> keras.Model:
        """Returns the network, with standardisation and hiding inside."""
        recipe = self.recipe
        mean, std = feature_mean_and_std(self.train_split, self.num_features)
        preprocessing: list[keras.layers.Layer] = [
            keras.layers.Normalization(mean=mean, variance=np.square(std))
        ]
        if recipe.num_segments or recipe.segment_length:
            segments = (
                {"segment_length": recipe.segment_length}
                if recipe.segment_length
                else {"num_segments": recipe.num_segments}
            )
            fill = recipe.fill_value
            preprocessing.append(
                layers.TemporalHideAndSeek(
                    **segments,
                    hide_probability=recipe.hide_probability,
                    fill_value=fill[0] if len(fill) == 1 else fill,
                    seed=recipe.seed,
                )
            )
        return models.TemporalGAP(
            len(self.train_split.class_names),
            (self.num_features, len(mean)),
            recipe.widths,
            recipe.pooling,
            recipe.activation,
            is_masked=self.num_features is None,
            preprocessing=preprocessing,
            dropout_rate=recipe.dropout_rate,
        )

    def optimizer(self) -> keras.optimizers.Optimizer:
        """Returns Adam where the recipe asks for it."""
        recipe = self.recipe
        if recipe.optimizer == "sgd":
            return super().optimizer()
        steps = recipe.epochs * self.steps_per_epoch
        rate = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)
        return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, beta_1=_ADAM_BETA)

    def compile_arguments(self) -> dict[str, Any]:
        """Cross-entropy of the classes of a video, one or several."""
        if self.recipe.activation == "softmax":
            return {"loss": keras.losses.CategoricalCrossentropy()}
        return {"loss": keras.losses.BinaryCrossentropy()}

    def batches(self, first_step: int) -> tf.data.Dataset:
        """Training batches of features and labels."""
        return data.temporal_training_batches(
            self.train_split,
            self.recipe.batch_size,
            self.num_features,
            normalize_labels=self.recipe.activation == "softmax",
            seed=self.recipe.seed,
            first_step=first_step,
        )

    def describe(self, model: keras.Model) -> str:
        """Videos, segments, classes and parameters."""
        segments = sum(len(each) for each in self.val_split.segments)
        lines = [
            f"{len(self.train_split)} training videos, {len(self.val_split)} to evaluate with "
            f"{segments} segments, {len(self.train_split.class_names)} classes; "
            f"{model.count_params():,} parameters"
        ]
        problems = dict.fromkeys((*self.train_split.problems, *self.val_split.problems))
        if problems:
            shown = list(problems)[:3]
            lines.insert(0, f"{len(problems)} remarks on the annotations, such as:")
            lines[1:1] = [f"  {problem}" for problem in shown]
        return "\n".join(lines)

    def prepare_to_judge(self, model: keras.Model) -> None:
        """Nothing has to be changed."""

    def evaluation_callback(self, directory: RunDirectory) -> callbacks.TemporalLocalization:
        """Detections of each video, each epoch."""
        return self.localization(log_dir=directory.logs)

    def localization(
        self, log_dir: str | os.PathLike[str] | None = None
    ) -> callbacks.TemporalLocalization:
        """Returns the evaluation that the recipe asks for."""
        recipe = self.recipe
        return callbacks.TemporalLocalization(
            self.val_split,
            num_features=self.num_features,
            threshold=recipe.cam_threshold,
            iou_thresholds=recipe.iou_thresholds,
            protocol=recipe.protocol,
            score=recipe.detection_score,
            classes_are_known=recipe.known_classes,
            log_dir=log_dir,
        )

    def summary_of_epoch(self, logs: dict[str, float]) -> str:
        """Loss, class and mAP at each IoU."""
        line = f"loss {logs['loss']:.3f}"
        if "val_top1_clas" in logs:
            line += f"  |  top1_clas {100 * logs['val_top1_clas']:.1f}"
        if np.isfinite(logs.get("val_temporal_map", np.nan)):
            line += "  mAP"
            for iou in self.recipe.iou_thresholds:
                line += f" {100 * logs[f'val_temporal_map_at_{iou:g}']:.1f}"
            line += f" at IoU {', '.join(f'{iou:g}' for iou in self.recipe.iou_thresholds)}"
        return line

    def judge(self, model: keras.Model, directory: RunDirectory) -> dict[str, Any]:
        """Evaluates, draws the timelines, exports."""
        recipe = self.recipe
        final = self.localization()
        final.set_model(model)
        figures = final.evaluate(draw=True)
        if final.panel is not None:
            drawing.write_png(directory.panel, final.panel)
        names = self.val_split.class_names
        export_temporal_localizer(
            model,
            directory.saved_model,
            names,
            recipe.cam_threshold,
            recipe.detection_score,
            self.num_features,
        )
        baseline = whole_sequence(self.val_split, recipe)
        precisions = final.metric.average_precisions()
        return {
            "videos": len(self.val_split),
            "protocol": recipe.protocol,
            "known_classes": recipe.known_classes,
            **{key.removeprefix("val_"): value for key, value in figures.items()},
            **{
                key.replace("temporal_map", "whole_sequence"): value
                for key, value in baseline.items()
            },
            "average_precision": {
                name: {
                    f"{iou:g}": float(precisions[row, label])
                    for row, iou in enumerate(recipe.iou_thresholds)
                }
                for label, name in enumerate(names)
            },
        }

    def report(self, directory: RunDirectory, results: dict[str, Any]) -> str:
        """The table at the end of a run."""
        recipe = self.recipe
        known = "classes of a video known" if results["known_classes"] else "all classes"
        head = "".join(f"{iou:>8g}" for iou in recipe.iou_thresholds)
        lines = [
            f"\n{recipe.name}, seed {recipe.seed}: {results['videos']} videos, mAP in per cent, "
            f"{known}, protocol {results['protocol']}",
            f"  {'temporal IoU':<34}{head}",
        ]
        rows = [
            (f"runs above {recipe.cam_threshold:.0%} of the maximum", "temporal_map"),
            ("whole sequence of a known class", "whole_sequence"),
        ]
        if not np.isfinite(results["temporal_map"]):
            rows = []
            lines[1] = "  No segment is annotated: detections are not scored."
        for title, name in rows:
            values = [results[f"{name}_at_{iou:g}"] for iou in recipe.iou_thresholds]
            lines.append(f"  {title:<34}" + "".join(f"{100 * value:8.1f}" for value in values))
        if recipe.published:
            cells = [recipe.published.get(f"temporal_map_at_{i:g}") for i in recipe.iou_thresholds]
            texts = ["       -" if cell is None else f"{cell:8.2f}" for cell in cells]
            lines.append(f"  {'published':<34}{''.join(texts)}")
        lines += [
            f"  Top-1 Clas {100 * results['top1_clas']:.1f}",
            f"TensorBoard: tensorboard --logdir {directory.logs}",
            f"Pictures:    {directory.panel}",
            f"Model:       {directory.saved_model}",
        ]
        if results["degenerate_maps"]:
            lines.insert(
                -3, f"  {results['degenerate_maps']:.0f} maps of a class gave no detection"
            )
        return "\n".join(lines)


def read_split(
    recipe: VideoRecipe, data_dir: str | os.PathLike[str] | None, split: str
) -> TemporalDataset:
    """Returns the index of one split.

    Raises:
        RunError: If the data set is not there or not sound.
    """
    if recipe.dataset != "phases" and data_dir is None:
        raise RunError(f"--dataset={recipe.dataset} needs --data_dir=FOLDER, where its files are.")
    try:
        if recipe.dataset == "phases" and data_dir is None:
            return data.phases(split)
        if data.is_sequence_records(data_dir):
            return data.sequence_records(data_dir, split)
        if recipe.dataset == "phases":
            raise ValueError(
                f"{data_dir} holds no records of `python -m trainers.prepare`; phases are "
                "generated and need no --data_dir."
            )
        if recipe.dataset == "watch_untrimmed":
            return data.watch_untrimmed(data_dir, split)
        root = Path(data_dir or "")
        seconds = recipe.seconds_per_feature or told_seconds_per_feature(root / "features")
        annotations = root / "annotations.json"
        if recipe.dataset == "activitynet":
            return data.activitynet(
                annotations, split, root / "features", seconds_per_feature=seconds
            )
        if not annotations.exists():
            annotations = root / "annotations"
        return data.thumos14(
            annotations,
            split,
            root / "features",
            seconds_per_feature=seconds,
            all_videos=recipe.all_videos,
        )
    except (OSError, ValueError) as error:
        raise RunError(str(error)) from error


def told_seconds_per_feature(folder: Path) -> float | None:
    """Returns what features.json in a folder says of the time of a feature; None without one.

    Raises:
        ValueError: If the file is there and does not say it.
    """
    file = folder / "features.json"
    if not file.is_file():
        return None
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["seconds_per_feature"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} does not say `seconds_per_feature`, the time that a feature stands for."
        ) from error


def feature_mean_and_std(
    dataset: TemporalDataset, num_features: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation of each feature over all steps of all videos."""
    sums: Any = 0.0
    squares: Any = 0.0
    count = 0
    for index in range(len(dataset)):
        features = dataset.example(index, num_features=num_features)["features"].astype("float64")
        sums = sums + features.sum(axis=0)
        squares = squares + np.square(features).sum(axis=0)
        count += len(features)
    mean = sums / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    # A feature that never changes says nothing: it becomes 0.
    return mean.astype("float32"), np.where(std > 1e-6, std, 1.0).astype("float32")


def whole_sequence(dataset: TemporalDataset, recipe: VideoRecipe) -> dict[str, float]:
    """Returns the mAP of one detection of each class that a video shows, from start to end."""
    metric = metrics.TemporalMeanAveragePrecision(
        len(dataset.class_names), recipe.iou_thresholds, recipe.protocol
    )
    for index in range(len(dataset)):
        labels = np.flatnonzero(dataset.labels[index])
        segments = np.tile([0.0, float(dataset.durations[index])], (len(labels), 1))
        found = {"segments": segments, "labels": labels, "scores": np.ones(len(labels))}
        metric.update_state(dataset.truth(index), found)
    return dict(metric.result())
