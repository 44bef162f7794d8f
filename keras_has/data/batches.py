"""From a `Dataset` to batches for training and for evaluation."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_has.data import transforms
from keras_has.data.dataset import Dataset
from keras_has.data.resize import resize_image
from keras_has.data.sampling import balanced_rows, example_seeds, shuffled_rows, step_seed

_BUCKET_BATCHES = 8  # Sequences of similar length are grouped among this many batches.

Transform = Callable[[transforms.Example, tf.Tensor, tf.Tensor], transforms.Example]
"""From an example, an int32 seed of shape (2,) and whether to flip, to an example."""


def image_batches(
    dataset: Dataset,
    batch_size: int,
    transform: Transform,
    columns: Sequence[str] = ("label",),
    class_balanced: bool = False,
    seed: int = 0,
    first_step: int = 0,
    hiding_seeds: bool = False,
) -> tf.data.Dataset:
    """Returns an endless dataset of training batches, each a pure function of seed and step.

    The order of the images and the seeds of the transforms are computed from `seed` and the number
    of the step alone: they are the same at any parallelism, and a run that resumes at step n with
    `first_step=n` sees what it would have seen without the interruption.

    Args:
        dataset: What to train on.
        batch_size: Images per batch.
        transform: Called in a graph with every example, a dict of `"image"` and the columns; with
            an int32 seed of shape (2,); and with a boolean that is true for half of the images. It
            returns an example in which all images have the same size. Columns with any number of
            rows, such as `"boxes"`, are filled up with -1: such boxes stay empty when they move.
        columns: Which columns the examples contain. Defaults to `("label",)`.
        class_balanced: If true, a class is drawn uniformly for each image and the image uniformly
            from it, both with replacement, as in the authors' code. If false (default), every image
            occurs once per epoch, in a different order in each epoch.
        seed: Integer.
        first_step: Number of the first batch.
        hiding_seeds: Whether to add `"hiding_seed"`, int32 (B, 2), from which the hiding layers
            draw the masks if their input contains it: a function of `seed`, the epoch and the
            position of the image in the dataset, whatever the batch or the device.

    Returns:
        A dataset of dicts, with the first axis of length `batch_size`.

    Raises:
        ValueError: If the dataset is empty, or a class has no image where classes are balanced.
        KeyError: If the dataset does not have one of the columns.
    """
    if len(dataset) == 0:
        raise ValueError(f"`dataset` should hold at least one image. Received: {dataset.name}")
    source = dataset.image_source
    rows_at = balanced_rows if class_balanced else shuffled_rows
    rows_of_step = rows_at(dataset, batch_size, seed)
    lookups = {name: dataset.column(name).padded_lookup() for name in columns}

    def begin(step: tf.Tensor) -> tuple[tf.Tensor, ...]:
        rows = rows_of_step(step)
        seeds = tf.random.stateless_uniform(
            [batch_size, 2], step_seed(seed, step, 2), None, None, tf.int32
        )
        hiding = example_seeds(seed, step, batch_size, rows, len(dataset))
        return source.load(rows), rows, seeds, flips_of_step(batch_size, seed, step), hiding

    def finish(
        loaded: tf.Tensor, row: tf.Tensor, seed: tf.Tensor, is_flipped: tf.Tensor, hiding: tf.Tensor
    ) -> transforms.Example:
        example = {"image": source.decode(loaded)}
        example.update({name: lookup(row) for name, lookup in lookups.items()})
        example = transform(example, seed, is_flipped)
        return {**example, "hiding_seed": hiding} if hiding_seeds else example

    return (
        tf.data.Dataset.counter(first_step)
        .map(begin, num_parallel_calls=tf.data.AUTOTUNE)
        .unbatch()
        .map(finish, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size, drop_remainder=True, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def flips_of_step(batch_size: int, seed: int, step: tf.Tensor) -> tf.Tensor:
    """Returns for each image of a step whether it is flipped, (batch_size,) booleans."""
    return tf.random.stateless_uniform([batch_size], step_seed(seed, step, 1)) < 0.5


def training_batches(
    dataset: Dataset,
    batch_size: int,
    image_size: int,
    resize_size: int | None = None,
    horizontal_flip: bool = True,
    class_balanced: bool = False,
    seed: int = 0,
    first_step: int = 0,
) -> tf.data.Dataset:
    """Returns an endless dataset of training batches, each a pure function of seed and step.

    Images are resized so that the short side is `resize_size`, cropped at a random place to
    `image_size`, and flipped with probability 1/2. They stay uint8; normalization and hiding follow
    in the model. For other transforms and columns see `image_batches`, which also says what `seed`
    and `first_step` guarantee.

    Args:
        dataset: What to train on.
        batch_size: Images per batch.
        image_size: Side of the square crops in pixels.
        resize_size: Length of the short side before cropping, or None for `image_size`.
        horizontal_flip: Whether to flip.
        class_balanced: See `image_batches`.
        seed: Integer.
        first_step: Number of the first batch.

    Returns:
        A dataset of `(images, labels)`: uint8 (B, image_size, image_size, 3) and int64 (B,).

    Raises:
        ValueError: If the dataset is empty, a class has no image where classes are balanced, or
            the sizes do not fit.

    Example:

    >>> batches = training_batches(keras_has.data.generated_parts(num_images=20), 4, 64, seed=1)
    >>> batches.element_spec[0].shape
    TensorShape([4, 64, 64, 3])
    """
    resize_size = image_size if resize_size is None else resize_size
    if not 0 < image_size <= resize_size:
        raise ValueError(
            "`resize_size` should be at least `image_size`, and both positive. "
            f"Received: image_size={image_size}, resize_size={resize_size}"
        )
    if (
        len(dataset)
        and image_size == resize_size
        and dataset.image_source.has_size(image_size, image_size)
    ):
        return _whole_batches(
            dataset, batch_size, horizontal_flip, class_balanced, seed, first_step
        )

    def transform(
        example: transforms.Example, image_seed: tf.Tensor, is_flipped: tf.Tensor
    ) -> transforms.Example:
        # Cropping before resizing costs less; only interpolation at the border differs.
        window = transforms.random_square(example, image_seed, image_size / resize_size)
        return transforms.resize(window, image_size, is_flipped if horizontal_flip else None)

    batches = image_batches(
        dataset, batch_size, transform, ("label",), class_balanced, seed, first_step
    )
    return batches.map(lambda batch: (batch["image"], batch["label"]))


def _whole_batches(
    dataset: Dataset,
    batch_size: int,
    horizontal_flip: bool,
    class_balanced: bool,
    seed: int,
    first_step: int,
) -> tf.data.Dataset:
    """Returns the batches of images that are in memory at the right size, gathered at once."""
    with tf.device("CPU:0"):
        labels = tf.constant(dataset["label"], tf.int64)
    rows_at = balanced_rows if class_balanced else shuffled_rows
    rows_of_step = rows_at(dataset, batch_size, seed)
    source = dataset.image_source

    def whole_batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rows = rows_of_step(step)
        images = source.load(rows)
        if horizontal_flip:
            images = _flip_some(images, flips_of_step(batch_size, seed, step))
        return images, tf.gather(labels, rows)

    steps = tf.data.Dataset.counter(first_step)
    return steps.map(whole_batch, num_parallel_calls=2).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(
    dataset: Dataset,
    batch_size: int,
    image_size: int,
    columns: Sequence[str] = ("label", "boxes"),
    center_share: float | None = None,
) -> tf.data.Dataset:
    """Returns the whole dataset once, in order, in batches for evaluation.

    The full image is resized to a square without keeping its aspect ratio, as in the class
    activation map protocol, unless `center_share` is given. Nothing is hidden.

    Args:
        dataset: What to evaluate on.
        batch_size: Images per batch; the last batch may be smaller.
        image_size: Side of the square in pixels.
        columns: Which columns the batches contain. Defaults to `("label", "boxes")`.
        center_share: Side of the square in the center that is resized instead, as a share of the
            short side, such as 224 / 256; `None` (default) for the full image. Boxes are not moved.

    Returns:
        A dataset of dicts: `"image"` uint8 (B, image_size, image_size, 3); the columns, by default
        `"label"` int64 (B,) and `"boxes"` float32 (B, N, 4) in pixels of the original image, filled
        up with -1; `"size"` float32 (B, 2), height and width of the original image; and
        `"image_id"` string (B,).

    Example:

    >>> batches = evaluation_batches(keras_has.data.generated_parts("val", num_images=20), 8, 64)
    >>> [len(batch["label"]) for batch in batches]
    [8, 8, 4]
    """
    with tf.device("CPU:0"):
        tables = {name: tf.constant(dataset.column(name).padded()) for name in columns}
        tables["image_id"] = tf.constant(dataset.ids)
    source = dataset.image_source
    rows = tf.data.Dataset.range(len(dataset)).batch(batch_size)
    if center_share in (None, 1.0) and source.has_size(image_size, image_size):

        def whole_batch(rows: tf.Tensor) -> dict[str, tf.Tensor]:
            size = tf.fill([tf.size(rows), 2], tf.cast(image_size, tf.float32))
            batch = {key: tf.gather(table, rows) for key, table in tables.items()}
            return {"image": source.load(rows), "size": size, **batch}

        return rows.map(whole_batch, num_parallel_calls=2).prefetch(2)

    def one(loaded: tf.Tensor, row: tf.Tensor) -> dict[str, tf.Tensor]:
        image = window = source.decode(loaded)
        if center_share is not None:
            window = transforms.center_square({"image": image}, center_share)["image"]
        return {
            "image": resize_image(window, image_size),
            "size": tf.cast(tf.shape(image)[:2], tf.float32),
            **{key: table[row] for key, table in tables.items()},
        }

    return (
        rows.map(lambda rows: (source.load(rows), rows), num_parallel_calls=tf.data.AUTOTUNE)
        .unbatch()
        .map(one, num_parallel_calls=tf.data.AUTOTUNE)
        .apply(tf.data.experimental.assert_cardinality(len(dataset)))
        .batch(batch_size)
        .prefetch(2)
    )


def resized_batches(dataset: Dataset, batch_size: int, height: int, width: int) -> tf.data.Dataset:
    """Returns the whole dataset once, in order, resized to one size that need not be square.

    Args:
        dataset: The images.
        batch_size: Images per batch; the last batch may be smaller.
        height: Height in pixels.
        width: Width in pixels.

    Returns:
        A dataset of dicts: `"image"` uint8 (B, height, width, 3) and `"image_id"` string (B,).
    """

    def resize(example: transforms.Example) -> transforms.Example:
        return transforms.resize_to(example, height, width)

    examples = dataset.examples(columns=()).map(resize, num_parallel_calls=tf.data.AUTOTUNE)
    return examples.batch(batch_size).prefetch(2)


def segmentation_batches(dataset: Dataset, batch_size: int) -> tf.data.Dataset:
    """Returns images and masks once, in order and at their own sizes, in batches for evaluation.

    Args:
        dataset: A dataset with the columns `"mask"` and `"image_size"`.
        batch_size: Images per batch, if all have one size; otherwise each is a batch by itself.

    Returns:
        A dataset of dicts: `"image"` uint8 (B, H, W, 3), `"mask"` uint8 (B, H, W) and `"image_id"`
        string (B,).
    """
    sizes = dataset["image_size"]
    is_uniform = bool((sizes == sizes[:1]).all())
    examples = dataset.examples(columns=("mask",))
    return examples.batch(batch_size if is_uniform else 1).prefetch(2)


def _flip_some(images: tf.Tensor, flips: tf.Tensor) -> tf.Tensor:
    """Mirrors the images of a batch for which `flips` is true."""
    # Whole images are copied: `tf.where` chooses pixel by pixel, which takes far longer.
    count = tf.size(flips)
    both = tf.concat([images, tf.reverse(images, [2])], axis=0)
    return tf.gather(both, tf.range(count) + tf.where(flips, count, 0))


def temporal_training_batches(
    dataset: Dataset,
    batch_size: int,
    num_features: int | None = 2000,
    normalize_labels: bool = False,
    seed: int = 0,
    first_step: int = 0,
) -> tf.data.Dataset:
    """Returns an endless dataset of training batches, each a pure function of seed and step.

    Every video occurs once per epoch, in a different order in each epoch. Either the same number of
    features is sampled uniformly from each video, or all features are used and padded to the
    longest video of the batch; batches then contain videos of similar length.

    Nothing is hidden here: add `keras_has.layers.TemporalHideAndSeek` to the model or apply
    `keras_has.data.hide_video_segments`.

    Args:
        dataset: What to train on.
        batch_size: Videos per batch.
        num_features: How many features to sample from each video, the paper's 2,000 by default, or
            None for all of them.
        normalize_labels: Whether to divide the labels by their number, as a softmax needs. If false
            (default), they are 0 and 1.
        seed: Integer.
        first_step: Number of the first batch.

    Returns:
        A dataset of `(inputs, labels)`. Inputs are features, (B, T, D) float32, or, where
        `num_features` is None, a dict of `"features"`, padded by 0, and `"mask"`, (B, T) bool,
        False for padding. Labels are (B, classes) float32.

    Raises:
        ValueError: If the dataset is empty, or `batch_size` or `num_features` is less than 1.

    Example:

    >>> batches = temporal_training_batches(keras_has.data.generated_phases(num_videos=12), 4, 50)
    >>> batches.element_spec[0].shape
    TensorShape([4, 50, 24])
    """
    _check(dataset, batch_size, num_features)
    rows_of_step = _shuffled_sequences(dataset, batch_size, num_features is None, seed)
    labels = dataset["labels"].astype(np.float32)
    if normalize_labels:
        labels /= np.maximum(labels.sum(axis=1, keepdims=True), 1)

    def load(step: np.ndarray) -> tuple[np.ndarray, ...]:
        rows = rows_of_step(int(step))
        features, mask, _ = _load_sequences(dataset, rows, num_features)
        return features, mask, labels[rows]

    def batch(step: tf.Tensor) -> tuple[Any, tf.Tensor]:
        features, mask, targets = tf.numpy_function(
            load, [step], (tf.float32, tf.bool, tf.float32), stateful=False
        )
        features = _shaped(features, batch_size, num_features, dataset)
        targets = tf.ensure_shape(targets, (batch_size, labels.shape[1]))
        if num_features is not None:
            return features, targets
        mask = tf.ensure_shape(mask, (batch_size, None))
        return {"features": features, "mask": mask}, targets

    steps = tf.data.Dataset.counter(first_step)
    return steps.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def temporal_evaluation_batches(
    dataset: Dataset, batch_size: int, num_features: int | None = 2000
) -> tf.data.Dataset:
    """Returns the whole dataset once, in order, in batches for evaluation.

    Args:
        dataset: What to evaluate on.
        batch_size: Videos per batch; the last one may be smaller.
        num_features: How many features to sample from each video, or None for all of them, padded.

    Returns:
        A dataset of dicts: `"features"`, (B, T, D) float32; `"mask"`, (B, T) bool, False for
        padding; `"labels"`, (B, classes) float32; `"step_seconds"`, (B,) float32, the time that
        one feature covers; and `"index"`, (B,) int64, the positions of the videos in `dataset`.

    Raises:
        ValueError: If the dataset is empty, or `batch_size` or `num_features` is less than 1.

    Example:

    >>> dataset = keras_has.data.generated_phases("val", num_videos=3)
    >>> batches = temporal_evaluation_batches(dataset, 2, 50)
    >>> [batch["index"].tolist() for batch in batches.as_numpy_iterator()]
    [[0, 1], [2]]
    """
    _check(dataset, batch_size, num_features)
    labels = dataset["labels"].astype(np.float32)

    def load(rows: np.ndarray) -> tuple[np.ndarray, ...]:
        return (*_load_sequences(dataset, rows, num_features), labels[rows])

    def batch(rows: tf.Tensor) -> dict[str, tf.Tensor]:
        features, mask, seconds, targets = tf.numpy_function(
            load, [rows], (tf.float32, tf.bool, tf.float32, tf.float32), stateful=False
        )
        return {
            "features": _shaped(features, None, num_features, dataset),
            "mask": tf.ensure_shape(mask, (None, num_features)),
            "labels": tf.ensure_shape(targets, (None, labels.shape[1])),
            "step_seconds": tf.ensure_shape(seconds, (None,)),
            "index": rows,
        }

    rows = tf.data.Dataset.range(len(dataset)).batch(batch_size)
    return rows.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _check(dataset: Dataset, batch_size: int, num_features: int | None) -> None:
    if len(dataset) == 0:
        raise ValueError(f"`dataset` should hold at least one video. Received: {dataset.name}")
    for name, value in (("batch_size", batch_size), ("num_features", num_features)):
        if value is not None and value < 1:
            raise ValueError(f"`{name}` should be at least 1. Received: {name}={value}")


def _load_sequences(
    dataset: Dataset, rows: np.ndarray, num_features: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns padded features, their mask, and the seconds that one feature covers."""
    read = [dataset.read(int(row), num_features) for row in rows]
    widths = {
        features.shape[1]: str(dataset.ids[row])
        for row, (features, _) in zip(rows, read, strict=True)
    }
    if len(widths) > 1:
        received = ", ".join(f"{width} for {video_id!r}" for width, video_id in widths.items())
        raise ValueError(
            f"The features of {dataset.name!r}, of shape (T, D), should all have the same width D. "
            f"Received: {received}"
        )
    lengths = np.array([len(features) for features, _ in read])
    padded = np.zeros((len(rows), lengths.max(), next(iter(widths))), np.float32)
    for row, (features, _) in enumerate(read):
        padded[row, : len(features)] = features
    mask = np.arange(lengths.max()) < lengths[:, None]
    return padded, mask, np.array([seconds for _, seconds in read], np.float32)


