"""Where the pixels and features of a dataset come from: files, records or memory.

Nothing outside of this module asks which kind of source a dataset has.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_has.data.feature_files import features_shape, read_features, sample_uniformly
from keras_has.data.image_decoding import decode_image, to_decodable, to_decodable_tensor
from keras_has.data.records.record_files import RecordFiles

if TYPE_CHECKING:
    import tensorflow as tf


class Source(abc.ABC):
    """What N examples are made of."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """Returns the number of examples."""

    @abc.abstractmethod
    def select(self, rows: np.ndarray) -> Source:
        """Returns the source of the examples at `rows`, in that order."""

    @abc.abstractmethod
    def place(self, row: int) -> str:
        """Returns where an example lies, for messages; empty for one in memory."""

    def files(self) -> Sequence[str]:
        """Returns one file for each example, or nothing where examples are not files."""
        return ()

    def content(self) -> bytes:
        """Returns what is in memory and belongs to a fingerprint of the dataset."""
        return b""


class ImageSource(Source):
    """N images, which are looked up in two steps.

    `load` looks up a batch of rows, so that records are read with one Python call for a batch;
    `decode` turns one of the results into pixels: the slow step, which runs in parallel.
    """

    @abc.abstractmethod
    def load(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns paths, encoded images or images for int64 positions of shape `(B,)`."""

    @abc.abstractmethod
    def decode(self, loaded: tf.Tensor) -> tf.Tensor:
        """Returns the pixels of one entry of `load`, uint8 of shape `(height, width, 3)`."""

    @abc.abstractmethod
    def encoded(self, loaded: tf.Tensor) -> tf.Tensor:
        """Returns the bytes of the image file of one entry of `load`, a string scalar."""

    @abc.abstractmethod
    def encoded_image(self, row: int) -> bytes:
        """Returns the bytes of one image file; PNG for an image in memory.

        Raises:
            OSError: If a record cannot be read; `tf.errors.OpError` for a file.
        """

    @property
    def can_be_damaged(self) -> bool:
        """Whether an image may fail to decode."""
        return True

    @property
    def upright(self) -> bool:
        """Whether images are turned as their EXIF orientation says."""
        return False

    @property
    def image_sizes(self) -> np.ndarray | None:
        """Height and width of all images, (N, 2), where they are known without decoding."""
        return None

    def has_size(self, height: int, width: int) -> bool:
        """Whether `load` returns pixels of this size, so that whole batches can be gathered."""
        return False

    @property
    def pixels(self) -> np.ndarray | None:
        """All images, uint8 of shape (N, height, width, 3), or `None` if not in memory."""
        return None


