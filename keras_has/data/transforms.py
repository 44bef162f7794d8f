"""Transforms from an example to an example: image, mask and boxes move together.

An example is a dict of tensors. The transforms move the values under `"image"` (H, W, C), `"mask"`
(H, W) or (H, W, 1), one class index or flag for each pixel, and `"boxes"` (N, 4), `"xyxy"` in
pixels; they skip what an example does not have and pass everything else through.
"""

from typing import Any

import tensorflow as tf

from keras_has.data.resize import resize_and_flip

Example = dict[str, tf.Tensor]


def crop(
    example: Example, top: tf.Tensor, left: tf.Tensor, height: tf.Tensor, width: tf.Tensor
) -> Example:
    """Crops an example to a window that lies within the image.

    Boxes are moved and clipped to the window; a box outside of it becomes empty (`x1 == x0`).

    Args:
        example: Any example with an image.
        top: First row of the window, in pixels.
        left: First column of the window.
        height: Number of rows.
        width: Number of columns.

    Example:

    >>> example = {"image": tf.zeros((8, 8, 3)), "boxes": tf.constant([[1.0, 2.0, 5.0, 8.0]])}
    >>> cropped = crop(example, 2, 0, 4, 4)
    >>> cropped["image"].shape, cropped["boxes"].numpy().tolist()
    (TensorShape([4, 4, 3]), [[1.0, 0.0, 4.0, 4.0]])
    """
    moved = dict(example)
    for key in ("image", "mask"):
        if key in example:
            moved[key] = example[key][top : top + height, left : left + width]
    if "boxes" in example:
        limits = tf.cast(tf.stack([width, height, width, height]), tf.float32)
        offset = tf.cast(tf.stack([left, top, left, top]), tf.float32)
        moved["boxes"] = tf.clip_by_value(example["boxes"] - offset, 0.0, limits)
    return moved


def pad(example: Example, padding: int) -> Example:
    """Pads the image with zeros and the mask with 255 ("ignore") on all four sides.

    Args:
        example: Any example; a mask has an integer dtype that can represent 255.
        padding: Number of rows and columns to add on each side.

    Raises:
        ValueError: If `padding` is negative or the mask cannot contain 255.
    """
    if "mask" in example and not example["mask"].dtype.max >= 255:
        raise ValueError(
            "`mask` should have an integer dtype that can represent 255. "
            f"Received: dtype={example['mask'].dtype.name}"
        )
    moved = dict(example)
    if padding < 0:
        raise ValueError(f"`padding` should be at least 0. Received: padding={padding}")
    for key, fill in (("image", 0), ("mask", 255)):
        if key in example:
            sides = [[padding, padding]] * 2 + [[0, 0]] * (len(example[key].shape) - 2)
            moved[key] = tf.pad(example[key], sides, constant_values=fill)
    if "boxes" in example:
        moved["boxes"] = example["boxes"] + float(padding)
    return moved


def pad_to_size(example: Example, height: int, width: int, color: Any = 0) -> Example:
    """Pads an example at the bottom and right to a size, if it is smaller.

    Masks are padded with 255 ("ignore"); boxes stay where they are.

    Args:
        example: Any example; a mask has an integer dtype that can represent 255.
        height: Smallest height of the result in pixels.
        width: Smallest width.
        color: Value of the new pixels, one number or one per channel. Defaults to 0.

    Example:

    >>> padded = pad_to_size({"image": tf.ones((1, 2, 1)), "mask": tf.zeros((1, 2), "uint8")}, 2, 1)
    >>> padded["image"][..., 0].numpy().tolist(), padded["mask"].numpy().tolist()
    ([[1.0, 1.0], [0.0, 0.0]], [[0, 0], [255, 255]])
    """
    size = tf.shape(example["image"])[:2]
    bottom, right = tf.unstack(tf.maximum(tf.stack([height, width]) - size, 0))
    moved = dict(example)
    image = example["image"]
    value = tf.cast(color, image.dtype)
    moved["image"] = tf.pad(image - value, [[0, bottom], [0, right], [0, 0]]) + value
    if "mask" in example:
        rest = [[0, 0]] * (len(example["mask"].shape) - 2)
        sides = [[0, bottom], [0, right], *rest]
        moved["mask"] = tf.pad(example["mask"], sides, constant_values=255)
    return moved


def flip(example: Example, is_flipped: tf.Tensor) -> Example:
    """Mirrors an example left and right if `is_flipped` is true.

    Args:
        example: Any example with an image.
        is_flipped: Boolean scalar.
    """
    width = tf.cast(tf.shape(example["image"])[1], tf.float32)
    moved = dict(example)
    for key in ("image", "mask"):
        if key in example:
            columns = tf.range(tf.shape(example[key])[1])
            order = tf.where(is_flipped, columns[::-1], columns)
            moved[key] = tf.gather(example[key], order, axis=1)
    if "boxes" in example:
        x0, y0, x1, y1 = tf.unstack(example["boxes"], axis=-1)
        mirrored = tf.stack([width - x1, y0, width - x0, y1], axis=-1)
        moved["boxes"] = tf.where(is_flipped, mirrored, example["boxes"])
    return moved


