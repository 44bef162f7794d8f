"""The orientation that cameras store beside the pixels: reading it, and turning images upright."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from PIL import Image

if TYPE_CHECKING:
    import tensorflow as tf

_TAG = 0x0112
_EXIF = b"Exif\0\0"
# Of a value, by its type: a short or a long integer.
_LENGTHS = {3: 2, 4: 4}
# More than any camera writes; a damaged file must not keep the loop busy.
_MAX_PARTS = 1000


def orientation_of(image: Image.Image) -> int:
    """Returns the EXIF orientation of an opened file, from 1 to 8; 1 if it has none.

    The rules are those of `read_orientation`. XMP is not consulted, as in browsers. A TIFF file
    that Pillow turns itself counts as upright.

    Args:
        image: What `PIL.Image.open` returned; its pixels need not be loaded.
    """
    if image.format != "TIFF":
        # Pillow adds a prefix to the block of a PNG file, which may have one already.
        block = image.info.get("exif", b"").removeprefix(_EXIF).removeprefix(_EXIF)
        return _orientation_in(block)
    is_turned_by_pillow = image.tag_v2.get(256) != image.width  # type: ignore[attr-defined]
    value = 1 if is_turned_by_pillow else image.getexif().get(_TAG, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _orientation_in(block: bytes) -> int:
    """Returns the orientation in the first directory of an EXIF block."""
    order: Literal["little", "big"] = "little" if block[:2] == b"II" else "big"

    def number(start: int, length: int) -> int:
        return int.from_bytes(block[start : start + length].ljust(length, b"\0"), order)

    directory = number(4, 4)
    for entry in range(directory + 2, len(block) - 11, 12)[: number(directory, 2)]:
        kind = number(entry + 2, 2)
        if (number(entry, 2), number(entry + 4, 4)) == (_TAG, 1) and kind in _LENGTHS:
            value = number(entry + 8, _LENGTHS[kind])
            return value if 1 <= value <= 8 else 1
    return 1


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

    def number(start: tf.Tensor, length: int) -> tf.Tensor:
        digits = tf.io.decode_raw(part(start, length), tf.uint8)
        return _number(tf.ensure_shape(digits, [length]))

    def find_in_jpeg() -> tuple[tf.Tensor, tf.Tensor]:
        def next_segment(at: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, ...]:
            is_exif = tf.equal(part(at, 2), b"\xff\xe1") & tf.equal(part(at + 4, 6), _EXIF)
            is_fill = tf.equal(part(at, 2), b"\xff\xff")
            marker, length = number(at + 1, 1), tf.maximum(number(at + 2, 2), 2)
            # The pixels begin, the file ends, or this is no segment.
            is_last = tf.not_equal(part(at, 1), b"\xff") | (marker == 0xDA) | (marker == 0xD9)
            following = at + tf.where(is_fill, 1, 2 + length)
            following = tf.where(is_last & ~is_fill, end, following)
            return following, tf.where(is_exif, at + 4, -1), length - 2

        return search(next_segment, 2)

    def find_in_png() -> tuple[tf.Tensor, tf.Tensor]:
        def next_chunk(at: tf.Tensor, *_: tf.Tensor) -> tuple[tf.Tensor, ...]:
            kind, length = part(at + 4, 4), number(at, 4)
            is_last = tf.equal(kind, b"IDAT") | tf.equal(kind, b"IEND")
            following = tf.where(is_last, end, at + 12 + length)
            return following, tf.where(tf.equal(kind, b"eXIf"), at + 8, -1), length

        return search(next_chunk, 8)

    def search(body: object, start: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns where the EXIF block begins, -1 if there is none, and its length."""
        _, found, length = tf.while_loop(
            lambda at, found, _: (found < 0) & (at >= 0) & (at < end),
            body,
            (tf.constant(start), tf.constant(-1), tf.constant(0)),
            maximum_iterations=_MAX_PARTS,
        )
        return found, length

    def read_block(start: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        block = tf.strings.substr(encoded, start, length)  # cut at the end of the file
        has_prefix = tf.equal(tf.strings.substr(block, 0, 6), _EXIF)
        block = tf.cond(has_prefix, lambda: tf.strings.substr(block, 6, 2**30), lambda: block)
        return _orientation_in_tensor(tf.io.decode_raw(block, tf.uint8))

    is_jpeg = tf.equal(part(tf.constant(0), 2), b"\xff\xd8")
    is_png = tf.equal(part(tf.constant(0), 8), b"\x89PNG\r\n\x1a\n")
    found, length = tf.case(
        [(is_jpeg, find_in_jpeg), (is_png, find_in_png)],
        default=lambda: (tf.constant(-1), tf.constant(0)),
    )
    is_there = (found >= 0) & (found < end)
    return tf.cond(is_there, lambda: read_block(found, length), lambda: tf.constant(1))


def _number(digits: tf.Tensor) -> tf.Tensor:
    """Returns the number of up to four bytes, uint8 and the highest first, at most 2**30."""
    import tensorflow as tf

    powers = [256**power for power in reversed(range(digits.shape[0]))]
    value = tf.reduce_sum(tf.cast(digits, tf.int64) * powers)
    return tf.cast(tf.minimum(value, 2**30), tf.int32)


def _orientation_in_tensor(block: tf.Tensor) -> tf.Tensor:
    """Does the same as `_orientation_in`, for the bytes of a block."""
    import tensorflow as tf

    length = tf.shape(block)[0]
    padded = tf.concat([block, tf.zeros(16, tf.uint8)], axis=0)
    is_little = tf.reduce_all(padded[:2] == tf.constant([73, 73], tf.uint8))

    def number(start: tf.Tensor, length_of_number: int) -> tf.Tensor:
        start = tf.clip_by_value(start, 0, length)
        digits = tf.ensure_shape(padded[start : start + length_of_number], [length_of_number])
        return _number(tf.cond(is_little, lambda: digits[::-1], lambda: digits))

    directory = number(tf.constant(4), 4)
    count = tf.clip_by_value((length - directory - 2) // 12, 0, number(directory, 2))
    first = tf.minimum(directory + 2, length)
    entries = tf.cast(tf.reshape(padded[first : first + 12 * count], [-1, 12]), tf.int32)
    # Two bytes of the tag, two of the type, four of the number of values, four of the value.
    starts = [
        tf.where(is_little, [0x12, 0x01, kind, 0, 1, 0, 0, 0], [0x01, 0x12, 0, kind, 0, 0, 0, 1])
        for kind in _LENGTHS
    ]
    is_short, is_long = (tf.reduce_all(entries[:, :8] == start, axis=1) for start in starts)
    powers = tf.where(is_little, [1, 256, 2**16, 2**24], [2**24, 2**16, 256, 1])
    of_short = tf.where(is_little, [1, 256, 0, 0], [256, 1, 0, 0])
    values = tf.reduce_sum(
        tf.cast(entries[:, 8:], tf.int64)
        * tf.cast(tf.where(is_short[:, None], of_short[None], powers[None]), tf.int64),
        axis=1,
    )
    found = tf.concat([tf.boolean_mask(values, is_short | is_long), [1]], axis=0)[0]
    return tf.cast(tf.where((found >= 1) & (found <= 8), found, 1), tf.int32)


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