def _shaped(
    features: tf.Tensor, batch_size: int | None, num_features: int | None, dataset: Dataset
) -> tf.Tensor:
    width = dataset.feature_source.width(0)
    return tf.ensure_shape(features, (batch_size, num_features, width))


def _shuffled_sequences(dataset: Dataset, batch_size: int, by_length: bool, seed: int) -> Any:
    """Returns a function from a step to its rows: every video once per epoch."""
    count = len(dataset)
    lengths = dataset.lengths() if by_length else None

    @functools.lru_cache(maxsize=4)
    def order(epoch: int) -> np.ndarray:
        random = np.random.default_rng((seed % 2**63, epoch))
        rows = random.permutation(count)
        if lengths is None:
            return rows
        # Videos of similar length are grouped; the groups are shuffled again.
        buckets = np.array_split(rows, max(1, count // (batch_size * _BUCKET_BATCHES)))
        groups = []
        for bucket in buckets:
            ordered = bucket[np.argsort(lengths[bucket], kind="stable")]
            groups += np.split(ordered, range(batch_size, len(ordered), batch_size))
        return np.concatenate([groups[index] for index in random.permutation(len(groups))])

    def rows_of_step(step: int) -> np.ndarray:
        places = step * batch_size + np.arange(batch_size)
        return np.array([order(int(place // count))[place % count] for place in places])

    return rows_of_step
