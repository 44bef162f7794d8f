"""Segmentation masks in files: the class of every pixel, as PASCAL VOC stores it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from keras_has.atomic_files import write_atomically
from keras_has.data.bad_images import BadImage
from keras_has.data.columns import Column
from keras_has.data.folders import for_each_file
from keras_has.data.image_decoding import image_size
from keras_has.ops.segmentation import VOID

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_has.data.dataset import Dataset

_INDEX_MODES = ("P", "L")  # a palette, or grey values


class MaskFiles(Column):
    """One segmentation mask for each example, read when it is looked up.

    Args:
        paths: N paths of PNG files, see `read_mask`.

    Example:

    >>> MaskFiles(["a.png", "b.png"]).select(np.array([1])).values.tolist()
    ['b.png']
    """

    def __init__(self, paths: Any) -> None:
        self._paths = np.array([os.fspath(path) for path in paths], np.str_)

    @property
    def values(self) -> np.ndarray:
        """The paths."""
        return self._paths

    def __len__(self) -> int:
        return len(self._paths)

    def select(self, rows: np.ndarray) -> MaskFiles:
        """Returns the masks at `rows`."""
        return MaskFiles(self._paths[rows])

    def padded(self) -> np.ndarray:
        """Returns the paths: masks have different sizes."""
        return self._paths

    def lookup(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns a function for graphs from a position to a mask, uint8 (height, width)."""
        import tensorflow as tf

        def mask(row: tf.Tensor) -> tf.Tensor:
            decoded = tf.numpy_function(
                lambda row: read_mask(str(self._paths[row])), [row], tf.uint8, stateful=False
            )
            return tf.ensure_shape(decoded, (None, None))

        return mask

    padded_lookup = lookup


@dataclasses.dataclass(frozen=True)
class LabelCounts:
    """What the masks of a dataset contain.

    Args:
        pixels: int64 (N, classes): the pixels of each class in each mask.
        sizes: int64 (N, 2): height and width of each mask.
        bad_masks: What is wrong with the masks that cannot be used; their counts and sizes are 0.
    """

    pixels: np.ndarray
    sizes: np.ndarray
    bad_masks: tuple[BadImage, ...]


def read_mask(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads the class of every pixel from a PNG file.

    The values are the indices of a palette, as in PASCAL VOC, or grey values. The colors of the
    palette do not matter. 255 means void: the pixel has no class.

    Args:
        path: The file.

    Returns:
        uint8 array of shape `(height, width)`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be decoded, or has colors instead of indices.

    Example:

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/mask.png"
    >>> write_mask(path, np.array([[0, 20, 255]], "uint8"))
    >>> read_mask(path).tolist()
    [[0, 20, 255]]
    """
    try:
        with Image.open(path, formats=("PNG",)) as image:
            mode = image.mode
            indices = np.asarray(image)
    except FileNotFoundError:
        raise
    except Exception as error:  # Pillow raises nearly everything for damaged files.
        raise ValueError(f"{path} should be a PNG image. Received: {error}") from error
    if mode not in _INDEX_MODES:
        raise ValueError(
            f"{path} should contain the index of a class for each pixel: a palette image, or 8-bit "
            f"grey. Received: mode={mode}"
        )
    return indices


def write_mask(path: str | os.PathLike[str], mask: np.ndarray) -> None:
    """Writes a mask as a PNG image with the palette of PASCAL VOC.

    Args:
        path: The file to write; missing folders are created.
        mask: uint8 (height, width).
    """
    import io

    image = Image.fromarray(np.asarray(mask, np.uint8))
    image.putpalette(voc_palette().tobytes())
    content = io.BytesIO()
    image.save(content, "PNG")
    write_atomically(Path(path), content.getvalue())


def voc_palette() -> np.ndarray:
    """Returns the 256 colors of PASCAL VOC, uint8 (256, 3).

    The bits of the index are spread over the three channels, the highest bits first.

    Example:

    >>> voc_palette()[[0, 1, 15, 255]].tolist()
    [[0, 0, 0], [128, 0, 0], [192, 128, 128], [224, 224, 192]]
    """
    index = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= ((index >> (3 * bit + channel) & 1) << (7 - bit)).astype("uint8")
    return colors


def count_labels(
    dataset: Dataset, progress: Callable[[int, int], None] | None = None
) -> LabelCounts:
    """Reads every mask of a dataset once, checks it, and counts the pixels of each class.

    A mask is bad if `read_mask` fails on it, if it contains anything but 255 and the indices of
    classes, or if its size is not that of its image.

    Args:
        dataset: A dataset with the column `"mask"`.
        progress: Called with the number of masks done and the number of all.
    """
    paths = dataset["mask"].tolist()
    images: Sequence[str] = dataset.image_source.files() or [""] * len(paths)
    classes = len(dataset.class_names)
    image_of_mask = dict(zip(paths, images, strict=True))

    def check(path: str) -> tuple[np.ndarray, tuple[int, ...], str]:
        nothing = np.zeros(classes, np.int64), (0, 0)
        try:
            mask = read_mask(path)
        except FileNotFoundError:
            return *nothing, "missing"
        except ValueError as error:
            return *nothing, str(error)
        counts = np.bincount(mask.ravel(), minlength=256)
        unknown = np.flatnonzero(counts[classes:VOID]) + classes
        if unknown.size:
            return *nothing, (
                f"its values should be 0 to {classes - 1}, or 255 for void; it contains "
                f"{', '.join(map(str, unknown[:5]))}"
            )
        size = image_size(image_of_mask[path]) if image_of_mask[path] else None
        if size is not None and size != mask.shape:
            return *nothing, (
                f"it has {mask.shape[0]} x {mask.shape[1]} pixels (height x width), but its image "
                f"{image_of_mask[path]} has {size[0]} x {size[1]}"
            )
        return counts[:classes], mask.shape, ""

    pixels = np.zeros((len(paths), classes), np.int64)
    sizes = np.zeros((len(paths), 2), np.int64)
    bad_masks = []
    for row, (counts, size, reason) in enumerate(for_each_file(check, paths)):
        pixels[row], sizes[row] = counts, size
        if reason:
            bad_masks.append(BadImage(str(dataset.ids[row]), paths[row], reason))
        if progress is not None:
            progress(row + 1, len(paths))
    return LabelCounts(pixels, sizes, tuple(bad_masks))
