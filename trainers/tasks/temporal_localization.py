"""Temporal localization in videos from video-level labels: a classifier of feature sequences."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_has import callbacks, data, layers, metrics, models
from keras_has.data import Dataset
from keras_has.data.readers.watch_untrimmed import is_watch_untrimmed
from keras_has.export import export_temporal_localizer
from trainers.engine.run_directory import RunDirectory
from trainers.engine.run_error import RunError
from trainers.recipes import VideoRecipe
from trainers.tasks.feature_folders import (
    check_features,
    feature_arguments,
    feature_mean_and_std,
    read_feature_folder,
    read_thumos14,
)
from trainers.tasks.splits import SplitReader
from trainers.tasks.task import Task

# The splits to train and to evaluate on if the recipe does not say.
_SPLITS = {
    "phases": ("train", "val"),
    "feature_folder": ("train", "test"),
    "watch_untrimmed": ("train", "test"),
    # As in the paper: see the recipe.
    "thumos14": ("validation", "validation"),
    "activitynet": ("training", "validation"),
}


class TemporalLocalization(Task):
    """Trains on sequences of features, and evaluates detections.

    Args:
        recipe: The recipe.
        data_dir: The folder of the dataset; `None` for generated datasets.
    """

    recipe: VideoRecipe

    readers: ClassVar[Mapping[str, SplitReader]] = {
        "phases": SplitReader(
            lambda *arguments: data.generated_phases(arguments[-1]), is_generated=True
        ),
        "feature_folder": SplitReader(read_feature_folder),
        "watch_untrimmed": SplitReader(
            lambda _, folder, split: data.watch_untrimmed(folder, split)
        ),
        "thumos14": SplitReader(read_thumos14),
        "activitynet": SplitReader(
            lambda recipe, folder, split: data.activitynet(
                Path(folder) / "annotations.json", split, **feature_arguments(recipe, folder)
            )
        ),
    }
    examples: ClassVar[str] = "videos"
    record_column: ClassVar[str] = "segments"
    columns: ClassVar[Sequence[tuple[str, str]]] = (
        *((f"temporal_map_at_{iou}", f"mAP at {iou}") for iou in (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("top1_clas", "Top-1 Clas"),
    )

    @property
    def num_features(self) -> int | None:
        """Features sampled from each video, or `None` for all."""
        return self.recipe.num_features or None

    @property
    def split_names(self) -> tuple[str, str]:
        """The recipe's splits, or those of its dataset."""
        train, val = _SPLITS[self.recipe.dataset]
        return self.recipe.split or train, self.recipe.val_split or val

    def set_splits(self, train: Dataset, val: Dataset) -> None:
        """Sets the splits.

        With `all_videos`, only those with segments are evaluated. Videos of none of the classes
        are evaluated, but not trained on. Videos whose features are unsound are refused, or left
        out as the recipe says.
        """
        if self.recipe.all_videos:
            val = val.select([len(segments) > 0 for segments in val["segments"]])
        has_text_files = (
            self.recipe.dataset == "thumos14"
            and not (Path(self.data_dir or "") / "annotations.json").exists()
        )
        train, val = check_features(
            train,
            val,
            skip=self.recipe.missing_features == "skip",
            durations_are_known=not has_text_files,
        )
        is_labeled = train["labels"].any(axis=1)
        if len(train) and not is_labeled.any():
            raise RunError(
                f"None of the {len(train)} videos of {train.name} shows one of the classes "
                f"{', '.join(train.class_names[:10])}. Check the labels in annotations.json."
            )
        if not is_labeled.all():
            unlabeled = [
                f"{train.name}: {video_id} shows none of the classes; not trained on."
                for video_id in train.ids[~is_labeled]
            ]
            train = dataclasses.replace(
                train.select(is_labeled), problems=(*train.problems, *unlabeled)
            )
        super().set_splits(train, val)
        if self.recipe.dataset in ("feature_folder", "watch_untrimmed"):
            self.train_split = _with_class_problems(self.train_split)
            self.val_split = _with_segment_problems(_with_class_problems(self.val_split))

    def build_model(self) -> keras.Model:
        """Returns the network, with standardization and hiding inside."""
        recipe = self.recipe
        mean, std = feature_mean_and_std(self.train_split, self.num_features)
        preprocessing: list[keras.layers.Layer] = [
            keras.layers.Normalization(mean=mean, variance=np.square(std))
        ]
        if recipe.num_segments or recipe.segment_length:
            fill_value = recipe.fill_value
            preprocessing.append(
                layers.TemporalHideAndSeek(
                    num_segments=recipe.num_segments or None,
                    segment_length=recipe.segment_length or None,
                    hide_probability=recipe.hide_probability,
                    fill_value=fill_value[0] if len(fill_value) == 1 else fill_value,
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

    def compile_arguments(self) -> dict[str, Any]:
        """Returns the cross-entropy of the classes of a video, which has one or several."""
        if self.recipe.activation == "softmax":
            return {"loss": keras.losses.CategoricalCrossentropy()}
        return {"loss": keras.losses.BinaryCrossentropy()}

    def batches(self, first_step: int) -> tf.data.Dataset:
        """Returns training batches of features and labels."""
        return data.temporal_training_batches(
            self.train_split,
            self.recipe.batch_size,
            self.num_features,
            normalize_labels=self.recipe.activation == "softmax",
            seed=self.recipe.seed,
            first_step=first_step,
        )

    def describe(self, model: keras.Model) -> str:
        """Returns numbers of videos, segments, classes and parameters."""
        segments = sum(len(segments) for segments in self.val_split["segments"])
        kind = "semi-synthetic " if is_watch_untrimmed(self.val_split) else ""
        return (
            f"{len(self.train_split)} {kind}training videos, {len(self.val_split)} validation "
            f"videos with {segments} segments, {len(self.train_split.class_names)} classes; "
            f"{model.count_params():,} parameters"
        )

    def evaluation_callback(self, directory: RunDirectory) -> callbacks.TemporalLocalization:
        """Returns the evaluation of an epoch: the detections in each video."""
        return self.localization(log_dir=directory.logs)

    def localization(
        self, log_dir: str | os.PathLike[str] | None = None
    ) -> callbacks.TemporalLocalization:
        """Returns the evaluation, as the recipe says."""
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
        """Returns the loss, the accuracy and mAP at each IoU."""
        line = f"loss {logs['loss']:.3f}"
        if "val_top1_clas" in logs:
            line += f"  |  top1_clas {100 * logs['val_top1_clas']:.1f}"
        if np.isfinite(logs.get("val_temporal_map", np.nan)):
            line += "  mAP"
            for iou in self.recipe.iou_thresholds:
                line += f" {100 * logs[f'val_temporal_map_at_{iou:g}']:.1f}"
            line += f" at IoU {', '.join(f'{iou:g}' for iou in self.recipe.iou_thresholds)}"
        return line

    def final_results(self, model: keras.Model) -> tuple[dict[str, Any], np.ndarray | None]:
        """Evaluates the network, and whole sequences as its baseline."""
        recipe = self.recipe
        final = self.localization()
        final.set_model(model)
        figures = final.evaluate(draw=True)
        precisions = final.metric.average_precisions()
        results = {
            "videos": len(self.val_split),
            "protocol": recipe.protocol,
            "known_classes": recipe.known_classes,
            **{key.removeprefix("val_"): value for key, value in figures.items()},
            **{
                key.replace("temporal_map", "whole_sequence"): value
                for key, value in whole_sequence(self.val_split, recipe).items()
            },
            "average_precision": {
                name: {
                    f"{iou:g}": float(precisions[row, label])
                    for row, iou in enumerate(recipe.iou_thresholds)
                }
                for label, name in enumerate(self.val_split.class_names)
            },
        }
        if recipe.dataset == "watch_untrimmed":
            results["semi_synthetic"] = is_watch_untrimmed(self.val_split)
        return results, final.panel

    def export(self, model: keras.Model, directory: RunDirectory) -> None:
        """Exports a model from features to detections."""
        export_temporal_localizer(
            model,
            directory.saved_model,
            self.val_split.class_names,
            self.recipe.cam_threshold,
            self.recipe.detection_score,
            self.num_features,
        )

    def results_headline(self, results: dict[str, Any]) -> str:
        """Returns how many videos were evaluated, and how."""
        known = "known classes" if results["known_classes"] else "all classes"
        kind = "semi-synthetic " if results.get("semi_synthetic") else ""
        return (
            f"{results['videos']} {kind}videos, mAP in percent, {known}, "
            f"protocol {results['protocol']}"
        )

    def results_table(self, results: dict[str, Any]) -> list[str]:
        """Returns mAP at each IoU, measured, of whole sequences and published."""
        recipe = self.recipe
        ious = recipe.iou_thresholds
        if np.isfinite(results["temporal_map"]):
            lines = [f"  {'temporal IoU':<34}" + "".join(f"{iou:>8g}" for iou in ious)]
            for title, name in (
                (f"runs above {recipe.cam_threshold:.0%} of the maximum", "temporal_map"),
                ("whole sequence of a known class", "whole_sequence"),
            ):
                values = [results[f"{name}_at_{iou:g}"] for iou in ious]
                lines.append(f"  {title:<34}" + "".join(f"{100 * value:8.1f}" for value in values))
        else:
            lines = ["  No segment is annotated: detections are not scored."]
        if recipe.published:
            cells = [recipe.published.get(f"temporal_map_at_{iou:g}") for iou in ious]
            texts = ["       -" if cell is None else f"{cell:8.2f}" for cell in cells]
            lines.append(f"  {'published':<34}{''.join(texts)}")
        lines.append(f"  Top-1 Clas {100 * results['top1_clas']:.1f}")
        if results["degenerate_maps"]:
            lines.append(f"  {results['degenerate_maps']:.0f} maps of a class gave no detection")
        return lines

    def name_bad_input(self, error: Exception) -> str | None:
        """Returns which features cannot be read, or `None` if all can."""
        for split in (self.train_split, self.val_split):
            for row in range(len(split)):
                try:
                    split.read(row, self.num_features)
                except (OSError, ValueError) as cause:
                    return str(cause)
        return None

    @classmethod
    def table_notes(cls, all_results: Sequence[Mapping[str, Any]]) -> str:
        """Returns the threshold, the protocol and the baseline."""
        thresholds = {f"{results['cam_threshold']:.0%}" for results in all_results}
        protocols = {str(results["protocol"]) for results in all_results}
        known = {bool(results["known_classes"]) for results in all_results}
        return (
            f"{all_results[0]['videos']} videos. Runs above {', '.join(sorted(thresholds))} of the "
            f"temporal map's maximum, {'known' if known == {True} else 'all'} classes, protocol "
            f"{', '.join(sorted(protocols))}. Whole sequence: one detection for each class in a "
            "video's labels, from start to end."
        )


def _with_class_problems(split: Dataset) -> Dataset:
    """Returns a split whose `problems` also name classes that it does not show."""
    names = split.class_names
    problems = []
    if len(names) == 1:
        problems.append(f"{split.name.split('/')[0]} has only one class, {names[0]!r}.")
    missing = [names[label] for label in np.flatnonzero(~split["labels"].any(axis=0))]
    if missing:
        verb = "has" if len(missing) == 1 else "have"
        problems.append(f"{', '.join(missing)} {verb} no video in {split.name}.")
    return dataclasses.replace(split, problems=(*split.problems, *problems))


def _with_segment_problems(split: Dataset) -> Dataset:
    """Returns a split whose `problems` also name videos that are scored without true segments."""
    has_segments = np.array([len(segments) > 0 for segments in split["segments"]], bool)
    is_incomplete = split["labels"].any(axis=1) & ~has_segments
    if not has_segments.any():
        return split  # Detections are not scored.
    is_empty = ~split["labels"].any(axis=1) & ~has_segments
    problems = [
        f"{split.name}: {is_empty.sum()} of {len(split)} evaluated videos show no action, such as "
        f"{str(video_id)!r}; detections in them count as false."
        for video_id in split.ids[is_empty][:1]
    ]
    problems += [
        f"{split.name}: {video_id} has labels but no segments; detections in it count as false."
        for video_id in split.ids[is_incomplete]
    ]
    return dataclasses.replace(split, problems=(*split.problems, *problems))


def whole_sequence(dataset: Dataset, recipe: VideoRecipe) -> dict[str, float]:
    """Returns the mAP of one detection per class in a video's labels, from start to end."""
    metric = metrics.TemporalMeanAveragePrecision(
        len(dataset.class_names), recipe.iou_thresholds, recipe.protocol
    )
    for index in range(len(dataset)):
        labels = np.flatnonzero(dataset["labels"][index])
        segments = np.tile([0.0, float(dataset["duration"][index])], (len(labels), 1))
        found = {"segments": segments, "labels": labels, "scores": np.ones(len(labels))}
        metric.update_state(dataset.truth(index), found)
    return dict(metric.result())
