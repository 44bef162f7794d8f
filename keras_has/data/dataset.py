"""One split of any dataset: what it contains and where it lies, before anything is decoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_has.data.bad_images import read_images
from keras_has.data.columns import Column, DenseColumn, RaggedColumn
from keras_has.data.sources import ArrayImages, FeatureArrays, FeatureSource, ImageSource
from keras_has.data.sources import utf8_strings as _strings
from keras_has.deprecation import warn_renamed

if TYPE_CHECKING:
    import tensorflow as tf

# Images that are looked up together: records are read with one Python call for a batch.
_ROWS_AT_ONCE = 32


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """The index of one split: named columns, and a source of pixels or features.

    Every reader of `keras_has.data` returns one. Nothing is read or decoded until `examples`,
    `example` or `in_memory` is called.

    A column contains one value for each example. These names are known and checked; any other name
    may be used for further columns.

    | column | values | meaning |
    |---|---|---|
    | `label` | int64 `(N,)` | index of the class |
    | `labels` | bool `(N, classes)` | the classes that a video shows |
    | `boxes` | N float32 arrays `(n, 4)` | `"xyxy"`, pixels of the stored image, half-open |
    | `image_size` | int64 `(N, 2)` | height and width in pixels |
    | `mask_paths` | N tuples of paths | masks of the instances, see `load_mask` |
    | `mask` | `MaskFiles` | the class of every pixel, see `read_mask` |
    | `ignore_path` | `(N,)` strings | mask of what is to be ignored; empty for none |
    | `duration` | float64 `(N,)` | seconds |
    | `segments` | N float32 arrays `(n, 2)` | start and end in seconds, half-open |
    | `segment_labels` | N int64 arrays `(n,)` | index of the class |
    | `ambiguous` | N float32 arrays `(n, 2)` | intervals in which detections do not count |

    Args:
        name: What to call the split in messages and logs, such as `"tiny_imagenet/val"`.
        ids: N strings.
        columns: From a name to a `Column`, to values that become one, or to `None` for no such
            column.
        source: Where the pixels or features come from, or `None` (default) for annotations alone.
        class_names: The name of each class.
        class_ids: What the dataset's own files call each class, such as WordNet ids; `None`
            (default) where that is the name.
        seconds_per_feature: Time from one feature to the next; `None` (default) where the features
            of each sequence span its duration.
        problems: What is odd about the annotations, as sentences that name file and example, and
            what was done about it.

    Raises:
        ValueError: If the columns, ids and source do not have the same length, a label is not an
            index of `class_names`, a box or segment is inverted, empty or not finite, or a duration
            or `seconds_per_feature` is not positive; the message gives the id.

    Example:

    >>> dataset = Dataset(
    ...     name="two grey squares",
    ...     ids=["a", "b"],
    ...     columns={"label": [0, 1], "boxes": [[[0, 0, 4, 4]], []]},
    ...     source=keras_has.data.ArrayImages(np.zeros((2, 8, 8, 3), "uint8")),
    ...     class_names=("dark", "light"),
    ... )
    >>> dataset["label"].tolist(), dataset.select([1])["boxes"][0].shape
    ([0, 1], (0, 4))
    """

    name: str
    ids: np.ndarray = dataclasses.field(repr=False)
    columns: Mapping[str, Any] = dataclasses.field(repr=False)
    source: Any = dataclasses.field(default=None, repr=False)
    class_names: tuple[str, ...] = ()
    class_ids: tuple[str, ...] | None = dataclasses.field(default=None, repr=False)
    seconds_per_feature: float | None = None
    problems: tuple[str, ...] = dataclasses.field(default=(), repr=False)

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # The class is frozen; fields are normalized here only.
        set_field(self, "class_names", tuple(str(name) for name in self.class_names))
        set_field(self, "ids", _strings(self.ids, "ids"))
        if self.class_ids is not None:
            set_field(self, "class_ids", tuple(str(class_id) for class_id in self.class_ids))
        set_field(self, "problems", tuple(self.problems))
        columns = {name: value for name, value in self.columns.items() if value is not None}
        if "segments" in columns:
            columns.setdefault("ambiguous", ((),) * len(self))
        sizes = getattr(self.source, "image_sizes", None)
        if sizes is not None:
            columns.setdefault("image_size", sizes)
        set_field(
            self, "columns", {name: self._column(name, value) for name, value in columns.items()}
        )
        self._check_lengths()
        self._check_values()

    def _column(self, name: str, values: Any) -> Column:
        if name in _RESERVED:
            raise ValueError(
                f"`columns` should not contain {name!r}: examples contain something else under it."
            )
        if isinstance(values, Column):
            return values
        try:
            if name in _COLUMNS:
                return _COLUMNS[name](values, self)
            column = DenseColumn(values)
            len(column)
            return column
        except (ValueError, TypeError) as error:
            raise ValueError(f"`{name}` of {self.name!r} is invalid: {error}") from error

    def _check_lengths(self) -> None:
        parts = dict(self.columns) if self.source is None else {"source": self.source}
        for name, part in {**self.columns, **parts}.items():
            if len(part) != len(self):
                raise ValueError(
                    f"`{name}` should have one entry for each of the {len(self)} ids of "
                    f"{self.name!r}. Received: {len(part)} entries."
                )
        if self.class_ids is not None and len(self.class_ids) != len(self.class_names):
            raise ValueError(
                f"`class_ids` should have one entry for each of the {len(self.class_names)} class "
                f"names. Received: {len(self.class_ids)} entries."
            )

    def _check_values(self) -> None:
        classes = len(self.class_names)
        seconds = self.seconds_per_feature
        if seconds is not None and not 0 < seconds < np.inf:
            raise ValueError(
                f"`seconds_per_feature` of {self.name!r} should be a positive number of seconds, "
                f"or None. Received: seconds_per_feature={seconds}"
            )
        for name, check, wanted in (
            (
                "label",
                lambda labels: (labels >= 0) & (labels < classes),
                f"be an index of the {classes} classes",
            ),
            ("image_size", lambda sizes: (sizes >= 1).all(axis=1), "be at least 1 x 1"),
            (
                "duration",
                lambda seconds: (seconds > 0) & (seconds < np.inf),
                "be a positive number of seconds",
            ),
        ):
            if name in self:
                self._raise_at(check(self[name]), name, wanted, self[name])
        for name, axis, wanted in (
            ("boxes", 2, "be finite, with x0 < x1 and y0 < y1"),
            ("segments", 1, "be finite and start before they end"),
            ("ambiguous", 1, "be finite and start before they end"),
        ):
            if name in self:
                flat, counts = self.columns[name].flat()
                with np.errstate(invalid="ignore"):
                    is_valid = np.isfinite(flat).all(axis=1)
                    is_valid &= (flat[:, :axis] < flat[:, axis:]).all(axis=1)
                owners = np.repeat(np.arange(len(counts)), counts)
                self._raise_at(is_valid, name, wanted, flat, owners)
        if "segments" in self:
            if "segment_labels" not in self:
                raise ValueError(f"{self.name!r} has `segments`, so it needs `segment_labels`.")
            self._check_segment_labels(classes)

    def _check_segment_labels(self, classes: int) -> None:
        flat, counts = self.columns["segment_labels"].flat()
        same = counts == self.columns["segments"].flat()[1]
        self._raise_at(same, "segment_labels", "have one entry for each segment", counts)
        owners = np.repeat(np.arange(len(counts)), counts)
        is_index = (flat >= 0) & (flat < classes)
        self._raise_at(
            is_index, "segment_labels", f"be an index of the {classes} classes", flat, owners
        )
        if len(set(self.ids.tolist())) < len(self):
            raise ValueError(f"`ids` of {self.name!r} should differ from each other.")

    def _raise_at(
        self,
        is_valid: np.ndarray,
        name: str,
        wanted: str,
        values: np.ndarray,
        owners: np.ndarray | None = None,
    ) -> None:
        """Raises if a value is not valid, with the first one and the id of its example."""
        if is_valid.all():
            return
        first = int(np.argmin(is_valid))
        owner = first if owners is None else int(owners[first])
        raise ValueError(
            f"`{name}` of {self.name!r} should {wanted}. Received: {values[first].tolist()} for id "
            f"{str(self.ids[owner])!r}."
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def __getitem__(self, column: str) -> Any:
        """Returns the values of a column: an array, or a tuple of arrays of different lengths.

        Raises:
            KeyError: If there is no such column; the message lists the existing ones.
        """
        return self.column(column).values

    def column(self, name: str) -> Column:
        """Returns a column.

        Raises:
            KeyError: If there is no such column; the message lists the existing ones.
        """
        if name not in self.columns:
            raise KeyError(f"{self.name!r} has no column {name!r}, only {sorted(self.columns)}")
        column: Column = self.columns[name]
        return column

    def select(self, indices: Sequence[int] | np.ndarray) -> Dataset:
        """Returns the examples at `indices`, in that order.

        Args:
            indices: Positions from 0 to N - 1, or N booleans.

        Returns:
            A `Dataset` with the same classes.

        Raises:
            IndexError: If a position is negative or beyond the last example.
        """
        rows = self.rows(indices)
        return dataclasses.replace(
            self,
            ids=self.ids[rows],
            columns={name: column.select(rows) for name, column in self.columns.items()},
            source=None if self.source is None else self.source.select(rows),
        )

    def rows(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Returns positions as int64 for what `select` accepts.

        Raises:
            IndexError: If a position is negative or beyond the last example.
            ValueError: If `indices` are neither integers nor N booleans.
        """
        rows = np.asarray(indices)
        if rows.dtype == bool and rows.shape == (len(self),):
            return np.flatnonzero(rows)
        if rows.ndim != 1 or (rows.size and not np.issubdtype(rows.dtype, np.integer)):
            raise ValueError(
                f"`indices` should be a list of integers, or {len(self)} booleans. "
                f"Received: an array of {rows.dtype} and shape {rows.shape}."
            )
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(
                f"`indices` should lie between 0 and {len(self) - 1}, the last example of "
                f"{self.name!r}. Received: values from {rows.min()} to {rows.max()}."
            )
        return rows.astype(np.int64)

    def replace_columns(self, **columns: Any) -> Dataset:
        """Returns the dataset with some columns replaced or added."""
        return dataclasses.replace(self, columns={**self.columns, **columns})

    # Images

    def examples(
        self,
        indices: Sequence[int] | np.ndarray | None = None,
        columns: Sequence[str] | None = None,
    ) -> tf.data.Dataset:
        """Returns decoded images with their columns as a `tf.data.Dataset`.

        The order is that of `indices`, the same each time. Files are read and decoded in parallel
        (see `decode_image`); one that cannot be decoded stops the iteration with TensorFlow's
        error, for which `name_bad_image` finds the file.

        Args:
            indices: Positions from 0 to N - 1, repeats allowed, or N booleans. All images in
                order where `None` (default).
            columns: Names of the columns to return; `None` (default) for `"label"` and `"boxes"`,
                as far as the dataset has them.

        Returns:
            A dataset of dictionaries: `"image"`, uint8 of shape `(height, width, 3)`; the columns,
            by default `"label"`, int64, and `"boxes"`, float32 of shape `(number of boxes, 4)`;
            and `"image_id"`, string.

        Raises:
            IndexError: If a position is negative or beyond the last image.
            KeyError: If the dataset does not have one of `columns`.
        """
        import tensorflow as tf

        rows = np.arange(len(self)) if indices is None else self.rows(indices)
        source = self.image_source
        if columns is None:
            columns = [name for name in ("label", "boxes") if name in self]
        elif isinstance(columns, str):
            raise ValueError(f"`columns` should be a list of names. Received: columns={columns!r}")
        lookups = {name: self.column(name).lookup() for name in columns}
        lookups["image_id"] = DenseColumn(self.ids).lookup()

        def example(row: tf.Tensor, loaded: tf.Tensor) -> dict[str, tf.Tensor]:
            values = {name: lookup(row) for name, lookup in lookups.items()}
            return {"image": source.decode(loaded), **values}

        return (
            tf.data.Dataset.from_tensor_slices(rows)
            .batch(_ROWS_AT_ONCE)
            .map(lambda rows: (rows, source.load(rows)), num_parallel_calls=tf.data.AUTOTUNE)
            .unbatch()
            .map(example, num_parallel_calls=tf.data.AUTOTUNE)
            .apply(tf.data.experimental.assert_cardinality(len(rows)))
        )

    @property
    def image_source(self) -> ImageSource:
        """The source of the images.

        Raises:
            ValueError: If the dataset has none.
        """
        if not isinstance(self.source, ImageSource):
            raise ValueError(f"{self.name!r} has no images.")
        return self.source

    def padded_boxes(self) -> np.ndarray:
        """Returns the boxes as one array, images with fewer boxes filled up with -1.

        Returns:
            float32 array of shape `(N, M, 4)`, where M is the largest number of boxes of an image,
            at least 1.
        """
        return self.column("boxes").padded()

    # Sequences

    @property
    def feature_source(self) -> FeatureSource:
        """The source of the features.

        Raises:
            ValueError: If the dataset has none.
        """
        if not isinstance(self.source, FeatureSource):
            raise ValueError(
                f"{self.name!r} has annotations only. Give the reader the folder of the features."
            )
        return self.source

    def lengths(self) -> np.ndarray:
        """Returns how many features each sequence has, (N,) int64; only file headers are read.

        Raises:
            ValueError: If there are no features, or a file does not contain features.
        """
        source = self.feature_source
        return np.array([source.count(row) for row in range(len(self))], np.int64)

    def read(self, index: int, num_features: int | None = None) -> tuple[np.ndarray, float]:
        """Reads the features of one sequence.

        Args:
            index: Its position.
            num_features: How many to sample uniformly over the sequence, some twice where it has
                fewer; `None` (default) for all.

        Returns:
            The features, (T, D) float32, and the seconds from one to the next: feature t stands for
            `[t * seconds, (t + 1) * seconds)`.

        Raises:
            ValueError: If there are no features or the file does not contain features.
        """
        features, length = self.feature_source.read(index, num_features)
        seconds = float(self["duration"][index])
        if self.seconds_per_feature is not None:
            seconds = length * self.seconds_per_feature
        return features, seconds / max(len(features), 1)

    def example(self, index: int, num_features: int | None = None) -> dict[str, Any]:
        """Returns one sequence with everything that is known about it.

        Args:
            index: Its position.
            num_features: How many features to sample uniformly, or `None` (default) for all.

        Returns:
            A dict of `"features"`, (T, D) float32; `"labels"`, (classes,) float32 of 0 and 1;
            `"segments"`, (n, 2) float32 in seconds; `"segment_labels"`, (n,) int64; `"ambiguous"`,
            (m, 2) float32; `"video_id"`; `"duration"` and `"step_seconds"`, floats.
        """
        features, step_seconds = self.read(index, num_features)
        return {
            "features": features,
            "labels": self["labels"][index].astype(np.float32),
            **self.truth(index),
            "video_id": str(self.ids[index]),
            "duration": float(self["duration"][index]),
            "step_seconds": step_seconds,
        }

    def truth(self, index: int) -> dict[str, np.ndarray]:
        """Returns what `TemporalMeanAveragePrecision` takes as `y_true` of one sequence."""
        return {name: self[name][index] for name in ("segments", "segment_labels", "ambiguous")}

    # Both

    def in_memory(
        self,
        progress: Callable[[int, int], None] | int | None = None,
        num_features: int | None = None,
    ) -> Dataset:
        """Returns the same split with its pixels or features in memory.

        Args:
            progress: Called now and then with the number of images done and the number of all.
            num_features: How many features to sample uniformly from each sequence, or `None`
                (default) for all. Sampled features span the duration.

        Returns:
            A `Dataset`; itself if its pixels are in memory already.

        Raises:
            BadImageError: If a file is missing, empty or cannot be decoded.
            ValueError: If the images are not all of one size.
        """
        if isinstance(progress, int):  # The only argument that sequences had in version 0.1.
            progress, num_features = None, progress
        if not isinstance(self.source, FeatureSource):
            if not self.image_source.can_be_damaged:
                return self
            columns = {name: c for name, c in self.columns.items() if name != "image_size"}
            pixels = read_images(self, progress)
            return dataclasses.replace(self, columns=columns, source=ArrayImages(pixels))
        read = [self.read(index, num_features) for index in range(len(self))]
        source = FeatureArrays([features for features, _ in read])
        if num_features is None:
            return dataclasses.replace(self, source=source)
        durations = self["duration"]
        if self.seconds_per_feature is not None:
            durations = np.array([len(features) * seconds for features, seconds in read])
        return dataclasses.replace(
            self.replace_columns(duration=durations), source=source, seconds_per_feature=None
        )

    def __getattr__(self, name: str) -> Any:
        """Resolves the attributes that datasets had in version 0.1, with a warning."""
        if name not in _FORMER_ATTRIBUTES:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        new, resolve = _FORMER_ATTRIBUTES[name]
        warn_renamed(f"dataset.{name}", new)
        return resolve(self)


