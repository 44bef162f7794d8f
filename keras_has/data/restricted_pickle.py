"""Reading the pickles of published datasets without executing what they contain."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# The only callables that a pickled array, list, string or number needs.
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}


class _PlainArray:
    """Stands for `numpy.ndarray`, so that a pickle cannot call that with a shape of its own."""


class _PlainDataUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """Returns one of the few callables that arrays need; refuses all others."""
        if (module, name) == ("_codecs", "encode"):
            return _encode_latin1
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not plain data")
        allowed: dict[str, Any] = {
            "_reconstruct": _empty_array,
            "dtype": np.dtype,
            "ndarray": _PlainArray,
        }
        return allowed[name]


def read_plain_pickle(path: Path) -> Any:
    """Reads a pickle that consists of dicts, lists, strings, numbers and NumPy arrays.

    Anything else is refused before it is built: nothing in the file can run.

    Args:
        path: The file, written by Python 2 or 3.

    Returns:
        What was pickled; strings of Python 2 are bytes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a pickle of plain data; the message names it.

    Example:

    >>> import pathlib, pickle, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "batch"
    >>> _ = path.write_bytes(pickle.dumps({b"data": np.zeros((2, 3), "uint8")}))
    >>> read_plain_pickle(path)[b"data"].shape
    (2, 3)
    """
    content = path.read_bytes()
    try:
        return _PlainDataUnpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # Damaged pickles raise nearly everything.
        raise ValueError(
            f"{path} should be a pickle of arrays, lists, strings and numbers, and nothing else. "
            f"Received: {type(error).__name__}: {error}. Download it again."
        ) from error


def _empty_array(kind: type, shape: Any, dtype: Any) -> np.ndarray:
    """Does what NumPy's `_reconstruct` does, for plain arrays of no size only."""
    if kind is not _PlainArray or tuple(shape) != (0,):
        raise pickle.UnpicklingError(f"an array of {kind} and shape {shape} is not plain data")
    return np.ndarray(0, dtype)


def _encode_latin1(text: str, encoding: str) -> bytes:
    """Does what `_codecs.encode` does for the bytes that Python 3 writes in old protocols."""
    if encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError(f"the encoding {encoding!r} is not plain data")
    return text.encode("latin1")
