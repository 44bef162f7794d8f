"""The boxes of all contours of a score map, found in loops that Numba compiles.

`keras_has.ops.contour_boxes` imports it when it is first used. Without Numba the functions are
plain Python: the same results, too slowly to be of use.

Only few pixels matter. Whether the eight neighbours of a pixel are higher or lower says, by a table
of 256 entries, whether it begins a component, joins several, or can be the outermost of one: of
smooth maps one pixel in ten to thirty. These are sorted by their grey levels and swept twice:
downwards for the components (8 neighbours), upwards for those of the background (4 neighbours),
which are the holes unless they reach the frame. What a pixel belongs to is found by climbing, or
descending, to a peak or pit.

The outline of largest area encloses no less at a level than at a higher one, and no more than its
box. Outlines are traced where these bounds leave more than one.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from keras_has.ops.score_maps import LEVELS

try:
    import numba
except ImportError:
    numba = None  # type: ignore[assignment]

# Clockwise from the one above, so that those of even number touch by a side.
_DX = (0, 1, 1, 1, 0, -1, -1, -1)
_DY = (-1, -1, 0, 1, 1, 1, 0, -1)
# What a pixel does, one bit each; then which sides of a component it can be outermost of.
_STARTS, _JOINS, _LEFT, _TOP, _RIGHT, _BOTTOM = 1, 2, 4, 8, 16, 32
_REACHES = _LEFT | _TOP | _RIGHT | _BOTTOM

Array = NDArray[Any]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(function: _Function) -> _Function:
    if numba is None:
        return function
    settings: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **settings)(function)
    except RuntimeError:  # Neither the package's folder nor the user's can be written to.
        return numba.njit(**settings)(function)


def _tables(is_member: Callable[[int, int], bool], sides_only: bool) -> NDArray[np.uint8]:
    """Returns for each set of higher neighbours what the pixel does, where to go, what it joins.

    Args:
        is_member: Of a set and the number of a neighbour: whether it joins the pixel.
        sides_only: Whether pixels that touch by a corner are not neighbours.

    Returns:
        An array of shape `(3, 256)`: the bits of what it does; the number of a member; bits of one
        member of each group of connected members.
    """
    numbers = range(0, 8, 2) if sides_only else range(8)
    reach = 1 if sides_only else 2
    beyond = {_LEFT: (_DX, -1), _TOP: (_DY, -1), _RIGHT: (_DX, 1), _BOTTOM: (_DY, 1)}
    tables = np.zeros((3, 256), dtype=np.uint8)
    for higher in range(256):
        members = [number for number in range(8) if is_member(higher, number)]
        group = {number: number for number in members}
        for _ in range(8):
            for a in members:
                for b in members:
                    across, down = abs(_DX[a] - _DX[b]), abs(_DY[a] - _DY[b])
                    if max(across, down) == 1 and across + down <= reach:
                        group[a] = group[b] = min(group[a], group[b])
        joined = [number for number in members if number in numbers]
        one_each = {group[number]: number for number in joined}
        does = (_STARTS if not joined else 0) | (_JOINS if len(one_each) > 1 else 0)
        for side, (offset, sign) in beyond.items():
            along = _DY if offset is _DX else _DX
            # None that is joined lies farther out, or as far and in line.
            if not any(
                offset[each] == sign or (offset[each] == 0 and along[each]) for each in joined
            ):
                does |= side
        tables[0, higher] = does
        tables[1, higher] = joined[len(joined) // 2] if joined else 0
        tables[2, higher] = sum(1 << each for each in one_each.values())
    return tables


_UP = _tables(lambda higher, number: bool(higher >> number & 1), sides_only=False)
_DOWN = _tables(lambda higher, number: not higher >> number & 1, sides_only=True)
_TURN = np.array([6, 6, 0, 0, 2, 2, 4, 4], dtype=np.int64)  # See `_twice_area`.


@_compiled
def _keys(scores: Array, low: float, span: float) -> Array:
    """Returns the quantised map in a frame of 0: level * 256 + the 8 bits cut off + 1."""
    height, width = scores.shape
    keys = np.zeros((height + 2, width + 2), dtype=np.uint16)
    for y in range(height):
        row, into = scores[y], keys[y + 1, 1:-1]
        for x in range(width):
            into[x] = np.int32(((row[x] - low) / span * 255) * 256) + 1
    return keys


@_compiled
def _higher_neighbours(keys: Array) -> Array:
    """Returns for each pixel the set of its higher neighbours, a bit each.

    Of equal pixels the one later in the map counts as the higher.
    """
    height, width = keys.shape
    higher = np.zeros((height, width), dtype=np.uint8)
    for y in range(1, height - 1):
        above, here, below, into = keys[y - 1], keys[y], keys[y + 1], higher[y]
        n, ne, e, se = above[1:-1], above[2:], here[2:], below[2:]
        s, sw, w, nw, out = below[1:-1], below[:-2], here[:-2], above[:-2], into[1:-1]
        centre = here[1:-1]
        for x in range(width - 2):
            key = centre[x]
            bits = np.uint8(n[x] > key) | np.uint8(np.uint8(ne[x] > key) << 1)
            bits |= np.uint8(np.uint8(e[x] >= key) << 2) | np.uint8(np.uint8(se[x] >= key) << 3)
            bits |= np.uint8(np.uint8(s[x] >= key) << 4) | np.uint8(np.uint8(sw[x] >= key) << 5)
            bits |= np.uint8(np.uint8(w[x] > key) << 6) | np.uint8(np.uint8(nw[x] > key) << 7)
            out[x] = bits
    return higher


@_compiled
def _events(
    keys: Array, higher: Array, does: Array, first: int
) -> tuple[Array, Array, Array, Array, int]:
    """Collects the pixels that do something, in one chain for each level.

    Returns:
        The pixels; for each the next of its level, -1 after the last; the first of each level; the
        number of those that begin a component, numbered from `first`, for each pixel, else -1; and
        how many numbers there are.
    """
    height, width = keys.shape
    flat_keys, flat_higher = keys.ravel(), higher.ravel()
    pixels = np.empty(height * width, dtype=np.int32)
    following = np.empty(height * width, dtype=np.int32)
    heads = np.full(256, -1, dtype=np.int32)
    labels = np.full(height * width, -1, dtype=np.int32)
    count, numbers = 0, first
    for y in range(1, height - 1):
        for pixel in range(y * width + 1, (y + 1) * width - 1):
            doing = does[flat_higher[pixel]]
            if doing:
                level = (flat_keys[pixel] - 1) >> 8
                pixels[count], following[count] = pixel, heads[level]
                heads[level] = count
                count += 1
                if doing & _STARTS:
                    labels[pixel] = numbers
                    numbers += 1
    return pixels, following, heads, labels, numbers


@_compiled
def _label(pixel: int, labels: Array, higher: Array, towards: Array, offsets: Array) -> int:
    """Follows the links to a pixel with a label, and gives it to all on the way."""
    end = pixel
    while labels[end] < 0:
        end += offsets[towards[higher[end]]]
    label = labels[end]
    while pixel != end:
        labels[pixel] = label
        pixel += offsets[towards[higher[pixel]]]
    return label


@_compiled
def _root(label: int, roots: Array) -> int:
    while roots[label] != label:
        roots[label] = roots[roots[label]]
        label = roots[label]
    return label


@_compiled
def _take_in(
    event: int,
    chains: tuple[Array, Array],
    higher: Array,
    labels: Array,
    tables: Array,
    offsets: Array,
    roots: Array,
    reach: Array,
    least: Array,
) -> None:
    """Takes in the chain of pixels of a level: joins components, extends them.

    `reach` holds first column, first row, last column and last row of each; of rows any pixel in
    them stands for them, of the framed map. `least` is a bound of the area.
    """
    pixels, following = chains
    does, towards, joins = tables[0], tables[1], tables[2]
    width = offsets[4]
    while event >= 0:
        pixel = pixels[event]
        event = following[event]
        doing = does[higher[pixel]]
        root = _root(_label(pixel, labels, higher, towards, offsets), roots)
        if doing & _JOINS:
            members = joins[higher[pixel]]
            for number in range(8):
                if members >> number & 1:
                    neighbour = pixel + offsets[number]
                    other = _root(_label(neighbour, labels, higher, towards, offsets), roots)
                    if other != root:
                        if other < root:
                            root, other = other, root
                        roots[other] = root
                        reach[root, 0] = min(reach[root, 0], reach[other, 0])
                        reach[root, 1] = min(reach[root, 1], reach[other, 1])
                        reach[root, 2] = max(reach[root, 2], reach[other, 2])
                        reach[root, 3] = max(reach[root, 3], reach[other, 3])
                        least[root] = max(least[root], least[other])
        if doing & _REACHES:
            if doing & _LEFT:
                reach[root, 0] = min(reach[root, 0], pixel % width)
            if doing & _TOP:
                reach[root, 1] = min(reach[root, 1], pixel)
            if doing & _RIGHT:
                reach[root, 2] = max(reach[root, 2], pixel % width)
            if doing & _BOTTOM:
                reach[root, 3] = max(reach[root, 3], pixel)


@_compiled
def _twice_area(keys: Array, start: int, level: int, offsets: Array) -> int:
    """Returns twice the area of an outline, traced from a pixel in its first row.

    Clockwise around each pixel, from a neighbour that is below the level, the next one above it is
    looked for. As seen from that, the neighbour looked at before it is number `_TURN[direction]`.
    """
    lowest = (level + 1) << 8  # A pixel is above the level if its key is above this.
    pixel, area, y, first = start, 0, 0, -1
    direction = 0
    while True:
        number = 0
        while number < 8:
            direction = (direction + 1) & 7
            if keys[pixel + offsets[direction]] > lowest:
                break
            number += 1
        if number == 8:
            return 0  # A pixel on its own.
        if pixel == start:
            if direction == first:
                return abs(area)
            if first < 0:
                first = direction
        if direction == 0:
            y -= 1
        elif direction == 4:
            y += 1
        elif direction < 4:
            down = direction - 2
            area += 2 * y + down
            y += down
        else:
            down = 6 - direction
            area -= 2 * y + down
            y += down
        pixel += offsets[direction]
        direction = _TURN[direction]


@_compiled
def _grown(array: Array) -> Array:
    larger = np.empty((2 * array.shape[0], array.shape[1]), dtype=array.dtype)
    larger[: array.shape[0]] = array
    return larger


@_compiled
def swept(scores: Array, low: float, span: float) -> tuple[Array, Array, Array, int, Array]:
    """Finds the boxes of all contours of a score map at all levels.

    Args:
        scores: Float64 array of shape `(height, width)`, contiguous, of finite numbers.
        low: Its minimum, or a number subtracted from it.
        span: What it is divided by then, to be in `[0, 1]`.

    Returns:
        `boxes`, `levels`, `largest` and `maximum` of a `ContourBoxes`; and a boolean array of shape
        `(256,)`: at which levels several outlines have the largest area. There `largest` is one of
        them.

    Example:

    >>> ring = np.array([[0, 0, 0, 0, 0], [0, 9, 9, 9, 0], [0, 9, 4, 9, 0], [0, 9, 9, 9, 0]])
    >>> boxes, levels, largest, maximum, is_tied = swept(ring.astype(np.float64), 0.0, 9.0)
    >>> boxes[levels == 200].tolist()  # The hole's contour runs through the ring.
    [[1, 1, 4, 3], [1, 1, 4, 3]]
    >>> largest[100].tolist(), maximum, is_tied.any().item()
    ([1, 1, 4, 3], 255, False)
    """
    height, width = scores.shape
    keys = _keys(scores, low, span)
    higher = _higher_neighbours(keys)
    framed = width + 2
    offsets = np.array(
        [-framed, 1 - framed, 1, framed + 1, framed, framed - 1, -1, -framed - 1], dtype=np.int64
    )
    flat_keys, flat_higher = keys.ravel(), higher.ravel()
    rows = np.empty((4096, 5), dtype=np.int32)
    count = 0
    largest = np.zeros((LEVELS + 1, 4), dtype=np.int32)
    is_tied = np.zeros(LEVELS + 1, dtype=np.bool_)
    maximum = 0
    for is_background in range(2):
        tables = _DOWN if is_background else _UP
        pixels, following, heads, labels, numbers = _events(keys, higher, tables[0], is_background)
        roots = np.arange(numbers)
        reach = np.empty((numbers, 4), dtype=np.int64)
        reach[:, :2] = keys.size
        reach[:, 2:] = -1
        least = np.zeros(numbers, dtype=np.int64)
        most = np.zeros(numbers, dtype=np.int64)
        alive = np.empty(numbers, dtype=np.int64)
        living = 0
        if is_background:  # The frame is the outside, which is number 0.
            labels[:framed] = 0
            labels[-framed:] = 0
            for y in range(height + 2):
                labels[y * framed] = labels[(y + 1) * framed - 1] = 0
        grown = is_background  # A hole's contour runs through the pixels around it.
        for step in range(LEVELS):
            level = step if is_background else LEVELS - 1 - step
            taken_in = level if is_background else level + 1
            event = heads[taken_in]
            while event >= 0:
                if tables[0][flat_higher[pixels[event]]] & _STARTS:
                    alive[living] = labels[pixels[event]]
                    living += 1
                event = following[event]
            chains = pixels, following
            first = heads[taken_in]
            _take_in(first, chains, flat_higher, labels, tables, offsets, roots, reach, least)
            while count + living > rows.shape[0]:
                rows = _grown(rows)
            remaining, begin = 0, count
            for index in range(living):
                root = alive[index]
                if roots[root] == root:
                    alive[remaining] = root
                    remaining += 1
                    left, top = reach[root, 0] - 1, reach[root, 1] // framed - 1
                    right, bottom = reach[root, 2] - 1, reach[root, 3] // framed - 1
                    most[root] = 2 * (right - left) * (bottom - top)
                    rows[count, 0] = left - grown
                    rows[count, 1] = top - grown
                    rows[count, 2] = min(right + 1 + grown, width - 1)
                    rows[count, 3] = min(bottom + 1 + grown, height - 1)
                    rows[count, 4] = level
                    count += 1
            living = remaining
            if is_background or not living:
                continue
            maximum = max(maximum, level + 1)
            best = 0
            for index in range(1, living):
                if least[alive[index]] > least[alive[best]]:
                    best = index
            bound, rivals = least[alive[best]], 0
            for index in range(living):
                rivals += most[alive[index]] >= bound
            if living > 1 and rivals > 1:
                likeliest = best
                root = alive[best]
                bound = least[root] = _twice_area(flat_keys, reach[root, 1], level, offsets)
                for index in range(living):
                    root = alive[index]
                    if index == likeliest or most[root] < bound:
                        continue
                    least[root] = _twice_area(flat_keys, reach[root, 1], level, offsets)
                    if least[root] > bound:
                        best, bound, is_tied[level] = index, least[root], False
                    elif least[root] == bound:
                        is_tied[level] = True
            largest[level] = rows[begin + best, :4]
    return rows[:count, :4].copy(), rows[:count, 4].astype(np.intp), largest, maximum, is_tied


@_compiled
def highest_overlaps(boxes: Array, levels: Array, true_boxes: Array) -> Array:
    """Returns at each level the highest intersection over union of a box with a true one.

    Args:
        boxes: Int32 array of shape `(boxes, 4)`, last corners inclusive.
        levels: Array of shape `(boxes,)`: the level of each, 0 to 255.
        true_boxes: Int64 array of shape `(true boxes, 4)`, at least one.

    Returns:
        Float64 array of shape `(256,)`; -1 at levels without a box.

    Example:

    >>> boxes, levels = np.array([[1, 2, 5, 6]], dtype=np.int32), np.array([7])
    >>> highest_overlaps(boxes, levels, np.array([[3, 1, 4, 5]]))[6:9].round(4).tolist()  # 8 / 27
    [-1.0, 0.2963, -1.0]
    """
    best = np.full(LEVELS + 1, -1.0)
    for true in range(true_boxes.shape[0]):
        left, top = true_boxes[true, 0], true_boxes[true, 1]
        right, bottom = true_boxes[true, 2], true_boxes[true, 3]
        area = (right - left + 1) * (bottom - top + 1)
        for index in range(boxes.shape[0]):
            x0, y0 = np.int64(boxes[index, 0]), np.int64(boxes[index, 1])
            x1, y1 = np.int64(boxes[index, 2]), np.int64(boxes[index, 3])
            across = max(min(right, x1) - max(left, x0) + 1, 0)
            down = max(min(bottom, y1) - max(top, y0) + 1, 0)
            shared = across * down
            overlap = shared / ((x1 - x0 + 1) * (y1 - y0 + 1) + area - shared)
            best[levels[index]] = max(best[levels[index]], overlap)
    return best
