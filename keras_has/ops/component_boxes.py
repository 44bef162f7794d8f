"""The box of a map in TensorFlow alone, for models that run without Python and without OpenCV."""

from typing import Any

from keras_has.ops.boxes import SMALLEST_POSITIVE

Tensor = Any


def component_boxes(maps: Tensor, threshold: float | Tensor) -> Tensor:
    """Finds the box of each map: what `boxes_from_maps` does, in TensorFlow's graph.

    The pixels above `threshold * max(map)` are cut into runs along the rows. Each run is joined to
    the first run that touches it (8 neighbours) in the row above, and in the row below; this joins
    all that touch. Runs of one component then find their common root: roots hang themselves below
    a smaller root next to them, and every run jumps to the root of its root, until nothing moves.
    A spiral that fills 224 x 224 pixels takes 8 rounds, a map of a few blobs 4 or 5. All maps of a
    batch are worked on at once.

    It runs eagerly and in a `tf.function` of unknown shapes. XLA cannot compile it, for the number
    of runs is not known before.

    Args:
        maps: Float tensor of shape `(maps, height, width)`, at the resolution wanted.
        threshold: Fraction of the maximum, in `[0, 1)`: a number or a scalar tensor.

    Returns:
        A float32 tensor of shape `(maps, 4)`: `x0, y0, x1, y1` in pixels, half-open; NaN for a map
        that is constant, not finite or nowhere above 0. Equal to `boxes_from_maps` for every map.

    Raises:
        ValueError: If `maps` is not of rank 3, or the number `threshold` out of range.

    Example:

    >>> maps = [[[0, 0, 0, 0], [0, 2, 5, 0], [0, 0, 3, 0], [1, 0, 0, 0]]]
    >>> component_boxes(maps, threshold=0.3).numpy().tolist()
    [[1.0, 1.0, 3.0, 3.0]]

    Reference:
        Liu and Tarjan, "Simple Concurrent Connected Components Algorithms", 2022, for the joining.
    """
    import tensorflow as tf

    maps = tf.cast(maps, tf.float32)
    if maps.shape.rank != 3:
        raise ValueError(
            "`maps` should be of shape (maps, height, width). "
            f"Received: maps.shape={tuple(maps.shape)}"
        )
    if not tf.is_tensor(threshold) and not 0 <= threshold < 1:
        raise ValueError(
            f"`threshold` should be a number in [0, 1). Received: threshold={threshold}"
        )
    shape = tf.shape(maps, out_type=tf.int64)
    number_of_maps, height = shape[0], shape[1]
    above = _above_threshold(maps, tf.cast(threshold, tf.float32))
    rows, left, right = _runs(above)
    top = rows % height
    roots = _roots(rows, left, right, top, height, shape[2])

    # What the component of each run measures; runs of one component all hold the same numbers.
    runs = tf.size(roots, out_type=tf.int64)
    segments = [
        tf.math.unsorted_segment_sum(right - left, roots, runs),
        tf.math.unsorted_segment_min(top, roots, runs),
        tf.math.unsorted_segment_min(left, roots, runs),
        tf.math.unsorted_segment_max(top + 1, roots, runs),
        tf.math.unsorted_segment_max(right, roots, runs),
    ]
    area, top, left, bottom, right = (tf.gather(values, roots) for values in segments)

    # The largest component of each map; of several as large the first by top, left, bottom, right.
    owner = rows // height
    is_candidate = tf.ones_like(owner, tf.bool)
    chosen = []
    for values in (-area, top, left, bottom, right):
        of_candidates = tf.where(is_candidate, values, tf.int64.max)
        smallest = tf.math.unsorted_segment_min(of_candidates, owner, number_of_maps)
        is_candidate &= tf.equal(values, tf.gather(smallest, owner))
        chosen.append(smallest)
    _, top, left, bottom, right = chosen
    boxes = tf.cast(tf.stack([left, top, right, bottom], axis=-1), tf.float32)
    has_box = tf.reduce_any(above, axis=[1, 2])
    return tf.where(has_box[:, None], boxes, tf.constant(float("nan")))


def _above_threshold(maps: Tensor, threshold: Tensor) -> Tensor:
    """Which pixels are above the cut-off; none in a map without a shape to show."""
    import tensorflow as tf

    low = tf.reduce_min(maps, axis=[1, 2], keepdims=True)
    high = tf.reduce_max(maps, axis=[1, 2], keepdims=True)
    is_finite = tf.reduce_all(tf.math.is_finite(maps), axis=[1, 2], keepdims=True)
    cutoff = tf.maximum(threshold * high, SMALLEST_POSITIVE)
    # No number is above infinity.
    return maps > tf.where(is_finite & (high > low), cutoff, float("inf"))


def _runs(above: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The runs of True along the rows of all maps: row, first column, column after the last."""
    import tensorflow as tf

    shape = tf.shape(above)
    above = tf.reshape(above, [shape[0] * shape[1], shape[2]])
    before = tf.pad(above[:, :-1], [[0, 0], [1, 0]])
    after = tf.pad(above[:, 1:], [[0, 0], [0, 1]])
    starts = tf.where(above & ~before)
    ends = tf.where(above & ~after)
    return starts[:, 0], starts[:, 1], ends[:, 1] + 1


def _roots(
    rows: Tensor, left: Tensor, right: Tensor, top: Tensor, height: Tensor, width: Tensor
) -> Tensor:
    """For each run the number of one run of its component, the same one for all of them."""
    import tensorflow as tf

    runs = tf.size(rows, out_type=tf.int64)
    itself = tf.range(runs)
    position = rows * (width + 1) + right  # Grows from run to run.

    def first_touching(other_rows: Tensor, is_inside: Tensor) -> Tensor:
        found = tf.searchsorted(position, other_rows * (width + 1) + left, out_type=tf.int64)
        found = tf.minimum(found, runs - 1)  # Past the end: the last run, tested like any other.
        touches = (
            tf.equal(tf.gather(rows, found), other_rows)
            & (tf.gather(left, found) <= right)
            & (tf.gather(right, found) >= left)
        )
        return tf.where(is_inside & touches, found, itself)

    neighbours = tf.concat(
        [first_touching(rows - 1, top > 0), first_touching(rows + 1, top < height - 1)], axis=0
    )

    def join(roots: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        here, there = tf.tile(roots, [2]), tf.gather(roots, neighbours)
        smaller = tf.math.unsorted_segment_min(
            tf.minimum(here, there), tf.maximum(here, there), runs
        )
        joined = tf.minimum(roots, smaller)
        joined = tf.gather(joined, joined)
        joined = tf.gather(joined, joined)
        return joined, tf.reduce_any(tf.not_equal(joined, roots))

    roots, _ = tf.while_loop(lambda _, has_moved: has_moved, join, [itself, runs > 0])
    return roots
