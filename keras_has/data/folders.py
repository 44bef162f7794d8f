"""Lists folders, checks that paths exist and processes files in parallel."""

import os
import re
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


def printable(path: str | os.PathLike[str]) -> str:
    r"""Returns a path as text; bytes that are not UTF-8 and control characters become escapes.

    Example:

    >>> printable("caf\udce9.avi")
    'caf\\xe9.avi'
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(repr(c)[1:-1] if c < " " or c == "\x7f" else c for c in text)


def path_inside(folder: Path, name: str) -> Path:
    """Returns the path of a file to write, which may not lie outside of a folder.

    Args:
        folder: Where to write.
        name: A name that comes from data, such as an id with an extension. It may contain folders.

    Raises:
        ValueError: If the path is absolute, or leads out of the folder.

    Example:

    >>> path_inside(Path("out"), "train/a.png").as_posix()
    'out/train/a.png'
    """
    parts = re.split(r"[/\\]", name)
    if not name or ".." in parts or "" in parts or "\0" in name or re.match(r"[A-Za-z]:", name):
        raise ValueError(
            f"Ids that name files should not lead out of the folder {folder}. "
            f"Received: {printable(name)!r}. Rename that entry."
        )
    return folder / name


def subfolder_names(folder: Path) -> list[str]:
    """Returns the sorted names of the subfolders of a folder, without hidden and system folders.

    Raises:
        ValueError: If a name is not UTF-8.
    """
    return _checked(_subfolder_names(folder), folder)


def _subfolder_names(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(
            entry.name for entry in entries if entry.is_dir() and not is_system_folder(entry.name)
        )


def file_names(folder: Path, extensions: tuple[str, ...] = IMAGE_EXTENSIONS) -> list[str]:
    """Returns the sorted file names in a folder with one of `extensions`, ignoring case.

    Reads names only. Opening or calling `stat` on each of the 1.28 million images of ILSVRC 2012
    would dominate the time. Skips hidden files.

    Raises:
        ValueError: If a name is not UTF-8.
    """
    return _checked(_file_names(folder, extensions), folder)


def _file_names(folder: Path, extensions: tuple[str, ...]) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.name.lower().endswith(extensions)
            and not is_hidden(entry.name)
            and _may_be_file(entry)
        )


def _may_be_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file, or a broken link, which is reported as missing later."""
    # The file system is asked about links alone: reading from one to a pipe would never end.
    return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())


def folders_below(folder: Path, excluded: Path | None = None) -> Iterator[Path]:
    """Yields a folder and all folders below it, in order, without hidden and system folders.

    Follows links, but enters no folder twice, so that links in a circle do no harm.

    Args:
        folder: The folder.
        excluded: A folder that is not entered, such as the one for the results.
    """
    entered = set() if excluded is None else {excluded.resolve()}
    ahead = [folder]
    while ahead:
        current = ahead.pop()
        if current.resolve() not in entered:
            entered.add(current.resolve())
            yield current
            ahead += [current / name for name in reversed(_subfolder_names(current))]


def files_not_read(
    folder: Path, extensions: tuple[str, ...] = IMAGE_EXTENSIONS, reads_subfolders: bool = False
) -> list[str]:
    """Returns one sentence for each kind of entry of a folder that a reader of it leaves out.

    Hidden files and system folders are left out without a word.

    Args:
        folder: The folder; those below it are not looked into.
        extensions: What is read.
        reads_subfolders: Whether subfolders are read, too.
    """
    found: dict[str, list[str]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            extension = Path(entry.name).suffix.lower()
            if is_system_folder(entry.name):
                continue
            if entry.is_dir():
                if not reads_subfolders:
                    found.setdefault("folder", []).append(entry.name)
            elif extension not in extensions:
                found.setdefault(extension or "without extension", []).append(entry.name)
            elif not _may_be_file(entry):
                found.setdefault("no regular file", []).append(entry.name)
    return [
        f"{printable(folder)}: entries not read: {len(names)} ({printable(kind)}), such as "
        f"{min(names)!r}"
        for kind, names in sorted(found.items())
    ]


def find_images(path: Path, excluded: Path) -> tuple[list[Path], list[str]]:
    """Returns the file itself, or all images below a folder in order, and what was left out.

    Skips hidden files, such as the `._NAME.jpg` that macOS writes next to its files, and system
    folders, without a word.

    Args:
        path: A file, whatever its name, or a folder, which is searched recursively.
        excluded: A folder that is not searched, such as the one for the results.

    Returns:
        The images, and one sentence for each kind of file in each folder that is no image.

    Raises:
        FileNotFoundError: If there is no image.
        ValueError: If the path is neither a folder nor a regular file.
    """
    if path.exists() and not path.is_dir():
        if not path.is_file():
            raise ValueError(f"{path} should be an image or a folder of images, not a pipe.")
        return [path], []
    found: list[Path] = []
    left_out: list[str] = []
    for folder in folders_below(path, excluded) if path.is_dir() else ():
        found += [folder / name for name in _file_names(folder, IMAGE_EXTENSIONS)]
        left_out += files_not_read(folder, reads_subfolders=True)
    if not found:
        raise not_found(
            path,
            "an image or a folder of images",
            f"Images end in {', '.join(IMAGE_EXTENSIONS)}.",
        )
    return sorted(found), left_out


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
