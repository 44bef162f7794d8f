"""Recognizes a full disk, whichever library noticed it."""

import errno

_TEXTS = ("no space left on device", "errno = 28", "disk quota exceeded")


def is_disk_full(error: BaseException) -> bool:
    """Returns whether an error, or one that led to it, is that of a full disk.

    HDF5 and TensorFlow report it in their own exceptions, by its text.
    """
    seen: BaseException | None = error
    while seen is not None:
        if getattr(seen, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(text in str(seen).lower() for text in _TEXTS):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
