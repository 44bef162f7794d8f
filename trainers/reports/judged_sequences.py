"""A finished run on sequences, judged again sequence by sequence."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping

import numpy as np

from keras_has.callbacks import LocalizedVideo
from keras_has.metrics import TemporalMeanAveragePrecision
from keras_has.ops.temporal_cam import detections_from_maps
from trainers.engine.runs import RunDirectory, RunError
from trainers.recipes import VideoRecipe
from trainers.reports.finished_run import FinishedRun
from trainers.reports.segment_failures import SortedSegments, sort_segments
from trainers.tasks.temporal_localization import TemporalLocalization, whole_sequence

# Shares of a map's maximum at which mAP is measured, beside the run's own.
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# What decides which figures can be laid side by side.
_OF_FIGURES = ("protocol", "known_classes", "iou_thresholds")


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


class JudgedSequences(FinishedRun):
    """What is known of a finished run, of all sequences of its validation split.

    See `FinishedRun` for its arguments.
    """

    recipe_kind = VideoRecipe
    item = "sequence"
    fields_of_data = ("dataset", "split", "val_split")

    recipe: VideoRecipe
    task: TemporalLocalization

    def check_comparable(self, baseline: JudgedSequences) -> None:
        """Raises where the two cannot be laid side by side.

        Raises:
            RunError: If they are not judged on the same data, or not in the same way.
        """
        super().check_comparable(baseline)
        for field in _OF_FIGURES:
            values = [getattr(each.recipe, field) for each in (self, baseline)]
            if values[0] != values[1]:
                raise RunError(
                    f"{self.path} and {baseline.path} are judged differently: {field} is "
                    f"{values[0]} and {values[1]}. Judge one network anew with --network_from, or "
                    "choose another --baseline_run_dir."
                )

    def _make_task(
        self, directory: RunDirectory, data_dir: str | os.PathLike[str] | None
    ) -> TemporalLocalization:
        return TemporalLocalization(self.recipe, data_dir)

    def _agreement(self, other: JudgedSequences) -> dict[str, bool]:
        ours, theirs = self.split, other.split
        return {
            "sequences": np.array_equal(ours.video_ids, theirs.video_ids),
            "classes": ours.class_names == theirs.class_names,
            "labels": np.array_equal(ours.labels, theirs.labels),
            "segments": all(map(np.array_equal, ours.segments, theirs.segments))
            and all(map(np.array_equal, ours.segment_labels, theirs.segment_labels)),
        }

    @functools.cached_property
    def sequences(self) -> list[JudgedSequence]:
        """What is known of each sequence, in order.

        Raises:
            RunError: If it does not give the figures of `results.json`.
        """
        found = list(self._with_progress(self._iterate()))
        segments = sum(len(each) for each in self.split.segments)
        # A detection moves the mean over the classes by about one true segment.
        self._check_figures(self._figures(found), len(found), segments)
        return found

    @functools.cached_property
    def figures(self) -> dict[str, float]:
        """What was found now of what `results.json` has: mAP, whole sequences, Top-1 Clas."""
        return self._figures(self.sequences)

    @functools.cached_property
    def precisions(self) -> np.ndarray:
        """Average precision, (IoU thresholds, classes); NaN for classes without a true segment."""
        return self._metric_at(self.threshold).average_precisions()

    @functools.cached_property
    def curve(self) -> dict[float, np.ndarray]:
        """The mAP at each IoU, (IoU thresholds,), by the threshold of the map."""
        return {each: self._metric_at(each).mean_average_precisions() for each in self._metrics}

    @functools.cached_property
    def _metrics(self) -> dict[float, TemporalMeanAveragePrecision]:
        """A metric of the detections at each threshold of the map."""
        return {
            threshold: TemporalMeanAveragePrecision(
                len(self.split.class_names), self.recipe.iou_thresholds, self.recipe.protocol
            )
            for threshold in sorted({*THRESHOLDS, self.threshold})
        }

    @functools.cached_property
    def _kinds(self) -> dict[float, list[SortedSegments]]:
        """What `kinds` has returned."""
        return {}

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
