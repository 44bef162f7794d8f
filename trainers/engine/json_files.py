"""JSON files: numbers that are not finite are written as null, and null is read as NaN."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.atomic_files import write_atomically
from keras_has.json_files import read_json as read_any_json


def to_json(value: Any) -> str:
    """Returns a value as JSON text.

    Numbers that are not finite, which JSON does not have, become null; NumPy scalars become
    numbers, and tuples become lists.

    Example:

    >>> print(to_json([0.5, float("nan")]), end="")
    [
      0.5,
      null
    ]
    """
    return json.dumps(_nan_to_null(value), indent=2, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Writes a value as a JSON file that is never half written; see `to_json`."""
    write_atomically(path, to_json(value))


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file, or `None` if it does not exist.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is not JSON; the message names the file and the cause.
    """
    return read_any_json(path, object) if path.is_file() else None


def null_to_nan(value: Any) -> Any:
    """Returns a value that was read from JSON with every null replaced by NaN."""
    if isinstance(value, dict):
        return {key: null_to_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [null_to_nan(item) for item in value]
    return math.nan if value is None else value


def _nan_to_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nan_to_null(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_nan_to_null(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
