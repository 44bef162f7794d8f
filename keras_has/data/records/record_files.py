"""Encoded images at known places in TFRecord files, which can be read in any order."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class RecordFiles:
    """Where N encoded images lie in TFRecord files.

    The places are those of the image's own bytes within their records, so reading an image means
    reading a range of a file: no record is parsed, and every order costs the same. TFRecord's
    checksums are not verified; damage is detected by the size of the file and by the decoder.

    Args:
        paths: The files, local or anything that `tf.io.gfile` reads, such as `"gs://bucket/a"`.
        sizes: The size of each file in bytes.
        files: For each image the index of its file in `paths`, N integers.
        offsets: Where the image's bytes begin in the file, N integers.
        lengths: The number of these bytes, N integers.

    Raises:
        ValueError: If the arguments have inconsistent lengths, or a place lies outside its file.

    Example:

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "a.tfrecord"
    >>> _ = file.write_bytes(b"..first second")
    >>> records = RecordFiles([str(file)], [14], files=[0, 0], offsets=[2, 8], lengths=[5, 6])
    >>> records.read([1, 0])
    [b'second', b'first']
    """

    paths: tuple[str, ...]
    sizes: np.ndarray = dataclasses.field(repr=False)
    files: np.ndarray = dataclasses.field(repr=False)
    offsets: np.ndarray = dataclasses.field(repr=False)
    lengths: np.ndarray = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", tuple(str(path) for path in self.paths))
        for field in ("sizes", "files", "offsets", "lengths"):
            values = np.asarray(getattr(self, field))
            if values.size and not np.issubdtype(values.dtype, np.integer):
                raise ValueError(f"`{field}` should be integers. Received: {values.dtype}")
            object.__setattr__(self, field, values.astype(np.int64).reshape(-1))
        counts = {len(self.files), len(self.offsets), len(self.lengths)}
        if len(counts) > 1 or len(self.sizes) != len(self.paths):
            raise ValueError(
                "`files`, `offsets` and `lengths` should have one entry per image, `sizes` one "
                f"per path. Received: {len(self.files)}, {len(self.offsets)} and "
                f"{len(self.lengths)} entries, {len(self.sizes)} sizes of {len(self.paths)} paths."
            )
        is_sound = (self.files >= 0) & (self.files < len(self.paths))
        is_sound &= (self.offsets >= 0) & (self.lengths >= 0)
        if is_sound.all():
            # Not a sum, which could exceed 64 bits.
            is_sound = self.lengths <= self.sizes[self.files] - self.offsets
        if not is_sound.all():
            row = np.flatnonzero(~is_sound)[0]
            file = int(self.files[row])
            path = f" ({self.paths[file]})" if 0 <= file < len(self.paths) else ""
            raise ValueError(
                f"Records should lie within their files. Received: file {file} of "
                f"{len(self.paths)}{path}, {self.lengths[row]} bytes from byte {self.offsets[row]}."
            )

    def __len__(self) -> int:
        return len(self.files)

    def select(self, rows: Sequence[int] | np.ndarray) -> RecordFiles:
        """Returns the images at `rows`, in that order."""
        rows = np.asarray(rows, np.int64)
        return dataclasses.replace(
            self, files=self.files[rows], offsets=self.offsets[rows], lengths=self.lengths[rows]
        )

    def place(self, row: int) -> str:
        """Returns file and offset of an image, for messages."""
        return f"{self.paths[self.files[row]]} (record with byte {self.offsets[row]})"

    def check_sizes(self) -> None:
        """Checks the size of every file; see `check_file_sizes`."""
        check_file_sizes(self.paths, self.sizes.tolist())

    def read(self, rows: Sequence[int] | np.ndarray) -> list[bytes]:
        """Reads the encoded images at `rows`.

        Every file that is needed is opened once and read from front to back.

        Args:
            rows: Positions from 0 to N - 1, repeats allowed.

        Returns:
            The content of each image file.

        Raises:
            OSError: If a file cannot be read, or ends before the record does.
        """
        rows = np.asarray(rows, np.int64)
        encoded = [b""] * len(rows)
        order = np.lexsort((self.offsets[rows], self.files[rows]))
        start = 0
        while start < len(order):
            file = self.files[rows[order[start]]]
            end = start
            while end < len(order) and self.files[rows[order[end]]] == file:
                end += 1
            places = order[start:end]
            chosen = rows[places]
            contents = _read_ranges(
                self.paths[file], self.offsets[chosen].tolist(), self.lengths[chosen].tolist()
            )
            for place, content in zip(places.tolist(), contents, strict=True):
                encoded[place] = content
            start = end
        return encoded


def check_file_sizes(paths: Sequence[str], sizes: Sequence[int]) -> None:
    """Compares the sizes of TFRecord files with what they should be.

    Args:
        paths: The files, local or on a file system of `tf.io.gfile`.
        sizes: The size that each had when it was written, in bytes.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file has another size: it was truncated or replaced.
    """
    for path, size in zip(paths, sizes, strict=True):
        found = _size_of(path)
        if found is None:
            raise FileNotFoundError(
                f"There is no TFRecord file at {path}. Copy the folder again, or write it again "
                "with `python -m trainers.prepare`."
            )
        if found != size:
            raise ValueError(
                f"{path} should have {size} bytes, as when it was written. Received: {found} "
                "bytes. Copy it again, or write it again with `python -m trainers.prepare`."
            )


def is_remote(path: str) -> bool:
    """Returns whether a path names a file system of `tf.io.gfile`, such as `gs://`."""
    return "://" in path


def _size_of(path: str) -> int | None:
    if is_remote(path):
        import tensorflow as tf

        return tf.io.gfile.stat(path).length if tf.io.gfile.exists(path) else None
    try:
        return os.stat(path).st_size  # noqa: PTH116 (a string)
    except FileNotFoundError:
        return None


def _read_ranges(path: str, offsets: list[int], lengths: list[int]) -> list[bytes]:
    contents = []
    if is_remote(path):
        import tensorflow as tf

        with tf.io.gfile.GFile(path, "rb") as file:
            for offset, length in zip(offsets, lengths, strict=True):
                file.seek(offset)
                contents.append(file.read(length))
    else:
        # `pread` shares no position and releases Python's lock: many threads can read at once.
        descriptor = os.open(path, os.O_RDONLY)
        try:
            for offset, length in zip(offsets, lengths, strict=True):
                contents.append(_pread(descriptor, length, offset))
        finally:
            os.close(descriptor)
    for content, offset, length in zip(contents, offsets, lengths, strict=True):
        if len(content) != length:
            raise OSError(
                f"{path} should have {length} bytes from byte {offset} on. Received: "
                f"{len(content)}; the file was truncated. Copy it again."
            )
    return contents


def _pread(descriptor: int, length: int, offset: int) -> bytes:
    content = os.pread(descriptor, length, offset)
    while 0 < len(content) < length:  # The system may return less at once.
        more = os.pread(descriptor, length - len(content), offset + len(content))
        if not more:
            break
        content += more
    return content
