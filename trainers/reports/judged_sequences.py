"""A finished run on sequences, judged again sequence by sequence."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.callbacks import LocalizedVideo
from keras_has.data.temporal_dataset import TemporalDataset
from keras_has.metrics import TemporalMeanAveragePrecision
from keras_has.ops.temporal_cam import detections_from_maps
from trainers import runs
from trainers.recipes import VideoRecipe
from trainers.reports.segment_failures import SortedSegments, sort_segments
from trainers.runs import RunError, progress
from trainers.video_task import VideoTask, whole_sequence

# Shares of a map's maximum at which mAP is measured, beside the run's own.
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# What decides the sequences, and so has to be the same to share them.
_OF_DATA = ("dataset", "split", "val_split")
# As for images: another device adds up in another order, and one detection may move.
_MOST_DIFFERENCE = 0.005
_ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True)
class JudgedSequence:
    """What is known of one sequence.

    Args:
        found: Detections at the run's threshold: "segments", "labels" and "scores".
        maps: The temporal class activation map, (T,), of each class that it shows.
        step_seconds: Time that a step of the maps stands for.
        predicted_class: Of the highest probability.
        probability: Its probability.
    """

    found: Mapping[str, np.ndarray]
    maps: Mapping[int, np.ndarray]
    step_seconds: float
    predicted_class: int
    probability: float


class JudgedSequences:
    """What is known of a finished run, of all sequences of its validation split.

    `name` is what to call it, `label` the same in short, and `colour` its number in plots; of two
    runs on one page one needs others.

    Args:
        run_dir: Where it is.
        data_dir: The data set's folder; None for the one that the run was started with.
        shares_data_with: A run whose data are taken over where they are the same, or None.

    Raises:
        RunError: If there is no finished run of sequences, or its data or network cannot be read.
    """

    def __init__(
        self,
        run_dir: str | os.PathLike[str],
        data_dir: str | os.PathLike[str] | None = None,
        shares_data_with: JudgedSequences | None = None,
    ) -> None:
        directory, self.recipe, self.results = runs.open_finished(run_dir, VideoRecipe)
        self.path = directory.path
        self.name = f"{self.recipe.name}, seed {self.recipe.seed}"
        self.label = self.recipe.name
        self.colour = 1
        if data_dir is None:
            data_dir = (directory.read_json("source.json") or {}).get("data_dir")
        self.task = VideoTask(self.recipe, data_dir)
        other = shares_data_with
        if other is not None and self._has_data_of(other, data_dir):
            self.task.train_split, self.task.val_split = other.task.train_split, other.split
        else:
            self.task.load(directory)
        self.model = runs.load_network(self.task, directory)
        self._kinds: dict[float, list[SortedSegments]] = {}
        classes = len(self.split.class_names)
        self._metrics = {
            threshold: TemporalMeanAveragePrecision(
                classes, self.recipe.iou_thresholds, self.recipe.protocol
            )
            for threshold in sorted({*THRESHOLDS, self.threshold})
        }

    def _has_data_of(self, other: JudgedSequences, data_dir: Any) -> bool:
        folders = [other.task.data_dir, data_dir]
        known = {None if each is None else Path(each).resolve() for each in folders}
        return len(known) == 1 and all(
            getattr(self.recipe, key) == getattr(other.recipe, key) for key in _OF_DATA
        )

    @property
    def split(self) -> TemporalDataset:
        """The sequences that it is judged on."""
        return self.task.val_split

    @property
    def threshold(self) -> float:
        """The fixed threshold, a share of the map's maximum."""
        return self.recipe.cam_threshold

    @functools.cached_property
    def sequences(self) -> list[JudgedSequence]:
        """What is known of each sequence, in order.

        Raises:
            RunError: If it does not give the figures of `results.json`.
        """
        show = progress(f"judging {self.name}")
        found = []
        for sequence in self._iterate():
            found.append(sequence)
            if show is not None:
                show(len(found), len(self.split))
        segments = sum(len(each) for each in self.split.segments)
        for key, value in self._figures(found).items():
            there = self.results.get(key, math.nan)
            # A detection moves the mean over the classes by about one true segment.
            of_one = 1.5 / max(1, len(found) if key == "top1_clas" else segments)
            is_same = abs(value - there) <= max(_MOST_DIFFERENCE, of_one)
            if math.isfinite(value) and not is_same:
                raise RunError(
                    f"{self.path} has {key} = {there:.4f} in results.json, and {value:.4f} is "
                    "found now: the sequences are not those that it was judged on. "
                    "Give their folder as --data_dir."
                )
        return found

    @functools.cached_property
    def figures(self) -> dict[str, float]:
        """What was found now of what `results.json` has: mAP, whole sequences, Top-1 Clas."""
        return self._figures(self.sequences)

    def differences(self) -> list[str]:
        """Returns which figures of `results.json` differ from those found now, as text."""
        return [
            f"{key} is {self.results[key]:.4f} in results.json, {value:.4f} now"
            for key, value in self.figures.items()
            if math.isfinite(value) and abs(value - self.results[key]) > _ROUNDING
        ]

    @functools.cached_property
    def precisions(self) -> np.ndarray:
        """Average precision, (IoU thresholds, classes); NaN for classes without a true segment."""
        return self._metric_at(self.threshold).average_precisions()

    @functools.cached_property
    def curve(self) -> dict[float, np.ndarray]:
        """The mAP at each IoU, (IoU thresholds,), by the threshold of the map."""
        return {each: self._metric_at(each).mean_average_precisions() for each in self._metrics}

    def kinds(self, iou_threshold: float) -> list[SortedSegments]:
        """Returns the kinds of detections and true segments of each sequence."""
        if iou_threshold not in self._kinds:
            self._kinds[iou_threshold] = [
                sort_segments(self.split.truth(index), sequence.found, iou_threshold)
                for index, sequence in enumerate(self.sequences)
            ]
        return self._kinds[iou_threshold]

    def _metric_at(self, threshold: float) -> TemporalMeanAveragePrecision:
        assert self.sequences is not None  # noqa: S101 (they are judged before they are counted)
        return self._metrics[threshold]

    def _figures(self, sequences: list[JudgedSequence]) -> dict[str, float]:
        right = [
            bool(self.split.labels[index, each.predicted_class])
            for index, each in enumerate(sequences)
        ]
        baseline = whole_sequence(self.split, self.recipe)
        return {
            **self._metrics[self.threshold].result(),
            **{
                key.replace("temporal_map", "whole_sequence"): value
                for key, value in baseline.items()
            },
            "top1_clas": sum(right) / len(right),
        }

    def _iterate(self) -> Iterator[JudgedSequence]:
        """Judges each sequence, and tells the metrics."""
        for metric in self._metrics.values():
            metric.reset_state()
        callback = self.task.localization()
        callback.set_model(self.model)
        for video in callback.iterate():
            for threshold, metric in self._metrics.items():
                metric.update_state(self.split.truth(video.index), self._found(video, threshold))
            yield JudgedSequence(
                video.detections,
                # Copies: a view would keep the maps of all classes in memory.
                {int(label): video.maps[:, label].copy() for label in np.flatnonzero(video.labels)},
                video.step_seconds,
                video.predicted_class,
                video.probability,
            )

    def _found(self, video: LocalizedVideo, threshold: float) -> dict[str, np.ndarray]:
        if threshold == self.threshold:
            return dict(video.detections)
        labels = video.labels[None] if self.recipe.known_classes else None
        (found,) = detections_from_maps(
            video.maps[None],
            video.step_seconds,
            threshold,
            labels=labels,
            score=self.recipe.detection_score,
        )
        return dict(found)
