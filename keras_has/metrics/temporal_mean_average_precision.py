"""Mean average precision of temporal detections under the published protocols."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_has.ops.hiding import is_tensorflow_tensor
from keras_has.ops.matching import match_in_turn
from keras_has.ops.segments import temporal_iou

PROTOCOLS = ("thumos14", "thumos14_11point", "activitynet", "wtalc")
IOU_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)

# MATLAB's 0:0.1:1: the nearest numbers to the tenths, except for 3 * 0.1 = 0.30000000000000004.
_RECALLS = np.array([0.0, 0.1, 0.2, 3 * 0.1, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])

_COLUMNS = {
    "detections": ("video", "label", "start", "end", "score"),
    "truths": ("video", "label", "start", "end"),
    "ambiguous": ("video", "start", "end"),
}


@keras.saving.register_keras_serializable(package="keras_has")
class TemporalMeanAveragePrecision(keras.metrics.Metric):
    """Average precision of temporal detections per class and temporal IoU, and its mean.

    The published tools differ, and so do their results. Always report the protocol:

    - `"thumos14"`: in each video, every true segment in order takes the unmatched detection with
      the largest IoU, if it exceeds the threshold. Average precision is the sum of the precision
      at each true positive, divided by the number of true segments. The later THUMOS14 kit, which
      is in general use.
    - `"thumos14_11point"`: the same matching. Average precision is the mean over the recalls 0,
      0.1, ..., 1 of the largest precision at that recall or above. The first THUMOS14 kit. A
      recall of exactly 3/10 does not count as 0.3: the kit takes its recalls from MATLAB's
      `0:0.1:1`, whose fourth value is 0.30000000000000004.
    - `"activitynet"`: the detections of all videos, by decreasing score, take the unmatched true
      segment with the largest IoU, if it reaches the threshold. Average precision is the area under
      the monotone envelope of precision over recall.
    - `"wtalc"`: also by decreasing score, each detection takes the first unmatched true segment
      whose IoU reaches the threshold. Average precision as in `"thumos14"`.

    THUMOS14 marks ambiguous intervals. Under the THUMOS14 protocols, a detection of any class that
    overlaps one is not counted as a false positive, but may still be a true positive. Under
    `"wtalc"`, such detections are removed beforehand. `"activitynet"` ignores ambiguous intervals.
    Detections of equal score keep the order of their videos and, within a video, of the detections,
    however the videos are batched. The first kit, `"thumos14_11point"`, counts the true positives
    among them first, which raises average precision if many scores are equal. `"wtalc"` compares
    seconds here, while its tool rounds to frames.

    Detections of all classes are counted. If the classes of a video are assumed to be known, as in
    Table 7 of the Hide-and-Seek paper, leave the other classes out of the detections.

    The average precision of a class without a true segment is NaN, and the mean ignores it.
    `classes_without_truth` is the number of such classes.

    The metric stores all segments and works in NumPy, eagerly, on any backend. Use `merge_state` to
    merge metrics that saw different videos, and `state_arrays` and `merge_arrays` for metrics of
    other processes.

    Args:
        num_classes: Number of classes; labels are 0 to `num_classes - 1`.
        iou_thresholds: Increasing temporal IoUs in [0, 1). Defaults to the paper's 0.1 to 0.5.
        protocol: One of the above. Defaults to `"thumos14"`.
        name: Name of the metric. Defaults to `"temporal_map"`.
        dtype: For compatibility with Keras; results are Python floats. Defaults to None.

    Call arguments:
        y_true: Dict of one video or of a batch: `"segments"`, (N, 2) or (B, N, 2) in seconds;
            `"segment_labels"`, (N,) or (B, N) integers, -1 for padding; optionally
            `"ambiguous"`, (M, 2) or (B, M, 2), padded with empty intervals. A batch may also be a
            list of B arrays.
        y_pred: Dict of `"segments"`, `"labels"` (-1 for padding) and `"scores"`, with
            matching shapes.
        sample_weight: Optional (B,): 1 for a video, 0 for padding of the last batch.

    Returns:
        A dict of floats, see `result`.

    Raises:
        ValueError: If the protocol, the thresholds or a shape is invalid, a label is not a class,
            or a true segment does not end after its start.

    Example:

    >>> metric = TemporalMeanAveragePrecision(num_classes=2, iou_thresholds=(0.3, 0.5))
    >>> metric.update_state(
    ...     {"segments": [[0.0, 10.0], [20.0, 30.0]], "segment_labels": [0, 0]},
    ...     {"segments": [[0.0, 9.0], [26.0, 32.0]], "labels": [0, 0], "scores": [0.9, 0.8]},
    ... )
    >>> metric.result()  # 4 s of 12 s is an IoU of 0.33
    {'temporal_map_at_0.3': 1.0, 'temporal_map_at_0.5': 0.5, 'temporal_map': 0.75}
    >>> metric.classes_without_truth
    1

    Reference:
        Jiang et al., "THUMOS Challenge: Action Recognition with a Large Number of Classes", 2014,
        and its evaluation kit; Caba Heilbron et al., "ActivityNet", CVPR 2015, and its kit; Paul et
        al., "W-TALC", ECCV 2018, and its code. Singh and Lee, ICCV 2017, Table 7.
    """

    def __init__(
        self,
        num_classes: int,
        iou_thresholds: Sequence[float] = IOU_THRESHOLDS,
        protocol: str = "thumos14",
        name: str = "temporal_map",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 1:
            raise ValueError(
                f"`num_classes` should be a positive int. Received: num_classes={num_classes}"
            )
        values = np.asarray(iou_thresholds, np.float64)
        is_in_range = values.ndim == 1 and values.size and np.all((values >= 0) & (values < 1))
        if not is_in_range or np.any(np.diff(values) <= 0):
            raise ValueError(
                "`iou_thresholds` should be an increasing sequence of numbers in [0, 1). "
                f"Received: iou_thresholds={iou_thresholds}"
            )
        if protocol not in PROTOCOLS:
            raise ValueError(
                f"`protocol` should be one of {PROTOCOLS}. Received: protocol={protocol!r}"
            )
        self.num_classes = num_classes
        self.iou_thresholds = tuple(values.tolist())
        self.protocol = protocol
        self.reset_state()

    def reset_state(self) -> None:
        """Removes all videos."""
        self.num_videos = 0
        self.nan_detections = 0
        self._tables = _Tables()

    def update_state(
        self, y_true: dict[str, Any], y_pred: dict[str, Any], sample_weight: Any = None
    ) -> None:
        """Adds one video or a batch of them.

        Args:
            y_true: `{"segments", "segment_labels"}` and optionally `"ambiguous"`; see the class.
            y_pred: `{"segments", "labels", "scores"}`.
            sample_weight: None, or (B,) of 0 and 1.

        Raises:
            ValueError: See the class. Nothing is added then.
        """
        truths = _videos(y_true, "y_true", "segment_labels")
        detections = _videos(y_pred, "y_pred", "labels", "scores")
        intervals = [np.zeros((0, 2))] * len(truths)
        if "ambiguous" in y_true:
            intervals = [_segments(array) for array in _split(y_true["ambiguous"], 2)]
        if not len(truths) == len(detections) == len(intervals):
            raise ValueError(
                "`y_true` and `y_pred` should have the same number of videos. Received: "
                f"{len(truths)} and {len(detections)}, and ambiguous intervals of {len(intervals)}"
            )
        weights = np.ones(len(truths)) if sample_weight is None else _array(sample_weight)
        new: dict[str, list[NDArray[np.float64]]] = {key: [] for key in _COLUMNS}
        number, nan_detections = self.num_videos, 0
        for index in np.flatnonzero(np.reshape(weights, -1)):
            truth, found = truths[index], detections[index]
            self._check(truth, found)
            ambiguous = intervals[index][intervals[index][:, 0] < intervals[index][:, 1]]
            is_number = np.isfinite(found).all(axis=1)
            nan_detections += int((~is_number).sum())
            for key, rows in zip(_COLUMNS, (found[is_number], truth, ambiguous), strict=True):
                new[key].append(np.insert(rows, 0, number, axis=1))
            number += 1
        self._tables.extend(new)
        self.num_videos = number
        self.nan_detections += nan_detections

    def _check(self, truth: NDArray[np.float64], found: NDArray[np.float64]) -> None:
        labels = np.concatenate([truth[:, 0], found[:, 0]])
        if np.any(labels >= self.num_classes):
            raise ValueError(
                f"Labels should be less than num_classes={self.num_classes}. "
                f"Received: label={int(labels.max())}"
            )
        is_wrong = ~(truth[:, 1] < truth[:, 2])
        if is_wrong.any():
            start, end = truth[is_wrong][0, 1:].tolist()
            raise ValueError(
                "A true segment should end after its start. "
                f"Received: [{start}, {end}] (padding has the label -1)"
            )

    def average_precisions(self) -> NDArray[np.float64]:
        """Returns the average precision of each class at each IoU threshold.

        Returns:
            (thresholds, classes) float64, NaN for classes without a true segment.
        """
        found, truth, ambiguous = (self._tables.rows(key) for key in _COLUMNS)
        is_ambiguous = np.zeros(len(found), bool)
        if self.protocol != "activitynet" and len(ambiguous):
            overlapping = _overlapping(
                found[:, 0], found[:, 2:4], ambiguous[:, 0], ambiguous[:, 1:]
            )
            is_ambiguous[overlapping] = True
        if self.protocol == "wtalc":
            found, is_ambiguous = found[~is_ambiguous], is_ambiguous[~is_ambiguous]
        # Sorted by score (stable): from here on, row numbers give the rank.
        order = np.argsort(-found[:, 4], kind="stable")
        found, is_ambiguous = found[order], is_ambiguous[order]
        label, score = found[:, 1].astype(np.int64), found[:, 4]
        pairs = _pairs(
            found[:, 0] * self.num_classes + found[:, 1],
            truth[:, 0] * self.num_classes + truth[:, 1],
        )
        iou = temporal_iou(found[pairs[0], 2:4], truth[pairs[1], 2:4])
        positives = np.bincount(truth[:, 1].astype(np.int64), minlength=self.num_classes)
        result = np.full((len(self.iou_thresholds), self.num_classes), np.nan)
        rows_by_class = [np.flatnonzero(label == index) for index in range(self.num_classes)]
        for row, threshold in enumerate(self.iou_thresholds):
            is_true = self._true_positives(pairs, iou, threshold, len(found), len(truth))
            for index in np.flatnonzero(positives):
                rows = rows_by_class[index]
                result[row, index] = self._average_precision(
                    is_true[rows], is_ambiguous[rows], score[rows], int(positives[index])
                )
        return result

    def _true_positives(
        self,
        pairs: tuple[NDArray[np.int64], NDArray[np.int64]],
        iou: NDArray[np.float64],
        threshold: float,
        num_found: int,
        num_truths: int,
    ) -> NDArray[np.bool_]:
        is_thumos = self.protocol.startswith("thumos14")
        # With ">=", a threshold of 0 still requires an overlap.
        enough = iou > threshold if is_thumos else (iou >= threshold) & (iou > 0)
        found, truth, iou = pairs[0][enough], pairs[1][enough], iou[enough]
        if is_thumos:
            taken = match_in_turn(truth, found, -iou, num_truths, num_found)
            is_true = np.zeros(num_found, bool)
            is_true[taken[taken >= 0]] = True
            return is_true
        preference = -iou if self.protocol == "activitynet" else truth
        return match_in_turn(found, truth, preference, num_found, num_truths) >= 0

    def _average_precision(
        self,
        is_true: NDArray[np.bool_],
        is_ambiguous: NDArray[np.bool_],
        score: NDArray[np.float64],
        positives: int,
    ) -> float:
        """Returns the average precision of one class from detections by decreasing score."""
        if self.protocol.startswith("thumos14"):
            is_counted = is_true | ~is_ambiguous
            is_true, score = is_true[is_counted], score[is_counted]
        if self.protocol == "thumos14_11point":
            is_true = is_true[np.lexsort((~is_true, -score))]
        hits = np.cumsum(is_true)
        precision = hits / np.arange(1, len(hits) + 1)
        if self.protocol in ("thumos14", "wtalc"):
            return float(precision[is_true].sum() / positives)
        # The largest precision at each recall or above.
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        if self.protocol == "activitynet":
            return float(envelope[is_true].sum() / positives)
        places = np.searchsorted(hits / positives, _RECALLS)
        return float(np.append(envelope, 0.0)[places].mean())

    @property
    def classes_without_truth(self) -> int:
        """Number of classes that have no true segment yet, and so no average precision."""
        return self.num_classes - len(np.unique(self._tables.rows("truths")[:, 1]))

    def mean_average_precisions(self) -> NDArray[np.float64]:
        """Returns the mean over the classes with true segments at each IoU threshold.

        Returns:
            (thresholds,) float64, NaN if no class has any.
        """
        precisions = self.average_precisions()
        precisions = precisions[:, ~np.isnan(precisions[0])]
        if not precisions.shape[1]:
            return np.full(len(self.iou_thresholds), np.nan)
        return np.asarray(precisions.mean(axis=1), np.float64)

    def result(self) -> dict[str, float]:
        """Returns the mean average precision at each IoU threshold and its mean over all.

        Returns:
            A dict of floats: the metric's name with `_at_` and the threshold, in order, and the
            metric's name alone for the mean. NaN if no class has a true segment.
        """
        means = self.mean_average_precisions().tolist()
        figures = {
            f"{self.name}_at_{threshold:g}": mean
            for threshold, mean in zip(self.iou_thresholds, means, strict=True)
        }
        return {**figures, self.name: float(np.mean(means))}

    def state_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Returns the state of the metric as arrays, which can be sent to another process.

        Returns:
            `"counts"` (2,), and float64 rows: `"detections"` of video, label, start, end, score;
            `"truths"` of video, label, start, end; `"ambiguous"` of video, start, end.
        """
        counts = np.array([self.num_videos, self.nan_detections], np.float64)
        return {"counts": counts, **{key: self._tables.rows(key).copy() for key in _COLUMNS}}

    def merge_arrays(self, arrays: dict[str, Any]) -> None:
        """Adds the videos of another metric, given by its `state_arrays`.

        Args:
            arrays: The arrays, unchanged.

        Raises:
            ValueError: If an array is missing or has the wrong shape. Nothing is added then.
        """
        new = {}
        for key, columns in _COLUMNS.items():
            rows = np.array(arrays.get(key, ()), np.float64)
            if rows.ndim != 2 or rows.shape[1] != len(columns):
                raise ValueError(
                    f"`arrays[{key!r}]` should have shape (N, {len(columns)}), as "
                    f"returned by `state_arrays`. Received: shape={rows.shape}"
                )
            rows[:, 0] += self.num_videos
            new[key] = rows
        videos, nan_detections = np.asarray(arrays["counts"]).tolist()
        self._tables.extend({key: [rows] for key, rows in new.items()})
        self.num_videos += int(videos)
        self.nan_detections += int(nan_detections)

    def merge_state(self, metrics: Iterable["TemporalMeanAveragePrecision"]) -> None:
        """Adds the videos of other metrics.

        Args:
            metrics: Metrics of the same class and configuration; names may differ.

        Raises:
            ValueError: If a metric has a different class or configuration. Nothing is added then.
        """
        metrics = list(metrics)
        for metric in metrics:
            if type(metric) is not type(self) or self._settings() != metric._settings():
                raise ValueError(
                    "`metrics` should have the same class and configuration as this one, "
                    f"{type(self).__name__} with {self._settings()}. "
                    f"Received: {metric} with {metric.get_config()}"
                )
        for metric in metrics:
            self.merge_arrays(metric.state_arrays())

    def _settings(self) -> dict[str, Any]:
        config: dict[str, Any] = self.get_config()
        return {key: value for key, value in config.items() if key != "name"}

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "iou_thresholds": self.iou_thresholds,
            "protocol": self.protocol,
        }


