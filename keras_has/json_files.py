"""Reading JSON files that others wrote, or that were damaged."""

import json
import math
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Far deeper than any file of this project or of a dataset, and far from Python's own limit.
_MAX_DEPTH = 100
_TOO_DEEP = f"it is nested more than {_MAX_DEPTH} levels deep"
_INTEGERS = range(-(2**63), 2**64)
_NAMES: dict[type, str] = {dict: "an object", list: "a list", str: "a string"}


def read_json(path: Path, expected: type = dict) -> Any:
    """Reads a JSON file.

    Args:
        path: The file, in UTF-8 with or without a byte order mark.
        expected: The type of the outermost value; `object` for any. Defaults to `dict`.

    Returns:
        The content.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not a regular file, or `parse_json` refuses its content.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(f"{path}: it should be a regular file.")
    return parse_json(path.read_bytes(), path, expected)


def parse_json(content: bytes | str, where: str | os.PathLike[str], expected: type = dict) -> Any:
    """Parses JSON strictly.

    Unlike `json.loads` it refuses numbers that JSON does not have (NaN, infinities), numbers that
    do not fit 64 bits, keys that occur twice in one object, and deep nesting.

    Args:
        content: The text, or its bytes in UTF-8.
        where: Where it comes from, for messages.
        expected: The type of the outermost value; `object` for any. Defaults to `dict`.

    Returns:
        The parsed value.

    Raises:
        ValueError: If the content is invalid; the message says where, with the line of a syntax
            error or of a wrong encoding, and why.

    Example:

    >>> parse_json(b'{"a": [1, 2.5]}', "a.json")
    {'a': [1, 2.5]}
    >>> parse_json(b'{"a": NaN}', "a.json")
    Traceback (most recent call last):
        ...
    ValueError: a.json: the file should be JSON: the number NaN is out of range.
    """
    where = os.fspath(where)
    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        value = json.loads(
            text,
            object_pairs_hook=_without_twin,
            parse_constant=_refuse_number,
            parse_float=_finite_float,
            parse_int=_small_int,
        )
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{where}:{error.lineno}: the file should be JSON: {error.msg}."
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{where}:{line}: the file should be JSON in UTF-8: {error.reason}."
        ) from error
    except RecursionError:
        # Without the chain of errors, which is as long as the nesting is deep.
        raise ValueError(f"{where}: the file should be JSON: {_TOO_DEEP}.") from None
    except ValueError as error:
        raise ValueError(f"{where}: the file should be JSON: {error}.") from error
    if _is_deeper(value, _MAX_DEPTH):
        raise ValueError(f"{where}: the file should be JSON: {_TOO_DEEP}.")
    if not isinstance(value, expected):
        raise ValueError(
            f"{where}: the file should hold {_NAMES.get(expected, expected.__name__)}. "
            f"Received: {type(value).__name__} {value!r:.50}"
        )
    return value


def is_of_type(value: Any, kind: Any) -> bool:
    """Returns whether a value that was read from JSON is of a type.

    Other than for `isinstance`, a boolean is no number, an integer is a float, and the items of
    lists count.

    Args:
        value: The value.
        kind: A class, a union, `Mapping[str, X]`, `list[X]`, `tuple[X, ...]` or `tuple[X, Y]`; the
            last three are lists in JSON.

    Example:

    >>> is_of_type([1, None], list[float | None]), is_of_type([1, True], list[int])
    (True, False)
    >>> is_of_type([[0, 0.5], [9, 1]], tuple[tuple[int, float], ...])
    True
    """
    if isinstance(kind, types.UnionType):
        return any(is_of_type(value, one) for one in typing.get_args(kind))
    if typing.get_origin(kind) in (dict, Mapping):
        _, item = typing.get_args(kind)
        return isinstance(value, dict) and all(is_of_type(one, item) for one in value.values())
    if typing.get_origin(kind) in (list, tuple):
        items = typing.get_args(kind)
        if not isinstance(value, list):
            return False
        if typing.get_origin(kind) is list or items[-1] is Ellipsis:
            items = items[:1] * len(value)
        return len(items) == len(value) and all(map(is_of_type, value, items))
    if isinstance(value, bool):
        return kind in (bool, object)
    return isinstance(value, (int, float) if kind is float else kind)


def _is_deeper(value: Any, depth: int) -> bool:
    """Returns whether lists and objects are nested more than `depth` levels deep."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(depth):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, dict | list)
        ]
    return bool(level)


def _without_twin(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Builds an object, and refuses a key that occurs twice: the first value would be lost."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"an object has the key {key!r:.100} twice")
        found[key] = value
    return found


def _refuse_number(literal: str) -> Any:
    raise ValueError(f"the number {literal:.50} is out of range")


def _finite_float(literal: str) -> float:
    number = float(literal)
    return number if math.isfinite(number) else _refuse_number(literal)


def _small_int(literal: str) -> int:
    # A long literal is refused unread: converting it takes quadratic time, and Python limits it.
    number = int(literal) if len(literal) <= 20 else None
    return number if number is not None and number in _INTEGERS else _refuse_number(literal)
