"""Files of features: NumPy's .npy and .npz, and HDF5, one (T, D) array per video."""

import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.data.folders import not_found

EXTENSIONS = (".npy", ".npz", ".h5", ".hdf5")
_HDF5 = (".h5", ".hdf5")
_PREFIXES = ("", "v_")


def sample_uniformly(length: int, count: int) -> np.ndarray:
    """Returns the indices of the features at the middles of `count` equal parts of a sequence.

    Args:
        length: Number of features in the sequence, at least 1.
        count: Number of indices to return. Indices repeat if it is larger than `length`.

    Returns:
        (count,) int64, from 0 to length - 1, in nondecreasing order.

    Example:

    >>> sample_uniformly(10, 4), sample_uniformly(2, 5)
    (array([1, 3, 6, 8]), array([0, 0, 1, 1, 1]))
    """
    return (2 * np.arange(count, dtype=np.int64) + 1) * length // (2 * count)


def read_features(
    path: str | os.PathLike[str], key: str | None = None, num_features: int | None = None
) -> tuple[np.ndarray, int]:
    """Reads the features of one video.

    Pickled objects are never loaded. Only the requested rows of .npy and HDF5 files are read.

    Args:
        path: A .npy file, a .npz file or an HDF5 file (.h5, .hdf5).
        key: Name of the array in a .npz or HDF5 file, with slashes for groups. `None` (default)
            if it is the only one.
        num_features: Number of features to sample uniformly, or `None` (default) for all.

    Returns:
        The features, (T, D) float32, and the number of features in the file.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file does not contain (T, D) features, or they are not finite. The
            message names the file.

    Example:

    >>> np.save("v1.npy", np.arange(12).reshape(6, 2))
    >>> features, length = read_features("v1.npy", num_features=3)
    >>> features[:, 0].tolist(), length
    ([2.0, 6.0, 10.0], 6)
    """
    with _opened(path, key) as array:
        length = len(array)
        if num_features is None:
            features = np.asarray(array[:], np.float32)
        else:
            rows = sample_uniformly(length, num_features)
            # HDF5 only reads increasing rows; repeated rows are duplicated in memory.
            distinct, inverse = np.unique(rows, return_inverse=True)
            features = np.asarray(array[distinct], np.float32)[inverse]
    if not np.isfinite(features).all():
        raise ValueError(f"{_named(path, key)}: features should be finite. Received: NaN or inf.")
    return features, length


def count_features(path: str | os.PathLike[str], key: str | None = None) -> int:
    """Returns the number of features in a file; see `read_features`."""
    with _opened(path, key) as array:
        return len(array)


def find_features(
    features_dir: str | os.PathLike[str], video_ids: Sequence[str], key: str | None = None
) -> tuple[list[str | None], list[str]]:
    """Finds the feature files of videos.

    Args:
        features_dir: A folder with one .npy, .npz, .h5 or .hdf5 file per video, named after the
            video's id, optionally with the prefix "v_" as in ActivityNet; or one HDF5 file with
            one dataset per video, named in the same way, or one group with the dataset `key`.
        video_ids: The ids of the videos.
        key: Name of the array within each file or group, or `None` (default).

    Returns:
        The path of each video's file, or `None` if there is none; and the array's name within the
        file, "" for the only array.

    Raises:
        FileNotFoundError: If `features_dir` is neither a folder nor an HDF5 file.
        ValueError: If a video has several files.
    """
    place = Path(features_dir)
    if place.is_file() and place.suffix.lower() in _HDF5:
        found_paths: list[str | None] = []
        names = []
        with _hdf5(place) as file:
            for video_id in video_ids:
                candidates = [f"{prefix}{video_id}/{key or ''}".rstrip("/") for prefix in _PREFIXES]
                there = [name for name in candidates if name in file]
                names.append(there[0] if there else "")
                found_paths.append(str(place) if there else None)
        return found_paths, names
    if not place.is_dir():
        raise not_found(
            place,
            "a folder of feature files (.npy, .npz, .h5), or one HDF5 file,",
            "Extract features of your videos, or leave `features_dir` out to read the annotations "
            "alone.",
        )
    with os.scandir(place) as entries:
        file_names = {entry.name for entry in entries}
    paths: list[str | None] = []
    for video_id in video_ids:
        candidates = [f"{prefix}{video_id}{end}" for prefix in _PREFIXES for end in EXTENSIONS]
        found = [name for name in candidates if name in file_names]
        if len(found) > 1:
            raise ValueError(f"{place} should contain one file per video. Received: {found}")
        paths.append(str(place / found[0]) if found else None)
    return paths, [key or ""] * len(paths)


@contextmanager
def _opened(path: str | os.PathLike[str], key: str | None) -> Iterator[Any]:
    """Opens the array of a file for reading by row, after checking its shape."""
    file = Path(path)
    if not file.is_file():
        raise not_found(file, "a file of features", "Restore it, or leave its video out.")
    suffix = file.suffix.lower()
    try:
        if suffix == ".npy":
            array = np.load(file, mmap_mode="r", allow_pickle=False)
            _check(array, path, key)
            yield array
        elif suffix == ".npz":
            with np.load(file, allow_pickle=False) as arrays:
                array = arrays[_only(list(arrays.files), path, key)]
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
    except (OSError, EOFError, zipfile.BadZipFile, KeyError, TypeError) as error:
        raise ValueError(f"{_named(path, key)}: cannot be read as features: {error}") from error
    except ValueError as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{_named(path, key)}: cannot be read as features: {error}") from error


def _hdf5(path: Path) -> Any:
    import h5py

    return h5py.File(path, "r")


def _only(names: list[str], path: str | os.PathLike[str], key: str | None) -> str:
    if key:
        return key
    if len(names) != 1:
        raise ValueError(
            f"{path}: a file of several arrays needs the name of the one wanted, `feature_key`. "
            f"Received: {sorted(names)[:10]}"
        )
    return names[0]


def _check(array: Any, path: str | os.PathLike[str], key: str | None) -> None:
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    is_numeric = dtype is not None and np.dtype(dtype).kind in "fiu"
    if shape is None or len(shape) != 2 or not all(shape) or not is_numeric:
        raise ValueError(
            f"{_named(path, key)}: features should be numbers of shape (T, D), none of them 0. "
            f"Received: shape={shape}, dtype={dtype}"
        )


def _named(path: str | os.PathLike[str], key: str | None) -> str:
    return f"{os.fspath(path)}[{key}]" if key else os.fspath(path)
