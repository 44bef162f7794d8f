"""Resizing uint8 images to squares, fast."""

import tensorflow as tf


def resize_image(image: tf.Tensor, image_size: int) -> tf.Tensor:
    """Resizes an image to a square, bilinear with antialiasing, in uint8.

    Args:
        image: (H, W, 3) or (B, H, W, 3) uint8.
        image_size: Side of the square in pixels.

    Returns:
        uint8, of the requested size.
    """
    return resize_and_flip(image, image_size)


def resize_and_flip(
    image: tf.Tensor, image_size: int, is_flipped: tf.Tensor | None = None
) -> tf.Tensor:
    """Resizes an image to a square and optionally mirrors it left and right.

    The result equals the rounded result of `tf.image.resize(image, size, "bilinear",
    antialias=True)`, in two thirds of the time. TensorFlow resizes along x pixel by pixel, three
    channels at a time. Here both passes resize the first axis, where a whole row takes the place of
    the channels; the image is transposed between them.

    Args:
        image: (H, W, 3) or (B, H, W, 3) uint8.
        image_size: Side of the square in pixels.
        is_flipped: Boolean scalar, or `None` (default) for no mirroring.

    Returns:
        uint8, of the requested size.
    """
    image = tf.convert_to_tensor(image)
    images = image if image.shape.rank == 4 else image[None]
    count, height, width, channels = tf.unstack(tf.shape(images))

    def along_first_axis(images: tf.Tensor, length: tf.Tensor, across: tf.Tensor) -> tf.Tensor:
        images = tf.reshape(images, tf.stack([count, length, 1, across]))
        return tf.image.resize(images, (image_size, 1), "bilinear", antialias=True)[:, :, 0]

    rows = along_first_axis(images, height, width * channels)  # (B, y, x * channel)
    turned = tf.transpose(rows, (0, 2, 1))  # (B, x * channel, y)
    columns = along_first_axis(turned, width, image_size * channels)  # (B, x, channel * y)
    # Not uint8 yet: oneDNN prints an error message when it transposes bytes.
    columns = tf.cast(tf.round(columns), tf.int16)
    if is_flipped is not None:
        order = tf.range(image_size)
        columns = tf.gather(columns, tf.where(is_flipped, order[::-1], order), axis=1)
    turned = tf.reshape(columns, tf.stack([count, image_size * channels, image_size]))
    shape = tf.stack([count, image_size, image_size, channels])
    resized = tf.cast(tf.reshape(tf.transpose(turned, (0, 2, 1)), shape), tf.uint8)
    resized.set_shape([images.shape[0], image_size, image_size, images.shape[-1]])
    return resized if image.shape.rank == 4 else resized[0]
