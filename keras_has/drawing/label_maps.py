"""Label maps in color over their images."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from keras_has.data.mask_files import voc_palette
from keras_has.drawing.images import Picture
from keras_has.ops.segmentation import VOID


def label_map_overlay(image: ArrayLike, label_map: ArrayLike, opacity: float = 0.6) -> Picture:
    """Blends the colors of a label map with its image.

    The colors are those of PASCAL VOC. Void pixels (255) show the image alone.

    Args:
        image: (H, W, 3) uint8 RGB.
        label_map: (H, W) integers, the class of each pixel.
        opacity: Weight of the colors in the blend, in [0, 1].

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: If the sizes differ.

    Example:

    >>> grey = np.full((1, 2, 3), 100, "uint8")
    >>> label_map_overlay(grey, [[1, 255]], opacity=0.5).tolist()
    [[[114, 50, 50], [100, 100, 100]]]
    """
    image, label_map = np.asarray(image, "uint8"), np.asarray(label_map)
    if image.shape[:2] != label_map.shape:
        raise ValueError(
            "`label_map` should have the size of the image. "
            f"Received: {label_map.shape} for an image of {image.shape[:2]}"
        )
    weight = opacity * (label_map != VOID)[..., None]
    return np.rint(weight * voc_palette()[label_map] + (1 - weight) * image).astype("uint8")
