"""A finished run on sequences, evaluated again sequence by sequence."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping

import numpy as np

from keras_has.callbacks import LocalizedVideo
from keras_has.metrics import TemporalMeanAveragePrecision
from keras_has.ops.temporal_cam import detections_from_maps
from trainers.engine.run_directory import RunDirectory
from trainers.engine.run_error import RunError
from trainers.recipes import VideoRecipe
from trainers.reports.finished_run import FinishedRun
from trainers.reports.segment_failures import SortedSegments, sort_segments
from trainers.tasks.temporal_localization import TemporalLocalization, whole_sequence

# Fractions of a map's maximum at which mAP is measured, in addition to that of the run.
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# Recipe fields that must be equal for figures to be comparable.
_EVALUATION_FIELDS = ("protocol", "known_classes", "iou_thresholds")


@dataclasses.dataclass(frozen=True)
class SequenceResult:
    """The result of one sequence.

    Args:
        detections: At the threshold of the run: "segments", "labels" and "scores".
        maps: The temporal class activation map, (T,), of each class in the sequence.
        step_seconds: Duration of one step of the maps, in seconds.
        predicted_class: The most probable class.
        probability: Its probability.
    """

    detections: Mapping[str, np.ndarray]
    maps: Mapping[int, np.ndarray]
    step_seconds: float
    predicted_class: int
    probability: float


class SequenceRun(FinishedRun):
    """A finished run on sequences and its result for each sequence of the validation split.

    See `FinishedRun` for the arguments.
    """

    recipe_kind = VideoRecipe
    item = "sequence"
    fields_of_data = ("dataset", "split", "val_split")

    recipe: VideoRecipe
    task: TemporalLocalization

    def check_comparable(self, baseline: SequenceRun) -> None:
        """Checks that two runs can be compared.

        Raises:
            RunError: If they were not evaluated on the same data and in the same way.
        """
        super().check_comparable(baseline)
        for field in _EVALUATION_FIELDS:
            values = [getattr(run.recipe, field) for run in (self, baseline)]
            if values[0] != values[1]:
                raise RunError(
                    f"{self.path} and {baseline.path} were evaluated differently: {field} is "
                    f"{values[0]} and {values[1]}. Evaluate one network again with --network_from, "
                    "or choose another --baseline_run_dir."
                )

    def _make_task(
        self, directory: RunDirectory, data_dir: str | os.PathLike[str] | None
    ) -> TemporalLocalization:
        return TemporalLocalization(self.recipe, data_dir)

    def _agreement(self, other: SequenceRun) -> dict[str, bool]:
        ours, theirs = self.split, other.split
        return {
            "sequences": np.array_equal(ours.ids, theirs.ids),
            "classes": ours.class_names == theirs.class_names,
            "labels": np.array_equal(ours["labels"], theirs["labels"]),
            "segments": all(map(np.array_equal, ours["segments"], theirs["segments"]))
            and all(map(np.array_equal, ours["segment_labels"], theirs["segment_labels"])),
        }

    @functools.cached_property
    def sequences(self) -> list[SequenceResult]:
        """The result for each sequence, in order.

        Raises:
            RunError: If the figures do not agree with `results.json`.
        """
        results = list(self._with_progress(self._iterate()))
        segments = sum(map(len, self.split["segments"]))
        # One detection changes the mean over the classes by about one true segment.
        self._check_figures(self._figures(results), len(results), segments)
        return results

    @functools.cached_property
    def figures(self) -> dict[str, float]:
        """mAP, mAP of whole sequences, and Top-1 Clas, evaluated again."""
        return self._figures(self.sequences)

    @functools.cached_property
    def precisions(self) -> np.ndarray:
        """Average precision, (IoU thresholds, classes); NaN for classes without a true segment."""
        return self._metric_at(self.threshold).average_precisions()

    @functools.cached_property
    def curve(self) -> dict[float, np.ndarray]:
        """The mAP at each IoU, (IoU thresholds,), by the threshold of the map."""
        return {
            threshold: self._metric_at(threshold).mean_average_precisions()
            for threshold in self._metrics
        }

    @functools.cached_property
    def _metrics(self) -> dict[float, TemporalMeanAveragePrecision]:
        """The metric of the detections at each threshold of the map."""
        return {
            threshold: TemporalMeanAveragePrecision(
                len(self.split.class_names), self.recipe.iou_thresholds, self.recipe.protocol
            )
            for threshold in sorted({*THRESHOLDS, self.threshold})
        }

    @functools.cached_property
    def _kinds(self) -> dict[float, list[SortedSegments]]:
        """Results of `kinds`, by threshold."""
        return {}

    def kinds(self, iou_threshold: float) -> list[SortedSegments]:
        """Returns the kinds of detections and true segments of each sequence."""
        if iou_threshold not in self._kinds:
            self._kinds[iou_threshold] = [
                sort_segments(self.split.truth(index), sequence.detections, iou_threshold)
                for index, sequence in enumerate(self.sequences)
            ]
        return self._kinds[iou_threshold]

    def _metric_at(self, threshold: float) -> TemporalMeanAveragePrecision:
        assert self.sequences is not None  # noqa: S101 (evaluates the sequences, which updates the metrics)
        return self._metrics[threshold]

    def _figures(self, sequences: list[SequenceResult]) -> dict[str, float]:
        labels = self.split["labels"]
        # A sequence of none of the classes has no right one.
        right = [
            bool(labels[index, sequence.predicted_class])
            for index, sequence in enumerate(sequences)
            if labels[index].any()
        ]
        baseline = whole_sequence(self.split, self.recipe)
        return {
            **self._metrics[self.threshold].result(),
            **{
                key.replace("temporal_map", "whole_sequence"): value
                for key, value in baseline.items()
            },
            "top1_clas": sum(right) / len(right) if right else float("nan"),
        }

    def _iterate(self) -> Iterator[SequenceResult]:
        """Evaluates each sequence and updates the metrics."""
        for metric in self._metrics.values():
            metric.reset_state()
        callback = self.task.localization()
        callback.set_model(self.model)
        for video in callback.iterate():
            for threshold, metric in self._metrics.items():
                metric.update_state(
                    self.split.truth(video.index), self._detections(video, threshold)
                )
            yield SequenceResult(
                video.detections,
                # Copies, because views would keep the maps of all classes in memory.
                {int(label): video.maps[:, label].copy() for label in np.flatnonzero(video.labels)},
                video.step_seconds,
                video.predicted_class,
                video.probability,
            )

    def _detections(self, video: LocalizedVideo, threshold: float) -> dict[str, np.ndarray]:
        if threshold == self.threshold:
            return dict(video.detections)
        labels = video.labels[None] if self.recipe.known_classes else None
        (detections,) = detections_from_maps(
            video.maps[None],
            video.step_seconds,
            threshold,
            labels=labels,
            score=self.recipe.detection_score,
        )
        return dict(detections)
