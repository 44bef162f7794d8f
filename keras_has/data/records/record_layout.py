"""Names and layout of a folder of TFRecord files, shared by its writer and its readers."""

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.atomic_files import atomic_path
from keras_has.error_causes import cause_of
from keras_has.expansion import check_expansion

DATASET_FILE = "dataset.json"
# A record is preceded by its length with a checksum, and followed by a checksum of its content.
HEADER_BYTES, FOOTER_BYTES = 12, 4


@dataclasses.dataclass(frozen=True)
class IndexField:
    """What an array of an index has to look like.

    Args:
        kinds: The NumPy kinds that it may have, such as `"iu"` for integers.
        row_shape: The shape of a row; `None` for any length.
        counts: The array that gives the number of rows of each example. Defaults to "": one row.
            `None` for any number of rows.
    """

    kinds: str
    row_shape: tuple[int | None, ...] = ()
    counts: str | None = ""


INTEGER, TEXT = IndexField("iu"), IndexField("S")


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


def load_arrays(content: bytes, where: str) -> dict[str, np.ndarray]:
    """Reads the arrays of a .npz file with a fingerprint; pickled objects are refused.

    Args:
        content: The content of the file.
        where: Its path, for messages.

    Raises:
        ValueError: If it is damaged, has no fingerprint, or would fill the memory.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(member.file_size for member in archive.infolist())
        check_expansion(size, len(content), where, "Delete it.")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            found = {name: np.asarray(arrays[name]) for name in arrays.files}
    except Exception as error:  # NumPy, zipfile and zlib raise nearly everything.
        raise ValueError(
            f"{where} should be a complete .npz file: {cause_of(error)}. Delete it."
        ) from error
    if "fingerprint" not in found:
        raise ValueError(f"{where} should contain 'fingerprint'. Received: {sorted(found)}")
    return found


def check_arrays(
    arrays: Mapping[str, np.ndarray], fields: Mapping[str, IndexField], where: str
) -> None:
    """Checks that arrays have the types and shapes of an index, and as many rows as they say.

    Args:
        arrays: The arrays by name.
        fields: What they have to look like. Arrays of counts stand before those that they count.
        where: The path of the file, for messages.

    Raises:
        ValueError: If an array is missing or another one.
    """
    count = None
    for name, field in fields.items():
        array = arrays.get(name)
        if array is None:
            raise ValueError(f"{where} should contain {name!r}. Received: {sorted(arrays)}")
        counts = arrays[field.counts] if field.counts else None
        if count is None:
            count = len(array) if array.ndim else 0
        rows = count if counts is None else sum(counts.tolist())
        if counts is not None and counts.min(initial=0) < 0:
            rows = -1
        if field.counts is None and array.ndim:
            rows = len(array)
        is_sound = array.dtype.kind in field.kinds and array.ndim == 1 + len(field.row_shape)
        is_sound = is_sound and len(array) == rows
        if not is_sound or any(
            wanted not in (None, size)
            for wanted, size in zip(field.row_shape, array.shape[1:], strict=True)
        ):
            raise ValueError(
                f"{where}: {name!r} should be an array of {rows} rows of shape {field.row_shape} "
                f"and of kind {field.kinds!r}. Received: {array.dtype} of shape {array.shape}. "
                "Delete it, or copy the folder again."
            )


@contextmanager
def name_damage(
    path: str,
    advice: str = "Copy the folder again, or write it again with `python -m trainers.prepare`.",
) -> Iterator[None]:
    """Turns every error about the content of a file into a `ValueError` that names the file.

    Args:
        path: The file or folder.
        advice: What to do.
    """
    try:
        yield
    except OSError:
        raise
    # NumPy raises errors of many kinds if numbers in an index contradict each other.
    except Exception as error:
        if isinstance(error, ValueError) and path in str(error):
            raise
        raise ValueError(f"{path} is damaged: {cause_of(error).rstrip('.')}. {advice}") from error


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


def classes_digest(description: Mapping[str, Any]) -> str:
    """Returns a digest of the names and ids of the classes in dataset.json, in their order."""
    classes = [description.get(name) for name in ("class_names", "class_ids")]
    return fingerprint([json.dumps(classes).encode()])


def decode_texts(array: np.ndarray) -> np.ndarray:
    """Returns an array of UTF-8 bytes as strings."""
    return np.char.decode(array, "utf-8") if len(array) else np.zeros(0, np.str_)


def split_rows(values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns the rows of each example, given the rows of all examples and their numbers."""
    return tuple(np.split(values, np.cumsum(counts)[:-1])) if len(counts) else ()
