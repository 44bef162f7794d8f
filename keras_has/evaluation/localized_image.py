"""What an evaluation knows of one image."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class LocalizedImage:
    """One image with what a model says of it and how right it is.

    Args:
        image_id: The image's name in its data set (at most 256 bytes of it), or the number of the
            image where the data has no names.
        label: The true class.
        predicted_class: The class of the highest probability.
        probability: The probability of the predicted class.
        label_probability: The probability of the true class.
        image: (H, W, C), as the model takes it.
        size: Height and width, in pixels, of the image that the boxes refer to.
        map: (h, w) float32, the map of the true class.
        box: (4,) float32 "xyxy" half-open, in pixels of `size`: the box that the map gives at the
            fixed threshold; NaN where it shows nothing.
        true_boxes: (N, 4) float32, likewise.
        iou: The largest intersection over union of `box` with a true box; `None` where there is no
            true box. Above 0.5 it is GT-known Loc, and with the right class Top-1 Loc.

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
        """Whether the box is right, the class being told; `None` where there is no true box."""
        return None if self.iou is None else self.iou > 0.5