def resize(example: Example, image_size: int, is_flipped: tf.Tensor | None = None) -> Example:
    """Resizes an example to a square, and optionally mirrors it, which costs nothing extra.

    Images are resized bilinearly with antialiasing and stay uint8; masks take the nearest pixel.

    Args:
        example: Any example with a uint8 image.
        image_size: Side of the square in pixels.
        is_flipped: Boolean scalar, or `None` (default) for no mirroring.
    """
    moved = dict(example)
    image = resize_and_flip(example["image"], image_size, is_flipped)
    moved["image"] = tf.ensure_shape(image, (image_size, image_size, example["image"].shape[-1]))
    rest = {key: value for key, value in example.items() if key in ("mask", "boxes")}
    if not rest:
        return moved
    height, width = tf.unstack(tf.cast(tf.shape(example["image"])[:2], tf.float32))
    if "mask" in rest:
        mask = rest["mask"]
        deep = mask[..., None] if len(mask.shape) == 2 else mask
        resized = tf.image.resize(deep, (image_size, image_size), "nearest")
        rest["mask"] = resized[..., 0] if len(mask.shape) == 2 else resized
    if "boxes" in rest:
        rest["boxes"] *= image_size / tf.stack([width, height, width, height])
    if is_flipped is not None:
        rest = flip({**rest, "image": moved["image"]}, is_flipped)
        rest.pop("image")
    return {**moved, **rest}


def resize_to(example: Example, height: int, width: int, method: str = "bicubic") -> Example:
    """Resizes the image of an example, which may be a batch, to any size, with antialiasing.

    The image stays uint8; an image of the right size stays unchanged.

    Args:
        example: An example with a uint8 image, without mask and boxes.
        height: Height in pixels.
        width: Width in pixels.
        method: `"bicubic"` or `"bilinear"`. Defaults to `"bicubic"`.

    Example:

    >>> resize_to({"image": tf.zeros((8, 8, 3), tf.uint8)}, 6, 3)["image"].shape
    TensorShape([6, 3, 3])
    """
    image = example["image"]

    def resized() -> tf.Tensor:
        pixels = tf.image.resize(image, (height, width), method, antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)

    is_right = tf.reduce_all(tf.equal(tf.shape(image)[-3:-1], (height, width)))
    pixels = tf.cond(is_right, lambda: image, resized)
    shape = (*image.shape[:-3], height, width, image.shape[-1])
    return {**example, "image": tf.ensure_shape(pixels, shape)}


def random_crop(example: Example, seed: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> Example:
    """Crops an example at a uniformly random place.

    Args:
        example: Any example with an image of at least the size of the window.
        seed: int32 tensor of shape (2,).
        height: Height of the window in pixels.
        width: Width of the window.

    Raises:
        tf.errors.InvalidArgumentError: If the window is larger than the image.
    """
    size = tf.shape(example["image"])[:2]
    message = "`height` and `width` of the window should be at most those of the image"
    with tf.control_dependencies(
        [tf.debugging.assert_greater_equal(size, tf.stack([height, width]), message)]
    ):
        size = tf.identity(size)
    place = tf.random.stateless_uniform([2], seed)
    room = tf.cast(size - tf.stack([height, width]) + 1, tf.float32)
    top, left = tf.unstack(tf.cast(place * room, tf.int32))
    return crop(example, top, left, height, width)


def random_area_crop(
    example: Example,
    seed: tf.Tensor,
    min_area: float,
    aspect_ratios: tuple[float, float] = (3 / 4, 4 / 3),
) -> Example:
    """Crops an example to a window of random area, aspect ratio and place.

    The whole image is kept where no window was found in 100 tries.

    Args:
        example: Any example with an image.
        seed: int32 tensor of shape (2,).
        min_area: Smallest area of the window as a fraction of the image's, in (0, 1].
        aspect_ratios: Smallest and largest width divided by height.

    Raises:
        ValueError: If `min_area` is out of range.

    Reference:
        [Szegedy et al., 2015](https://arxiv.org/abs/1409.4842), section 6.
    """
    if not 0 < min_area <= 1:
        raise ValueError(f"`min_area` should be in (0, 1]. Received: min_area={min_area}")
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(example["image"]),
        bounding_boxes=tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
        seed=seed,
        min_object_covered=0.0,
        aspect_ratio_range=aspect_ratios,
        area_range=(min_area, 1.0),
        use_image_if_no_bounding_boxes=True,
    )
    return crop(example, begin[0], begin[1], size[0], size[1])


def center_square(example: Example, share: float) -> Example:
    """Crops an example to the square in its center.

    Args:
        example: Any example with an image.
        share: Side of the square as a share of the image's short side, in (0, 1].

    Raises:
        ValueError: If `share` is out of range.
    """
    side, size = _square_side(example, share)
    top, left = tf.unstack((size - side) // 2)
    return crop(example, top, left, side, side)


def random_square(example: Example, seed: tf.Tensor, share: float) -> Example:
    """Crops an example to a square at a random place.

    Args:
        example: Any example with an image.
        seed: int32 tensor of shape (2,).
        share: Side of the square as a share of the image's short side, in (0, 1].

    Raises:
        ValueError: If `share` is out of range.
    """
    side, _ = _square_side(example, share)
    return random_crop(example, seed, side, side)


def _square_side(example: Example, share: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the side of a square that is a share of the short side, and the image's size."""
    if not 0 < share <= 1:
        raise ValueError(f"`share` should be in (0, 1]. Received: share={share}")
    size = tf.shape(example["image"])[:2]
    short = tf.cast(tf.reduce_min(size), tf.float32)
    return tf.maximum(tf.cast(tf.round(short * share), tf.int32), 1), size
