"""Files that are never half-written: they are written under another name and renamed."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".partial"
"""What the name of an unfinished file ends in."""


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str], keep_suffix: bool = False) -> Iterator[Path]:
    """Gives a temporary path to write to, and renames it to `path` when the block ends.

    If the block raises, the temporary file is deleted and `path` stays as it was. A crash may leave
    the temporary file behind; the next attempt overwrites it.

    Args:
        path: The final path; its folder is created.
        keep_suffix: Whether the temporary name starts with "partial_" instead of ending in
            ".partial", for writers that choose the format by the suffix. Defaults to `False`.

    Yields:
        The temporary path, in the same folder.

    Example:

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "a.txt"
    >>> with atomic_path(file) as partial:
    ...     _ = partial.write_text("whole")
    >>> file.read_text(), partial.exists()
    ('whole', False)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"partial_{path.name}" if keep_suffix else path.name + SUFFIX)
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Writes a file completely or not at all.

    Args:
        path: The file; its folder is created.
        content: Text, written as UTF-8, or bytes.
    """
    with atomic_path(path) as partial:
        partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
