"""Mean average precision of temporal detections, in the ways in which it is published."""

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

_COLUMNS = {
    "detections": ("video", "label", "start", "end", "score"),
    "truths": ("video", "label", "start", "end"),
    "ambiguous": ("video", "start", "end"),
}


@keras.saving.register_keras_serializable(package="keras_has")
class TemporalMeanAveragePrecision(keras.metrics.Metric):
    """Average precision of detected segments of time, per class and temporal IoU, and its mean.

    The published tools differ, and so do their figures; name the protocol beside the figure:

    - `"thumos14"`: in each video each true segment in order takes the free detection of largest
      IoU, if that exceeds the threshold. Average precision is the sum of the precision at each true
      positive, divided by the number of true segments. The later THUMOS14 kit.
    - `"thumos14_11point"`: the same matching. Average precision is the mean over the recalls 0, 0.1
      ... 1 of the largest precision at that recall or above. The first THUMOS14 kit.
    - `"activitynet"`: the detections of all videos, by falling score, take the free true segment of
      largest IoU, if that reaches the threshold. Average precision is the area under precision made
      monotone, at every recall.
    - `"wtalc"`: by falling score too, each takes the first free true segment whose IoU reaches the
      threshold. Average precision as in `"thumos14"`.

    Ambiguous intervals, of which the annotators of THUMOS14 were not sure: under the protocols of
    THUMOS14 a detection that overlaps one at all, of whatever class, is not counted as false,
    though it may be true; under `"wtalc"` it is taken out beforehand; `"activitynet"` knows none.
    Detections of equal score are ordered as THUMOS14's tool orders them, true ones first, under its
    protocols, and as they came under the others. `"wtalc"` here compares seconds, where its tool
    rounds to frames.

    Detections of every class are counted. Where the video's classes are taken as known, as in
    Hide-and-Seek's Table 7, leave the other classes out of the detections.

    A class without a true segment has no average precision: NaN, which the mean leaves out. How
    many there are is in `classes_without_truth`.

    The metric keeps all segments and works in NumPy, eagerly, on any backend. Metrics that saw
    different videos are merged with `merge_state`, those of other processes by way of
    `state_arrays` and `merge_arrays`.

    Args:
        num_classes: Number of classes; labels are 0 to `num_classes - 1`.
        iou_thresholds: Increasing temporal IoUs in [0, 1). Defaults to the paper's 0.1 to 0.5.
        protocol: One of the above. Defaults to `"thumos14"`.
        name: Name of the metric. Defaults to `"temporal_map"`.
        dtype: Kept for Keras' sake; results are Python floats. Defaults to None.

    Call arguments:
        y_true: Dict of one video or of a batch: `"segments"`, (N, 2) or (B, N, 2) in seconds;
            `"segment_labels"`, (N,) or (B, N) integers, -1 for padding; perhaps `"ambiguous"`,
            (M, 2) or (B, M, 2), padded by empty intervals. A list of B arrays will do for a batch.
        y_pred: Dict of `"segments"`, `"labels"`, -1 for padding, and `"scores"`, alike.
        sample_weight: Optional (B,): 0 for a video that is padding of a last batch, 1 for others.

    Returns:
        A dict of floats, see `result`.

    Raises:
        ValueError: For an unknown protocol, thresholds or shapes that do not fit, a label that is
            no class, or a true segment that does not end after its start.

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
            raise ValueError(f"`protocol` should be one of {PROTOCOLS}. Received: {protocol!r}")
        self.num_classes = num_classes
        self.iou_thresholds = tuple(values.tolist())
        self.protocol = protocol
        self.reset_state()

    def reset_state(self) -> None:
        """Forgets all videos."""
        self.num_videos = 0
        self.nan_detections = 0
        self._tables = _Tables()

    def update_state(
        self, y_true: dict[str, Any], y_pred: dict[str, Any], sample_weight: Any = None
    ) -> None:
        """Adds one video or a batch of them.

        Args:
            y_true: `{"segments", "segment_labels"}` and perhaps `"ambiguous"`; see the class.
            y_pred: `{"segments", "labels", "scores"}`.
            sample_weight: None, or (B,) of 0 and 1.

        Raises:
            ValueError: For what the class says. Nothing is added then.
        """
        truths = _videos(y_true, "y_true", "segment_labels")
        detections = _videos(y_pred, "y_pred", "labels", "scores")
        intervals = [np.zeros((0, 2))] * len(truths)
        if "ambiguous" in y_true:
            intervals = [_segments(each) for each in _split(y_true["ambiguous"], 2)]
        if not len(truths) == len(detections) == len(intervals):
            raise ValueError(
                "`y_true` and `y_pred` should hold as many videos. Received: "
                f"{len(truths)} and {len(detections)}, ambiguous intervals of {len(intervals)}"
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
                f"Labels should be below num_classes={self.num_classes}. "
                f"Received: {int(labels.max())}"
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
        # By score, in stable order: row numbers say who comes first from here on.
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
        of_class = [np.flatnonzero(label == each) for each in range(self.num_classes)]
        for row, threshold in enumerate(self.iou_thresholds):
            is_true = self._true_positives(pairs, iou, threshold, len(found), len(truth))
            for each in np.flatnonzero(positives):
                rows = of_class[each]
                result[row, each] = self._average_precision(
                    is_true[rows], is_ambiguous[rows], score[rows], int(positives[each])
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
        # Under ">=" a threshold of 0 still asks for an overlap.
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
        """Returns the average precision of one class; the detections come by falling score."""
        if self.protocol.startswith("thumos14"):
            is_counted = is_true | ~is_ambiguous
            is_true, score = is_true[is_counted], score[is_counted]
            is_true = is_true[np.lexsort((~is_true, -score))]
        hits = np.cumsum(is_true)
        precision = hits / np.arange(1, len(hits) + 1)
        if self.protocol in ("thumos14", "wtalc"):
            return float(precision[is_true].sum() / positives)
        # Of all recalls at or above one, the largest precision.
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        if self.protocol == "activitynet":
            return float(envelope[is_true].sum() / positives)
        # The first place at which recall reaches a tenth: in integers, 3 of 10 is three tenths.
        places = np.searchsorted(hits * 10, np.arange(11) * positives)
        return float(np.append(envelope, 0.0)[places].mean())

    @property
    def classes_without_truth(self) -> int:
        """How many classes have no true segment so far, and so no average precision."""
        return self.num_classes - len(np.unique(self._tables.rows("truths")[:, 1]))

    def mean_average_precisions(self) -> NDArray[np.float64]:
        """Returns the mean over the classes with true segments at each IoU threshold.

        Returns:
            (thresholds,) float64, NaN where no class has any.
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
            metric's name alone for the mean. NaN where no class has a true segment.
        """
        means = self.mean_average_precisions().tolist()
        figures = {
            f"{self.name}_at_{threshold:g}": mean
            for threshold, mean in zip(self.iou_thresholds, means, strict=True)
        }
        return {**figures, self.name: float(np.mean(means))}

    def state_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Returns all that the metric holds as arrays, which can be sent to another process.

        Returns:
            `"counts"` (2,), and float64 rows: `"detections"` of video, label, start, end, score;
            `"truths"` of video, label, start, end; `"ambiguous"` of video, start, end.
        """
        counts = np.array([self.num_videos, self.nan_detections], np.float64)
        return {"counts": counts, **{key: self._tables.rows(key).copy() for key in _COLUMNS}}

    def merge_arrays(self, arrays: dict[str, Any]) -> None:
        """Adds the videos of another metric, given by its `state_arrays`.

        Args:
            arrays: The arrays, as they came.

        Raises:
            ValueError: If an array is missing or of another shape. Nothing is added then.
        """
        new = {}
        for key, columns in _COLUMNS.items():
            rows = np.array(arrays.get(key, ()), np.float64)
            if rows.ndim != 2 or rows.shape[1] != len(columns):
                raise ValueError(
                    f"`arrays[{key!r}]` should be of shape (N, {len(columns)}), as "
                    f"`state_arrays` gives it. Received: shape={rows.shape}"
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
            ValueError: If a metric is of another class or configuration. Nothing is added then.
        """
        metrics = list(metrics)
        for metric in metrics:
            if type(metric) is not type(self) or self._settings() != metric._settings():
                raise ValueError(
                    "`metrics` should be of the same class and configuration as this one, "
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
    """Rows of numbers that come in parts. A class, for Keras walks through a layer's own lists."""

    def __init__(self) -> None:
        self.parts: dict[str, list[NDArray[np.float64]]] = {key: [] for key in _COLUMNS}

    def extend(self, new: dict[str, list[NDArray[np.float64]]]) -> None:
        """Adds parts to each table."""
        for key, parts in new.items():
            self.parts[key] += parts

    def rows(self, key: str) -> NDArray[np.float64]:
        """Returns one table as a whole, put together once and not at each look."""
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
    """Returns one array a video, of what has `rank` dimensions a video, of one or of several."""
    if isinstance(value, (list, tuple)):
        is_batch = any(np.ndim(each) == rank for each in value)
        return [_array(each) for each in value] if is_batch else [_array(value)]
    if type(value).__name__ == "RaggedTensor":
        return [_array(value[index]) for index in range(int(value.shape[0]))]
    array = _array(value)
    return list(array) if array.ndim == rank + 1 else [array]


def _segments(array: NDArray[np.float64]) -> NDArray[np.float64]:
    if array.size and (array.ndim != 2 or array.shape[1] != 2):
        raise ValueError(
            "Segments should be of shape (N, 2), start and end, for each video. "
            f"Received: shape={array.shape}"
        )
    return array.reshape(-1, 2)


def _videos(given: dict[str, Any], name: str, *keys: str) -> list[NDArray[np.float64]]:
    """Returns an array of label, start, end and, if asked for, score for each video."""
    segments = [_segments(each) for each in _split(given["segments"], 2)]
    columns = [_split(given[key], 1) for key in keys]
    videos = []
    for index, pairs in enumerate(segments):
        values = [column[index] for column in columns if index < len(column)]
        if len(values) < len(keys) or any(each.shape != (len(pairs),) for each in values):
            raise ValueError(
                f"`{name}` should have one of {keys} for each of its segments. Received: "
                f"segments of shape {pairs.shape} and {[each.shape for each in values]} for video "
                f"{index}"
            )
        rows = np.column_stack([values[0], pairs, *values[1:]])
        videos.append(rows[rows[:, 0] >= 0])
    return videos


def _pairs(
    keys: NDArray[np.float64], others: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the indices of all pairs of equal key."""
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
    """Returns which segments overlap any of the others of their video."""
    left, right = _pairs(video, other_video)
    return left[temporal_iou(segments[left], others[right]) > 0]
