"""Lists folders, checks that paths exist and processes files in parallel."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

_FILES_AT_ONCE = 256
_JPEG_EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif")
IMAGE_EXTENSIONS = (*_JPEG_EXTENSIONS, ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
# Folders that operating systems and network storage create next to the user's own.
_SYSTEM_FOLDERS = {
    *("@eaDir", "@Recycle", "#recycle", "#snapshot"),
    *("__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found"),
}


def not_found(path: str | os.PathLike[str], expected: str, advice: str) -> FileNotFoundError:
    """Returns an error that names a missing path, its expected content and a remedy.

    Args:
        path: The missing path.
        expected: What was expected there, to complete "There should be ... at".
        advice: A sentence that tells the user what to do.

    Returns:
        A `FileNotFoundError` for the caller to raise.
    """
    return FileNotFoundError(f"There should be {expected} at {os.fspath(path)}. {advice}")


def require_folder(path: Path, expected: str, advice: str) -> Path:
    """Returns `path` if it is a folder, and raises `not_found` otherwise."""
    if not path.is_dir():
        raise not_found(path, expected, advice)
    return path


def require_file(path: Path, expected: str, advice: str) -> Path:
    """Returns `path` if it is a file, and raises `not_found` otherwise."""
    if not path.is_file():
        raise not_found(path, expected, advice)
    return path


def subfolder_names(folder: Path) -> list[str]:
    """Returns the sorted names of the subfolders of a folder, without hidden and system folders.

    Raises:
        ValueError: If a name is not UTF-8.
    """
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name for entry in entries if entry.is_dir() and not is_system_folder(entry.name)
        )
    return _checked(names, folder)


def file_names(folder: Path, extensions: tuple[str, ...] = IMAGE_EXTENSIONS) -> list[str]:
    """Returns the sorted file names in a folder with one of `extensions`, ignoring case.

    Reads names only. Opening or calling `stat` on each of the 1.28 million images of ILSVRC 2012
    would dominate the time. Skips hidden files.

    Raises:
        ValueError: If a name is not UTF-8.
    """
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if entry.name.lower().endswith(extensions) and not is_hidden(entry.name)
        )
    return _checked(names, folder)


def find_images(path: Path, excluded: Path) -> list[Path]:
    """Returns the file itself, or all images below a folder in order.

    Skips hidden files, such as the `._NAME.jpg` that macOS writes next to its files.

    Args:
        path: A file, whatever its name, or a folder, which is searched recursively.
        excluded: A folder that is not searched, such as the one for the results.

    Raises:
        FileNotFoundError: If there is no image.
    """
    if path.is_file():
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in IMAGE_EXTENSIONS
        and not is_hidden(file.name)
        and not file.resolve().is_relative_to(excluded.resolve())
    )
    if not found:
        raise not_found(
            path,
            "an image or a folder of images",
            f"Images end in {', '.join(IMAGE_EXTENSIONS)}.",
        )
    return found


def is_hidden(name: str) -> bool:
    """Returns whether the name is that of a hidden file or folder."""
    return name.startswith(".")


def is_system_folder(name: str) -> bool:
    """Returns whether a folder of this name is hidden or belongs to the operating system."""
    return is_hidden(name) or name in _SYSTEM_FOLDERS


def _checked(names: list[str], folder: Path) -> list[str]:
    """Returns `names` if all are UTF-8, as TensorFlow and NumPy require."""
    try:
        "".join(names).encode("utf-8")
    except UnicodeEncodeError:
        for name in names:
            raw = os.fsencode(name)
            if raw.decode("utf-8", "ignore") != name:
                raise ValueError(
                    f"Names of files and folders should be UTF-8. Received: {raw!r} in "
                    f"{os.fsencode(folder).decode('utf-8', 'backslashreplace')}. Rename it, for "
                    "example with convmv."
                ) from None
        raise
    return names


def for_each_file(work: Callable[[str], Result], paths: Sequence[str]) -> Iterator[Result]:
    """Yields `work(path)` for each file in order, computed by a pool of threads.

    Args:
        work: Function of one path; it runs in any of the threads.
        paths: The files. They are processed in groups, to bound the memory.

    Yields:
        The result of `work` for each path.
    """
    with ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 4)) as threads:
        for start in range(0, len(paths), _FILES_AT_ONCE):
            yield from threads.map(work, paths[start : start + _FILES_AT_ONCE])
