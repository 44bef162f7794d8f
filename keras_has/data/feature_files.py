"""Files of features: NumPy's .npy and .npz, and HDF5, one (T, D) array per video."""

import math
import os
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.data.array_files import npy_header, open_npy
from keras_has.data.folders import not_found
from keras_has.error_causes import cause_of
from keras_has.expansion import check_expansion

EXTENSIONS = (".npy", ".npz", ".h5", ".hdf5")
_HDF5 = (".h5", ".hdf5")
_PREFIXES = ("", "v_")
_FLOAT32_BYTES = 4


def sample_uniformly(length: int, count: int) -> np.ndarray:
    """Returns the indices of the features at the middles of `count` equal parts of a sequence.

    Args:
        length: Number of features in the sequence, at least 1.
        count: Number of indices to return. Indices repeat if it is larger than `length`.

    Returns:
        (count,) int64, from 0 to length - 1, in nondecreasing order.

    Raises:
        ValueError: If `count` is less than 1.

    Example:

    >>> sample_uniformly(10, 4), sample_uniformly(2, 5)
    (array([1, 3, 6, 8]), array([0, 0, 1, 1, 1]))
    """
    if count < 1:
        raise ValueError(f"`count` should be at least 1. Received: count={count}")
    return (2 * np.arange(count, dtype=np.int64) + 1) * length // (2 * count)


def read_features(
    path: str | os.PathLike[str],
    key: str | None = None,
    num_features: int | None = None,
    allow_large_features: bool = False,
) -> tuple[np.ndarray, int]:
    """Reads the features of one video.

    Pickled objects are never loaded. Only the requested rows of .npy and HDF5 files are read.

    Args:
        path: A .npy file, a .npz file or an HDF5 file (.h5, .hdf5).
        key: Name of the array in a .npz or HDF5 file, with slashes for groups. `None` (default)
            if it is the only one.
        num_features: Number of features to sample uniformly, or `None` (default) for all.
        allow_large_features: Whether to read features that take more than 1 GiB of memory and more
            than 100 times the size of the file. Defaults to `False`: a small compressed file could
            otherwise fill the memory.

    Returns:
        The features, (T, D) float32, and the number of features in the file.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file does not contain (T, D) features, they are not finite in float32, or
            they are too large; the message names the file. If `num_features` is less than 1.

    Example:

    >>> np.save("v1.npy", np.arange(12).reshape(6, 2))
    >>> features, length = read_features("v1.npy", num_features=3)
    >>> features[:, 0].tolist(), length
    ([2.0, 6.0, 10.0], 6)
    """
    if num_features is not None and num_features < 1:
        raise ValueError(
            f"`num_features` should be at least 1, or None. Received: num_features={num_features}"
        )
    # Numbers beyond float32 become infinite, which is refused below.
    with _opened(path, key) as array, np.errstate(over="ignore", invalid="ignore"):
        length = len(array)
        if not allow_large_features:
            _check_size(array, path, key, num_features)
        if num_features is None:
            features = np.asarray(array[:], np.float32)
        else:
            rows = sample_uniformly(length, num_features)
            # HDF5 only reads increasing rows; repeated rows are duplicated in memory.
            distinct, inverse = np.unique(rows, return_inverse=True)
            features = np.asarray(array[distinct], np.float32)[inverse]
    if not np.isfinite(features).all():
        raise ValueError(
            f"{_named(path, key)}: features should be finite in float32. Received: NaN or inf."
        )
    return features, length


def features_shape(path: str | os.PathLike[str], key: str | None = None) -> tuple[int, int]:
    """Returns the number of features in a file and their size, (T, D), from the file's header.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file does not contain (T, D) features. The message names the file.
    """
    with _opened(path, key) as array:
        length, width = array.shape
        return int(length), int(width)


def find_features(
    features_dir: str | os.PathLike[str],
    video_ids: Sequence[str],
    key: str | None = None,
    known_ids: Collection[str] = (),
) -> tuple[list[str | None], list[str]]:
    """Finds the feature files of videos.

    Args:
        features_dir: A folder with one .npy, .npz, .h5 or .hdf5 file per video, named after the
            video's id, optionally with the prefix "v_" as in ActivityNet; or one HDF5 file with
            one dataset per video, named in the same way, or one group with the dataset `key`.
        video_ids: The ids of the videos.
        key: Name of the array within each file or group, or `None` (default).
        known_ids: Ids of other videos. A file that is named exactly like a video belongs to it:
            "v_a.npy" is not of the video "a" if there is a video "v_a".

    Returns:
        The path of each video's file, or `None` if there is none; and the array's name within the
        file, "" for the only array.

    Raises:
        FileNotFoundError: If `features_dir` is neither a folder nor an HDF5 file.
        ValueError: If a video has several files, or an HDF5 file is damaged.
    """
    place = Path(features_dir)
    known = {*video_ids, *known_ids}
    names_of = {
        video_id: [
            f"{prefix}{video_id}"
            for prefix in _PREFIXES
            if not prefix or f"{prefix}{video_id}" not in known
        ]
        for video_id in video_ids
    }
    if place.is_file() and place.suffix.lower() in _HDF5:
        found_paths: list[str | None] = []
        names = []
        try:
            with _hdf5(place) as file:
                for video_id in video_ids:
                    candidates = [f"{name}/{key or ''}".rstrip("/") for name in names_of[video_id]]
                    there = [name for name in candidates if name in file]
                    names.append(there[0] if there else "")
                    found_paths.append(str(place) if there else None)
        except Exception as error:  # HDF5 raises errors of many kinds about damaged files.
            raise ValueError(f"{place}: cannot be read as HDF5: {cause_of(error)}") from error
        return found_paths, names
    if not place.is_dir():
        raise not_found(
            place,
            "a folder of feature files (.npy, .npz, .h5), or one HDF5 file,",
            "Write features of your videos there, for example with "
            "`python -m trainers.extract_features`.",
        )
    with os.scandir(place) as entries:
        file_names: dict[str, list[str]] = {}
        for entry in entries:
            stem, extension = os.path.splitext(entry.name)  # noqa: PTH122 (a string)
            file_names.setdefault(f"{stem}{extension.lower()}", []).append(entry.name)
    paths: list[str | None] = []
    for video_id in video_ids:
        candidates = [f"{name}{end}" for name in names_of[video_id] for end in EXTENSIONS]
        found = [name for candidate in candidates for name in file_names.get(candidate, ())]
        if len(found) > 1:
            raise ValueError(f"{place} should contain one file per video. Received: {found}")
        paths.append(str(place / found[0]) if found else None)
    return paths, [key or ""] * len(paths)


