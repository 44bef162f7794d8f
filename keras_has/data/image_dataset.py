"""One split of an image data set: what is in it and where, before anything is decoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_has.data.records.record_files import RecordFiles

_FIELDS_BY_IMAGE = (
    "labels",
    "boxes",
    "image_paths",
    "images",
    "image_sizes",
    "records",
    "mask_paths",
    "ignore_paths",
)
# Images that are looked up together: records are read by the batch.
_ROWS_AT_ONCE = 32


@dataclasses.dataclass(frozen=True, eq=False)
class ImageDataset:
    """The index of one split of an image data set.

    Every reader of `keras_has.data` returns one. It holds labels, boxes and where the images are:
    the paths of their files, their places in TFRecord files or, for a small set, the pixels
    themselves. Nothing is decoded until `examples` is iterated or `in_memory` is called.

    Boxes are in Keras' `"xyxy"` format, in absolute pixels of the stored image, and half-open:
    `x1 - x0` is the width. An image may have any number of boxes, none included.

    Args:
        name: What to call the split in messages and logs, such as `"tiny_imagenet/val"`.
        class_names: The name of each class; a label is an index into it.
        image_ids: One id an image, N strings.
        labels: One class index an image, N integers, kept as int64.
        boxes: N float arrays of shape `(number of boxes, 4)`, kept as float32. An empty sequence
            stands for an image without boxes.
        image_paths: N paths of image files. Exactly one of `image_paths`, `images` and `records`
            is given, the others are `None` (default).
        images: uint8 array of shape `(N, height, width, 3)`, RGB.
        image_sizes: Integers of shape `(N, 2)`, height and width in pixels, where they are known
            without decoding. `None` (default) where not; taken from `images` where those are given.
        records: `RecordFiles` of N encoded images in TFRecord files.
        class_ids: What the data set's own files call each class, such as WordNet ids; `None`
            (default) where that is nothing but the names.
        mask_paths: For each image the paths of its instances' masks, N sequences of strings, where
            the ground truth is masks (see `load_mask`); `None` (default) where not.
        ignore_paths: For each image the path of the mask of what is to be ignored, N strings, empty
            where there is none. `None` (default) where there are no masks.

    Raises:
        ValueError: If the parts do not fit each other, a label is no index into `class_names`, or a
            box is inverted, empty or not finite; the message names the image id.

    Example:

    >>> dataset = ImageDataset(
    ...     name="two grey squares",
    ...     class_names=("dark", "light"),
    ...     image_ids=["a", "b"],
    ...     labels=[0, 1],
    ...     boxes=[[[0, 0, 4, 4]], []],
    ...     images=np.stack([np.full((8, 8, 3), grey, "uint8") for grey in (60, 200)]),
    ... )
    >>> len(dataset)
    2
    >>> [example["label"].item() for example in dataset.examples().as_numpy_iterator()]
    [0, 1]
    """

    name: str
    class_names: tuple[str, ...]
    image_ids: np.ndarray = dataclasses.field(repr=False)
    labels: np.ndarray = dataclasses.field(repr=False)
    boxes: tuple[np.ndarray, ...] = dataclasses.field(repr=False)
    image_paths: np.ndarray | None = dataclasses.field(default=None, repr=False)
    images: np.ndarray | None = dataclasses.field(default=None, repr=False)
    image_sizes: np.ndarray | None = dataclasses.field(default=None, repr=False)
    records: RecordFiles | None = dataclasses.field(default=None, repr=False)
    class_ids: tuple[str, ...] | None = dataclasses.field(default=None, repr=False)
    mask_paths: tuple[tuple[str, ...], ...] | None = dataclasses.field(default=None, repr=False)
    ignore_paths: np.ndarray | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # The class is frozen; its fields are put in form here only.
        set_field(self, "class_names", tuple(str(name) for name in self.class_names))
        set_field(self, "image_ids", _strings(self.image_ids, "image_ids"))
        set_field(self, "labels", _integers(self.labels, "labels", 1))
        set_field(self, "boxes", tuple(_box_array(boxes, i) for i, boxes in enumerate(self.boxes)))
        sources = ("image_paths", "images", "records")
        given = [source for source in sources if getattr(self, source) is not None]
        if len(given) != 1:
            raise ValueError(
                "Exactly one of `image_paths`, `images` and `records` should be given. "
                f"Received {' and '.join(given) or 'none'} for {self.name!r}."
            )
        if self.image_paths is not None:
            set_field(self, "image_paths", _strings(self.image_paths, "image_paths"))
        if self.images is not None:
            images = np.asarray(self.images)
            if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
                raise ValueError(
                    "`images` should be a uint8 array of shape (N, height, width, 3). "
                    f"Received: an array of {images.dtype} and shape {images.shape}."
                )
            set_field(self, "images", images)
            if self.image_sizes is None:
                set_field(self, "image_sizes", np.tile(images.shape[1:3], (len(images), 1)))
        if self.class_ids is not None:
            set_field(self, "class_ids", tuple(str(class_id) for class_id in self.class_ids))
        if self.mask_paths is not None:
            set_field(self, "mask_paths", tuple(tuple(paths) for paths in self.mask_paths))
        if self.ignore_paths is not None:
            set_field(self, "ignore_paths", _strings(self.ignore_paths, "ignore_paths"))
        if self.image_sizes is not None:
            set_field(self, "image_sizes", _integers(self.image_sizes, "image_sizes", 2))
        self._check_lengths()
        self._check_values()

    def _check_lengths(self) -> None:
        for field in _FIELDS_BY_IMAGE:
            value = getattr(self, field)
            if value is not None and len(value) != len(self.image_ids):
                raise ValueError(
                    f"`{field}` should have one entry for each of the {len(self.image_ids)} image "
                    f"ids of {self.name!r}. Received: {len(value)} entries."
                )
        if self.image_sizes is not None and self.image_sizes.shape[1:] != (2,):
            raise ValueError(
                "`image_sizes` should have shape (N, 2), height and width. "
                f"Received: shape {self.image_sizes.shape}."
            )
        if (self.mask_paths is None) != (self.ignore_paths is None):
            raise ValueError(
                "`mask_paths` and `ignore_paths` should be given together. "
                f"Received only one of them for {self.name!r}."
            )
        if self.class_ids is not None and len(self.class_ids) != len(self.class_names):
            raise ValueError(
                f"`class_ids` should have one entry for each of the {len(self.class_names)} class "
                f"names. Received: {len(self.class_ids)} entries."
            )

    def _check_values(self) -> None:
        beyond = np.flatnonzero((self.labels < 0) | (self.labels >= len(self.class_names)))
        if beyond.size:
            raise ValueError(
                f"Labels should be indices of the {len(self.class_names)} classes of "
                f"{self.name!r}. Received: label {self.labels[beyond[0]]} for image id "
                f"{str(self.image_ids[beyond[0]])!r}."
            )
        if self.image_sizes is not None and (self.image_sizes < 1).any():
            first = np.flatnonzero((self.image_sizes < 1).any(axis=1))[0]
            raise ValueError(
                "`image_sizes` should be at least 1 x 1. Received: "
                f"{self.image_sizes[first].tolist()} for image id {str(self.image_ids[first])!r}."
            )
        flat, counts = self._flat_boxes()
        with np.errstate(invalid="ignore"):
            sound = np.isfinite(flat).all(axis=1)
            sound &= (flat[:, 0] < flat[:, 2]) & (flat[:, 1] < flat[:, 3])
        if not sound.all():
            first = np.flatnonzero(~sound)[0]
            owner = np.repeat(np.arange(len(counts)), counts)[first]
            raise ValueError(
                "Boxes should be finite, with x0 < x1 and y0 < y1. Received: "
                f"{flat[first].tolist()} for image id {str(self.image_ids[owner])!r}."
            )

    def _flat_boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns all boxes below each other, and how many each image has."""
        counts = np.fromiter((len(boxes) for boxes in self.boxes), np.int64, len(self.boxes))
        filled = [self.boxes[index] for index in np.flatnonzero(counts)]
        flat = np.concatenate(filled) if filled else np.zeros((0, 4), np.float32)
        return flat, counts

    def __len__(self) -> int:
        return len(self.image_ids)

    def select(self, indices: Sequence[int] | np.ndarray) -> ImageDataset:
        """Returns the images at `indices`, in that order.

        Args:
            indices: Positions from 0 to N - 1, repeats allowed, or N booleans.

        Returns:
            An `ImageDataset` with the same classes.

        Raises:
            IndexError: If a position is negative or beyond the last image.
        """
        rows = self._rows(indices)
        selected: dict[str, Any] = {"image_ids": self.image_ids[rows]}
        for field in _FIELDS_BY_IMAGE:
            value = getattr(self, field)
            if isinstance(value, tuple):
                selected[field] = tuple(value[row] for row in rows)
            elif value is not None:
                selected[field] = value.select(rows) if field == "records" else value[rows]
        return dataclasses.replace(self, **selected)

    def _rows(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
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
                f"`indices` should lie between 0 and {len(self) - 1}, the last image of "
                f"{self.name!r}. Received: values from {rows.min()} to {rows.max()}."
            )
        return rows.astype(np.int64)

    def examples(self, indices: Sequence[int] | np.ndarray | None = None) -> tf.data.Dataset:
        """Returns the images with labels, boxes and ids as a `tf.data.Dataset`.

        The order is that of `indices`, the same each time. Files are read and decoded in parallel
        (see `decode_image`); one that cannot be decoded stops the iteration with TensorFlow's
        error, for which `name_bad_image` finds the file.

        Args:
            indices: Positions from 0 to N - 1, repeats allowed, or N booleans. All images in
                order where `None` (default).

        Returns:
            A dataset of dictionaries: `"image"`, uint8 of shape `(height, width, 3)`; `"label"`,
            int64; `"boxes"`, float32 of shape `(number of boxes, 4)`; `"image_id"`, string.

        Raises:
            IndexError: If a position is negative or beyond the last image.
        """
        import tensorflow as tf

        from keras_has.data.image_source import image_source

        rows = np.arange(len(self)) if indices is None else self._rows(indices)
        flat, counts = self._flat_boxes()
        load, decode = image_source(self)
        with tf.device("CPU:0"):
            all_boxes = tf.constant(flat, tf.float32)
            ends = tf.constant(np.cumsum(counts), tf.int64)
            lengths = tf.constant(counts, tf.int64)
            labels = tf.constant(self.labels, tf.int64)
            image_ids = tf.constant(self.image_ids, tf.string)

        def example(row: tf.Tensor, loaded: tf.Tensor) -> dict[str, tf.Tensor]:
            return {
                "image": decode(loaded),
                "label": labels[row],
                "boxes": all_boxes[ends[row] - lengths[row] : ends[row]],
                "image_id": image_ids[row],
            }

        return (
            tf.data.Dataset.from_tensor_slices(rows)
            .batch(_ROWS_AT_ONCE)
            .map(lambda rows: (rows, load(rows)), num_parallel_calls=tf.data.AUTOTUNE)
            .unbatch()
            .map(example, num_parallel_calls=tf.data.AUTOTUNE)
            .apply(tf.data.experimental.assert_cardinality(len(rows)))
        )

    def in_memory(self, progress: Callable[[int, int], None] | None = None) -> ImageDataset:
        """Returns the same split with its pixels in memory.

        Args:
            progress: Called now and then with the number of images done and the number of all.

        Returns:
            An `ImageDataset` with `images` in place of paths or records; itself if it had them.

        Raises:
            BadImageError: If a file is missing, empty or cannot be decoded.
            ValueError: If the images are not all of one size.
        """
        from keras_has.data.image_files import read_images

        if self.images is not None:
            return self
        images = read_images(self, progress)
        return dataclasses.replace(
            self, image_paths=None, records=None, images=images, image_sizes=None
        )

    def padded_boxes(self) -> np.ndarray:
        """Returns the boxes as one array, images with fewer boxes filled up with -1.

        Returns:
            float32 array of shape `(N, M, 4)`, where M is the largest number of boxes of an image,
            at least 1.
        """
        flat, counts = self._flat_boxes()
        padded = np.full((len(self), max(1, counts.max(initial=0)), 4), -1, np.float32)
        padded[np.arange(padded.shape[1]) < counts[:, None]] = flat
        return padded


