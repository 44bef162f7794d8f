"""Images with class activation maps and boxes.

The colours are safe for colour-blind readers: maps are viridis, true boxes white and predicted
boxes orange. Boxes have a black edge, so that they are visible on any image.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_has.atomic_files import write_atomically
from keras_has.ops.opencv import opencv

TRUE_BOX_COLOUR = (255, 255, 255)
PREDICTED_BOX_COLOUR = (255, 140, 0)

Picture = NDArray[np.uint8]


def heat_map_overlay(image: ArrayLike, cam: ArrayLike, opacity: float = 0.55) -> Picture:
    """Blends a class activation map with its image.

    The map is resized to the image, clipped at 0 and divided by its maximum: yellow is the maximum,
    violet is 0 and below. A map without a positive value is violet everywhere.

    Args:
        image: (H, W, 3) uint8 RGB.
        cam: (h, w) float.
        opacity: Weight of the map in the blend, in [0, 1].

    Returns:
        (H, W, 3) uint8.

    Example:

    >>> heat_map_overlay(np.zeros((8, 8, 3), "uint8"), np.eye(2)).shape
    (8, 8, 3)
    """
    cv2 = opencv()
    image = np.asarray(image, "uint8")
    positive = np.nan_to_num(np.asarray(cam, "float32"), nan=0.0, posinf=0.0, neginf=0.0)
    positive = cv2.resize(positive, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    positive = np.maximum(positive, 0)
    largest = positive.max()
    levels = np.uint8(np.rint(positive / largest * 255)) if largest > 0 else np.uint8(positive)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    mixed = opacity * colours + (1 - opacity) * image
    return np.rint(mixed).astype("uint8")


def draw_boxes(
    image: ArrayLike,
    boxes: ArrayLike,
    colour: tuple[int, int, int] = PREDICTED_BOX_COLOUR,
    thickness: int | None = None,
) -> Picture:
    """Draws boxes on a copy of an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        boxes: (N, 4) "xyxy" in pixels of the image; empty boxes and boxes with NaN are not drawn.
        colour: RGB.
        thickness: Line width in pixels. None chooses one from the size of the image.

    Returns:
        (H, W, 3) uint8.

    Example:

    >>> int(draw_boxes(np.zeros((9, 9, 3), "uint8"), [[2, 2, 7, 7]], (255, 0, 0), 1)[..., 0].sum())
    4080
    """
    cv2 = opencv()
    picture = np.array(image, "uint8")
    height, width = picture.shape[:2]
    thickness = math.ceil(max(height, width) / 120) if thickness is None else thickness
    for x0, y0, x1, y1 in np.reshape(np.asarray(boxes, "float64"), (-1, 4)):
        if not (np.isfinite([x0, y0, x1, y1]).all() and x1 > x0 and y1 > y0):
            continue
        # The last pixel inside a half-open box; the outline stays within the image.
        first = (int(np.clip(round(x0), 0, width - 1)), int(np.clip(round(y0), 0, height - 1)))
        last = (
            int(np.clip(round(x1) - 1, 0, width - 1)),
            int(np.clip(round(y1) - 1, 0, height - 1)),
        )
        if thickness > 1:
            cv2.rectangle(picture, first, last, (0, 0, 0), thickness + 2)
        cv2.rectangle(picture, first, last, colour, thickness)
    return picture


def localization_tile(
    image: ArrayLike,
    cam: ArrayLike | None = None,
    true_boxes: ArrayLike = (),
    predicted_boxes: ArrayLike = (),
    side: int = 192,
) -> Picture:
    """Draws an image with its map and boxes, resized so that its long side is `side` pixels.

    Args:
        image: (H, W, 3) uint8 RGB.
        cam: (h, w) float, or None for the image alone.
        true_boxes: (N, 4) "xyxy" in pixels of the image.
        predicted_boxes: (N, 4) "xyxy" in pixels of the image.
        side: Length of the long side of the result in pixels.

    Returns:
        (h, w, 3) uint8 with max(h, w) = side.
    """
    cv2 = opencv()
    image = np.asarray(image, "uint8")
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(image, size, interpolation=interpolation)
    if cam is not None:
        picture = heat_map_overlay(picture, cam)
    stretch = np.array([size[0] / width, size[1] / height] * 2)
    for boxes, colour in ((true_boxes, TRUE_BOX_COLOUR), (predicted_boxes, PREDICTED_BOX_COLOUR)):
        scaled = np.reshape(np.asarray(boxes, "float64"), (-1, 4)) * stretch
        picture = draw_boxes(picture, scaled, colour)
    return picture


def write_png(path: str | os.PathLike[str], picture: ArrayLike) -> None:
    """Writes an RGB picture as PNG. The file appears under its name only when it is complete.

    Args:
        path: The file to write; missing folders are created.
        picture: (H, W, 3) uint8 RGB.

    Raises:
        OSError: If the picture cannot be encoded or written.
    """
    cv2 = opencv()
    path = Path(path)
    is_encoded, encoded = cv2.imencode(".png", np.asarray(picture, "uint8")[..., ::-1])
    if not is_encoded:
        raise OSError(f"The picture for {path} cannot be encoded as PNG.")
    write_atomically(path, encoded.tobytes())
