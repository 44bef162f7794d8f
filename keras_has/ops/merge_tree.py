"""The components of an image above every grey level at once.

Climbing from each pixel to its highest neighbour ends on a peak; the pixels of one peak are its
basin. At a level, a component is the basins that saddles above the level join. So what there is to
know of each basin alone is put into a table of basins by levels, and the rows are merged from the
highest saddle down: one pass over the pixels instead of one for each of 255 levels.

Tables of basins run over the levels from the highest, 254, down to 0; level `t` is the mask
`image > t`.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LEVELS = 255
# Bits of what quantising cut off, to climb by: without them, gentle slopes break into terraces, and
# each terrace into basins of its own.
FINE_BITS = 7


class Basins(NamedTuple):
    """The basins of a framed image.

    Attributes:
        labels: Number of the basin of each pixel; the frame's is 0.
        peaks: For each basin its highest value.
    """

    labels: NDArray[np.unsignedinteger]
    peaks: NDArray[np.intp]


class MergeTree(NamedTuple):
    """How basins join as the level falls.

    Attributes:
        parents: For each basin the one it joins.
        heights: For each basin the height of the saddle where it joins, 0 for never. From this
            level up to below its peak it stands for a component.
        saddles: For each basin the lower pixel of its saddle, an index into the flat image.
        order: The basins that join another, from the highest saddle down.
        is_alive: Which basins stand for a component, of shape `(basins, LEVELS)`.
    """

    parents: list[int]
    heights: list[int]
    saddles: list[int]
    order: list[int]
    is_alive: NDArray[np.bool_]

    def merge(self, table: NDArray, operation: np.ufunc) -> None:
        """Merges rows below their saddles, in place; the shape is `(..., basins, LEVELS)`."""
        for basin in self.order:
            start = LEVELS - self.heights[basin]
            into = table[..., self.parents[basin], start:]
            operation(into, table[..., basin, start:], out=into)


def climb(values: NDArray[np.int16], fine: NDArray[np.integer], diagonal: bool) -> Basins:
    """Finds the basins of an image.

    Of equal pixels the one later in the image counts as the higher.

    Args:
        values: Array of shape `(height, width)`, values 0 to 255, in a frame of 0 or 256.
        fine: Integers below `2 ** FINE_BITS` of the same shape, which order pixels of one value.
        diagonal: Whether pixels that touch by a corner are neighbours.

    Returns:
        The basins.
    """
    bits = int(values.size).bit_length()
    index_type = np.int32 if 257 << (bits + FINE_BITS) < 2**31 else np.int64
    key: NDArray[Any] = values.astype(index_type)
    key <<= FINE_BITS
    key |= fine.astype(index_type, copy=False)
    key <<= bits
    key |= np.arange(values.size, dtype=index_type).reshape(values.shape)
    if diagonal:
        across = np.maximum(key[:, :-2], key[:, 2:])
        np.maximum(across, key[:, 1:-1], out=across)
        highest = np.maximum(across[:-2], across[2:])
        np.maximum(highest, across[1:-1], out=highest)
    else:
        highest = np.maximum(key[:-2, 1:-1], key[2:, 1:-1])
        for neighbour in (key[1:-1, 1:-1], key[1:-1, :-2], key[1:-1, 2:]):
            np.maximum(highest, neighbour, out=highest)
    highest &= (1 << bits) - 1
    framed = np.zeros(values.shape, dtype=np.intp)  # The whole frame leads to its first pixel.
    framed[1:-1, 1:-1] = highest
    target = framed.ravel()
    peaks = np.flatnonzero(target == np.arange(values.size))
    beyond = np.empty_like(target)
    for step in range(64):  # Every step is as long as all before: 8 reach across 224 pixels.
        np.take(target, target, out=beyond, mode="clip")
        if step > 3 and np.array_equal(beyond, target):
            break
        target, beyond = beyond, target
    number = np.zeros(values.size, dtype=np.uint16 if peaks.size < 2**16 else np.uint32)
    number[peaks] = np.arange(peaks.size)
    labels = np.take(number, target, mode="clip").reshape(values.shape)
    return Basins(labels, values.ravel()[peaks].astype(np.intp))


def join(values: NDArray[np.int16], basins: Basins, diagonal: bool) -> MergeTree:
    """Finds at which heights basins join; of two the one with the lower peak joins the other.

    Args:
        values: Framed image, as for `climb`.
        basins: Its basins.
        diagonal: Whether pixels that touch by a corner are neighbours.

    Returns:
        The tree.
    """
    count, width = basins.peaks.size, values.shape[1]
    labels, flat = basins.labels.ravel(), values.ravel()
    # Steps that run over a line's end compare pixels of the frame, which are all of one basin.
    steps = (1, width, width + 1, width - 1) if diagonal else (1, width)
    here = [np.flatnonzero(labels[:-step] != labels[step:]) for step in steps]
    first = np.concatenate(here)
    second = np.concatenate([pixels + step for pixels, step in zip(here, steps, strict=True)])
    low = np.where(flat[second] < flat[first], second, first)
    # A packed number orders saddles by height; its rest says which pixel it is.
    bits = int(values.size).bit_length()
    packed = (flat[low].astype(np.intp) << bits) | low
    label_a, label_b = labels[first].astype(np.intp), labels[second].astype(np.intp)
    pair = np.minimum(label_a, label_b) * count + np.maximum(label_a, label_b)
    if count <= 1024:
        table = np.full(count * count, -1, dtype=np.intp)
        np.maximum.at(table, pair, packed)
        pair = np.flatnonzero(table >= 0)
        packed = table[pair]
    else:
        by_pair = np.lexsort((packed, pair))
        pair, packed = pair[by_pair], packed[by_pair]
        is_last = np.append(pair[1:] != pair[:-1], True)
        pair, packed = pair[is_last], packed[is_last]
    falling = np.argsort(-packed)
    pair, packed = pair[falling], packed[falling]

    parents, heights, saddles, order = [0] * count, [0] * count, [0] * count, list[int]()
    root, peaks = list(range(count)), basins.peaks.tolist()
    for a, b, saddle in zip(
        (pair // count).tolist(), (pair % count).tolist(), packed.tolist(), strict=True
    ):
        while root[a] != a:
            root[a] = a = root[root[a]]
        while root[b] != b:
            root[b] = b = root[root[b]]
        if a == b:
            continue
        if (peaks[a], -a) < (peaks[b], -b):
            a, b = b, a
        root[b] = parents[b] = a
        heights[b], saddles[b] = saddle >> bits, saddle & ((1 << bits) - 1)
        order.append(b)
        if len(order) == count - 1:
            break
    levels = np.arange(LEVELS - 1, -1, -1)
    is_alive = (levels >= np.array(heights)[:, None]) & (levels < basins.peaks[:, None])
    is_alive[0] = False  # The frame's.
    return MergeTree(parents, heights, saddles, order, is_alive)


def extents(values: NDArray[np.int16], basins: Basins, diagonal: bool) -> NDArray[np.int16]:
    """Returns how far each basin alone reaches at each level.

    Only the pixels count that can be the outermost of a component: nothing of it lies beyond
    them, and none next to them as far out is higher.

    Args:
        values: Framed image, as for `climb`.
        basins: Its basins.
        diagonal: Whether pixels that touch by a corner are neighbours.

    Returns:
        An array of shape `(4, basins, LEVELS)`: first column, first row, and the negatives of the
        last ones, so that the smaller is always the farther; counted without the frame.
    """
    count, width = basins.peaks.size, values.shape[1] - 2
    levels = values.astype(np.uint8)
    if values[0, 0]:  # A frame of 256 is above all; nothing in it stands for anything.
        levels[[0, -1]] = levels[:, [0, -1]] = 255
    centre = levels[1:-1, 1:-1]
    up, down, left, right = levels[:-2, 1:-1], levels[2:, 1:-1], levels[1:-1, :-2], levels[1:-1, 2:]
    is_first_of_column = (centre >= up) & (centre > down)
    is_first_of_row = (centre >= left) & (centre > right)
    if diagonal:
        columns = np.maximum(np.maximum(levels[:-2], levels[2:]), levels[1:-1])
        rows = np.maximum(np.maximum(levels[:, :-2], levels[:, 2:]), levels[:, 1:-1])
        left, right, up, down = columns[:, :-2], columns[:, 2:], rows[:-2], rows[2:]
    labels, heights = basins.labels[1:-1, 1:-1].ravel(), centre.ravel()
    table = np.full((4, count * LEVELS), np.iinfo(np.int16).max, dtype=np.int16)
    for side, (beyond, is_first, sign) in enumerate(
        (
            (left, is_first_of_column, 1),
            (up, is_first_of_row, 1),
            (right, is_first_of_column, -1),
            (down, is_first_of_row, -1),
        )
    ):
        pixels = np.flatnonzero((centre > beyond) & is_first)
        place = labels[pixels].astype(np.intp) * LEVELS + (LEVELS - heights[pixels].astype(np.intp))
        reach = pixels // width if side % 2 else pixels % width
        np.minimum.at(table[side], place, (sign * reach).astype(np.int16))
    by_level = table.reshape(4, count, LEVELS)
    return np.minimum.accumulate(by_level, axis=2, out=by_level)


def areas(values: NDArray[np.int16], basins: Basins) -> NDArray[np.intp]:
    """Returns twice the area of each basin alone at each level, as a polygon has it.

    The outline of a component without holes runs through the centres of its pixels. It encloses a
    square of four pixels' centres wholly if all four are above the level, by half if three are.

    Args:
        values: Framed image, as for `climb`.
        basins: Its basins.

    Returns:
        An integer array of shape `(basins, LEVELS)`.
    """
    count = basins.peaks.size
    bits = int(count).bit_length()
    key = (values[1:-1, 1:-1].astype(np.int32) << bits) | basins.labels[1:-1, 1:-1]
    low, high = np.minimum(key[:, :-1], key[:, 1:]), np.maximum(key[:, :-1], key[:, 1:])
    lowest = np.minimum(low[:-1], low[1:])
    second = np.minimum(np.maximum(low[:-1], low[1:]), np.minimum(high[:-1], high[1:]))
    steps = np.bincount(
        np.concatenate([lowest.ravel(), second.ravel()]), minlength=(LEVELS + 1) << bits
    ).reshape(LEVELS + 1, -1)
    return np.ascontiguousarray(steps[:0:-1, :count].cumsum(axis=0).T)


def euler_characteristics(values: NDArray[np.int16]) -> NDArray[np.intp]:
    """Returns at each level the number of components (8 neighbours) less that of holes.

    From squares of four pixels: half the squares with any pixel above, plus half of those with all
    four, less half of those with two diagonal ones only, less the pixels above.

    Args:
        values: Array of shape `(height, width)`, values 0 to 255, in a frame of 0.

    Returns:
        An integer array of shape `(LEVELS,)`, for levels from 0 up.

    Example:

    >>> framed = np.pad(np.array([[9, 9, 9], [9, 3, 9], [9, 9, 9]], np.int16), 1)
    >>> euler_characteristics(framed)[[0, 3, 9]].tolist()
    [1, 0, 0]

    Reference:
        Gray, "Local Properties of Binary Images in Two Dimensions", IEEE Trans. Computers, 1971.
    """
    image = values.astype(np.uint8)
    a, b, c, d = image[:-1, :-1], image[:-1, 1:], image[1:, :-1], image[1:, 1:]
    low, high = np.minimum(a, d), np.maximum(a, d)
    other_low, other_high = np.minimum(b, c), np.maximum(b, c)
    twice = _above(np.maximum(high, other_high)) + _above(np.minimum(low, other_low))
    for lower, upper in ((other_high, low), (high, other_low)):
        is_diagonal = lower < upper
        twice -= _above(upper[is_diagonal]) - _above(lower[is_diagonal])
    return twice // 2 - _above(image)


def _above(image: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Returns how many pixels are above each level, from 0 up."""
    counts = np.bincount(image.ravel(), minlength=LEVELS + 1)
    return np.asarray(counts[:0:-1].cumsum()[::-1])
