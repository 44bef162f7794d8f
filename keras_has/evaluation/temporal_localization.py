"""Localization of actions in videos from temporal class activation maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_has import drawing
from keras_has.cams import TemporalCAM
from keras_has.evaluation.batch import Batch
from keras_has.evaluation.evaluator import Evaluator, Tensors
from keras_has.evaluation.localized_video import LocalizedVideo
from keras_has.evaluation.panel import Panel
from keras_has.metrics.temporal_mean_average_precision import (
    IOU_THRESHOLDS,
    TemporalMeanAveragePrecision,
)
from keras_has.ops.temporal_cam import check_threshold_and_score, detections_from_maps

_PANEL_COLUMNS = 2


class TemporalLocalizationEvaluator(Evaluator):
    """Temporal mean average precision of the segments above a threshold of the maps.

    The figures are those of `keras_has.callbacks.TemporalLocalization`, without the prefix `val_`.

    Args:
        dataset: The `keras_has.data.Dataset` with the true segments. The batches to be
            evaluated come from `keras_has.data.temporal_evaluation_batches(dataset, ...)`.
        threshold: Fraction of the map's maximum to be exceeded. Defaults to the paper's 0.5.
        iou_thresholds: See `keras_has.metrics.TemporalMeanAveragePrecision`.
        protocol: See `keras_has.metrics.TemporalMeanAveragePrecision`; `"thumos14"` by default.
        score: `"mean"` (default) or `"max"` of the map in a detection.
        classes_are_known: Whether only classes that a video shows are detected, as in the paper.
            Defaults to True.
        panel_videos: Number of videos in the panel. Defaults to 6.

    Attributes:
        metric: The `keras_has.metrics.TemporalMeanAveragePrecision`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> val = keras_has.data.generated_phases("val", 8)
    >>> batches = keras_has.data.temporal_evaluation_batches(val, 4, 100)
    >>> evaluator = keras_has.evaluation.TemporalLocalizationEvaluator(val)
    >>> forward = evaluator.forward(keras_has.models.TemporalGAP(8, (100, 24), widths=(16,)))
    >>> sorted(keras_has.evaluation.Inference(batches, forward).run([evaluator]))[-2:]
    ['temporal_map_at_0.5', 'top1_clas']

    Reference:
        Singh and Lee, ICCV 2017, section 4 and Table 7.
    """

    name = "temporal_localization"
    panel_tag = "timelines"
    noun = "video"

    def __init__(
        self,
        dataset: Any,
        threshold: float = 0.5,
        iou_thresholds: Sequence[float] = IOU_THRESHOLDS,
        protocol: str = "thumos14",
        score: str = "mean",
        classes_are_known: bool = True,
        panel_videos: int = 6,
    ) -> None:
        check_threshold_and_score(threshold, score)
        self.dataset = dataset
        self.threshold = float(threshold)
        self.score = score
        self.classes_are_known = classes_are_known
        self.panel_videos = panel_videos
        self.metric = TemporalMeanAveragePrecision(
            len(dataset.class_names), iou_thresholds, protocol
        )
        self._panel: Panel | None = None
        self.reset()

    def forward(self, model: keras.Model) -> Callable[[Tensors], Tensors]:
        """Returns the forward pass to the maps of all classes and probabilities."""
        method = TemporalCAM(model)

        def on_replica(batch: Tensors) -> Tensors:
            maps, probabilities = method.all_maps(batch)
            return {"maps": maps, "probabilities": probabilities}

        return on_replica

    def reset(self) -> None:
        """Forgets all videos."""
        self.metric.reset_state()
        self._count, self._correct, self._degenerate = 0, 0, 0
        self._panel, self._panel_indices = None, set[int]()

    def start_panel(self) -> None:
        """Asks for a panel: the same videos in every epoch, spread over the data."""
        self._panel = Panel(
            "true segments blue, map grey, detections orange "
            f"(above {self.threshold:.0%} of the map's maximum)",
            _PANEL_COLUMNS,
        )
        count = min(self.panel_videos, len(self.dataset))
        self._panel_indices = {number * len(self.dataset) // count for number in range(count)}

    def panel(self) -> Panel | None:
        """Returns timelines of true segments, maps and detections."""
        return self._panel if self._panel and self._panel.tiles else None

    def process(self, batch: Batch) -> None:
        """Detects segments, updates the metric and draws the videos of the panel."""
        for video in self.localized_videos(batch):
            # A video of none of the classes has no right one; false detections in it still count.
            self._count += int(video.labels.any())
            self._correct += int(video.labels.any() and video.is_classified)
            is_detected = np.isin(np.flatnonzero(video.labels), video.detections["labels"])
            self._degenerate += int((~is_detected).sum())
            self.metric.update_state(self.dataset.truth(video.index), dict(video.detections))
            if self._panel is not None and video.index in self._panel_indices:
                self._panel.add(*self._tile(video))

    def result(self) -> dict[str, float]:
        """Returns the figures over all videos since `reset`."""
        figures = dict(self.metric.result())
        figures["top1_clas"] = self._correct / self._count if self._count else float("nan")
        figures["cam_threshold"] = self.threshold
        figures["degenerate_maps"] = float(self._degenerate)
        return figures

    def localized_videos(self, batch: Batch) -> list[LocalizedVideo]:
        """Returns the result for each video of a batch; the figures are not touched.

        Args:
            batch: As in `process`.
        """
        labels, mask, steps = batch["labels"], batch["mask"], batch["step_seconds"]
        detections = detections_from_maps(
            batch["maps"],
            steps,
            self.threshold,
            mask,
            labels if self.classes_are_known else None,
            self.score,
        )
        return [
            LocalizedVideo(
                index=index,
                video_id=str(self.dataset.ids[index]),
                labels=labels[row] > 0,
                probabilities=batch["probabilities"][row],
                maps=batch["maps"][row][mask[row]],
                step_seconds=float(steps[row]),
                detections=detections[row],
            )
            for row, index in enumerate(batch["index"].tolist())
        ]

    def _tile(self, video: LocalizedVideo) -> tuple[drawing.Picture, str]:
        """Draws one video and the class of its first segment, or of its first label."""
        truth, found = self.dataset.truth(video.index), video.detections
        labels = truth["segment_labels"]
        of_video = video.labels if video.labels.any() else video.probabilities
        label = int(labels[0] if len(labels) else of_video.argmax())
        is_label = found["labels"] == label
        picture = drawing.timeline(
            max(float(self.dataset["duration"][video.index]), len(video.maps) * video.step_seconds),
            truth["segments"][labels == label],
            video.maps[:, label],
            video.step_seconds,
            found["segments"][is_label],
            found["scores"][is_label],
            self.threshold,
            truth["ambiguous"],
        )
        name, probability = self.dataset.class_names[label], video.probabilities[label]
        return picture, f"{video.video_id}: {name} ({probability:.0%})"
