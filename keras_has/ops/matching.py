"""Greedy matching of detections and ground truth, in order."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def match_in_turn(
    choosers: ArrayLike,
    chosen: ArrayLike,
    preference: ArrayLike,
    num_choosers: int,
    num_chosen: int,
) -> NDArray[np.int64]:
    """Matches greedily: each chooser in order takes its favourite among the remaining items.

    Chooser 0 chooses first, as in the loops of detection benchmarks. Here all choosers are handled
    at once, in rounds. Each requests its favourite item. The earliest chooser that requests an item
    gets it, even if a later one already holds it, and the others request their next choice. Because
    all items rank the choosers alike, the only stable outcome is that of choosing in order.

    Args:
        choosers: (P,) integers: the chooser of each admissible pair; 0 chooses first.
        chosen: (P,) integers: the item of each pair.
        preference: (P,) numbers: a chooser prefers its smallest value; ties go to the
            lowest item in `chosen`.
        num_choosers: Number of choosers.
        num_chosen: Number of items.

    Returns:
        (num_choosers,) int64: the item of each chooser, or -1.

    Example:

    The second chooser prefers item 0, but the first has taken it:

    >>> match_in_turn([0, 1, 1], [0, 0, 1], [0.3, 0.1, 0.2], num_choosers=2, num_chosen=2)
    array([0, 1])
    """
    who, what = np.asarray(choosers, np.int64), np.asarray(chosen, np.int64)
    order = np.lexsort((what, np.asarray(preference), who))
    who, what = who[order], what[order]
    place = np.searchsorted(who, np.arange(num_choosers + 1))  # Next request of each chooser.
    stop, place = place[1:], place[:-1].copy()
    nobody = num_choosers
    holder = np.full(num_chosen, nobody, np.int64)
    asking = np.flatnonzero(place < stop)
    while asking.size:
        wish = what[place[asking]]
        before = holder[wish]
        np.minimum.at(holder, wish, asking)
        # Choosers without an item: rejected requests and displaced holders.
        displaced = np.unique(before[(before != nobody) & (before != holder[wish])])
        empty = np.concatenate([asking[holder[wish] != asking], displaced])
        place[empty] += 1
        asking = empty[place[empty] < stop[empty]]
    taken = np.full(num_choosers, -1, np.int64)
    held = np.flatnonzero(holder != nobody)
    taken[holder[held]] = held
    return taken