def _integers(value: Any, dimensions: int) -> DenseColumn:
    integers = np.asarray(value)
    if integers.size == 0:
        shape = (0,) if dimensions == 1 else (0, 2)
        integers = integers.astype(np.int64).reshape(shape)
    if integers.ndim != dimensions or not np.issubdtype(integers.dtype, np.integer):
        raise ValueError(
            f"it should be integers in {dimensions} dimension(s). "
            f"Received: an array of {integers.dtype} and shape {integers.shape}."
        )
    return DenseColumn(integers.astype(np.int64, copy=False))


def _image_sizes(value: Any) -> DenseColumn:
    column = _integers(value, 2)
    if column.values.shape[1:] != (2,):
        raise ValueError(
            f"it should have shape (N, 2), height and width. Received: shape {column.values.shape}."
        )
    return column


def _multi_hot(value: Any, num_classes: int) -> DenseColumn:
    labels = np.asarray(value)
    if labels.size == 0:
        labels = labels.reshape(-1, num_classes)
    is_valid = labels.ndim == 2 and labels.shape[1] == num_classes and labels.dtype.kind in "biuf"
    if not is_valid or not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"it should be booleans, or 0 and 1, of shape (N, {num_classes}). Received: "
            f"{labels.dtype} of shape {labels.shape}."
        )
    return DenseColumn(labels.astype(bool))


