"""Sheets of captioned pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_has.drawing.images import Picture
from keras_has.drawing.text import write_text

_INK = (30, 30, 30)
_PAPER = 255
_SIZE = 12.0  # pixels


def sheet(
    rows: Sequence[Sequence[Picture]],
    titles: Sequence[str] = (),
    captions: Sequence[Sequence[str]] = (),
    heading: str = "",
) -> Picture:
    """Arranges pictures in rows and columns on white paper, with titles, captions and a heading.

    Args:
        rows: Pictures, uint8 RGB of any size; rows may differ in length.
        titles: One title above each column.
        captions: One caption below each picture, in the same rows and columns. A newline starts
            another line.
        heading: A line above everything else.

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
        write_text(paper, heading, gap, gap + 12, _INK, _SIZE, paper.shape[1] - 2 * gap)
    for column, title in enumerate(titles):
        x = gap + column * (cell_width + gap)
        write_text(paper, title, x, top - 8, _INK, _SIZE, cell_width)
    for number, row in enumerate(rows):
        y = top + number * row_height
        for column, tile in enumerate(row):
            x = gap + column * (cell_width + gap)
            inset = (cell_width - tile.shape[1]) // 2
            paper[y : y + tile.shape[0], x + inset : x + inset + tile.shape[1]] = tile
            if captions:
                for index, text in enumerate(captions[number][column].splitlines()):
                    below = y + tile.shape[0] + 13 + index * line
                    write_text(paper, text, x, below, _INK, _SIZE, cell_width)
    return paper
