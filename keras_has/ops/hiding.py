"""Grid and segment masks from uniform noise, and hiding of the covered pixels or steps.

The functions take the random noise as an argument, so the same noise gives the same mask in a
layer, in a `tf.data` pipeline and in a test. Nothing here keeps state.
"""

import functools
import math
import numbers
import operator
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

Tensor = Any

_BYTES = {"int64": 8, "int32": 4}
_BARRIER = 8
# Smaller than any difference of interest, larger than the rounding of 1 / 7 * 49.
_PIXEL_TOLERANCE = 1e-9


def tensor_namespace(tensor: Tensor) -> Any:
    """Returns the functions that act on `tensor`: TensorFlow's on its own tensors, or `keras.ops`.

    In a `tf.data` pipeline tensors are TensorFlow's whatever the Keras backend is. With Keras on
    TensorFlow they are so everywhere, and TensorFlow's own functions do less beside the work.

    Args:
        tensor: Any tensor.

    Returns:
        A namespace with `arange`, `cast`, `cumsum`, `expand_dims`, `matmul`, `maximum`, `minimum`,
        `repeat`, `reshape`, `shape`, `stack`, `sum`, `take`, `tile`, `where`; TensorFlow's has
        `bitcast` and `bitwise` as well.
    """
    return tensorflow_namespace() if is_tensorflow_tensor(tensor) else keras.ops


def is_tensorflow_tensor(tensor: Tensor) -> bool:
    """Returns whether `tensor` is a TensorFlow tensor, without importing TensorFlow."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and bool(tensorflow.is_tensor(tensor))


def tensorflow_namespace() -> Any:
    """Returns the functions that act on TensorFlow's tensors; see `tensor_namespace`."""
    import tensorflow as tf

    def shape(x: Tensor) -> tuple:
        dynamic = tf.shape(x)
        return tuple(
            dynamic[axis] if size is None else size for axis, size in enumerate(x.shape.as_list())
        )

    return SimpleNamespace(
        arange=lambda stop, dtype: tf.range(stop, dtype=dtype),
        bitcast=tf.bitcast,
        bitwise=tf.bitwise,
        cast=tf.cast,
        cumsum=tf.cumsum,
        expand_dims=tf.expand_dims,
        matmul=tf.matmul,
        maximum=tf.maximum,
        minimum=tf.minimum,
        repeat=tf.repeat,
        reshape=tf.reshape,
        shape=shape,
        stack=tf.stack,
        sum=tf.reduce_sum,
        take=lambda x, indices, axis: tf.gather(x, indices, axis=axis),
        tile=tf.tile,
        where=tf.where,
    )


def sizes_in_pixels(
    patch_sizes: Sequence[float], height: Any, width: Any, xp: Any = keras.ops
) -> tuple[Any, ...]:
    """Returns the patch sizes in pixels, relative ones rounded down, but to 1 pixel at least.

    Args:
        patch_sizes: Ints, in pixels, and floats in (0, 1), fractions of the shorter side.
        height: Height of the images in pixels, an int or a scalar tensor.
        width: Width of the images in pixels, an int or a scalar tensor.
        xp: The namespace of functions to use, see `tensor_namespace`.

    Returns:
        The ints; a scalar int32 tensor for each float if height or width is not known.

    Example:

    >>> sizes_in_pixels((0, 16, 1 / 9, 1 / 3), 96, 128)
    (0, 16, 10, 32)
    """
    if _are_known(patch_sizes):
        return tuple(patch_sizes)
    if isinstance(height, int) and isinstance(width, int):
        side = min(height, width)
        return tuple(
            size if isinstance(size, int) else max(int(size * side + _PIXEL_TOLERANCE), 1)
            for size in patch_sizes
        )
    side = xp.cast(xp.minimum(height, width), "float64")
    return tuple(
        size
        if isinstance(size, int)
        else xp.maximum(xp.cast(size * side + _PIXEL_TOLERANCE, "int32"), 1)
        for size in patch_sizes
    )


