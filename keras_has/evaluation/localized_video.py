"""The localization result of one video."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class LocalizedVideo:
    """One video with the model's outputs.

    Args:
        index: Its position in the dataset, whose `truth(index)` returns the segments.
        video_id: Its name in the dataset.
        labels: (classes,) booleans, the classes that it shows.
        probabilities: (classes,) float32.
        maps: (T, classes) float32, the temporal class activation map of each class, without
            padding.
        step_seconds: Duration of a step of the maps in seconds.
        detections: The detections at the fixed threshold: `"segments"`, (n, 2) float32 in
            seconds; `"labels"`, (n,) int64; `"scores"`, (n,) float32.

    Example:

    >>> from keras_has.evaluation import LocalizedVideo
    >>> maps = np.array([[0, 1], [2, 1], [2, 0]], "float32")
    >>> video = LocalizedVideo(
    ...     0, "v1", np.array([True, False]), np.array([0.3, 0.7], "float32"), maps, 0.5,
    ...     keras_has.ops.temporal_cam.detections_from_maps(maps[None], 0.5, labels=[[1, 0]])[0],
    ... )
    >>> video.predicted_class, video.is_classified, video.detections["segments"].tolist()
    (1, False, [[0.5, 1.5]])
    """

    index: int
    video_id: str
    labels: np.ndarray
    probabilities: np.ndarray
    maps: np.ndarray
    step_seconds: float
    detections: Mapping[str, np.ndarray]

    @property
    def predicted_class(self) -> int:
        """The class with the highest probability."""
        return int(self.probabilities.argmax())

    @property
    def probability(self) -> float:
        """The probability of the predicted class."""
        return float(self.probabilities[self.predicted_class])

    @property
    def is_classified(self) -> bool:
        """Whether the video shows the predicted class."""
        return bool(self.labels[self.predicted_class])