def _strings(value: Any, field: str) -> np.ndarray:
    strings = np.asarray(value)
    if strings.size == 0:
        strings = strings.astype(np.str_)
    if strings.ndim != 1 or strings.dtype.kind not in "UO":
        raise ValueError(
            f"`{field}` should be a list of strings. "
            f"Received: an array of {strings.dtype} and shape {strings.shape}."
        )
    strings = strings.astype(np.str_, copy=False)
    try:
        "".join(strings.tolist()).encode("utf-8")
    except UnicodeEncodeError as error:
        # Python reads names that are not UTF-8 as such halves of characters; TensorFlow cannot.
        raise ValueError(
            f"`{field}` should be texts that can be written as UTF-8. Received: one with "
            f"{error.object[max(0, error.start - 40) : error.end]!a}; rename that file or "
            "folder."
        ) from None
    return strings


def _integers(value: Any, field: str, dimensions: int) -> np.ndarray:
    integers = np.asarray(value)
    if integers.size == 0:
        integers = integers.astype(np.int64)
    if integers.ndim != dimensions or not np.issubdtype(integers.dtype, np.integer):
        raise ValueError(
            f"`{field}` should be integers in {dimensions} dimension(s). "
            f"Received: an array of {integers.dtype} and shape {integers.shape}."
        )
    return integers.astype(np.int64, copy=False)


def _box_array(boxes: Any, index: int) -> np.ndarray:
    array = np.asarray(boxes, np.float32)
    if array.size == 0:
        return array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(
            "Each entry of `boxes` should have shape (number of boxes, 4). "
            f"Received: shape {array.shape} at position {index}."
        )
    return array
