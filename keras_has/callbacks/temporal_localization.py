"""Temporal localization, measured on the validation data after each epoch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_has import drawing, timelines
from keras_has.callbacks.localization_callback import LocalizationCallback
from keras_has.callbacks.localized_video import LocalizedVideo
from keras_has.data.temporal_dataset import TemporalDataset
from keras_has.data.temporal_pipelines import temporal_evaluation_batches
from keras_has.metrics.temporal_mean_average_precision import (
    IOU_THRESHOLDS,
    TemporalMeanAveragePrecision,
)
from keras_has.ops.temporal_cam import (
    check_threshold_and_score,
    detections_from_maps,
    temporal_class_activation_maps,
)

_PANEL_COLUMNS = 2


class TemporalLocalization(LocalizationCallback):
    """Measures temporal localization on the validation data after each epoch.

    One forward pass gives probabilities and, from the last features and the classifier's kernel,
    the temporal class activation maps; every run above the threshold is a detection. Nothing is
    hidden. The values are written into `logs`, where `ModelCheckpoint`, `History` and `TensorBoard`
    find them. Put this callback before those:

    - `val_temporal_map_at_0.5` and so on: mean average precision at each temporal IoU, and
      `val_temporal_map`, its mean over them.
    - `val_top1_clas`: share of the videos whose most probable class is one that they show.
    - `val_cam_threshold`, the threshold that gave the figures, and `val_degenerate_maps`, how many
      maps of a class that is shown gave no detection: they nowhere speak for it, or are not finite.

    With `log_dir` they are also written for TensorBoard, with a panel of timelines: what is true
    (blue), the map, and what was found (orange, pale where the score is low).

    Args:
        dataset: A `keras_has.data.TemporalDataset` with features.
        batch_size: Videos a batch. Defaults to 32.
        num_features: How many features to sample from each video, as in training; or None for all,
            padded, which needs a model that takes a mask. Defaults to the paper's 2,000.
        threshold: Share of the map's maximum to be exceeded. Defaults to the paper's 0.5.
        iou_thresholds: See `keras_has.metrics.TemporalMeanAveragePrecision`.
        protocol: See `keras_has.metrics.TemporalMeanAveragePrecision`; `"thumos14"` by default.
        score: `"mean"` (default) or `"max"` of the map in a detection.
        classes_are_known: Whether detections are made of the classes only that a video shows, as in
            the paper. Defaults to True.
        log_dir: Folder for TensorBoard, or None.
        panel_videos: How many videos the panel shows; they are spread over the data and always the
            same. Defaults to 6.

    Raises:
        ValueError: For an argument out of range, or a model without the layers "cam_features" and
            "predictions".

    Example:

    >>> callback = TemporalLocalization(keras_has.data.phases("val", 8), num_features=100)
    >>> callback.set_model(keras_has.models.TemporalGAP(8, (100, 24), widths=(16,)))
    >>> sorted(callback.evaluate())[-3:]
    ['val_temporal_map_at_0.4', 'val_temporal_map_at_0.5', 'val_top1_clas']

    Reference:
        Singh and Lee, ICCV 2017, section 4 and Table 7.
    """

    _board = "temporal_localization"
    _panel_tag = "timelines"

    def __init__(
        self,
        dataset: TemporalDataset,
        batch_size: int = 32,
        num_features: int | None = 2000,
        threshold: float = 0.5,
        iou_thresholds: Sequence[float] = IOU_THRESHOLDS,
        protocol: str = "thumos14",
        score: str = "mean",
        classes_are_known: bool = True,
        log_dir: str | os.PathLike[str] | None = None,
        panel_videos: int = 6,
    ) -> None:
        super().__init__(log_dir)
        check_threshold_and_score(threshold, score)
        self.dataset = dataset
        self.num_features = num_features
        self.threshold = float(threshold)
        self.score = score
        self.classes_are_known = classes_are_known
        self.panel_videos = panel_videos
        self.metric = TemporalMeanAveragePrecision(
            len(dataset.class_names), iou_thresholds, protocol
        )
        self._batches = temporal_evaluation_batches(dataset, batch_size, num_features)
        self._forward: Any = None

    def _build(self, model: keras.Model) -> None:
        layers = {layer.name: layer for layer in model.layers}
        if not {"cam_features", "predictions"} <= set(layers):
            raise ValueError(
                'Temporal localization needs a flat Functional model with layers "cam_features" '
                'and "predictions", as `keras_has.models.TemporalGAP` makes. '
                f"Received: model '{model.name}' with the layers {list(layers)}"
            )
        takes_mask = isinstance(model.input, dict)
        if self.num_features is None and not takes_mask:
            raise ValueError(
                "Sequences of different lengths need a model that takes a mask: build it with "
                "`is_masked=True`, or give `num_features`. Received: num_features=None"
            )
        two_headed = keras.Model(
            model.input, [layers["cam_features"].output, layers["predictions"].output]
        )
        kernel = layers["predictions"].kernel

        @tf.function(reduce_retracing=True)
        def forward(batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            inputs = {key: batch[key] for key in ("features", "mask")}
            features, probabilities = two_headed(
                inputs if takes_mask else inputs["features"], training=False
            )
            return temporal_class_activation_maps(features, kernel), probabilities

        self._forward = forward

    def evaluate(self, draw: bool = False) -> dict[str, float]:
        """Does one pass over the data with the model that was set.

        The average precision of each class is then to be had from `metric`.

        Args:
            draw: Whether to draw `panel`, too.

        Returns:
            The figures listed in the class, as floats.

        Raises:
            ValueError: If no model was set.
        """
        self._check_model("evaluate")
        self.metric.reset_state()
        shown = set(self._videos_of_panel() if draw else ())
        tiles, captions = [], []
        right, degenerate = 0, 0
        for video in self.iterate():
            right += video.is_classified
            detected = np.isin(np.flatnonzero(video.labels), video.detections["labels"])
            degenerate += int((~detected).sum())
            self.metric.update_state(self.dataset.truth(video.index), dict(video.detections))
            if video.index in shown:
                tile, caption = self._tile(video)
                tiles.append(tile)
                captions.append(caption)
        if tiles:
            self._draw_panel(
                tiles,
                captions,
                "true segments blue, map grey, detections orange "
                f"(above {self.threshold:.0%} of the map's maximum)",
                _PANEL_COLUMNS,
            )
        figures = {f"val_{name}": value for name, value in self.metric.result().items()}
        figures["val_top1_clas"] = right / len(self.dataset)
        figures["val_cam_threshold"] = self.threshold
        figures["val_degenerate_maps"] = float(degenerate)
        return figures

    def iterate(self) -> Iterator[LocalizedVideo]:
        """Yields what is known of each video, in the order of the data, with the model set.

        It is a pass of its own, of which only a batch is in memory; the figures of `evaluate` are
        not touched.

        Yields:
            A `LocalizedVideo` for each video.

        Raises:
            ValueError: If no model was set.
        """
        self._check_model("iterate")
        for batch in self._batches:
            maps, probabilities = (np.asarray(output) for output in self._forward(batch))
            labels, mask = np.asarray(batch["labels"]), np.asarray(batch["mask"])
            steps = np.asarray(batch["step_seconds"])
            found = detections_from_maps(
                maps,
                steps,
                self.threshold,
                mask,
                labels if self.classes_are_known else None,
                self.score,
            )
            for row, index in enumerate(np.asarray(batch["index"]).tolist()):
                yield LocalizedVideo(
                    index=index,
                    video_id=str(self.dataset.video_ids[index]),
                    labels=labels[row] > 0,
                    probabilities=probabilities[row],
                    maps=maps[row][mask[row]],
                    step_seconds=float(steps[row]),
                    detections=found[row],
                )

    def _videos_of_panel(self) -> list[int]:
        """Returns which videos the panel shows: the same at each epoch."""
        count = min(self.panel_videos, len(self.dataset))
        return [number * len(self.dataset) // count for number in range(count)]

    def _tile(self, video: LocalizedVideo) -> tuple[drawing.Picture, str]:
        """Draws one video and the class of its first segment, or of its first label."""
        truth, found = self.dataset.truth(video.index), video.detections
        labels = truth["segment_labels"]
        label = int(labels[0] if len(labels) else video.labels.argmax())
        of_label = found["labels"] == label
        picture = timelines.timeline(
            max(float(self.dataset.durations[video.index]), len(video.maps) * video.step_seconds),
            truth["segments"][labels == label],
            video.maps[:, label],
            video.step_seconds,
            found["segments"][of_label],
            found["scores"][of_label],
            self.threshold,
            truth["ambiguous"],
        )
        name, probability = self.dataset.class_names[label], video.probabilities[label]
        return picture, f"{video.video_id}: {name} ({probability:.0%})"
