"""From the bytes of an image file to RGB pixels, and the size of an image from its header."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import tensorflow as tf

_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")


def decode_image(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes an image file to RGB, in a graph or eagerly.

    The format is detected from the content, not the extension: ILSVRC 2012 has a PNG named `.JPEG`.
    JPEG (grey, YCbCr, CMYK and YCCK, inverted as Adobe does or not), PNG, GIF (its first frame) and
    BMP (8 bits with a palette, 24 or 32 bits) are read. Grey becomes three equal channels, 16-bit
    channels are reduced to their upper 8 bits, and an alpha channel is dropped. The EXIF
    orientation is not applied, as in every published evaluation on these datasets. A truncated file
    is an error.

    Args:
        encoded: String scalar, the content of the file.

    Returns:
        uint8 tensor of shape `(height, width, 3)`.

    Raises:
        tf.errors.InvalidArgumentError: If the content cannot be decoded.

    Example:

    >>> import tensorflow as tf
    >>> red = tf.constant([[[255, 0, 0]]], tf.uint8)
    >>> decode_image(tf.io.encode_png(red)).numpy().tolist()
    [[[255, 0, 0]]]
    """
    import tensorflow as tf

    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    head = tf.strings.join([tf.strings.substr(encoded, 0, 30), bytes(30)])
    image = tf.cond(
        # "BM", and 8 bits a pixel: TensorFlow returns the palette's indices as grey values.
        tf.equal(tf.strings.substr(head, 0, 2), b"BM")
        & tf.equal(tf.strings.substr(head, 28, 2), b"\x08\x00"),
        lambda: tf.gather(_bmp_palette(encoded), tf.cast(image[..., 0], tf.int32)),
        lambda: image,
    )
    image.set_shape([None, None, 3])
    return image


def _bmp_palette(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the colours of an 8-bit BMP, uint8 of shape `(colours, 3)`."""
    import tensorflow as tf

    def number(offset: int) -> tf.Tensor:
        return tf.io.decode_raw(tf.strings.substr(encoded, offset, 4), tf.int32)[0]

    # The palette lies between the headers (14 bytes, and as many as the second says) and pixels.
    # Damaged headers may say that it lies outside of the file: then colours are missing.
    length = tf.strings.length(encoded)
    start = tf.clip_by_value(14 + number(14), 0, length)
    end = tf.clip_by_value(number(10), start, length)
    count = (end - start) // 4
    palette = tf.io.decode_raw(tf.strings.substr(encoded, start, 4 * count), tf.uint8)
    return tf.reshape(palette, [-1, 4])[:, 2::-1]


def to_decodable(encoded: bytes) -> bytes:
    """Returns the content of an image file in a format that `decode_image` can decode.

    WebP and TIFF, which TensorFlow cannot decode, become PNG: Pillow reads the first page, 16-bit
    channels are reduced to their upper 8 bits, and an alpha channel is dropped. Everything else is
    returned unchanged.

    Args:
        encoded: The content of an image file.

    Raises:
        ValueError: If it is a damaged WebP or TIFF file.

    Example:

    >>> import io
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (4, 2), (255, 0, 0)).save(file, "WEBP", lossless=True)
    >>> decode_image(to_decodable(file.getvalue())).numpy()[0, 0].tolist()
    [255, 0, 0]
    """
    is_webp = encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP"
    if not is_webp and encoded[:4] not in (b"II*\0", b"MM\0*"):
        return encoded
    try:
        with Image.open(io.BytesIO(encoded), formats=("WEBP", "TIFF")) as file:
            image: Image.Image = file
            if file.mode.startswith("I;16"):
                image = Image.fromarray((np.asarray(file) >> 8).astype(np.uint8))
            png = io.BytesIO()
            image.convert("RGB").save(png, "PNG", compress_level=1)
    except Exception as error:  # Pillow raises nearly everything for damaged files.
        raise ValueError(f"Pillow cannot decode it: {error}") from error
    return png.getvalue()


def _convert(content: Any) -> bytes:
    # Eagerly, TensorFlow passes an array of one object. (NumPy's own bytes would lose final zeros.)
    return to_decodable(content if isinstance(content, bytes) else content.item())


def to_decodable_tensor(encoded: tf.Tensor) -> tf.Tensor:
    """Does the same as `to_decodable` in a graph, for a string scalar."""
    import tensorflow as tf

    start = tf.strings.substr(tf.strings.join([encoded, bytes(4)]), 0, 4)
    is_foreign = tf.reduce_any(tf.equal(start, [b"RIFF", b"II*\0", b"MM\0*"]))

    def convert() -> tf.Tensor:
        converted = tf.numpy_function(_convert, [encoded], tf.string, stateful=False)
        return tf.ensure_shape(converted, ())

    return tf.cond(is_foreign, convert, lambda: encoded)


def image_size(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Reads an image's height and width from the header of its file, without decoding it.

    Args:
        path: A JPEG, PNG, GIF, BMP, WebP or TIFF file, whatever its extension.

    Returns:
        Height and width in pixels as stored, or `None` if the file cannot be read or has another
        format.
    """
    try:
        with Image.open(Path(path), formats=_FORMATS) as image:
            width, height = image.size
    except Exception:  # Pillow raises nearly everything for damaged headers.
        return None
    return (height, width) if height > 0 and width > 0 else None