def _whole(values: Sequence[Any]) -> list[np.ndarray]:
    arrays = [np.asarray(value) for value in values]
    for index, array in enumerate(arrays):
        if array.size and not np.issubdtype(array.dtype, np.integer):
            raise ValueError(
                f"it should be integers. Received: {array.tolist()} at position {index}."
            )
    return arrays


def _path_tuples(value: Any) -> DenseColumn:
    paths = np.empty(len(value), object)
    for row, entry in enumerate(value):
        if isinstance(entry, str):
            raise ValueError(f"each entry should be a list of paths. Received: {entry!r}")
        paths[row] = tuple(str(path) for path in entry)
    return DenseColumn(paths)


# What examples contain besides columns.
_RESERVED = ("image", "image_id", "size", "hiding_seed")

# How the values of known columns are normalized.
_COLUMNS: dict[str, Callable[[Any, Dataset], Column]] = {
    "label": lambda value, dataset: _integers(value, 1),
    "labels": lambda value, dataset: _multi_hot(value, len(dataset.class_names)),
    "boxes": lambda value, dataset: RaggedColumn(value, np.float32, (4,)),
    "image_size": lambda value, dataset: _image_sizes(value),
    "mask_paths": lambda value, dataset: _path_tuples(value),
    "ignore_path": lambda value, dataset: DenseColumn(_strings(value, "ignore_path")),
    "duration": lambda value, dataset: DenseColumn(np.asarray(value, np.float64).reshape(-1)),
    "segments": lambda value, dataset: RaggedColumn(value, np.float32, (2,)),
    "segment_labels": lambda value, dataset: RaggedColumn(_whole(value), np.int64),
    "ambiguous": lambda value, dataset: RaggedColumn(value, np.float32, (2,)),
}