def unannotated_features(
    features_dir: str | os.PathLike[str], video_ids: Collection[str]
) -> list[str]:
    """Returns the feature files in a folder that belong to none of the videos, in order."""
    known = {f"{prefix}{video_id}" for video_id in video_ids for prefix in _PREFIXES}
    return [
        str(file)
        for file in sorted(Path(features_dir).glob("*"))
        if file.suffix.lower() in EXTENSIONS
        and not file.name.startswith(".")
        and file.stem not in known
    ]


@contextmanager
def _opened(path: str | os.PathLike[str], key: str | None) -> Iterator[Any]:
    """Opens the array of a file for reading by row, after checking its shape."""
    file = Path(path)
    if not file.is_file():
        raise not_found(file, "a file of features", "Restore it, or leave its video out.")
    suffix = file.suffix.lower()
    array: Any
    try:
        if suffix == ".npy":
            array = open_npy(file)
            _check(array, path, key)
            yield array
        elif suffix == ".npz":
            with zipfile.ZipFile(file) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
                array = _NpzArray(archive, f"{_only(names, path, key)}.npy")
                _check(array, path, key)
                yield array
        elif suffix in _HDF5:
            with _hdf5(file) as datasets:
                array = datasets[_only(list(datasets), path, key)]
                _check(array, path, key)
                yield array
        else:
            raise ValueError(
                f"{path}: a file of features should end in one of {EXTENSIONS}. "
                f"Received: {suffix!r}"
            )
    # NumPy, zipfile and HDF5 raise errors of a dozen kinds, such as RuntimeError.
    except Exception as error:
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        raise ValueError(
            f"{_named(path, key)}: cannot be read as features: {cause_of(error)}"
        ) from error


class _NpzArray:
    """An array in a .npz file, whose header is read without decompressing the array."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self.archive = archive
        self.name = name
        with archive.open(name) as member:
            self.shape, self.dtype = npy_header(member)
            stored = archive.getinfo(name).file_size - member.tell()
        declared = math.prod(self.shape) * self.dtype.itemsize
        if declared > stored or (declared < stored and not self.dtype.hasobject):
            raise ValueError(f"the header declares {declared} bytes, but there are {stored}")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        with self.archive.open(self.name) as member:
            return np.lib.format.read_array(member, allow_pickle=False)[rows]


def _hdf5(path: Path) -> Any:
    import h5py

    return h5py.File(path, "r")


def _only(names: list[str], path: str | os.PathLike[str], key: str | None) -> str:
    if key:
        return key
    if len(names) != 1:
        raise ValueError(
            f"{path}: a file of several arrays needs the name of the one wanted: `feature_key`, or "
            f"--feature_key in a command. Received: {sorted(names)[:10]}"
        )
    return names[0]


def _check(array: Any, path: str | os.PathLike[str], key: str | None) -> None:
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    is_numeric = dtype is not None and np.dtype(dtype).kind in "fiu"
    is_matrix = shape is not None and len(shape) == 2 and min(shape) > 0
    if not is_matrix or not is_numeric:
        raise ValueError(
            f"{_named(path, key)}: features should be numbers of shape (T, D), none of them 0. "
            f"Received: shape={shape}, dtype={dtype}"
        )


def _check_size(
    array: Any, path: str | os.PathLike[str], key: str | None, num_features: int | None
) -> None:
    """Raises if reading a small file would fill the memory, before anything is allocated."""
    length, width = array.shape
    is_in_parts = num_features is not None and not isinstance(array, _NpzArray)
    rows = num_features if is_in_parts else length
    size = rows * width * max(array.dtype.itemsize, _FLOAT32_BYTES)
    # HDF5 decompresses whole chunks.
    chunk = math.prod(getattr(array, "chunks", None) or (0,)) * array.dtype.itemsize
    size = max(size, chunk)
    stored = Path(path).stat().st_size
    advice = (
        "If that is right, allow it with `allow_large_features`, or --allow_large_features in a "
        f"command. Received: shape={tuple(array.shape)}"
    )
    check_expansion(size, stored, _named(path, key), advice)


def _named(path: str | os.PathLike[str], key: str | None) -> str:
    return f"{os.fspath(path)}[{key}]" if key else os.fspath(path)
