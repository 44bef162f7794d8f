"""An image with its map and its boxes on a page."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_has import drawing
from keras_has.ops.opencv import opencv
from trainers.reports.page import data_uri

LARGEST_MAP = 64
_SIDE = 176
_QUALITY = 82


@dataclasses.dataclass(frozen=True)
class View:
    """A picture with boxes: true ones white and dashed, the predicted one orange.

    Args:
        picture: Data URI of the picture.
        size: Height and width that the boxes refer to.
        true_boxes: (N, 4) "xyxy".
        title: Description of the picture for screen readers.
        predicted_box: (4,) "xyxy", hidden if it is NaN; None for a view without predicted box.
        label: Text below the picture.
        iou: IoU as text, written behind the label; None for none.
        iou_changes: Whether the script of the page updates the IoU.
        key: Name by which the script of the page finds the predicted box, or None.
    """

    picture: str
    size: tuple[int, int]
    true_boxes: ArrayLike
    title: str
    predicted_box: ArrayLike | None = None
    label: str = ""
    iou: str | None = None
    iou_changes: bool = False
    key: str | None = None

    @property
    def width(self) -> int:
        """Width that the boxes refer to."""
        return self.size[1]

    @property
    def height(self) -> int:
        """Height that the boxes refer to."""
        return self.size[0]

    @property
    def has_box(self) -> bool:
        """Whether the view has a predicted box, visible or hidden."""
        return self.predicted_box is not None

    @property
    def true_rectangles(self) -> list[list[float]]:
        """The true boxes as lists of numbers."""
        boxes: list[list[float]] = np.asarray(self.true_boxes, "float64").reshape(-1, 4).tolist()
        return boxes

    @property
    def box(self) -> list[float] | None:
        """The predicted box, or None if it is hidden."""
        box = np.asarray(self.predicted_box, "float64")
        return [float(value) for value in box] if np.isfinite(box).all() else None


def jpeg(picture: ArrayLike) -> bytes:
    """Encodes an RGB picture, (H, W, 3) uint8, as JPEG."""
    cv2 = opencv()
    bgr = np.ascontiguousarray(np.asarray(picture, "uint8")[..., ::-1])
    is_encoded, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not is_encoded:
        raise OSError("A picture cannot be encoded as JPEG.")
    return encoded.tobytes()


def quantize_map(cam: ArrayLike) -> dict[str, Any] | None:
    """Returns a map with 256 levels and at most 64 x 64 cells, for the script of the page.

    Args:
        cam: (h, w) float.

    Returns:
        A dict for JSON: "height"; "width"; "low" and "high", the values of levels 0 and 255; and
        "levels", the levels row by row in base64. None for a map that gives no box because it is
        constant or not finite.

    Example:

    >>> quantize_map([[0.0, 1.0]])["levels"]
    'AP8='
    """
    values: np.ndarray = np.asarray(cam, "float32")
    if not np.isfinite(values).all() or values.max() <= values.min():
        return None
    height, width = values.shape
    if max(height, width) > LARGEST_MAP:
        cv2 = opencv()
        height, width = min(height, LARGEST_MAP), min(width, LARGEST_MAP)
        values = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA)
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return None
    levels = np.rint((values.astype("float64") - low) / (high - low) * 255).astype("uint8")
    return {
        "height": height,
        "width": width,
        "low": low,
        "high": high,
        "levels": base64.b64encode(levels.tobytes()).decode(),
    }


def restore_map(quantized: dict[str, Any]) -> np.ndarray:
    """Returns the map that the script of the page sees, (h, w) float32.

    Example:

    >>> restore_map(quantize_map([[0.0, 1.0]])).tolist()
    [[0.0, 1.0]]
    """
    levels = np.frombuffer(base64.b64decode(quantized["levels"]), "uint8")
    levels = levels.reshape(quantized["height"], quantized["width"]).astype("float64")
    low, high = quantized["low"], quantized["high"]
    return (low + levels * (high - low) / 255).astype("float32")


def tile_picture(image: ArrayLike, size: tuple[int, int], cam: ArrayLike | None = None) -> str:
    """Returns a small copy of an image, in its original aspect ratio, as a data URI.

    Args:
        image: (H, W, 3) uint8, possibly stretched.
        size: Height and width of the original image.
        cam: (h, w) map to draw over the image, or None.
    """
    cv2 = opencv()
    image = np.asarray(image, "uint8")
    scale = _SIDE / max(size)
    shape = (max(1, round(size[1] * scale)), max(1, round(size[0] * scale)))
    is_smaller = shape[0] < image.shape[1]
    interpolation = cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC
    picture = cv2.resize(image, shape, interpolation=interpolation)
    if cam is not None:
        picture = drawing.heat_map_overlay(picture, cam)
    return data_uri("image/jpeg", jpeg(picture))