def _column_or_none(dataset: Dataset, name: str) -> Any:
    return dataset[name] if name in dataset else None  # noqa: SIM401 (it has no `get`)


def _from_source(attribute: str) -> Callable[[Dataset], Any]:
    return lambda dataset: getattr(dataset.source, attribute, None)


# Attributes of version 0.1: what replaces them, and their value.
_FORMER_ATTRIBUTES: dict[str, tuple[str, Callable[[Dataset], Any]]] = {
    "image_ids": ("dataset.ids", lambda dataset: dataset.ids),
    "video_ids": ("dataset.ids", lambda dataset: dataset.ids),
    "labels": (
        'dataset["label"]` or `dataset["labels"]',
        lambda dataset: dataset["label" if "label" in dataset else "labels"],
    ),
    "boxes": ('dataset["boxes"]', lambda dataset: dataset["boxes"]),
    "images": (
        "dataset.source.pixels",
        _from_source("pixels"),
    ),
    "image_paths": ("dataset.source.paths", _from_source("paths")),
    "image_sizes": (
        'dataset["image_size"]',
        lambda dataset: _column_or_none(dataset, "image_size"),
    ),
    "records": ("dataset.source.records", _from_source("records")),
    "mask_paths": (
        'dataset["mask_paths"]',
        lambda dataset: _column_or_none(dataset, "mask_paths"),
    ),
    "ignore_paths": (
        'dataset["ignore_path"]',
        lambda dataset: _column_or_none(dataset, "ignore_path"),
    ),
    "durations": ('dataset["duration"]', lambda dataset: dataset["duration"]),
    "segments": ('dataset["segments"]', lambda dataset: dataset["segments"]),
    "segment_labels": ('dataset["segment_labels"]', lambda dataset: dataset["segment_labels"]),
    "ambiguous": ('dataset["ambiguous"]', lambda dataset: dataset["ambiguous"]),
    "features": ("dataset.source.features", _from_source("features")),
    "feature_paths": ("dataset.source.paths", _from_source("paths")),
    "feature_keys": ("dataset.source.keys", _from_source("keys")),
}
