"""Numbers in MATLAB files, without SciPy."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_HEADER_BYTES = 128
_MOST_BYTES = 2**26  # of a file and of what it unpacks to: lists of images take a few kilobytes
_MATRIX, _COMPRESSED = 14, 15
_DTYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}


def read_mat_integers(path: str | os.PathLike[str], name: str) -> np.ndarray:
    """Reads one array of whole numbers from a MATLAB file of version 5 to 7.

    Args:
        path: The file.
        name: The name of the array.

    Returns:
        Its values in MATLAB's order, int64 of shape `(N,)`.

    Raises:
        ValueError: If the file is damaged or of another version, has no such array, or the array
            contains anything but whole numbers; the message names the file.

    Reference:
        "MAT-File Format", The MathWorks, version 5.
    """
    try:
        values = _find_values(Path(path).read_bytes(), name)
    except (ValueError, struct.error, zlib.error) as error:
        raise ValueError(
            f"{os.fspath(path)} should be a MATLAB file of version 5 to 7 with the array {name!r}. "
            f"Received: {error}. Download it again."
        ) from error
    with np.errstate(invalid="ignore"):  # NaN and infinity differ from any whole number
        whole = values.astype(np.int64)
    if not np.array_equal(whole, values):
        raise ValueError(
            f"{name!r} in {os.fspath(path)} should contain whole numbers. Received: "
            f"{values[whole != values][:3].tolist()}"
        )
    return whole


def _find_values(content: bytes, name: str) -> np.ndarray:
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER_BYTES], "")
    if not order or not content.startswith(b"MATLAB 5.0"):
        raise ValueError("another kind of file")
    if len(content) > _MOST_BYTES:
        raise ValueError(f"{len(content)} bytes")
    names = []
    for kind, data in _elements(content[_HEADER_BYTES:], order):
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            data = unpacker.decompress(data, _MOST_BYTES)
            if unpacker.unconsumed_tail:
                raise ValueError(f"more than {_MOST_BYTES} bytes when unpacked")
            kind, data = next(_elements(data, order), (0, b""))
        if kind != _MATRIX:
            continue
        parts = list(_elements(data, order))
        if len(parts) < 4:
            raise ValueError("an array without values")
        names.append(parts[2][1].decode("utf-8", "replace"))
        if names[-1] == name:
            value_kind, values = parts[3]
            if value_kind not in _DTYPES:
                raise ValueError(f"values of type {value_kind} instead of numbers")
            return np.frombuffer(values, np.dtype(order + _DTYPES[value_kind]))
    raise ValueError(f"the arrays {names}")


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yields the type and content of each element."""
    place = 0
    while place < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        if kind >> 16:  # a small element: type, size and up to 4 bytes of content in 8 bytes
            kind, size = kind & 0xFFFF, kind >> 16
            start, end = place + 4, place + 8
            if size > 4:
                raise ValueError(f"a small element of {size} bytes")
        else:
            start = place + 8
            # Compressed elements are not padded to 8 bytes.
            end = start + (size if kind == _COMPRESSED else size + -size % 8)
        if start + size > len(data):
            raise ValueError(f"a file that was cut off, at byte {place}")
        yield kind, data[start : start + size]
        place = end
