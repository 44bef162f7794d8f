"""The orientation that cameras store beside the pixels: reading it, and turning images upright."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from PIL import Image

if TYPE_CHECKING:
    import tensorflow as tf

_TAG = 0x0112
# More than any camera writes; a damaged file must not keep the loop busy.
_MAX_PARTS = 1000


def orientation_of(image: Image.Image) -> int:
    """Returns the EXIF orientation of an opened file, from 1 to 8; 1 if it has none.

    XMP is not consulted, as in browsers. A TIFF file that Pillow turns itself counts as upright.

    Args:
        image: What `PIL.Image.open` returned; its pixels need not be loaded.
    """
    if image.format == "TIFF":
        is_turned_by_pillow = image.tag_v2.get(256) != image.width  # type: ignore[attr-defined]
        value = 1 if is_turned_by_pillow else image.getexif().get(_TAG, 1)
    else:
        exif = Image.Exif()
        try:
            exif.load(image.info.get("exif", b""))
            value = exif.get(_TAG, 1)
        except Exception:  # Pillow raises nearly everything for damaged headers.
            return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def read_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Reads the EXIF orientation of a JPEG or PNG file with TensorFlow's operations alone.

    Args:
        encoded: String scalar, the content of the file.

    Returns:
        int32 scalar from 1 to 8; 1 if the file has no valid orientation, or another format.

    Example:

    >>> import tensorflow as tf
    >>> int(read_orientation(tf.io.encode_jpeg(tf.zeros((2, 3, 3), tf.uint8))))
    1

    Reference:
        Exif 2.32, section 4.5 (JPEG segments) and tag 274; PNG, third edition, chunk `eXIf`.
    """
    import tensorflow as tf

    end = tf.strings.length(encoded)
    padded = tf.strings.join([encoded, bytes(16)])  # Reading beyond the end yields zeros.

    def part(start: tf.Tensor, length: int) -> tf.Tensor:
        return tf.strings.substr(padded, tf.clip_by_value(start, 0, end), length)

    def number(start: tf.Tensor, length: int, is_little: tf.Tensor) -> tf.Tensor:
        digits = tf.cast(tf.io.decode_raw(part(start, length), tf.uint8), tf.int64)
        digits = tf.cond(is_little, lambda: digits[::-1], lambda: digits)
        value = tf.reduce_sum(digits * [256**power for power in reversed(range(length))])
        return tf.cast(tf.minimum(value, 2**30), tf.int32)

    big = tf.constant(False)

    def find_in_jpeg() -> tf.Tensor:
        def next_segment(at: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            is_exif = tf.equal(part(at, 2), b"\xff\xe1") & tf.equal(part(at + 4, 6), b"Exif\0\0")
            is_fill = tf.equal(part(at, 2), b"\xff\xff")
            marker = number(at + 1, 1, big)
            # The pixels begin, the file ends, or this is no segment.
            is_last = tf.not_equal(part(at, 1), b"\xff") | (marker == 0xDA) | (marker == 0xD9)
            step = tf.where(is_fill, 1, 2 + tf.maximum(number(at + 2, 2, big), 2))
            return (
                tf.where(is_last & ~is_fill, end, at + step),
                tf.where(is_exif, at + 10, -1),
            )

        return search(next_segment, tf.constant(2))

    def find_in_png() -> tf.Tensor:
        def next_chunk(at: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            kind = part(at + 4, 4)
            is_last = tf.equal(kind, b"IDAT") | tf.equal(kind, b"IEND")
            return (
                tf.where(is_last, end, at + 12 + number(at, 4, big)),
                tf.where(tf.equal(kind, b"eXIf"), at + 8, -1),
            )

        return search(next_chunk, tf.constant(8))

    def search(body: object, start: tf.Tensor) -> tf.Tensor:
        """Returns where the EXIF block begins, -1 if there is none."""
        return tf.while_loop(
            lambda at, found: (found < 0) & (at >= 0) & (at < end),
            body,
            (start, tf.constant(-1)),
            maximum_iterations=_MAX_PARTS,
        )[1]

    def read_block(start: tf.Tensor) -> tf.Tensor:
        is_little = tf.equal(part(start, 2), b"II")
        directory = start + number(start + 4, 4, is_little)
        count = tf.minimum(number(directory, 2, is_little), (end - directory - 2) // 12)
        length = 12 * tf.maximum(count, 0)
        first = tf.clip_by_value(directory + 2, 0, end)
        entries = tf.io.decode_raw(tf.strings.substr(padded, first, length), tf.uint8)
        entries = tf.cast(tf.reshape(entries, [-1, 12]), tf.int32)
        # Tag 274, of type 3 (two bytes), once.
        start_of_entry = tf.where(
            is_little, [0x12, 0x01, 3, 0, 1, 0, 0, 0], [0x01, 0x12, 0, 3, 0, 0, 0, 1]
        )
        is_orientation = tf.reduce_all(entries[:, :8] == start_of_entry, axis=1)
        values = tf.boolean_mask(tf.where(is_little, entries[:, 8], entries[:, 9]), is_orientation)
        value = tf.reduce_max(tf.concat([values[:1], [1]], axis=0))
        return tf.where((value >= 1) & (value <= 8), value, 1)

    is_jpeg = tf.equal(part(tf.constant(0), 2), b"\xff\xd8")
    is_png = tf.equal(part(tf.constant(0), 8), b"\x89PNG\r\n\x1a\n")
    found = tf.case(
        [(is_jpeg, find_in_jpeg), (is_png, find_in_png)], default=lambda: tf.constant(-1)
    )
    return tf.cond(found >= 0, lambda: read_block(found), lambda: tf.constant(1))


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns and mirrors an image as its EXIF orientation says.

    Args:
        image: (height, width, channels).
        orientation: int32 scalar from 1 to 8.

    Returns:
        The image, with height and width exchanged for 5 to 8.

    Example:

    >>> import tensorflow as tf
    >>> turn_upright(tf.reshape(tf.range(2), (1, 2, 1)), tf.constant(6))[..., 0].numpy()
    array([[0],
           [1]], dtype=int32)
    """
    import tensorflow as tf

    def turned() -> tf.Tensor:
        def reversed_for(values: list[int], axis: int, pixels: tf.Tensor) -> tf.Tensor:
            # `tf.reverse`, because a slice of step -1 takes ten times as long.
            is_reversed = tf.reduce_any(tf.equal(orientation, values))
            return tf.cond(is_reversed, lambda: tf.reverse(pixels, [axis]), lambda: pixels)

        upright = tf.cond(orientation > 4, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
        return reversed_for([3, 4, 7, 8], 0, reversed_for([2, 3, 6, 7], 1, upright))

    return cast("tf.Tensor", tf.cond(orientation > 1, turned, lambda: image))
