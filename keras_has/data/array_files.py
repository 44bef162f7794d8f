"""Reads NumPy's .npy format without trusting it: nothing is unpickled, sizes are checked first."""

import os
from typing import IO

import numpy as np

from keras_has.error_causes import cause_of


def open_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """Returns the array of a .npy file, mapped into memory; only what is used is read.

    A header that declares more than the file contains is an error, and nothing is allocated for it.
    So is a header that declares less: `numpy.save` was called twice on an open file, for example.

    Args:
        path: The file.

    Returns:
        The array, read-only.

    Raises:
        OSError: If the file cannot be opened.
        ValueError: If it is not a sound .npy file of plain values; the message gives the cause.
            Archives (.npz) and pickled objects are none.

    Example:

    >>> np.save("a.npy", np.arange(3))
    >>> open_npy("a.npy").tolist()
    [0, 1, 2]
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    # Damaged headers make NumPy raise errors of many kinds, such as TokenError and OverflowError.
    except Exception as error:
        raise ValueError(cause_of(error)) from error
    rest = os.stat(path).st_size - array.offset - array.nbytes  # noqa: PTH116 (a string)
    if rest > 0:
        raise ValueError(
            f"{rest} bytes follow the array of shape {array.shape}: a file should hold one array. "
            "Write it again"
        )
    return array


def npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Returns shape and type of the array that a stream in the .npy format starts with.

    Raises:
        Exception: Of many kinds, if the header is damaged.
    """
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"version {version} of the .npy format is not one of plain numbers")
    shape, _, dtype = read[version](file)
    return shape, dtype
