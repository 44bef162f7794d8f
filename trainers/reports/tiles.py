"""An image, its map and its boxes on a page."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_has import drawing
from keras_has.ops.opencv import opencv
from trainers.reports.page import Markup, data_uri, element, escape

LARGEST_MAP = 64
_SIDE = 176
_QUALITY = 82


def jpeg(picture: ArrayLike) -> bytes:
    """Returns an RGB picture, (H, W, 3) uint8, as JPEG."""
    cv2 = opencv()
    bgr = np.ascontiguousarray(np.asarray(picture, "uint8")[..., ::-1])
    is_encoded, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not is_encoded:
        raise OSError("A picture cannot be encoded as JPEG.")
    return encoded.tobytes()


def quantize_map(cam: ArrayLike) -> dict[str, Any] | None:
    """Returns a map as 256 levels, and no larger than 64 x 64, for the page's script.

    Args:
        cam: (h, w) float.

    Returns:
        A dict that JSON takes: "height", "width", "low" and "high", the values of level 0 and 255,
        and "levels", the levels in base64, row by row. None for a map that gives no box: one that
        is constant or not finite.

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
    """Returns the map that the page's script sees, (h, w) float32.

    Example:

    >>> restore_map(quantize_map([[0.0, 1.0]])).tolist()
    [[0.0, 1.0]]
    """
    levels = np.frombuffer(base64.b64decode(quantized["levels"]), "uint8")
    levels = levels.reshape(quantized["height"], quantized["width"]).astype("float64")
    low, high = quantized["low"], quantized["high"]
    return (low + levels * (high - low) / 255).astype("float32")


def tile_picture(image: ArrayLike, size: tuple[int, int], cam: ArrayLike | None = None) -> str:
    """Returns an image, in its own aspect and small, with its map over it, as an address.

    Args:
        image: (H, W, 3) uint8, which may be stretched.
        size: Height and width of the image that it was.
        cam: (h, w), or None for the image alone.
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


def view(
    picture: str,
    size: tuple[int, int],
    true_boxes: ArrayLike,
    box: ArrayLike | None,
    title: str,
    label: str = "",
    key: str | None = None,
) -> Markup:
    """Returns a picture with its boxes: true ones white and dashed, the predicted one orange.

    Args:
        picture: Address of the picture.
        size: Height and width that the boxes refer to.
        true_boxes: (N, 4) "xyxy".
        box: (4,), not drawn if it is NaN; None for a view that never has one.
        title: What is to be seen, for those who do not see it.
        label: Written below.
        key: By which the page's script finds the predicted box.
    """
    height, width = size
    parts = [
        element(
            "image",
            href=picture,
            width=width,
            height=height,
            preserveAspectRatio="none",
        )
    ]
    for true_box in np.reshape(np.asarray(true_boxes, "float64"), (-1, 4)):
        parts += [_rectangle("edge", true_box), _rectangle("true", true_box)]
    if box is not None:
        box = np.asarray(box, "float64")
        shown = box if np.isfinite(box).all() else np.zeros(4)
        boxes = (_rectangle("edge", shown), _rectangle("found", shown))
        is_hidden = "hidden" if not shown.any() else None
        parts.append(element("g", *boxes, data_box=key, visibility=is_hidden))
    picture_element = element(
        "svg", *parts, viewBox=f"0 0 {width} {height}", role="img", aria_label=title
    )
    return element("div", picture_element, escape(label), class_="view")


def tile(views: list[Markup], *caption: Any) -> Markup:
    """Returns views side by side over a caption, as an entry of a list."""
    figure = element(
        "figure",
        element("div", *views, class_="views"),
        element("figcaption", *caption),
        class_="tile",
    )
    return element("li", figure)


def tiles(entries: list[Markup], kind: str = "tiles") -> Markup:
    """Returns a list of tiles."""
    return element("ul", *entries, class_=kind)


def _rectangle(kind: str, box: np.ndarray) -> Markup:
    x0, y0, x1, y1 = (round(float(value), 2) for value in box)
    return element(
        "rect", class_=kind, x=x0, y=y0, width=round(x1 - x0, 2), height=round(y1 - y0, 2)
    )