class FileImages(ImageSource):
    """Images in files.

    Args:
        paths: N paths, local or of a file system of `tf.io.gfile`.
        upright: Whether to turn images as their EXIF orientation says. Published benchmarks are
            evaluated without. Defaults to `False`.
    """

    def __init__(self, paths: Any, upright: bool = False) -> None:
        self.paths = utf8_strings(paths, "image_paths")
        self._upright = upright

    @property
    def upright(self) -> bool:
        """Whether images are turned as their EXIF orientation says."""
        return self._upright

    def __len__(self) -> int:
        return len(self.paths)

    def select(self, rows: np.ndarray) -> FileImages:
        """Returns the images at `rows`."""
        return FileImages(self.paths[rows], self.upright)

    def place(self, row: int) -> str:
        """Returns the path."""
        return str(self.paths[row])

    def files(self) -> Sequence[str]:
        """Returns the paths."""
        return tuple(self.paths.tolist())

    def load(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns paths."""
        import tensorflow as tf

        return tf.gather(self._table, rows)

    @functools.cached_property
    def _table(self) -> tf.Tensor:
        return _eager_constant(self.paths)

    def decode(self, loaded: tf.Tensor) -> tf.Tensor:
        """Reads and decodes a file."""
        return decode_image(self.encoded(loaded), self.upright)

    def encoded(self, loaded: tf.Tensor) -> tf.Tensor:
        """Reads a file; WebP and TIFF become PNG."""
        import tensorflow as tf

        return to_decodable_tensor(tf.io.read_file(loaded), self.upright)

    def encoded_image(self, row: int) -> bytes:
        """Reads a file."""
        import tensorflow as tf

        with tf.device("CPU:0"):
            content: bytes = tf.io.read_file(str(self.paths[row])).numpy()
        return to_decodable(content, self.upright)


class RecordImages(ImageSource):
    """Encoded images in TFRecord files.

    Args:
        records: Where the images lie.
        upright: Whether to turn images as their EXIF orientation says. Defaults to `False`.
    """

    def __init__(self, records: RecordFiles, upright: bool = False) -> None:
        self.records = records
        self._upright = upright

    @property
    def upright(self) -> bool:
        """Whether images are turned as their EXIF orientation says."""
        return self._upright

    def __len__(self) -> int:
        return len(self.records)

    def select(self, rows: np.ndarray) -> RecordImages:
        """Returns the images at `rows`."""
        return RecordImages(self.records.select(rows), self.upright)

    def place(self, row: int) -> str:
        """Returns the file and the offset of the record."""
        return self.records.place(row)

    def load(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the encoded images of a batch."""
        import tensorflow as tf

        def read(rows: np.ndarray) -> np.ndarray:
            encoded = np.empty(len(rows), object)
            encoded[:] = self.records.read(rows)
            return encoded

        encoded = tf.numpy_function(read, [rows], tf.string, stateful=False)
        encoded.set_shape(rows.shape)
        return encoded

    def decode(self, loaded: tf.Tensor) -> tf.Tensor:
        """Decodes an image."""
        return decode_image(loaded, self.upright)

    def encoded(self, loaded: tf.Tensor) -> tf.Tensor:
        """Returns what was loaded: it is encoded."""
        return loaded

    def encoded_image(self, row: int) -> bytes:
        """Reads one record."""
        return self.records.read([row])[0]


class ArrayImages(ImageSource):
    """Images in memory.

    Args:
        pixels: uint8 array of shape `(N, height, width, 3)`, RGB.

    Raises:
        ValueError: If it is another kind of array.
    """

    def __init__(self, pixels: Any) -> None:
        pixels = np.asarray(pixels)
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
            raise ValueError(
                "`images` should be a uint8 array of shape (N, height, width, 3). "
                f"Received: an array of {pixels.dtype} and shape {pixels.shape}."
            )
        self._pixels = pixels

    @property
    def pixels(self) -> np.ndarray:
        """All images, uint8 of shape (N, height, width, 3)."""
        return self._pixels

    def __len__(self) -> int:
        return len(self._pixels)

    def select(self, rows: np.ndarray) -> ArrayImages:
        """Returns the images at `rows`."""
        return ArrayImages(self._pixels[rows])

    def place(self, row: int) -> str:
        """Returns nothing: the image is in memory."""
        return ""

    def content(self) -> bytes:
        """Returns the pixels."""
        return np.ascontiguousarray(self._pixels).tobytes()

    @property
    def can_be_damaged(self) -> bool:
        """Whether an image may fail to decode."""
        return False

    @property
    def image_sizes(self) -> np.ndarray:
        """Height and width of all images."""
        return np.tile(self._pixels.shape[1:3], (len(self), 1))

    def has_size(self, height: int, width: int) -> bool:
        """Whether the images have this size."""
        return self._pixels.shape[1:3] == (height, width)

    def load(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns pixels."""
        import tensorflow as tf

        return tf.gather(self._table, rows)

    @functools.cached_property
    def _table(self) -> tf.Tensor:
        return _eager_constant(self._pixels)

    def decode(self, loaded: tf.Tensor) -> tf.Tensor:
        """Returns what was loaded: it is decoded."""
        return loaded

    def encoded(self, loaded: tf.Tensor) -> tf.Tensor:
        """Encodes an image as PNG."""
        import tensorflow as tf

        return tf.io.encode_png(loaded)

    def encoded_image(self, row: int) -> bytes:
        """Encodes an image as PNG."""
        import tensorflow as tf

        with tf.device("CPU:0"):
            content: bytes = tf.io.encode_png(self._pixels[row]).numpy()
        return content


class FeatureSource(Source):
    """Sequences of features, one of shape `(T, D)` for each of N videos or signals."""

    @abc.abstractmethod
    def count(self, row: int) -> int:
        """Returns T, the number of features of a sequence, without reading them."""

    @abc.abstractmethod
    def width(self, row: int) -> int:
        """Returns D, the number of values of a feature."""

    @abc.abstractmethod
    def read(self, row: int, num_features: int | None = None) -> tuple[np.ndarray, int]:
        """Reads the features of one sequence.

        Args:
            row: Its position.
            num_features: How many to sample uniformly, or None for all.

        Returns:
            The features, float32, and how many the whole sequence has.

        Raises:
            ValueError: If a file does not contain such features.
        """


class FeatureFiles(FeatureSource):
    """Features in .npy, .npz or HDF5 files.

    Args:
        paths: N paths, see `keras_has.data.read_features`.
        keys: N names of arrays within these files, or None.
        allow_large_features: See `keras_has.data.read_features`.
    """

    def __init__(self, paths: Any, keys: Any = None, allow_large_features: bool = False) -> None:
        self.allow_large_features = allow_large_features
        self.paths = np.array([str(path) for path in paths], np.str_)
        self.keys = None if keys is None else np.array([str(key) for key in keys], np.str_)

    def __len__(self) -> int:
        return len(self.paths)

    def select(self, rows: np.ndarray) -> FeatureFiles:
        """Returns the sequences at `rows`."""
        keys = None if self.keys is None else self.keys[rows]
        return FeatureFiles(self.paths[rows], keys, self.allow_large_features)

    def place(self, row: int) -> str:
        """Returns the path."""
        return str(self.paths[row])

    def files(self) -> Sequence[str]:
        """Returns the paths."""
        return tuple(self.paths.tolist())

    def _key(self, row: int) -> str | None:
        return None if self.keys is None else str(self.keys[row]) or None

    def count(self, row: int) -> int:
        """Reads the header of a file."""
        return features_shape(self.place(row), self._key(row))[0]

    def width(self, row: int) -> int:
        """Reads the header of a file."""
        return features_shape(self.place(row), self._key(row))[1]

    def read(self, row: int, num_features: int | None = None) -> tuple[np.ndarray, int]:
        """Reads the features of one sequence, only the rows that are needed."""
        return read_features(
            self.place(row), self._key(row), num_features, self.allow_large_features
        )


class FeatureArrays(FeatureSource):
    """Features in memory, or mapped into it.

    Args:
        features: N arrays of shape (T, D), kept as float32.

    Raises:
        ValueError: If one has another number of dimensions.
    """

    def __init__(self, features: Sequence[Any]) -> None:
        self.features = tuple(np.asarray(sequence, np.float32) for sequence in features)
        for row, sequence in enumerate(self.features):
            if sequence.ndim != 2:
                raise ValueError(
                    "`features` should be of shape (T, D). "
                    f"Received: shape={sequence.shape} at position {row}."
                )

    def __len__(self) -> int:
        return len(self.features)

    def select(self, rows: np.ndarray) -> FeatureArrays:
        """Returns the sequences at `rows`."""
        return FeatureArrays([self.features[row] for row in rows])

    def place(self, row: int) -> str:
        """Returns nothing: the features are in memory."""
        return ""

    def count(self, row: int) -> int:
        """Returns the number of features of a sequence."""
        return len(self.features[row])

    def width(self, row: int) -> int:
        """Returns the number of values of a feature."""
        return self.features[row].shape[1]

    def read(self, row: int, num_features: int | None = None) -> tuple[np.ndarray, int]:
        """Returns the features of one sequence."""
        features, count = self.features[row], len(self.features[row])
        if num_features is not None:
            features = features[sample_uniformly(count, num_features)]
        return features, count


def _eager_constant(values: np.ndarray) -> tf.Tensor:
    """Returns a tensor that graphs capture: as part of a graph it would be copied into each."""
    import tensorflow as tf

    with tf.init_scope(), tf.device("CPU:0"):
        return tf.constant(values)


def utf8_strings(value: Any, name: str) -> np.ndarray:
    """Returns an array of strings that TensorFlow can read.

    Raises:
        ValueError: If it is not a list of strings, or one cannot be written as UTF-8.
    """
    strings = np.asarray(value)
    if strings.size == 0:
        strings = strings.astype(np.str_)
    if strings.ndim != 1 or strings.dtype.kind not in "UO":
        raise ValueError(
            f"`{name}` should be a list of strings. "
            f"Received: an array of {strings.dtype} and shape {strings.shape}."
        )
    strings = strings.astype(np.str_, copy=False)
    try:
        "".join(strings.tolist()).encode("utf-8")
    except UnicodeEncodeError as error:
        # Python reads names that are not UTF-8 as lone surrogates; TensorFlow cannot.
        raise ValueError(
            f"`{name}` should be texts that can be written as UTF-8. Received: "
            f"{error.object[max(0, error.start - 40) : error.end]!a}; rename that file or folder."
        ) from None
    return strings
