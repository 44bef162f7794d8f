"""Looking into folders: what is there, and an error that tells what should be."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

_FILES_AT_ONCE = 256
IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")


def not_found(path: str | os.PathLike[str], expected: str, advice: str) -> FileNotFoundError:
    """Returns an error that names a missing path, what belongs there and what to do.

    Args:
        path: What is not there.
        expected: What was expected there, to complete "There should be ... at".
        advice: What to do, a sentence.

    Returns:
        A `FileNotFoundError`, to be raised.
    """
    return FileNotFoundError(f"There should be {expected} at {os.fspath(path)}. {advice}")


def require_folder(path: Path, expected: str, advice: str) -> Path:
    """Returns `path` where it is a folder, and raises `not_found` where not."""
    if not path.is_dir():
        raise not_found(path, expected, advice)
    return path


def require_file(path: Path, expected: str, advice: str) -> Path:
    """Returns `path` where it is a file, and raises `not_found` where not."""
    if not path.is_file():
        raise not_found(path, expected, advice)
    return path


def subfolder_names(folder: Path) -> list[str]:
    """Returns the sorted names of the folders in a folder, hidden ones left out.

    Raises:
        ValueError: If a name is not UTF-8.
    """
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and _is_shown(entry.name))
    return _checked(names, folder)


def file_names(folder: Path, extensions: tuple[str, ...] = IMAGE_EXTENSIONS) -> list[str]:
    """Returns the sorted names in a folder that end in an extension, in whatever case.

    Only names are looked at: no file is opened or asked for its state, which for the 1.28 million
    images of ILSVRC 2012 is what takes the time. Hidden files are left out.

    Raises:
        ValueError: If a name is not UTF-8.
    """
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if entry.name.lower().endswith(extensions) and _is_shown(entry.name)
        )
    return _checked(names, folder)


def _is_shown(name: str) -> bool:
    return not name.startswith(".")


def _checked(names: list[str], folder: Path) -> list[str]:
    """Returns the names, which TensorFlow and NumPy take as UTF-8."""
    try:
        "".join(names).encode("utf-8")
    except UnicodeEncodeError:
        for name in names:
            raw = os.fsencode(name)
            if raw.decode("utf-8", "ignore") != name:
                raise ValueError(
                    f"Names of files and folders should be UTF-8. Received: {raw!r} in "
                    f"{os.fsencode(folder).decode('utf-8', 'backslashreplace')}. Rename it, for "
                    "instance with convmv."
                ) from None
        raise
    return names


def for_each_file(work: Callable[[str], Result], paths: Sequence[str]) -> Iterator[Result]:
    """Yields `work(path)` for each file in order, done by as many threads as are useful.

    Args:
        work: Called with one path, in any thread.
        paths: The files. They are processed in groups, so that memory does not grow with them.

    Yields:
        What `work` returned for each path.
    """
    with ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 4)) as threads:
        for start in range(0, len(paths), _FILES_AT_ONCE):
            yield from threads.map(work, paths[start : start + _FILES_AT_ONCE])