class _Tables:
    """Rows of numbers, stored in parts. A class, because Keras tracks lists set on a layer."""

    def __init__(self) -> None:
        self.parts: dict[str, list[NDArray[np.float64]]] = {key: [] for key in _COLUMNS}

    def extend(self, new: dict[str, list[NDArray[np.float64]]]) -> None:
        """Adds parts to each table."""
        for key, parts in new.items():
            self.parts[key] += parts

    def rows(self, key: str) -> NDArray[np.float64]:
        """Returns one table; its parts are concatenated only once."""
        parts = self.parts[key]
        if len(parts) > 1:
            parts[:] = [np.concatenate(parts)]
        return parts[0] if parts else np.zeros((0, len(_COLUMNS[key])))


def _array(value: Any) -> NDArray[np.float64]:
    is_numpy = isinstance(value, (np.ndarray, np.generic, list, tuple, float, int))
    if not is_numpy and not is_tensorflow_tensor(value):
        value = ops.convert_to_numpy(value)
    return np.asarray(value, np.float64)


def _split(value: Any, rank: int) -> list[NDArray[np.float64]]:
    """Splits one video (of `rank` dimensions) or a batch into one array per video."""
    if isinstance(value, (list, tuple)):
        is_batch = any(np.ndim(element) == rank for element in value)
        return [_array(element) for element in value] if is_batch else [_array(value)]
    if type(value).__name__ == "RaggedTensor":
        return [_array(value[index]) for index in range(int(value.shape[0]))]
    array = _array(value)
    return list(array) if array.ndim == rank + 1 else [array]


