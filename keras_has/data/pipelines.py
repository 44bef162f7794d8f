"""From an `ImageDataset` to batches, for training and for evaluation."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_has.data.image_dataset import ImageDataset
from keras_has.data.image_source import image_source

RowsOfStep = Callable[[tf.Tensor], tf.Tensor]


def training_batches(
    dataset: ImageDataset,
    batch_size: int,
    image_size: int,
    resize_size: int | None = None,
    horizontal_flip: bool = True,
    class_balanced: bool = False,
    seed: int = 0,
    first_step: int = 0,
) -> tf.data.Dataset:
    """Returns an endless dataset of training batches, each a pure function of seed and step.

    The order of the images, the crops and the flips are computed from the seed and the number of
    the step alone: they are the same at any parallelism, and a run that is continued at step n with
    `first_step=n` sees what it would have seen without the interruption.

    Images are resized so that the short side is `resize_size`, cropped at a random place to
    `image_size`, and flipped with probability 1/2. They stay uint8; normalisation and hiding come
    after, in the model.

    Args:
        dataset: What to train on.
        batch_size: Images a batch.
        image_size: Side of the square crops in pixels.
        resize_size: Length of the short side before cropping, or None for `image_size`.
        horizontal_flip: Whether to flip.
        class_balanced: Whether each image's class is drawn uniformly and the image uniformly from
            it, both with replacement, as in the authors' code; else every image comes once an
            epoch, in an order of its own each epoch.
        seed: Integer.
        first_step: Number of the first batch.

    Returns:
        A dataset of `(images, labels)`: uint8 (B, image_size, image_size, 3) and int64 (B,).

    Raises:
        ValueError: For an empty dataset, a class without images where classes are balanced, or
            sizes that do not fit.

    Example:

    >>> batches = training_batches(keras_has.data.parts(num_images=20), 4, 64, seed=1)
    >>> batches.element_spec[0].shape
    TensorShape([4, 64, 64, 3])
    """
    resize_size = image_size if resize_size is None else resize_size
    if not 0 < image_size <= resize_size:
        raise ValueError(
            "`resize_size` should be at least `image_size`, and both positive. "
            f"Received: image_size={image_size}, resize_size={resize_size}"
        )
    if len(dataset) == 0:
        raise ValueError(f"`dataset` should hold at least one image. Received: {dataset.name}")
    with tf.device("CPU:0"):
        labels = tf.constant(dataset.labels, tf.int64)
    load, decode = image_source(dataset)
    rows_at = _balanced_rows if class_balanced else _shuffled_rows
    rows_of_step = rows_at(dataset, batch_size, seed)

    def crop(image: tf.Tensor, image_seed: tf.Tensor) -> tf.Tensor:
        # Cropping before resizing costs less and is the same but for interpolation at the rim.
        height, width = tf.unstack(tf.shape(image)[:2])
        short = tf.cast(tf.minimum(height, width), tf.float32)
        side = tf.maximum(tf.cast(tf.round(short * (image_size / resize_size)), tf.int32), 1)
        place = tf.random.stateless_uniform([2], image_seed)
        room = tf.cast(tf.stack([height - side, width - side]) + 1, tf.float32)
        top, left = tf.unstack(tf.cast(place * room, tf.int32))
        return image[top : top + side, left : left + side]

    def flips_of_step(step: tf.Tensor) -> tf.Tensor:
        if not horizontal_flip:
            return tf.zeros([batch_size], tf.bool)
        return tf.random.stateless_uniform([batch_size], _seed(seed, step, 1)) < 0.5

    steps = tf.data.Dataset.counter(first_step)
    if _is_ready(dataset, image_size) and image_size == resize_size:
        # Everything is in memory at the right size: whole batches at once.
        def whole_batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            rows = rows_of_step(step)
            images = load(rows)
            if horizontal_flip:
                images = _flip_some(images, flips_of_step(step))
            return images, tf.gather(labels, rows)

        return steps.map(whole_batch, num_parallel_calls=2).prefetch(tf.data.AUTOTUNE)

    def begin(step: tf.Tensor) -> tuple[tf.Tensor, ...]:
        rows = rows_of_step(step)
        seeds = tf.random.stateless_uniform(
            [batch_size, 2], _seed(seed, step, 2), None, None, tf.int32
        )
        return load(rows), tf.gather(labels, rows), seeds, flips_of_step(step)

    def one(
        loaded: tf.Tensor, label: tf.Tensor, image_seed: tf.Tensor, is_flipped: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        flip = is_flipped if horizontal_flip else None
        image = _resized(crop(decode(loaded), image_seed), image_size, flip)
        return tf.ensure_shape(image, (image_size, image_size, 3)), label

    return (
        steps.map(begin, num_parallel_calls=tf.data.AUTOTUNE)
        .unbatch()
        .map(one, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size, drop_remainder=True, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def evaluation_batches(dataset: ImageDataset, batch_size: int, image_size: int) -> tf.data.Dataset:
    """Returns the whole dataset once, in order, in batches for evaluation.

    The full image is seen: it is resized to a square without keeping its aspect, as in the class
    activation map protocol. Nothing is hidden.

    Args:
        dataset: What to evaluate on.
        batch_size: Images a batch; the last one may hold fewer.
        image_size: Side of the square in pixels.

    Returns:
        A dataset of dicts: "image" uint8 (B, image_size, image_size, 3), "label" int64 (B,),
        "boxes" float32 (B, N, 4) in pixels of the original image, filled up with -1, "size" float32
        (B, 2) height and width of the original image, "image_id" string (B,).

    Example:

    >>> batches = evaluation_batches(keras_has.data.parts("val", num_images=20), 8, 64)
    >>> [len(batch["label"]) for batch in batches]
    [8, 8, 4]
    """
    padded = dataset.padded_boxes()
    with tf.device("CPU:0"):
        tables = {
            "label": tf.constant(dataset.labels, tf.int64),
            "boxes": tf.constant(padded),
            "image_id": tf.constant(dataset.image_ids),
        }
    load, decode = image_source(dataset)
    rows = tf.data.Dataset.range(len(dataset)).batch(batch_size)
    if _is_ready(dataset, image_size):

        def whole_batch(rows: tf.Tensor) -> dict[str, tf.Tensor]:
            size = tf.fill([tf.size(rows), 2], tf.cast(image_size, tf.float32))
            batch = {key: tf.gather(table, rows) for key, table in tables.items()}
            return {"image": load(rows), "size": size, **batch}

        return rows.map(whole_batch, num_parallel_calls=2).prefetch(2)

    def one(loaded: tf.Tensor, row: tf.Tensor) -> dict[str, tf.Tensor]:
        image = decode(loaded)
        return {
            "image": resize_image(image, image_size),
            "size": tf.cast(tf.shape(image)[:2], tf.float32),
            **{key: table[row] for key, table in tables.items()},
        }

    return (
        rows.map(lambda rows: (load(rows), rows), num_parallel_calls=tf.data.AUTOTUNE)
        .unbatch()
        .map(one, num_parallel_calls=tf.data.AUTOTUNE)
        .apply(tf.data.experimental.assert_cardinality(len(dataset)))
        .batch(batch_size)
        .prefetch(2)
    )


def resize_image(image: tf.Tensor, image_size: int) -> tf.Tensor:
    """Resizes an image to a square, bilinear with antialiasing, in uint8.

    Args:
        image: (H, W, 3) or (B, H, W, 3) uint8.
        image_size: Side of the square in pixels.

    Returns:
        uint8, of the size asked for.
    """
    return _resized(image, image_size)


def _resized(image: tf.Tensor, image_size: int, is_flipped: tf.Tensor | None = None) -> tf.Tensor:
    """Resizes to a square and, where it is said so, mirrors left and right.

    The same pixels as `tf.image.resize(image, size, "bilinear", antialias=True)` rounded, in two
    thirds of the time. TensorFlow goes along x pixel by pixel, three channels at a time. Here both
    passes are along the first axis, with a whole row in place of the channels; between them the
    image is turned.
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
    # Not uint8 yet: oneDNN writes an error message where it is asked to turn bytes.
    columns = tf.cast(tf.round(columns), tf.int16)
    if is_flipped is not None:
        order = tf.range(image_size)
        columns = tf.gather(columns, tf.where(is_flipped, order[::-1], order), axis=1)
    turned = tf.reshape(columns, tf.stack([count, image_size * channels, image_size]))
    shape = tf.stack([count, image_size, image_size, channels])
    resized = tf.cast(tf.reshape(tf.transpose(turned, (0, 2, 1)), shape), tf.uint8)
    resized.set_shape([images.shape[0], image_size, image_size, images.shape[-1]])
    return resized if image.shape.rank == 4 else resized[0]


