"""The one place that imports OpenCV, so that a missing system library is explained once."""

from types import ModuleType


def opencv() -> ModuleType:
    """Returns OpenCV's module, imported at the first call.

    OpenCV's settings, its number of threads among them, are left as they are.

    Returns:
        The module `cv2`.

    Raises:
        ImportError: If OpenCV cannot be imported, with the two remedies for a server without a
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