def _segments(array: NDArray[np.float64]) -> NDArray[np.float64]:
    if array.size and (array.ndim != 2 or array.shape[1] != 2):
        raise ValueError(
            "`segments` should have shape (N, 2), start and end, for every video. "
            f"Received: shape={array.shape}"
        )
    return array.reshape(-1, 2)


def _videos(given: dict[str, Any], name: str, *keys: str) -> list[NDArray[np.float64]]:
    """Returns an array of label, start, end and, if requested, score per video."""
    segments = [_segments(array) for array in _split(given["segments"], 2)]
    columns = [_split(given[key], 1) for key in keys]
    videos = []
    for index, pairs in enumerate(segments):
        values = [column[index] for column in columns if index < len(column)]
        if len(values) < len(keys) or any(array.shape != (len(pairs),) for array in values):
            raise ValueError(
                f"`{name}` should have one value of {keys} per segment. Received: "
                f"segments of shape {pairs.shape} and {[array.shape for array in values]} for "
                f"video {index}"
            )
        rows = np.column_stack([values[0], pairs, *values[1:]])
        videos.append(rows[rows[:, 0] >= 0])
    return videos


def _pairs(
    keys: NDArray[np.float64], others: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the indices of all pairs with equal keys."""
    order = np.argsort(others, kind="stable")
    first = np.searchsorted(others[order], keys, "left")
    count = np.searchsorted(others[order], keys, "right") - first
    left = np.repeat(np.arange(len(keys)), count)
    within = np.arange(len(left)) - np.repeat(np.cumsum(count) - count, count)
    return left, order[np.repeat(first, count) + within]


def _overlapping(
    video: NDArray[np.float64],
    segments: NDArray[np.float64],
    other_video: NDArray[np.float64],
    others: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Returns which segments overlap any of the others in the same video."""
    left, right = _pairs(video, other_video)
    return left[temporal_iou(segments[left], others[right]) > 0]
