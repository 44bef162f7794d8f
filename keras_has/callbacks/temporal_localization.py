"""Temporal localization, measured on the validation data after each epoch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import keras

from keras_has.callbacks.evaluation_callback import EvaluationCallback
from keras_has.data.batches import temporal_evaluation_batches
from keras_has.data.dataset import Dataset
from keras_has.evaluation import LocalizedVideo, TemporalLocalizationEvaluator
from keras_has.metrics.temporal_mean_average_precision import IOU_THRESHOLDS


class TemporalLocalization(EvaluationCallback):
    """Measures temporal localization on the validation data after each epoch.

    One forward pass gives probabilities and, from the last features and the classifier's kernel,
    the temporal class activation maps; every run above the threshold is a detection. Nothing is
    hidden. The model may output probabilities or logits. The figures are written into `logs`, where
    `ModelCheckpoint`, `History` and `TensorBoard` find them. Put this callback before those:

    - `val_temporal_map_at_0.5` and so on: mean average precision at each temporal IoU, and
      `val_temporal_map`, the mean over them.
    - `val_top1_clas`: fraction of videos that show their most probable class.
    - `val_cam_threshold`: the threshold behind the figures. `val_degenerate_maps`: the number of
      maps of a class that the video shows without any detection, because the map is nowhere
      positive or not finite.

    With `log_dir` they are also written for TensorBoard, with a panel of timelines: true segments
    (blue), the map, and detections (orange, pale where the score is low).

    Under a `tf.distribute` strategy each batch is split among the replicas; a last partial batch is
    padded, and the padding is not counted.

    Args:
        dataset: A `keras_has.data.Dataset` with features.
        batch_size: Videos per batch. Defaults to 32.
        num_features: Number of features to sample from each video, as in training; or None for all,
            padded, which needs a model that takes a mask. Defaults to the paper's 2,000.
        threshold: Fraction of the map's maximum to be exceeded. Defaults to the paper's 0.5.
        iou_thresholds: See `keras_has.metrics.TemporalMeanAveragePrecision`.
        protocol: See `keras_has.metrics.TemporalMeanAveragePrecision`; `"thumos14"` by default.
        score: `"mean"` (default) or `"max"` of the map in a detection.
        classes_are_known: Whether only classes that a video shows are detected, as in the paper.
            Defaults to True.
        log_dir: Folder for TensorBoard, or None.
        panel_videos: Number of videos in the panel; they are spread over the data and the same in
            every epoch. Defaults to 6.

    Raises:
        ValueError: If an argument is out of range, if the callback is created inside the scope of a
            strategy with several replicas, or if the model lacks the layers "cam_features" and
            "predictions".

    Example:

    >>> callback = TemporalLocalization(keras_has.data.generated_phases("val", 8), num_features=100)
    >>> callback.set_model(keras_has.models.TemporalGAP(8, (100, 24), widths=(16,)))
    >>> sorted(callback.evaluate())[-3:]
    ['val_temporal_map_at_0.4', 'val_temporal_map_at_0.5', 'val_top1_clas']

    Reference:
        Singh and Lee, ICCV 2017, section 4 and Table 7.
    """

    evaluator: TemporalLocalizationEvaluator

    def __init__(
        self,
        dataset: Dataset,
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
        evaluator = TemporalLocalizationEvaluator(
            dataset, threshold, iou_thresholds, protocol, score, classes_are_known, panel_videos
        )
        batches = temporal_evaluation_batches(dataset, batch_size, num_features)
        super().__init__(evaluator, batches, log_dir)
        self.dataset = dataset
        self.num_features = num_features
        self.threshold = evaluator.threshold
        self.score = score
        self.classes_are_known = classes_are_known
        self.panel_videos = panel_videos
        self.metric = evaluator.metric

    def set_model(self, model: keras.Model) -> None:
        """Builds the forward pass, once per model."""
        if self.num_features is None and not isinstance(getattr(model, "input", None), dict):
            raise ValueError(
                "Sequences of different lengths need a model that takes a mask: build it with "
                "`is_masked=True`, or give `num_features`. Received: num_features=None"
            )
        super().set_model(model)

    def iterate(self) -> Iterator[LocalizedVideo]:
        """Yields the result for each video, in the order of the data, with the model that was set.

        This is a separate pass, of which only a few batches are in memory; the figures of
        `evaluate` are not touched.

        Yields:
            A `LocalizedVideo` for each video.

        Raises:
            ValueError: If no model was set.
        """
        for videos in self.inference("iterate").map(self.evaluator.localized_videos):
            yield from videos