def grid_shape(height: Any, width: Any, patch_sizes: Sequence[Any]) -> tuple[Any, Any]:
    """Returns the rows and columns of the finest grid of any of `patch_sizes`.

    Args:
        height: Height of the images in pixels, an int or a scalar tensor.
        width: Width of the images in pixels, an int or a scalar tensor.
        patch_sizes: The sizes in pixels, see `sizes_in_pixels`; 0 hides nothing and has no grid.

    Returns:
        `(ceil(height / s), ceil(width / s))` for the smallest positive size `s`, partial cells
        at the bottom and right included; `(1, 1)` where no size is positive.

    Example:

    >>> grid_shape(224, 224, (0, 16, 44))
    (14, 14)
    """
    positive = [size for size in patch_sizes if _has_grid(size)]
    if not positive:
        return 1, 1
    finest = _smallest(positive)
    return -(-height // finest), -(-width // finest)


def _has_grid(size: Any) -> bool:
    return not isinstance(size, int) or size > 0  # A tensor is at least 1.


def _smallest(sizes: Sequence[Any]) -> Any:
    """Returns the smallest of some sizes; a scalar tensor if there is one among them."""
    tensors = [size for size in sizes if not isinstance(size, int)]
    if not tensors:
        return min(sizes)
    return functools.reduce(tensor_namespace(tensors[0]).minimum, [*tensors, *sizes])


def _are_known(sizes: Sequence[Any]) -> bool:
    return all(isinstance(size, int) for size in sizes)


def choose_size(noise: Tensor, weights: Tensor, xp: Any = keras.ops) -> Tensor:
    """Turns uniform noise into indices of patch sizes, or of anything else.

    Args:
        noise: (B,) float32, uniform in [0, 1).
        weights: (n,) float32, non-negative: how often each size is to be drawn, up to a factor.
        xp: The namespace of functions to use, see `tensor_namespace`.

    Returns:
        (B,) int32 indices into the sizes.
    """
    count = weights.shape[0]
    up_to = np.tril(np.ones((count, count), "float32"))
    cumulative = xp.sum(xp.cast(up_to, "float32") * weights, axis=1)
    passed = xp.expand_dims(noise, 1) * cumulative[-1] >= cumulative[:-1]
    return xp.sum(xp.cast(passed, "int32"), axis=1)


def grid_mask(
    noise: Tensor,
    patch_sizes: Sequence[Any],
    size_index: Tensor | None,
    hide_probability: Any,
    height: Any,
    width: Any,
    channels: int = 1,
    xp: Any = keras.ops,
) -> Tensor:
    """Returns which pixels are hidden; every grid cell of every image is drawn independently.

    For image b with patch size s the mask is `noise[b, y // s, x // s] < hide_probability`: the
    grid is anchored at the top left, and cells at the bottom and right may be partial. A size of 0
    hides nothing. The number of hidden cells is random.

    Columns are expanded by a product with a 0/1 matrix, rows by a gather of whole rows. That was
    the fastest form measured (docs/logs/optimization.md), and the product stops XLA from
    recomputing the random draw for every pixel.

    Args:
        noise: (B, rows, columns) float32, uniform in [0, 1), with `grid_shape` rows and columns.
        patch_sizes: The n patch sizes in pixels, each at least 0, see `sizes_in_pixels`.
        size_index: (B,) int32, the size of each image; None where there is one size only.
        hide_probability: Scalar in [0, 1], or (B, 1, 1).
        height: Height of the images in pixels, an int or a scalar tensor.
        width: Width of the images in pixels, an int or a scalar tensor.
        channels: How often each column is repeated: the number of channels for a mask over the
            flattened last two axes of a channels-last image, else 1.
        xp: The namespace of functions to use, see `tensor_namespace`.

    Returns:
        (B, height, width * channels) bool, True where hidden.

    Reference:
        Singh and Lee, ICCV 2017 (arXiv:1704.04232), section 3.1, and the authors' `trainBatch`.
    """
    batch, rows, columns = xp.shape(noise)
    hidden = xp.cast(noise < hide_probability, "float32")
    covers = _cells_on_columns(patch_sizes, width, columns, channels, xp)
    covers = covers[0] if size_index is None else xp.take(covers, size_index, axis=0)
    spread = xp.matmul(hidden, covers) > 0.5
    return _to_pixel_rows(patch_sizes, size_index, batch, rows, height, xp)(spread)


def _to_pixel_rows(
    patch_sizes: Sequence[Any],
    size_index: Tensor | None,
    batch: Any,
    rows: Any,
    height: Any,
    xp: Any,
) -> Callable[[Tensor], Tensor]:
    """Returns a function that expands a table over rows of cells to rows of pixels.

    Returns:
        A function from (batch, rows, n) to (batch, height, n).
    """
    sizes = _sizes_of_grids(patch_sizes, xp)
    row_of_pixel = _arange(height, xp)[None] // sizes[:, None]
    if size_index is None:
        return lambda table: xp.take(table, row_of_pixel[0], axis=1)
    if isinstance(batch, int) and batch == 1:
        of_image = xp.take(row_of_pixel, size_index[0], axis=0)
        return lambda table: xp.take(table, of_image, axis=1)
    first_row = xp.expand_dims(xp.arange(batch, dtype="int32") * rows, 1)
    index = xp.take(row_of_pixel, size_index, axis=0) + first_row

    def to_pixel_rows(table: Tensor) -> Tensor:
        return xp.take(xp.reshape(table, (batch * rows, table.shape[-1] or -1)), index, axis=0)

    return to_pixel_rows


def _cells_on_columns(
    patch_sizes: Sequence[Any], width: Any, columns: Any, channels: int, xp: Any
) -> Any:
    """Returns which pixel columns each column of cells covers, for every patch size.

    Returns:
        (n, columns, width * channels) float32, 1 where covered, all 0 for a size of 0. In NumPy
        where the width and the sizes are known: a constant then.
    """
    sizes = _sizes_of_grids(patch_sizes, xp)
    is_grid = np.array([_has_grid(size) for size in patch_sizes])[:, None, None]
    if isinstance(width, int) and isinstance(channels, int) and _are_known(patch_sizes):
        covers = np.arange(columns)[:, None] == np.arange(width) // sizes[:, None, None]
        return np.repeat((covers & is_grid).astype("float32"), channels, axis=2)
    column_of_pixel = xp.arange(width, dtype="int32") // sizes[:, None, None]
    covers = xp.expand_dims(xp.arange(columns, dtype="int32"), 1) == column_of_pixel
    return xp.repeat(xp.cast(covers & is_grid, "float32"), channels, axis=2)


def _sizes_of_grids(patch_sizes: Sequence[Any], xp: Any) -> Any:
    """Returns the sizes, each 0 replaced: where there is no grid any row will do, if it is one."""
    positive = [size for size in patch_sizes if _has_grid(size)]
    finest = _smallest(positive) if positive else 2**30
    sizes = [size if _has_grid(size) else finest for size in patch_sizes]
    return np.array(sizes, "int32") if _are_known(sizes) else xp.stack(sizes)


def hide_patches(
    images: Tensor,
    noise: Tensor,
    patch_sizes: Sequence[Any],
    size_index: Tensor | None,
    hide_probability: Any,
    fill_value: Tensor,
    data_format: str = "channels_last",
    xp: Any = keras.ops,
) -> Tensor:
    """Replaces the hidden cells of each image by the fill value, in the images' own dtype.

    A hidden pixel is replaced, not multiplied: NaN and infinity do not leak through.

    Args:
        images: (B, H, W, C), or (B, C, H, W) with `data_format="channels_first"`.
        noise: (B, rows, columns) float32, see `grid_mask`.
        patch_sizes: The patch sizes in pixels, see `sizes_in_pixels`.
        size_index: (B,) int32, or None where there is one size only.
        hide_probability: Scalar in [0, 1], or (B, 1, 1).
        fill_value: Scalar or (C,), in the dtype of `images`.
        data_format: "channels_last" or "channels_first".
        xp: The namespace of functions to use, see `tensor_namespace`.

    Returns:
        The images, same shape and dtype.
    """
    shape = xp.shape(images)
    if data_format == "channels_first":
        batch, _, height, width = shape
        mask = grid_mask(
            noise, patch_sizes, size_index, hide_probability, height, width, channels=1, xp=xp
        )
        if len(fill_value.shape) == 1:
            fill_value = xp.reshape(fill_value, (-1, 1, 1))
        return xp.where(xp.expand_dims(mask, 1), fill_value, images)
    if _word_of(images, xp) and _are_known(patch_sizes):
        return _replace_words(
            images, noise, patch_sizes, size_index, hide_probability, fill_value, xp
        )
    batch, height, width, channels = shape
    # On (H, W * C) the inner axis is long; broadcasting over a last axis of three is slow.
    mask = grid_mask(noise, patch_sizes, size_index, hide_probability, height, width, channels, xp)
    if len(fill_value.shape) == 1:
        fill_value = xp.tile(fill_value, (width,))
    flat = xp.reshape(images, (batch, height, width * channels))
    return xp.reshape(xp.where(mask, fill_value, flat), (batch, height, width, channels))


def _word_of(images: Tensor, xp: Any) -> str:
    """Returns the dtype of the words that rows of images consist of, "" without such words."""
    length = math.prod(images.shape[-2:]) if None not in images.shape[-2:] else 0
    if not hasattr(xp, "bitwise") or _dtype_name(images.dtype) != "uint8" or not length:
        return ""
    return next((word for word, size in _BYTES.items() if length % size == 0), "")


def _replace_words(
    images: Tensor,
    noise: Tensor,
    patch_sizes: Sequence[Any],
    size_index: Tensor | None,
    hide_probability: Any,
    fill_value: Tensor,
    xp: Any,
) -> Tensor:
    """Replaces uint8 several bytes at a time, by `(x | covered) ^ (covered & ~fill)`.

    TensorFlow selects byte by byte; words of eight are faster (docs/logs/optimization.md). For
    single images in `Dataset.map` every operation counts, so there are as few as possible: the
    words of a row of cells come from one product.
    """
    word = _word_of(images, xp)
    batch, rows, _ = xp.shape(noise)
    shape = xp.shape(images)
    height, width, channels = shape[-3:]
    columns = grid_shape(1, width, patch_sizes)[1]
    covers = _cells_on_columns(patch_sizes, width, columns, channels, xp)
    # Four bytes as a number: float64 holds it exactly, and two cells in it add up, as they share no
    # bit. On a GPU TensorFlow has no product of integers.
    covers = (255 * covers).astype("uint8").view("int32").astype("float64")
    covers = covers[0] if size_index is None else xp.take(covers, size_index, axis=0)
    covered = xp.matmul(xp.cast(noise < hide_probability, "float64"), covers)
    row = (width * channels // _BYTES[word], _BYTES[word])
    if word == "int64":
        covered = xp.reshape(covered, (batch, rows, row[0], 2))
    covered = xp.bitcast(xp.cast(covered, "int32"), word)
    repeats = width if len(fill_value.shape) else width * channels
    fill = xp.tile(xp.reshape(fill_value, (-1,)), (repeats,))
    fill = xp.bitcast(xp.reshape(fill, row), word)
    without_fill = xp.bitwise.bitwise_and(covered, xp.bitwise.invert(fill))
    to_pixel_rows = _to_pixel_rows(patch_sizes, size_index, batch, rows, height, xp)
    words = xp.bitcast(xp.reshape(images, (batch, height, *row)), word)
    words = xp.bitwise.bitwise_or(words, to_pixel_rows(covered))
    words = xp.bitwise.bitwise_xor(words, to_pixel_rows(without_fill))
    return xp.reshape(xp.bitcast(words, "uint8"), shape)


def draw_and_hide(
    images: Tensor,
    uniform: Callable[[tuple], Tensor],
    patch_sizes: Sequence[float],
    size_weights: Tensor,
    hide_probability: Any,
    fill_value: Any,
    data_format: str = "channels_last",
    xp: Any = keras.ops,
) -> Tensor:
    """Draws the noise for one image or a batch, and hides.

    Args:
        images: (H, W, C) or (B, H, W, C), or channels first with `data_format`.
        uniform: Function from a shape to float32 noise in [0, 1). Called once.
        patch_sizes: The patch sizes: ints, in pixels, or floats in (0, 1), fractions of the
            shorter side.
        size_weights: (n,) float32: how often each size is drawn, up to a factor.
        hide_probability: Scalar in [0, 1], or (n,), from which each image draws one.
        fill_value: Scalar or (C,), an array or a tensor of any float dtype.
        data_format: "channels_last" or "channels_first".
        xp: The namespace of functions to use, see `tensor_namespace`.

    Returns:
        The images, same shape and dtype.
    """
    unbatched = len(images.shape) == 3
    shape = xp.shape(images)[-3:] if unbatched else xp.shape(images)[1:]
    batch = 1 if unbatched else xp.shape(images)[0]
    height, width = shape[:2] if data_format == "channels_last" else shape[1:]
    sizes = sizes_in_pixels(patch_sizes, height, width, xp)
    # In words one image needs no axis for the batch, and is spared two operations.
    is_in_words = data_format == "channels_last" and _word_of(images, xp) and _are_known(sizes)
    needs_axis = unbatched and not is_in_words
    if needs_axis:
        images = xp.expand_dims(images, 0)
    rows, columns = grid_shape(height, width, sizes)
    cells = rows * columns
    choices: Any = getattr(hide_probability, "shape", ())
    draws_probability = len(choices) > 0 and choices[0] != 1
    # One draw for the size (first column), the cells and perhaps the probability (last column).
    noise = uniform((batch, cells + 2 if draws_probability else cells + 1))
    size_index = None
    if len(sizes) > 1:
        size_index = choose_size(noise[:, 0], size_weights, xp)
    if draws_probability:
        index = choose_size(noise[:, -1], xp.cast(np.ones(choices[0]), "float32"), xp)
        hide_probability = xp.reshape(xp.take(hide_probability, index, axis=0), (-1, 1, 1))
    elif len(choices) > 0:
        hide_probability = hide_probability[0]
    of_cells = noise[:, 1:-1] if draws_probability else noise[:, 1:]
    hidden = hide_patches(
        images,
        xp.reshape(of_cells, (batch, rows, columns)),
        sizes,
        size_index,
        hide_probability,
        fill_in_dtype(fill_value, images.dtype, xp),
        data_format,
        xp,
    )
    return hidden[0] if needs_axis else hidden


def _arange(stop: Any, xp: Any) -> Any:
    """Returns int32 from 0 to `stop`, in NumPy where that is known: a constant then."""
    space = np if isinstance(stop, int) else xp
    return space.arange(stop, dtype="int32")


def segment_index(
    steps: Any,
    segment_length: int | None,
    num_segments: int | None,
    mask: Tensor | None = None,
    xp: Any = keras.ops,
) -> Tensor:
    """Returns the segment to which each step of a sequence belongs.

    Step t of a sequence of true length T belongs to segment `t // segment_length`, whose last one
    may be partial, or to segment `t * num_segments // T`: lengths then differ by one step at most.

    Args:
        steps: Number of steps T, padding included, an int or a scalar tensor.
        segment_length: Steps per segment, or None.
        num_segments: Number of equal segments, or None; exactly one of the two is given.
        mask: (B, T) bool, True where a sequence has a step and False where it is padded; None
            where nothing is padded. Steps are counted, and T is taken, over the True ones alone.
        xp: The namespace of functions to use, see `tensor_namespace`.

    Returns:
        (T,) int32, or (B, T) int32 where a mask is given; 0 for padding.

    Example:

    >>> np.asarray(segment_index(7, 3, None))
    array([0, 0, 0, 1, 1, 1, 2], dtype=int32)
    >>> np.asarray(segment_index(7, None, 2))
    array([0, 0, 0, 0, 1, 1, 1], dtype=int32)
    """
    if mask is None:
        step = _arange(steps, xp)
        length = steps
    else:
        valid = xp.cast(mask, "int32")
        step = xp.cumsum(valid, axis=1) - valid
        length = xp.sum(valid, axis=1)
        length = xp.expand_dims(xp.where(length > 0, length, xp.cast(1, "int32")), 1)
    index = step // segment_length if segment_length else step * num_segments // length
    return index if mask is None else xp.where(mask, index, xp.cast(0, "int32"))


def segment_mask(
    noise: Tensor,
    index: Tensor,
    hide_probability: Any,
    mask: Tensor | None = None,
    xp: Any = keras.ops,
) -> Tensor:
    """Returns which steps are hidden; every segment of every sequence is drawn independently.

    Step t of sequence b is hidden where `noise[b, index[b, t]] < hide_probability`. The number
    of hidden segments is random. Padding is never hidden.

    Args:
        noise: (B, n) float32, uniform in [0, 1): at least one for each segment, n a multiple of 8.
        index: (T,) or (B, T) int32, see `segment_index`.
        hide_probability: Scalar in [0, 1].
        mask: (B, T) bool, False for padding, or None.
        xp: The namespace of functions to use, see `tensor_namespace`.

    Returns:
        (B, T) bool, True where hidden.

    Reference:
        Singh and Lee, ICCV 2017 (arXiv:1704.04232), section 3.3.
    """
    batch, columns = xp.shape(noise)
    hidden = xp.reshape(xp.cast(noise < hide_probability, "float32"), (-1, _BARRIER))
    # A product with the identity, which XLA does not see through: else it may fuse the random draw
    # into the loop over all features and redo it for each of them.
    hidden = xp.matmul(hidden, xp.cast(np.eye(_BARRIER), "float32")) > 0.5
    if len(index.shape) == 1:
        hidden = xp.take(xp.reshape(hidden, (batch, columns)), index, axis=1)
    else:
        first = xp.expand_dims(xp.arange(batch, dtype="int32") * columns, 1)
        hidden = xp.take(xp.reshape(hidden, (-1,)), index + first, axis=0)
    return hidden if mask is None else hidden & mask


def hide_steps(
    sequences: Tensor, hidden: Tensor, fill_value: Tensor, xp: Any = keras.ops
) -> Tensor:
    """Replaces whole steps by the fill value, in the sequences' own dtype.

    A hidden step is replaced, not multiplied: NaN and infinity do not leak through.

    Args:
        sequences: (B, T, D) features or (B, T, H, W, C) frames.
        hidden: (B, T) bool, True where hidden.
        fill_value: Scalar or (D,) or (C,), in the dtype of `sequences`.
        xp: The namespace of functions to use, see `tensor_namespace`.

    Returns:
        The sequences, same shape and dtype.
    """
    shape = xp.shape(sequences)
    width = math.prod(shape[2:])
    if len(fill_value.shape) == 1:
        fill_value = xp.tile(fill_value, (width // shape[-1],))
    # In two dimensions, the inner one long: with more, and a fill that is spread too, TensorFlow
    # takes a slower way.
    flat = xp.reshape(sequences, (shape[0] * shape[1], width))
    return xp.reshape(xp.where(xp.reshape(hidden, (-1, 1)), fill_value, flat), shape)


def draw_and_hide_segments(
    sequences: Tensor,
    uniform: Callable[[tuple], Tensor],
    segment_length: int | None,
    num_segments: int | None,
    hide_probability: Any,
    fill_value: Any,
    mask: Tensor | None = None,
    xp: Any = keras.ops,
) -> Tensor:
    """Draws the noise for one sequence or a batch, and hides segments of time.

    Args:
        sequences: (T, D) or (B, T, D) features, or (T, H, W, C) or (B, T, H, W, C) frames.
        uniform: Function from a shape to float32 noise in [0, 1). Called once.
        segment_length: Steps per segment, or None.
        num_segments: Number of equal segments, or None; exactly one of the two is given.
        hide_probability: Scalar in [0, 1].
        fill_value: Scalar or one value per channel, an array or a tensor of any float dtype.
        mask: (T,) or (B, T) bool, False for padding, or None.
        xp: The namespace of functions to use, see `tensor_namespace`.

    Returns:
        The sequences, same shape and dtype.
    """
    unbatched = len(sequences.shape) in (2, 4)
    if mask is not None:
        mask = xp.cast(mask, "bool")
    if unbatched:
        sequences = xp.expand_dims(sequences, 0)
        mask = None if mask is None else xp.expand_dims(mask, 0)
    batch, steps = xp.shape(sequences)[:2]
    segments = num_segments or -(-steps // segment_length)
    noise = uniform((batch, -(-segments // _BARRIER) * _BARRIER))
    index = segment_index(steps, segment_length, num_segments, mask, xp)
    hidden = segment_mask(noise, index, hide_probability, mask, xp)
    fill = fill_in_dtype(fill_value, sequences.dtype, xp)
    result = hide_steps(sequences, hidden, fill, xp)
    return result[0] if unbatched else result


def fill_in_dtype(fill_value: Any, dtype: Any, xp: Any = keras.ops) -> Tensor:
    """Returns the fill as a tensor of the images' dtype, rounded to nearest for integers.

    Args:
        fill_value: Scalar or (C,): numbers, an array or a tensor.
        dtype: The images' dtype, in any framework's notation.
        xp: The namespace of functions to use, see `tensor_namespace`.

    Returns:
        A scalar or (C,) tensor.
    """
    if "int" in _dtype_name(dtype):
        if isinstance(fill_value, np.ndarray):
            fill_value = np.rint(fill_value)
        else:  # the tensor of an adapted mean of pixels, at least 0: half a unit, then truncation
            fill_value = fill_value + 0.5
    return xp.cast(fill_value, dtype)


def _dtype_name(dtype: Any) -> str:
    return str(getattr(dtype, "name", dtype)).split(".")[-1]


def check_patch_size(patch_size: Any) -> tuple[float, ...]:
    """Returns the patch sizes as a tuple of ints and floats, or raises a ValueError."""
    sizes = tuple(patch_size) if isinstance(patch_size, Iterable) else (patch_size,)
    try:
        checked = tuple(_checked_size(size) for size in sizes)
        if not checked:
            raise ValueError
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`patch_size` should be a number or a non-empty sequence of numbers, each an int of at "
            "least 0 (pixels; 0 hides nothing) or a float in (0, 1) (a fraction of the shorter "
            f"side). Received: patch_size={patch_size}"
        ) from error
    return checked


def _checked_size(size: Any) -> float:
    if isinstance(size, bool):
        raise TypeError
    if isinstance(size, numbers.Real) and 0 < float(size) < 1:
        return float(size)
    pixels = operator.index(size)
    if pixels < 0:
        raise ValueError
    return pixels


def check_segments(segment_length: Any, num_segments: Any) -> tuple[int | None, int | None]:
    """Returns length and number of segments, one of them None, or raises a ValueError.

    Args:
        segment_length: Steps per segment, a positive int, or None.
        num_segments: Number of equal segments, a positive int, or None. 20 where both are None.
    """
    given = {"segment_length": segment_length, "num_segments": num_segments}
    for name, value in given.items():
        is_int = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if value is not None and not (is_int and value > 0):
            raise ValueError(f"`{name}` should be a positive int or None. Received: {name}={value}")
    if segment_length is not None and num_segments is not None:
        raise ValueError(
            "Only one of `segment_length` and `num_segments` should be given. "
            f"Received: segment_length={segment_length}, num_segments={num_segments}"
        )
    if segment_length is not None:
        return int(segment_length), None
    return None, 20 if num_segments is None else int(num_segments)


def check_hide_probability(hide_probability: Any) -> float:
    """Returns the probability as a float, or raises a ValueError."""
    try:
        value = float(hide_probability)
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(hide_probability, (bool, str)) or not 0.0 <= value <= 1.0:
        raise ValueError(
            "`hide_probability` should be a number in [0, 1]. "
            f"Received: hide_probability={hide_probability}"
        )
    return value


def check_hide_probabilities(hide_probability: Any) -> float | tuple[float, ...]:
    """Returns the probability as a float, or several as a tuple, or raises a ValueError."""
    is_sequence = isinstance(hide_probability, Iterable) and not isinstance(hide_probability, str)
    if not is_sequence or getattr(hide_probability, "ndim", 1) == 0:
        return check_hide_probability(hide_probability)
    probabilities = tuple(check_hide_probability(value) for value in hide_probability)
    if not probabilities:
        raise ValueError(
            "`hide_probability` should be a number in [0, 1], or a non-empty sequence of them. "
            f"Received: hide_probability={hide_probability}"
        )
    return probabilities


def check_fill_value(fill_value: Any) -> Any:
    """Returns "mean", a float or a tuple of floats, or raises a ValueError."""
    if isinstance(fill_value, str) and fill_value == "mean":
        return fill_value
    try:
        if isinstance(fill_value, (str, bool)):
            raise TypeError
        is_one = not isinstance(fill_value, Iterable) or getattr(fill_value, "ndim", 1) == 0
        values = tuple(float(value) for value in ([fill_value] if is_one else fill_value))
        if not values or not np.all(np.isfinite(values)):
            raise ValueError
        return values[0] if is_one else values
    except (TypeError, ValueError) as error:
        raise ValueError(
            '`fill_value` should be a finite number, one per channel, or "mean". '
            f"Received: fill_value={fill_value}"
        ) from error


def check_is_dense_tensor(inputs: Any) -> None:
    """Raises a ValueError unless `inputs` is one array or dense tensor of known rank."""
    kind = type(inputs).__name__
    is_ragged, is_sparse = ("Ragged" in kind), ("Sparse" in kind)
    is_tensor = hasattr(inputs, "shape") and hasattr(inputs, "dtype")
    has_rank = getattr(getattr(inputs, "shape", None), "rank", 0) is not None
    if is_tensor and has_rank and not (is_ragged or is_sparse):
        return
    if not has_rank:  # Only shapes of TensorFlow can be without.
        kind = f"{kind}, of unknown rank"
        remedy = "Set the shape with `tf.ensure_shape`; sizes may be None."
    elif is_ragged:
        remedy = (
            "Hide before batching, one example at a time, or pad with `to_tensor()` and pass "
            "`mask` to a temporal layer."
        )
    elif is_sparse:
        remedy = "Convert it with `tf.sparse.to_dense`."
    elif isinstance(inputs, tuple | list):
        remedy = (
            "If it holds inputs and labels, give the inputs alone: "
            "`dataset.map(lambda x, y: (layer(x, training=True), y))`. If it holds numbers or "
            "arrays of equal shape, use `np.asarray(inputs)`."
        )
    else:
        remedy = "Give an array or a tensor."
    raise ValueError(
        "`inputs` should be one array, one dense tensor of known rank, or a dict of them. "
        f"{remedy} Received: inputs of type {kind}"
    )


def check_images(images: Tensor, fill_value: Any, data_format: str) -> None:
    """Raises a ValueError where the images' rank is wrong or the fill does not fit them."""
    _check_rank(images.shape, (3, 4), "one image of rank 3 or a batch of rank 4")
    channels = images.shape[-1 if data_format == "channels_last" else -3]
    _check_fill_fits(fill_value, images.dtype, channels, "images")


def check_sequences(sequences: Tensor, fill_value: Any) -> None:
    """Raises a ValueError where the sequences' rank is wrong or the fill does not fit them."""
    _check_rank(
        sequences.shape,
        (2, 3, 4, 5),
        "features of shape (T, D) or (B, T, D), or frames of shape (T, H, W, C) or (B, T, H, W, C)",
    )
    _check_fill_fits(fill_value, sequences.dtype, sequences.shape[-1], "sequences")


def _check_rank(shape: Any, ranks: tuple[int, ...], expected: str) -> None:
    if len(shape) not in ranks:
        raise ValueError(f"`inputs` should be {expected}. Received: inputs of shape {tuple(shape)}")


def _check_fill_fits(fill_value: Any, dtype: Any, channels: int | None, noun: str) -> None:
    if fill_value == "mean":
        return
    values = fill_value if isinstance(fill_value, tuple) else (fill_value,)
    if isinstance(fill_value, tuple) and channels is not None and len(values) != channels:
        raise ValueError(
            f"`fill_value` should have one value per channel: the {noun} have {channels} "
            f"channels. Received: fill_value={fill_value} ({len(values)} values)"
        )
    if _dtype_name(dtype) == "uint8" and not all(0 <= value <= 255 for value in values):
        raise ValueError(
            f"`fill_value` should be in [0, 255] for uint8 {noun}. "
            f"Received: fill_value={fill_value}"
        )
    if _dtype_name(dtype) == "uint8" and any(0 < value < 1 for value in values) and max(values) < 1:
        warnings.warn(
            f"`fill_value` is rounded to 0 or 1 for uint8 {noun}, which are in [0, 255]. For a "
            "color given in [0, 1], multiply by 255, or hide after scaling. "
            f"Received: fill_value={fill_value}",
            stacklevel=4,
        )


def images_key(inputs: dict) -> str:
    """Returns the key under which a dict of inputs holds its images."""
    for key in ("images", "image"):
        if key in inputs:
            return key
    raise ValueError(
        '`inputs` should be images, or a dict that holds them under "images" or "image". '
        f"Received: a dict with the keys {sorted(map(str, inputs))}"
    )


def sequences_key(inputs: dict) -> str:
    """Returns the key under which a dict of inputs holds its sequences."""
    for key in ("features", "frames"):
        if key in inputs:
            return key
    raise ValueError(
        '`inputs` should be sequences, or a dict that holds them under "features" or "frames". '
        f"Received: a dict with the keys {sorted(map(str, inputs))}"
    )
