"""Images that are missing or cannot be decoded: finding, skipping and naming them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from keras_has.data.image_decoding import decode_image
from keras_has.data.sources import ImageSource
from keras_has.error_causes import cause_of

if TYPE_CHECKING:
    import tensorflow as tf

# Files in a batch; `progress` is called after each batch.
_FILES_AT_ONCE = 256


class Images(Protocol):
    """What this module needs of a dataset."""

    @property
    def name(self) -> str:
        """Name of the split."""

    @property
    def ids(self) -> np.ndarray:
        """Ids of the images."""

    @property
    def image_source(self) -> ImageSource:
        """Where the images come from."""

    def __len__(self) -> int:
        """Number of images."""

    def select(self, indices: Any, /) -> Any:
        """The images at some positions."""

    def examples(self) -> tf.data.Dataset:
        """The decoded images."""


ImagesType = TypeVar("ImagesType", bound=Images)


@dataclasses.dataclass(frozen=True)
class BadImage:
    """An image file that is missing or cannot be decoded.

    Args:
        image_id: The id of the image in its dataset.
        path: The file, with the offset for a record. Paths depend on how the folder was given, so
            store the id to remember an image.
        reason: What is wrong: `"missing"`, `"empty file"`, or `"cannot be read: "` or
            `"cannot be decoded: "` followed by TensorFlow's message.
    """

    image_id: str
    path: str
    reason: str


class BadImageError(ValueError):
    """One or more image files are missing or cannot be decoded.

    The message names the first ten files, what is wrong with them and what to do.

    Args:
        bad_images: `BadImage` objects, at least one.

    Example:

    >>> print(BadImageError(BadImage("val_7", "/data/val_7.JPEG", "empty file")))
    /data/val_7.JPEG (image id 'val_7'): empty file.
    Download it again or restore it, or pass on_bad_image='skip' (--on_bad_image=skip).
    """

    def __init__(self, *bad_images: BadImage) -> None:
        super().__init__(*bad_images)
        self.bad_images = bad_images

    def __str__(self) -> str:
        shown = self.bad_images[:10]
        lines = [f"{bad.path} (image id {bad.image_id!r}): {bad.reason}." for bad in shown]
        if len(self.bad_images) > len(shown):
            lines.append(f"... and {len(self.bad_images) - len(shown)} more files.")
        them = "it" if len(self.bad_images) == 1 else "them"
        lines.append(
            f"Download {them} again or restore {them}, "
            "or pass on_bad_image='skip' (--on_bad_image=skip)."
        )
        return "\n".join(lines)


def find_bad_images(
    dataset: Images, progress: Callable[[int, int], None] | None = None
) -> list[BadImage]:
    """Reads and decodes every file once and returns those that fail.

    A file is bad if it cannot be read or `decode_image` fails on it.

    Args:
        dataset: The images to check. A dataset in memory has no bad images.
        progress: Called now and then with the number of files done and the number of all.

    Returns:
        The bad images, in the order of the dataset.
    """
    return list(_bad_images(dataset, progress))


def skip_bad_images(
    dataset: ImagesType, progress: Callable[[int, int], None] | None = None
) -> tuple[ImagesType, list[BadImage]]:
    """Removes the images whose files are missing or cannot be decoded.

    Args:
        dataset: The images to check; every file is read and decoded once.
        progress: Called now and then with the number of files done and the number of all.

    Returns:
        The dataset without its bad images, and the bad images.
    """
    bad_images = find_bad_images(dataset, progress)
    if not bad_images:
        return dataset, bad_images
    bad_ids = {bad.image_id for bad in bad_images}
    good = [row for row, image_id in enumerate(dataset.ids) if image_id not in bad_ids]
    return dataset.select(good), bad_images


def name_bad_image(dataset: Images, error: BaseException) -> BadImageError | None:
    """Finds the file that made a pipeline fail.

    TensorFlow's error says that something could not be decoded, not which file it was.

    Args:
        dataset: The images that the pipeline reads.
        error: What the pipeline raised.

    Returns:
        A `BadImageError` for the first bad file, to be raised `from error`. `None` if no file is
        bad, or if a bad file cannot cause such an error; then no file is read.
    """
    import tensorflow as tf

    causes = (
        tf.errors.InvalidArgumentError,
        tf.errors.NotFoundError,
        tf.errors.PermissionDeniedError,
        tf.errors.FailedPreconditionError,
        tf.errors.DataLossError,
        tf.errors.UnknownError,
        # TensorFlow cannot decode messages that quote the content of a file.
        UnicodeDecodeError,
    )
    if not isinstance(error, causes):
        return None
    first = next(_bad_images(dataset, None), None)
    return None if first is None else BadImageError(first)


def read_images(dataset: Images, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
    """Decodes all files of a dataset whose images have one size.

    Args:
        dataset: At least one image, in files or records.
        progress: Called now and then with the number of files done and the number of all.

    Returns:
        uint8 array of shape `(N, height, width, 3)`.

    Raises:
        BadImageError: If a file is missing, empty or cannot be decoded.
        ValueError: If the images are not all of one size, or there are none.
    """
    import tensorflow as tf

    if not len(dataset):
        raise ValueError(
            f"The dataset should contain at least one image. Received: none in {dataset.name!r}."
        )
    first, reason = _read_image(dataset, 0)
    if first is None:
        raise BadImageError(BadImage(str(dataset.ids[0]), dataset.image_source.place(0), reason))
    shape = first.shape

    def check_shape(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        image = example["image"]
        fits = tf.reduce_all(tf.equal(tf.shape(image), shape))
        fitting = tf.cond(fits, lambda: image, lambda: tf.zeros(shape, tf.uint8))
        return tf.shape(image), tf.ensure_shape(fitting, shape)

    images = np.empty((len(dataset), *shape), np.uint8)
    done = 0
    batches = dataset.examples().map(check_shape).batch(_FILES_AT_ONCE)
    try:
        for shapes, batch in batches.as_numpy_iterator():
            odd = np.flatnonzero((shapes != shape).any(axis=1))
            if odd.size:
                height, width, _ = shapes[odd[0]]
                raise ValueError(
                    "Images should all have one size to be kept in memory; read them from their "
                    f"files instead. Received: {shape[0]} x {shape[1]} (height x width) for image "
                    f"id {str(dataset.ids[0])!r}, but {height} x {width} for image id "
                    f"{str(dataset.ids[done + odd[0]])!r}."
                )
            images[done : done + len(batch)] = batch
            done += len(batch)
            if progress is not None:
                progress(done, len(dataset))
    except tf.errors.OpError as error:
        bad_image_error = name_bad_image(dataset, error)
        if bad_image_error is None:
            raise
        raise bad_image_error from error
    return images


def _bad_images(dataset: Images, progress: Callable[[int, int], None] | None) -> Iterator[BadImage]:
    if not dataset.image_source.can_be_damaged:
        return
    for row in _failing_rows(dataset, progress):
        found = bad_image(dataset, row)
        if found is not None:
            yield found


def _failing_rows(dataset: Images, progress: Callable[[int, int], None] | None) -> Iterator[int]:
    """Yields the positions of the images that a pipeline cannot decode."""
    done, count = 0, len(dataset)
    for rows, *_ in decodable_images(dataset, np.arange(count)):
        for row in rows.tolist():
            yield from range(done, row)
            done = row + 1
        if progress is not None:
            progress(done, count)
    yield from range(done, count)
    if progress is not None and done < count:
        progress(count, count)


def decodable_images(
    dataset: Images, rows: np.ndarray, with_content: bool = False
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Reads and decodes images in parallel and yields those that can be decoded.

    Args:
        dataset: Images in files or in records.
        rows: Positions from 0 to N - 1.
        with_content: Whether to return the content of the files.

    Yields:
        For each batch the positions of the decoded images, in order; their heights and widths, of
        shape `(B, 2)`; and the content of their files, empty without `with_content`.
    """
    import tensorflow as tf

    if not len(rows):
        return
    source = dataset.image_source

    def decode(row: tf.Tensor, loaded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        encoded = source.encoded(loaded)
        # The size is returned so that decoding is not optimized away.
        size = tf.shape(decode_image(encoded, source.upright))[:2]
        return row, size, encoded if with_content else tf.constant(b"")

    # Rows that are missing from the result could not be decoded.
    decoded = (
        tf.data.Dataset.from_tensor_slices(np.asarray(rows, np.int64))
        .batch(_FILES_AT_ONCE // 8)
        .map(lambda rows: (rows, source.load(rows)), num_parallel_calls=tf.data.AUTOTUNE)
        .ignore_errors()
        .unbatch()
        .map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        .ignore_errors()
        .batch(_FILES_AT_ONCE // 8 if with_content else _FILES_AT_ONCE)
    )
    yield from decoded.as_numpy_iterator()


def bad_image(dataset: Images, row: int) -> BadImage | None:
    """Returns what is wrong with one image, or `None` if it can be decoded."""
    reason = _read_image(dataset, row)[1]
    return (
        BadImage(str(dataset.ids[row]), dataset.image_source.place(row), reason) if reason else None
    )


def _read_image(dataset: Images, row: int) -> tuple[np.ndarray | None, str]:
    """Returns the decoded image and "", or `None` and what is wrong with the file."""
    import tensorflow as tf

    with tf.device("CPU:0"):
        try:
            encoded = dataset.image_source.encoded_image(row)
        except (tf.errors.NotFoundError, FileNotFoundError):
            return None, "missing"
        except (tf.errors.OpError, OSError) as error:
            return None, f"cannot be read: {_reason(error)}"
        except ValueError as error:  # Pillow
            return None, f"cannot be decoded: {_reason(error)}"
        if not encoded:
            return None, "empty file"
        try:
            return decode_image(tf.constant(encoded), dataset.image_source.upright).numpy(), ""
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            return None, f"cannot be decoded: {_reason(error)}"


def _reason(error: Exception) -> str:
    return cause_of(error).rstrip(".")
