"""The localization result of one image."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class LocalizedImage:
    """One image with the model's outputs and their correctness.

    Args:
        image_id: The image's name in its dataset (its first 256 bytes), or the number of the image
            if the data has no names.
        label: The true class.
        predicted_class: The class with the highest probability.
        probability: The probability of the predicted class.
        label_probability: The probability of the true class.
        image: (H, W, C), the model's input.
        size: Height and width, in pixels, of the image that the boxes refer to.
        map: (h, w) float32, the map of the true class.
        box: (4,) float32 "xyxy" half-open, in pixels of `size`: the box of the map at the
            fixed threshold; NaN if the map has no positive value.
        true_boxes: (N, 4) float32, in the same format.
        iou: The largest intersection over union of `box` with a true box; `None` if there is no
            true box. Above 0.5 the image counts in GT-known Loc and, with the correct class, in
            Top-1 Loc.

    Example:

    >>> from keras_has.evaluation import LocalizedImage
    >>> nothing = np.full(4, np.nan, "float32")
    >>> result = LocalizedImage(
    ...     "n02123394_7", 3, 3, 0.9, 0.9, np.zeros((64, 64, 3)), (64, 64), np.zeros((16, 16)),
    ...     box=nothing, true_boxes=np.array([[8, 8, 40, 50]], "float32"), iou=0.0,
    ... )
    >>> result.is_classified, result.is_localized
    (True, False)
    """

    image_id: str
    label: int
    predicted_class: int
    probability: float
    label_probability: float
    image: np.ndarray
    size: tuple[int, int]
    map: np.ndarray
    box: np.ndarray
    true_boxes: np.ndarray
    iou: float | None

    @property
    def is_classified(self) -> bool:
        """Whether the predicted class is the true one."""
        return self.predicted_class == self.label

    @property
    def is_localized(self) -> bool | None:
        """Whether the box for the known class is correct; `None` if there is no true box."""
        return None if self.iou is None else self.iou > 0.5
