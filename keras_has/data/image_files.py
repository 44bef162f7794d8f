"""Image files: decoding any of them to RGB, and finding those that cannot be decoded."""

from __future__ import annotations

import dataclasses
import os
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_has.data.image_dataset import ImageDataset

Result = TypeVar("Result")

# Files in a batch or in a lot for the threads; `progress` is called after each.
_FILES_AT_ONCE = 256


def decode_image(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes an image file to RGB, in a graph or eagerly.

    What a file is, its content says, not its name: ILSVRC 2012 has a PNG named `.JPEG`. JPEG
    (grey, YCbCr, CMYK and YCCK, inverted as Adobe does or not), PNG, GIF (its first frame) and BMP
    (8 bits with a palette, 24 or 32 bits) are read. Grey becomes three equal channels, 16 bits a
    channel become their upper 8, an alpha channel is dropped. The EXIF orientation is not applied,
    as in every published evaluation on these data sets. A truncated file is an error.

    Args:
        encoded: String scalar, the content of the file.

    Returns:
        uint8 tensor of shape `(height, width, 3)`.

    Raises:
        tf.errors.InvalidArgumentError: If the content cannot be decoded.

    Example:

    >>> import tensorflow as tf
    >>> red = tf.constant([[[255, 0, 0]]], tf.uint8)
    >>> decode_image(tf.io.encode_png(red)).numpy().tolist()
    [[[255, 0, 0]]]
    """
    import tensorflow as tf

    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    head = tf.strings.join([tf.strings.substr(encoded, 0, 30), bytes(30)])
    image = tf.cond(
        # "BM", and 8 bits a pixel: TensorFlow takes the palette's indices for grey values.
        tf.equal(tf.strings.substr(head, 0, 2), b"BM")
        & tf.equal(tf.strings.substr(head, 28, 2), b"\x08\x00"),
        lambda: tf.gather(_bmp_palette(encoded), tf.cast(image[..., 0], tf.int32)),
        lambda: image,
    )
    image.set_shape([None, None, 3])
    return image


def _bmp_palette(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the colours of an 8-bit BMP, uint8 of shape `(colours, 3)`."""
    import tensorflow as tf

    def number(offset: int) -> tf.Tensor:
        return tf.io.decode_raw(tf.strings.substr(encoded, offset, 4), tf.int32)[0]

    # A palette stands between the headers (14 bytes and as many as the second says) and the pixels.
    start, end = 14 + number(14), number(10)
    palette = tf.io.decode_raw(tf.strings.substr(encoded, start, end - start), tf.uint8)
    return tf.reshape(palette, [-1, 4])[:, 2::-1]


def image_size(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Reads an image's height and width from the head of its file, without decoding it.

    Args:
        path: A JPEG, PNG, GIF or BMP file, whatever its extension.

    Returns:
        Height and width in pixels, or `None` where the file cannot be read or is of another kind.
    """
    try:
        with Path(path).open("rb") as file:
            height, width = _size_in_header(file)
    except (OSError, ValueError, struct.error):
        return None
    return (height, width) if height > 0 and width > 0 else None


def _size_in_header(file: BinaryIO) -> tuple[int, int]:
    head = file.read(26)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack(">II", head[16:24])
    elif head.startswith((b"GIF87a", b"GIF89a")):
        width, height = struct.unpack("<HH", head[6:10])
    elif head.startswith(b"BM"):
        width, height = struct.unpack("<ii", head[18:26])
        height = abs(height)  # Negative where the rows run from the top.
    elif head.startswith(b"\xff\xd8"):
        file.seek(2)
        return _size_in_jpeg(file)
    else:
        raise ValueError("neither JPEG nor PNG, GIF or BMP")
    return height, width


def _size_in_jpeg(file: BinaryIO) -> tuple[int, int]:
    while True:
        byte = file.read(1)
        if byte != b"\xff":
            raise ValueError("no marker where one should be")
        while byte == b"\xff":  # Any number of them may come before a marker.
            byte = file.read(1)
        if byte == b"\x01" or b"\xd0" <= byte <= b"\xd7":
            continue  # These stand alone.
        (length,) = struct.unpack(">H", file.read(2))
        if b"\xc0" <= byte <= b"\xcf" and byte not in b"\xc4\xc8\xcc":
            _, height, width = struct.unpack(">BHH", file.read(5))
            return height, width
        if length < 2 or byte in b"\xd9\xda":
            raise ValueError("no frame header")
        file.seek(length - 2, os.SEEK_CUR)


@dataclasses.dataclass(frozen=True)
class BadImage:
    """An image file that is missing or cannot be decoded.

    Args:
        image_id: The id of the image in its data set.
        path: The file, for a record with its place in it. How a path is spelled depends on how the
            folder was given: to remember an image, remember its id.
        reason: What is wrong with it: `"missing"`, `"empty file"`, or `"cannot be read: "` or
            `"cannot be decoded: "` and TensorFlow's words.
    """

    image_id: str
    path: str
    reason: str


class BadImageError(ValueError):
    """One or more image files are missing or cannot be decoded.

    The message names the files (the first ten), what is wrong with each and what to do.

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
    dataset: ImageDataset, progress: Callable[[int, int], None] | None = None
) -> list[BadImage]:
    """Reads and decodes every file once and returns those that fail.

    A file is bad exactly where `decode_image` fails on it, or it cannot be read.

    Args:
        dataset: The images to look at. One that is in memory has no bad images.
        progress: Called now and then with the number of files done and the number of all.

    Returns:
        The bad images, in the order of the data set.
    """
    return list(_bad_images(dataset, progress))


def skip_bad_images(
    dataset: ImageDataset, progress: Callable[[int, int], None] | None = None
) -> tuple[ImageDataset, list[BadImage]]:
    """Leaves out the images whose files are missing or cannot be decoded.

    Args:
        dataset: The images to look at; each file is read and decoded once.
        progress: Called now and then with the number of files done and the number of all.

    Returns:
        The data set without its bad images, and the bad images.
    """
    bad_images = find_bad_images(dataset, progress)
    if not bad_images:
        return dataset, bad_images
    bad_ids = {bad.image_id for bad in bad_images}
    good = [row for row, image_id in enumerate(dataset.image_ids) if image_id not in bad_ids]
    return dataset.select(good), bad_images


def name_bad_image(dataset: ImageDataset, error: BaseException) -> BadImageError | None:
    """Finds the file that made a pipeline fail.

    TensorFlow's error says that something could not be decoded, not which file it was.

    Args:
        dataset: The images that the pipeline reads.
        error: What the pipeline raised.

    Returns:
        A `BadImageError` for the first bad file, to be raised `from error`. `None` where no file is
        bad, or where a bad file cannot be the cause of such an error; then no file is read.
    """
    import tensorflow as tf

    causes = (
        tf.errors.InvalidArgumentError,
        tf.errors.NotFoundError,
        tf.errors.PermissionDeniedError,
        tf.errors.FailedPreconditionError,
        tf.errors.DataLossError,
        tf.errors.UnknownError,
    )
    if not isinstance(error, causes):
        return None
    first = next(_bad_images(dataset, None), None)
    return None if first is None else BadImageError(first)


def read_images(
    dataset: ImageDataset, progress: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """Decodes all files of a data set whose images are of one size.

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
            f"A data set should have an image file to be read. Received: none in {dataset.name!r}."
        )
    first, reason = _read_image(dataset, 0)
    if first is None:
        raise BadImageError(BadImage(str(dataset.image_ids[0]), _place(dataset, 0), reason))
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
                    f"id {str(dataset.image_ids[0])!r}, but {height} x {width} for image id "
                    f"{str(dataset.image_ids[done + odd[0]])!r}."
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


def for_each_file(work: Callable[[str], Result], paths: Sequence[str]) -> Iterator[Result]:
    """Yields `work(path)` for each file in order, done by as many threads as are useful.

    Args:
        work: Called with one path, in any thread.
        paths: The files. They are taken in lots, so that a million results do not wait in memory.

    Yields:
        What `work` returned for each path.
    """
    with ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 4)) as threads:
        for start in range(0, len(paths), _FILES_AT_ONCE):
            yield from threads.map(work, paths[start : start + _FILES_AT_ONCE])


def _bad_images(
    dataset: ImageDataset, progress: Callable[[int, int], None] | None
) -> Iterator[BadImage]:
    if dataset.images is not None:
        return
    for row in _failing_rows(dataset, progress):
        found = bad_image(dataset, row)
        if found is not None:
            yield found


def _failing_rows(
    dataset: ImageDataset, progress: Callable[[int, int], None] | None
) -> Iterator[int]:
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
    dataset: ImageDataset, rows: np.ndarray, with_content: bool = False
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Reads and decodes images in parallel, and gives those that can be decoded.

    Args:
        dataset: Images in files or in records.
        rows: Positions from 0 to N - 1.
        with_content: Whether the content of the files is wanted.

    Yields:
        For each lot the positions that came through, in order; their heights and widths, of shape
        `(B, 2)`; and the content of their files, empty where it is not wanted.
    """
    import tensorflow as tf

    from keras_has.data.image_source import image_source

    if not len(rows):
        return
    is_in_files = dataset.image_paths is not None
    load, _ = image_source(dataset)

    def decode(row: tf.Tensor, loaded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        encoded = tf.io.read_file(loaded) if is_in_files else loaded
        # The size is asked for so that the decoding is not optimised away.
        size = tf.shape(decode_image(encoded))[:2]
        return row, size, encoded if with_content else tf.constant(b"")

    # The rows that come through were decoded; those left out between them were not.
    decoded = (
        tf.data.Dataset.from_tensor_slices(np.asarray(rows, np.int64))
        .batch(_FILES_AT_ONCE // 8)
        .map(lambda rows: (rows, load(rows)), num_parallel_calls=tf.data.AUTOTUNE)
        .ignore_errors()
        .unbatch()
        .map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        .ignore_errors()
        .batch(_FILES_AT_ONCE // 8 if with_content else _FILES_AT_ONCE)
    )
    yield from decoded.as_numpy_iterator()


def encoded_image(dataset: ImageDataset, row: int) -> bytes:
    """Returns the content of one image file or record, or one image in memory as PNG.

    Raises:
        tf.errors.OpError: If a file cannot be read; `OSError` where it is a record.
    """
    import tensorflow as tf

    if dataset.records is not None:
        return dataset.records.read([row])[0]
    with tf.device("CPU:0"):
        if dataset.images is not None:
            return tf.io.encode_png(dataset.images[row]).numpy()
        return tf.io.read_file(str(_paths(dataset)[row])).numpy()


def bad_image(dataset: ImageDataset, row: int) -> BadImage | None:
    """Returns what is wrong with one image, or `None` where it can be decoded."""
    reason = _read_image(dataset, row)[1]
    return BadImage(str(dataset.image_ids[row]), _place(dataset, row), reason) if reason else None


def _paths(dataset: ImageDataset) -> np.ndarray:
    return np.zeros(0, np.str_) if dataset.image_paths is None else dataset.image_paths


def _place(dataset: ImageDataset, row: int) -> str:
    if dataset.records is not None:
        return dataset.records.place(row)
    return str(_paths(dataset)[row])


def _read_image(dataset: ImageDataset, row: int) -> tuple[np.ndarray | None, str]:
    """Returns the decoded image and "", or `None` and what is wrong with the file."""
    import tensorflow as tf

    with tf.device("CPU:0"):
        try:
            encoded = encoded_image(dataset, row)
        except (tf.errors.NotFoundError, FileNotFoundError):
            return None, "missing"
        except tf.errors.OpError as error:
            return None, f"cannot be read: {_words(error)}"
        except OSError as error:
            return None, f"cannot be read: {error}"
        if not encoded:
            return None, "empty file"
        try:
            return decode_image(tf.constant(encoded)).numpy(), ""
        except tf.errors.OpError as error:
            return None, f"cannot be decoded: {_words(error)}"


def _words(error: tf.errors.OpError) -> str:
    """Returns TensorFlow's message without the names of ops around it."""
    message = re.sub(r"\{\{.*?\}\}|\[Op:.*", "", str(error.message), flags=re.DOTALL)
    return " ".join(message.split()).rstrip(".")
