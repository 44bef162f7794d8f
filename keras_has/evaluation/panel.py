"""A sheet of captioned pictures."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_has import drawing


@dataclasses.dataclass
class Panel:
    """The pictures that an evaluator draws of a few examples.

    Args:
        heading: One line above the pictures.
        columns: Number of pictures in a row.
        tiles: uint8 RGB pictures, in order.
        captions: One caption per picture.

    Example:

    >>> from keras_has.evaluation import Panel
    >>> panel = Panel("two squares", columns=2)
    >>> panel.add(np.zeros((20, 20, 3), "uint8"), "black")
    >>> panel.add(np.full((20, 20, 3), 255, "uint8"), "white")
    >>> panel.draw().shape[1] > 40
    True
    """

    heading: str
    columns: int
    tiles: list[drawing.Picture] = dataclasses.field(default_factory=list)
    captions: list[str] = dataclasses.field(default_factory=list)

    def add(self, tile: drawing.Picture, caption: str) -> None:
        """Appends a picture with its caption."""
        self.tiles.append(tile)
        self.captions.append(caption)

    def draw(self) -> drawing.Picture:
        """Returns the sheet, a uint8 RGB picture."""
        starts = range(0, len(self.tiles), self.columns)
        return drawing.sheet(
            [self.tiles[start : start + self.columns] for start in starts],
            captions=[self.captions[start : start + self.columns] for start in starts],
            heading=self.heading,
        )


def displayable(image: np.ndarray) -> drawing.Picture:
    """Returns an image, (H, W, C) with one or at least three channels, as uint8 RGB.

    Values of other types are scaled from their minimum and maximum, however they were normalized.
    """
    if image.dtype != np.uint8:
        image = image.astype("float32")
        low, high = float(image.min()), float(image.max())
        image = ((image - low) / max(high - low, 1e-6) * 255).astype("uint8")
    return np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image[..., :3]
