"""One split of a data set of untrimmed sequences: labels, segments of time, and the features."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_has.data.feature_files import count_features, read_features, sample_uniformly


@dataclasses.dataclass(frozen=True, eq=False)
class TemporalDataset:
    """The index of one split of a data set of untrimmed videos or signals.

    Every temporal reader of `keras_has.data` returns one. It holds the annotations and either the
    places of the features or, for a small set, the features themselves; or neither, where only
    detections are to be scored. Nothing is read until `example` is called.

    Segments are half-open and in seconds from the start of the video. They may lie beyond the
    listed duration, where the annotations say so.

    Args:
        name: What to call the split in messages and logs, such as `"thumos14/test"`.
        class_names: The name of each class; a label is an index into it.
        video_ids: One id a video, N different strings.
        durations: N numbers, in seconds.
        labels: (N, classes) booleans, True for the classes that a video shows: the labels to train
            with.
        segments: N arrays (n, 2) of start and end in seconds, kept as float32.
        segment_labels: N arrays (n,) of class indices, kept as int64.
        ambiguous: N arrays (m, 2) of intervals in which detections do not count, or None for none.
        features: N arrays (T, D), kept as float32; None where `feature_paths` is given.
        feature_paths: N paths of feature files, see `keras_has.data.read_features`; or None.
        feature_keys: N names of arrays within these files, or None.
        seconds_per_feature: Time from one feature to the next, or None (default) where the features
            of each video span its duration.
        problems: What is odd about the annotations, sentences that name file and video, and what
            was done about it. For reports; nothing reads them.

    Raises:
        ValueError: If the parts do not fit each other; the message names the video.

    Example:

    >>> dataset = TemporalDataset(
    ...     name="two signals",
    ...     class_names=("jump", "run"),
    ...     video_ids=["a", "b"],
    ...     durations=[4.0, 2.0],
    ...     labels=[[True, False], [True, True]],
    ...     segments=[[[1.0, 2.5]], [[0.0, 1.0], [1.0, 2.0]]],
    ...     segment_labels=[[0], [0, 1]],
    ...     features=[np.zeros((8, 3)), np.zeros((4, 3))],
    ... )
    >>> dataset.example(1, num_features=2)["features"].shape
    (2, 3)
    """

    name: str
    class_names: tuple[str, ...]
    video_ids: np.ndarray = dataclasses.field(repr=False)
    durations: np.ndarray = dataclasses.field(repr=False)
    labels: np.ndarray = dataclasses.field(repr=False)
    segments: tuple[np.ndarray, ...] = dataclasses.field(repr=False)
    segment_labels: tuple[np.ndarray, ...] = dataclasses.field(repr=False)
    ambiguous: tuple[np.ndarray, ...] | None = dataclasses.field(default=None, repr=False)
    features: tuple[np.ndarray, ...] | None = dataclasses.field(default=None, repr=False)
    feature_paths: np.ndarray | None = dataclasses.field(default=None, repr=False)
    feature_keys: np.ndarray | None = dataclasses.field(default=None, repr=False)
    seconds_per_feature: float | None = None
    problems: tuple[str, ...] = dataclasses.field(default=(), repr=False)

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # The class is frozen; its fields are put in form here only.
        set_field(self, "class_names", tuple(str(name) for name in self.class_names))
        set_field(self, "video_ids", np.array([str(each) for each in self.video_ids], np.str_))
        set_field(self, "durations", np.asarray(self.durations, np.float64).reshape(-1))
        labels = np.asarray(self.labels, bool).reshape(-1, len(self.class_names))
        set_field(self, "labels", labels)
        if self.ambiguous is None:
            set_field(self, "ambiguous", ((),) * len(self))
        for field in ("segments", "ambiguous"):
            pairs = tuple(np.asarray(a, np.float32).reshape(-1, 2) for a in getattr(self, field))
            set_field(self, field, pairs)
        indices = tuple(np.asarray(each, np.int64).reshape(-1) for each in self.segment_labels)
        set_field(self, "segment_labels", indices)
        if self.features is not None:
            features = tuple(np.asarray(each, np.float32) for each in self.features)
            set_field(self, "features", features)
        for field in ("feature_paths", "feature_keys"):
            if getattr(self, field) is not None:
                values = np.array([str(each) for each in getattr(self, field)], np.str_)
                set_field(self, field, values)
        set_field(self, "problems", tuple(self.problems))
        self._check()

    def _check(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            per_video = field.name not in ("name", "class_names", "seconds_per_feature", "problems")
            if per_video and value is not None and len(value) != len(self):
                raise ValueError(
                    f"`{field.name}` should have one entry for each of the {len(self)} videos of "
                    f"{self.name!r}. Received: {len(value)} entries."
                )
        if len(set(self.video_ids.tolist())) < len(self):
            raise ValueError(f"The video ids of {self.name!r} should differ from each other.")
        if self.features is not None and self.feature_paths is not None:
            raise ValueError(
                f"Only one of `features` and `feature_paths` should be given for {self.name!r}."
            )
        for index, video_id in enumerate(self.video_ids):
            labels, segments = self.segment_labels[index], self.segments[index]
            is_sound = len(labels) == len(segments) and np.isfinite(segments).all()
            is_sound = is_sound and bool(np.all(segments[:, 0] < segments[:, 1]))
            is_sound = is_sound and bool(np.all((labels >= 0) & (labels < len(self.class_names))))
            if not is_sound:
                raise ValueError(
                    "Segments should be finite, start before they end and have one label each, an "
                    f"index of the {len(self.class_names)} classes. Received for video "
                    f"{str(video_id)!r}: {segments.tolist()} with the labels {labels.tolist()}."
                )
            if not 0 < self.durations[index] < np.inf:
                raise ValueError(
                    "`durations` should be positive numbers of seconds. Received for video "
                    f"{str(video_id)!r}: {self.durations[index]}."
                )
            if self.features is not None and self.features[index].ndim != 2:
                raise ValueError(
                    "`features` should be of shape (T, D). Received for video "
                    f"{str(video_id)!r}: shape={self.features[index].shape}."
                )

    def __len__(self) -> int:
        return len(self.video_ids)

    def select(self, indices: Sequence[int] | np.ndarray) -> TemporalDataset:
        """Returns the videos at `indices`, in that order.

        Args:
            indices: Positions from 0 to N - 1, or N booleans.

        Returns:
            A `TemporalDataset` with the same classes.
        """
        rows = np.asarray(indices)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        chosen: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                chosen[field.name] = value[rows]
            elif field.name in ("segments", "segment_labels", "ambiguous", "features"):
                chosen[field.name] = None if value is None else tuple(value[row] for row in rows)
        return dataclasses.replace(self, **chosen)

    def lengths(self) -> np.ndarray:
        """Returns how many features each video has, (N,) int64; of files only the heads are read.

        Raises:
            ValueError: If there are no features, or a file is not one of features.
        """
        return np.array([self._length(index) for index in range(len(self))], np.int64)

    def _length(self, index: int) -> int:
        if self.features is not None:
            return len(self.features[index])
        return count_features(*self._place(index))

    def _place(self, index: int) -> tuple[str, str | None]:
        if self.feature_paths is None:
            raise ValueError(
                f"{self.name!r} has annotations only. Give the reader the folder of the features."
            )
        key = None if self.feature_keys is None else str(self.feature_keys[index])
        return str(self.feature_paths[index]), key or None

    def read(self, index: int, num_features: int | None = None) -> tuple[np.ndarray, float]:
        """Reads the features of one video.

        Args:
            index: Position of the video.
            num_features: How many to sample uniformly over the video, some twice where it has
                fewer; None for all.

        Returns:
            The features, (T, D) float32, and the seconds from one to the next: feature t stands for
            `[t * seconds, (t + 1) * seconds)`.

        Raises:
            ValueError: If there are no features or the file is not one of features.
        """
        if self.features is None:
            path, key = self._place(index)
            features, length = read_features(path, key, num_features)
        else:
            features, length = self.features[index], len(self.features[index])
            if num_features is not None:
                features = features[sample_uniformly(length, num_features)]
        seconds = float(self.durations[index])
        if self.seconds_per_feature is not None:
            seconds = length * self.seconds_per_feature
        return features, seconds / max(len(features), 1)

    def example(self, index: int, num_features: int | None = None) -> dict[str, Any]:
        """Returns one video with all that is known of it.

        Args:
            index: Position of the video.
            num_features: How many features to sample uniformly, or None for all.

        Returns:
            A dict of `"features"`, (T, D) float32; `"labels"`, (classes,) float32 of 0 and 1;
            `"segments"`, (n, 2) float32 in seconds; `"segment_labels"`, (n,) int64; `"ambiguous"`,
            (m, 2) float32; `"video_id"`; `"duration"` and `"step_seconds"`, floats.
        """
        features, step_seconds = self.read(index, num_features)
        assert self.ambiguous is not None  # noqa: S101 (for mypy: __post_init__ has seen to it)
        return {
            "features": features,
            "labels": self.labels[index].astype(np.float32),
            "segments": self.segments[index],
            "segment_labels": self.segment_labels[index],
            "ambiguous": self.ambiguous[index],
            "video_id": str(self.video_ids[index]),
            "duration": float(self.durations[index]),
            "step_seconds": step_seconds,
        }

    def truth(self, index: int) -> dict[str, np.ndarray]:
        """Returns what `TemporalMeanAveragePrecision` takes as `y_true` of one video."""
        assert self.ambiguous is not None  # noqa: S101
        return {
            "segments": self.segments[index],
            "segment_labels": self.segment_labels[index],
            "ambiguous": self.ambiguous[index],
        }

    def in_memory(self, num_features: int | None = None) -> TemporalDataset:
        """Returns the same split with its features in memory.

        Args:
            num_features: How many to sample uniformly from each video, or None for all.

        Returns:
            A `TemporalDataset` with `features`. Sampled features span the duration.
        """
        read = [self.read(index, num_features) for index in range(len(self))]
        durations = self.durations
        if num_features is not None and self.seconds_per_feature is not None:
            durations = np.array([len(features) * seconds for features, seconds in read])
        return dataclasses.replace(
            self,
            features=tuple(features for features, _ in read),
            feature_paths=None,
            feature_keys=None,
            durations=durations,
            seconds_per_feature=None if num_features is not None else self.seconds_per_feature,
        )
