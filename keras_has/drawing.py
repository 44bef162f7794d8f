"""Pictures of results: heat maps over images, true and predicted boxes, captioned sheets.

Colours are safe for the colour blind: the map is viridis, true boxes are white, predicted ones
orange, all edged in black so that they show on any image.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_has.ops.opencv import opencv

TRUE_BOX_COLOUR = (255, 255, 255)
PREDICTED_BOX_COLOUR = (255, 140, 0)
_INK = (30, 30, 30)
_PAPER = 255

Picture = NDArray[np.uint8]


def heat_map_overlay(image: ArrayLike, cam: ArrayLike, opacity: float = 0.55) -> Picture:
    """Lays a class activation map over its image.

    The map is enlarged to the image, cut at 0 and divided by its maximum: yellow is the maximum,
    violet 0 and below. A map without a positive value shows as all violet.

    Args:
        image: (H, W, 3) uint8 RGB.
        cam: (h, w) float.
        opacity: Share of the map in the mixture, in [0, 1].

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
    """Draws boxes onto a copy of an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        boxes: (N, 4) "xyxy" in pixels of the image; boxes of no area and of NaN are left out.
        colour: RGB.
        thickness: Width of the line in pixels, or None for one that suits the image.

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
    """Draws one image with its map and boxes, enlarged or reduced so that its long side is `side`.

    Args:
        image: (H, W, 3) uint8 RGB.
        cam: (h, w) float, or None for the image alone.
        true_boxes: (N, 4) "xyxy" in pixels of the image.
        predicted_boxes: (N, 4) "xyxy" in pixels of the image.
        side: Long side of the result in pixels.

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


def sheet(
    rows: Sequence[Sequence[Picture]],
    titles: Sequence[str] = (),
    captions: Sequence[Sequence[str]] = (),
    heading: str = "",
) -> Picture:
    """Lays tiles out in rows and columns on white paper, with titles, captions and a heading.

    Args:
        rows: Tiles, uint8 RGB of any sizes; rows may differ in length.
        titles: One above each column.
        captions: One below each tile, in the same rows and columns; lines are split at a newline.
        heading: A line above everything.

    Returns:
        (H, W, 3) uint8.

    Example:

    >>> tile = np.zeros((20, 30, 3), "uint8")
    >>> sheet([[tile, tile], [tile]], titles=["left", "right"]).ndim
    3
    """
    gap, line = 8, 17
    cell_width = max((tile.shape[1] for row in rows for tile in row), default=1)
    cell_height = max((tile.shape[0] for row in rows for tile in row), default=1)
    lines = max((len(c.splitlines()) for row in captions for c in row), default=0)
    columns = max((len(row) for row in rows), default=1)
    top = gap + (line + 4 if heading else 0) + (line + 4 if titles else 0)
    row_height = cell_height + lines * line + gap
    shape = (top + len(rows) * row_height, gap + columns * (cell_width + gap), 3)
    paper = np.full(shape, _PAPER, "uint8")
    if heading:
        _write(paper, heading, gap, gap + 12, paper.shape[1] - 2 * gap)
    for column, title in enumerate(titles):
        _write(paper, title, gap + column * (cell_width + gap), top - 8, cell_width)
    for number, row in enumerate(rows):
        y = top + number * row_height
        for column, tile in enumerate(row):
            x = gap + column * (cell_width + gap)
            inset = (cell_width - tile.shape[1]) // 2
            paper[y : y + tile.shape[0], x + inset : x + inset + tile.shape[1]] = tile
            if captions:
                for index, text in enumerate(captions[number][column].splitlines()):
                    _write(paper, text, x, y + tile.shape[0] + 13 + index * line, cell_width)
    return paper


def _write(paper: Picture, text: str, x: int, y: int, width: int) -> None:
    """Writes one line, cut to the width; OpenCV's fonts know ASCII only."""
    cv2 = opencv()
    text = text.encode("ascii", "replace").decode()
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.42
    cut = text
    while cut and cv2.getTextSize(cut, font, scale, 1)[0][0] > width:
        cut = cut[:-1]
    if cut != text:
        cut = cut[:-2] + ".."
    cv2.putText(paper, cut, (x, y), font, scale, _INK, 1, cv2.LINE_AA)


def write_png(path: str | os.PathLike[str], picture: ArrayLike) -> None:
    """Writes an RGB picture as PNG, aside and renamed, so that no half of it is ever seen.

    Args:
        path: Where to; folders are made.
        picture: (H, W, 3) uint8 RGB.

    Raises:
        OSError: If it cannot be encoded or written.
    """
    cv2 = opencv()
    path = Path(path)
    is_encoded, encoded = cv2.imencode(".png", np.asarray(picture, "uint8")[..., ::-1])
    if not is_encoded:
        raise OSError(f"The picture for {path} cannot be encoded as PNG.")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".tmp")
    aside.write_bytes(encoded.tobytes())
    aside.replace(path)
