"""Checks HDF5 files of weights before they are opened."""

import os
import subprocess
import sys
from pathlib import Path

from keras_has.expansion import check_expansion

# Prints how many bytes all arrays take. They are not read, but all attributes are.
_VISIT = """
import math, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))
except (ImportError, OSError, ValueError):
    pass
import h5py
sizes = [0]
def visit(name, item):
    dict(item.attrs)
    if isinstance(item, h5py.Dataset):
        sizes.append(math.prod(item.shape or ()) * item.dtype.itemsize)
with h5py.File(sys.argv[1], "r") as file:
    dict(file.attrs)
    file.visititems(visit)
print(sum(sizes))
"""
_SECONDS = 20


def check_hdf5(path: str | os.PathLike[str]) -> None:
    """Raises if HDF5 cannot read a file, or if its arrays are refused by `check_expansion`.

    Another process tries it first: from some damaged files the HDF5 library never returns, and for
    others it allocates any amount of memory.

    Args:
        path: The file.

    Raises:
        ValueError: If it is damaged or its arrays are too large.
    """
    command = [sys.executable, "-c", _VISIT, os.fspath(path)]
    try:
        done = subprocess.run(  # noqa: S603 (our own program, no shell)
            command, capture_output=True, timeout=_SECONDS, check=False
        )
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        cause = lines[-1] if lines else f"HDF5 crashes with status {done.returncode}"
    except subprocess.TimeoutExpired:
        done, cause = None, f"HDF5 does not come to an end within {_SECONDS} s"
    size = Path(path).stat().st_size
    if done is None or done.returncode:
        raise ValueError(
            f"{path} ({size} bytes) cannot be read as HDF5: it is cut off, damaged or of another "
            f"format ({cause})."
        )
    check_expansion(int(done.stdout), size, str(path), "Download it again.")
