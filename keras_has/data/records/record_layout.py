"""Names and layout of a folder of TFRecord files, shared by its writer and its readers."""

import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.atomic_files import atomic_path

DATASET_FILE = "dataset.json"
# A record is preceded by its length with a checksum, and followed by a checksum of its content.
HEADER_BYTES, FOOTER_BYTES = 12, 4


def index_name(split: str) -> str:
    """Returns the name of the index file of a split."""
    return f"{split}.index.npz"


def shard_name(split: str, number: int, count: int) -> str:
    """Returns the name of one of a split's files, `number` from 0 to `count - 1`."""
    return f"{split}-{number:05d}-of-{count:05d}.tfrecord"


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes arrays to a compressed .npz file."""
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_arrays(content: bytes, where: str, required: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """Reads the arrays of a .npz file; pickled objects are refused.

    Args:
        content: The content of the file.
        where: Its path, for messages.
        required: Names of arrays that it has to contain.

    Raises:
        ValueError: If it is damaged or lacks an array.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except Exception as error:  # NumPy, zipfile and zlib raise nearly everything.
        raise ValueError(f"{where} should be a complete .npz file: {error}. Delete it.") from error
    missing = [name for name in required if name not in found]
    if missing:
        raise ValueError(f"{where} should contain {missing[0]!r}. Received: {sorted(found)}")
    return found


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(parts: Iterable[bytes]) -> str:
    """Returns one digest of several byte strings, which keeps their boundaries apart."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def decode_texts(array: np.ndarray) -> np.ndarray:
    """Returns an array of UTF-8 bytes as strings."""
    return np.char.decode(array, "utf-8") if len(array) else np.zeros(0, np.str_)


def split_rows(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns the rows of each example, given the rows of all examples and their numbers."""
    return tuple(np.split(values, np.cumsum(counts)[:-1])) if len(counts) else ()
