"""Imports OpenCV and explains how to fix a missing system library."""

from types import ModuleType


def opencv() -> ModuleType:
    """Returns the OpenCV module, imported on the first call.

    OpenCV's settings, such as its number of threads, are not changed.

    Returns:
        The module `cv2`.

    Raises:
        ImportError: If OpenCV cannot be imported, with two remedies for a server without a
            graphics stack.

    Example:

    >>> opencv().__name__
    'cv2'
    """
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            f"OpenCV cannot be imported ({error}). Where system libraries such as libGL are "
            "missing, as on many servers, either install them with "
            "`apt-get install libgl1 libglib2.0-0`, or replace OpenCV by its build that needs "
            "none: `pip uninstall opencv-python && pip install opencv-python-headless`."
        ) from error
    return cv2