def _flip_some(images: tf.Tensor, flips: tf.Tensor) -> tf.Tensor:
    """Mirrors those images of a batch left and right for which `flips` is true."""
    # Copies of whole images: choosing by `tf.where` goes pixel by pixel and takes far longer.
    count = tf.size(flips)
    both = tf.concat([images, tf.reverse(images, [2])], axis=0)
    return tf.gather(both, tf.range(count) + tf.where(flips, count, 0))


def _is_ready(dataset: ImageDataset, image_size: int) -> bool:
    """Whether the pixels are in memory at the right size, so that whole batches are gathered."""
    return dataset.images is not None and dataset.images.shape[1:3] == (image_size, image_size)


def _seed(seed: int, step: tf.Tensor, purpose: int) -> tf.Tensor:
    """Returns a seed of two integers for one purpose at one step."""
    return tf.stack([tf.constant(seed, tf.int64) * 16 + purpose, tf.cast(step, tf.int64)])


def _shuffled_rows(dataset: ImageDataset, batch_size: int, seed: int) -> RowsOfStep:
    """Returns the function from a step to its rows: every image once an epoch."""
    count = len(dataset)

    def rows(step: tf.Tensor) -> tf.Tensor:
        place = tf.cast(step, tf.int64) * batch_size + tf.range(batch_size, dtype=tf.int64)
        epoch = place // count
        seeds = tf.stack(
            [tf.fill([batch_size], tf.constant(seed, tf.int64)), epoch, tf.zeros_like(epoch)],
            axis=1,
        )
        # tf.random.experimental.index_shuffle does not take one seed an index; a batch may hold the
        # end of one epoch and the beginning of the next. Four rounds hardly mix under small seeds.
        return tf.raw_ops.RandomIndexShuffle(
            index=place % count, seed=seeds, max_index=tf.constant(count - 1, tf.int64), rounds=8
        )

    return rows


def _balanced_rows(dataset: ImageDataset, batch_size: int, seed: int) -> RowsOfStep:
    """Returns the function from a step to its rows: classes uniformly, images from the class."""
    order = np.argsort(dataset.labels, kind="stable")
    counts = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    if not counts.all():
        empty = dataset.class_names[int(np.argmin(counts))]
        raise ValueError(
            "`class_balanced` sampling needs an image of every class. "
            f"Received: {dataset.name} has none of class {empty!r}"
        )
    starts = np.cumsum(counts) - counts

    def rows(step: tf.Tensor) -> tf.Tensor:
        # float64: with float32 the 1,300th image of a class would be drawn unevenly.
        draw = tf.random.stateless_uniform([2, batch_size], _seed(seed, step, 3), dtype=tf.float64)
        classes = tf.cast(draw[0] * len(counts), tf.int64)
        members = tf.cast(draw[1] * tf.cast(tf.gather(counts, classes), tf.float64), tf.int64)
        return tf.gather(order, tf.gather(starts, classes) + members)

    return rows
