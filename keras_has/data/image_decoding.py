"""From the bytes of an image file to RGB pixels, and the size of an image from its header."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from keras_has.data.exif_orientation import orientation_of, read_orientation, turn_upright

if TYPE_CHECKING:
    import tensorflow as tf

# What turns a stored image of each EXIF orientation upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS_OF_BMP = (b"\x08\0", b"\x18\0", b"\x20\0")
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")


def decode_image(encoded: tf.Tensor, upright: bool = False) -> tf.Tensor:
    """Decodes an image file to RGB, in a graph or eagerly.

    The format is detected from the content, not the extension: ILSVRC 2012 has a PNG named `.JPEG`.
    JPEG (grey, YCbCr, CMYK and YCCK, inverted as Adobe does or not), PNG, GIF (its first frame) and
    BMP (8 bits with a palette, 24 or 32 bits) are read. Grey becomes three equal channels, 16-bit
    channels are reduced to their upper 8 bits, and an alpha channel is dropped. A truncated file is
    an error.

    Args:
        encoded: String scalar, the content of the file.
        upright: Whether to turn the image as its EXIF orientation says, as every viewer does.
            Defaults to `False`, as in every published evaluation on benchmark datasets.

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
    if upright:
        image = turn_upright(image, read_orientation(encoded))
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


def to_decodable(encoded: bytes, upright: bool = False) -> bytes:
    """Returns the content of an image file in a format that `decode_image` can decode.

    WebP, TIFF, the kinds of BMP that TensorFlow cannot decode, and a GIF whose first frame does not
    fill it become PNG: Pillow reads the first page, 16-bit channels are reduced to their upper 8
    bits, and an alpha channel is dropped. Everything else is returned unchanged.

    Args:
        encoded: The content of an image file.
        upright: Whether to turn what is converted as its EXIF orientation says.

    Raises:
        ValueError: If such a file is damaged, or a TIFF file has pixels of 32 bits.

    Example:

    >>> import io
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (4, 2), (255, 0, 0)).save(file, "WEBP", lossless=True)
    >>> decode_image(to_decodable(file.getvalue())).numpy()[0, 0].tolist()
    [255, 0, 0]
    """
    if not _needs_pillow(encoded):
        return encoded
    try:
        with Image.open(io.BytesIO(encoded), formats=("WEBP", "TIFF", "GIF", "BMP")) as file:
            if file.format == "GIF" and file.tile[0][1] == (0, 0, *file.size):
                return encoded
            if file.mode in ("F", "I"):
                raise ValueError("pixels of 32 bits have no defined white: convert it to 8 bits")
            file.load()  # Pillow turns some TIFF files here, and then no longer gives a tag.
            orientation = orientation_of(file) if upright else 1
            image: Image.Image = file
            if file.mode.startswith("I;16"):
                image = Image.fromarray((np.asarray(file) >> 8).astype(np.uint8))
            image = image.convert("RGB")
            if orientation > 1:
                image = image.transpose(_TURNS[orientation])
            image.info = {}  # No orientation: what Pillow turned must not be turned again.
            png = io.BytesIO()
            image.save(png, "PNG", compress_level=1)
    except Exception as error:  # Pillow raises nearly everything for damaged files.
        reason = "damaged, or of another format" if "BytesIO" in str(error) else error
        raise ValueError(f"Pillow cannot decode it: {reason}") from error
    return png.getvalue()


def _needs_pillow(encoded: bytes) -> bool:
    """Whether TensorFlow cannot decode a file; for a GIF, Pillow has to look at its first frame."""
    if encoded[:2] == b"BM":
        # TensorFlow reads the headers of 40 bytes and more, without compression, of these depths.
        header, bits, compression = encoded[14:18], encoded[28:30], encoded[30:34]
        is_simple = bits in _BITS_OF_BMP and compression == bytes(4)
        return len(encoded) > 54 and not (is_simple and header >= b"\x28\0\0\0")
    is_webp = encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP"
    return is_webp or encoded[:4] in (b"II*\0", b"MM\0*", b"GIF8")


def to_upright(encoded: bytes) -> bytes:
    """Returns an image file whose stored pixels are upright, whatever reads it.

    Unchanged if they already are; otherwise as PNG, with the same pixels as
    `decode_image(upright=True)`.

    Args:
        encoded: The content of an image file.

    Raises:
        ValueError: If it is a damaged WebP or TIFF file.
        tf.errors.InvalidArgumentError: If the image has to be turned and cannot be decoded.
    """
    import tensorflow as tf

    encoded = to_decodable(encoded, upright=True)
    with tf.device("CPU:0"):
        content = tf.constant(encoded)
        if int(read_orientation(content)) == 1:
            return encoded
        turned: bytes = tf.io.encode_png(decode_image(content, upright=True)).numpy()
    return turned


def _convert(content: Any, upright: bool) -> bytes:
    # Eagerly, TensorFlow passes an array of one object. (NumPy's own bytes would lose final zeros.)
    content = content if isinstance(content, bytes) else content.item()
    return to_decodable(content, bool(upright))


def to_decodable_tensor(encoded: tf.Tensor, upright: bool = False) -> tf.Tensor:
    """Does the same as `to_decodable` in a graph, for a string scalar."""
    import tensorflow as tf

    start = tf.strings.substr(tf.strings.join([encoded, bytes(4)]), 0, 4)
    is_bmp = tf.equal(tf.strings.substr(start, 0, 2), b"BM")
    is_foreign = tf.reduce_any(tf.equal(start, [b"RIFF", b"II*\0", b"MM\0*", b"GIF8"])) | is_bmp

    def convert() -> tf.Tensor:
        converted = tf.numpy_function(_convert, [encoded, upright], tf.string, stateful=False)
        return tf.ensure_shape(converted, ())

    return tf.cond(is_foreign, convert, lambda: encoded)


def image_size(path: str | os.PathLike[str], upright: bool = False) -> tuple[int, int] | None:
    """Reads an image's height and width from the header of its file, without decoding it.

    Args:
        path: A JPEG, PNG, GIF, BMP, WebP or TIFF file, whatever its extension.
        upright: Whether the size is that of the image turned as its EXIF orientation says.

    Returns:
        Height and width in pixels, or `None` if the file cannot be read or has another format.
    """
    try:
        with Image.open(Path(path), formats=_FORMATS) as image:
            width, height = image.size
            if upright and orientation_of(image) > 4:
                width, height = height, width
    except Exception:  # Pillow raises nearly everything for damaged headers.
        return None
    return (height, width) if height > 0 and width > 0 else None
