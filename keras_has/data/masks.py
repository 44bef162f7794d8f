"""Reads object masks from files as the pixel-wise evaluation of localization does."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from keras_has.data.folders import not_found
from keras_has.error_causes import cause_of
from keras_has.ops.opencv import opencv


def load_mask(
    mask_paths: Sequence[str | os.PathLike[str]],
    ignore_path: str | os.PathLike[str] | None = None,
    image_size: int | tuple[int, int] = 224,
) -> tuple[np.ndarray, np.ndarray]:
    """Reads the mask of an image's objects and the mask of its ignored region.

    Each mask is resized with nearest-neighbor interpolation. A pixel is set if its gray value, from
    0 to 255, is above 0.5. The first result is the union of the masks. The ignored region
    excludes the objects, so no pixel is in both.

    Args:
        mask_paths: Grayscale images, one per instance; an entry of the column `mask_paths`.
        ignore_path: A grayscale image; an entry of the column `ignore_path`. `""` or `None`
            (default) if nothing is ignored.
        image_size: Height and width of the result in pixels, or one number for both. Defaults to
            224, the size at which the protocol compares masks.

    Returns:
        Two uint8 arrays of shape `(height, width)`, 0 or 1: the objects and the ignored region.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If there is no mask, or a file cannot be decoded.

    Example:

    >>> import cv2, pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = cv2.imwrite(str(folder / "a.png"), np.array([[255, 0], [0, 0]], "uint8"))
    >>> _ = cv2.imwrite(str(folder / "ignore.png"), np.array([[255, 255], [0, 0]], "uint8"))
    >>> mask, ignore = load_mask([folder / "a.png"], folder / "ignore.png", image_size=2)
    >>> mask.tolist(), ignore.tolist()
    ([[1, 0], [0, 0]], [[0, 1], [0, 0]])

    Reference:
        Choe et al., CVPR 2020, arXiv:2001.07437, section 4.2; `get_mask` of
        https://github.com/clovaai/wsolevaluation.
    """
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    if height < 1 or width < 1:
        raise ValueError(f"`image_size` should be at least 1. Received: image_size={image_size}")
    if not len(mask_paths):
        raise ValueError("`mask_paths` should name at least one mask. Received: none.")
    objects = np.zeros((height, width), bool)
    for path in mask_paths:
        objects |= _read(path, height, width)
    ignored = np.zeros((height, width), bool)
    if ignore_path:
        ignored = _read(ignore_path, height, width) & ~objects
    return objects.astype(np.uint8), ignored.astype(np.uint8)


def read_grey(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a mask, uint8 (H, W): the indices of a palette, or grey values.

    The colours of a palette do not matter, as in `read_mask`; other colours become grey.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If it cannot be decoded, or has more than 179 million pixels.
    """
    cv2 = opencv()
    if not Path(path).is_file():
        raise not_found(path, "a mask", "Unpack the masks of the dataset, and pass their folder.")
    content, where = Path(path).read_bytes(), os.fspath(path)
    try:
        # OpenCV allocates as much as the parts of a PNG claim to contain. Pillow checks that first,
        # and refuses pictures of more than 179 million pixels.
        with Image.open(io.BytesIO(content)) as image:
            has_palette = image.mode == "P"
            image.verify()
        if has_palette:
            with Image.open(io.BytesIO(content)) as image:
                return np.asarray(image)
    except Exception as error:  # Pillow raises nearly everything for damaged files.
        raise ValueError(f"{where} should be an image. Received: {cause_of(error)}.") from error
    try:
        grey = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:  # Too many pixels.
        grey = None
    if grey is None:
        raise ValueError(f"{where} should be an image. Received: it cannot be decoded.")
    return grey


def _read(path: str | os.PathLike[str], height: int, width: int) -> np.ndarray:
    # Like the protocol: the nearest pixel, and everything above 0.
    nearest = opencv().INTER_NEAREST
    return opencv().resize(read_grey(path), (width, height), interpolation=nearest) > 0
