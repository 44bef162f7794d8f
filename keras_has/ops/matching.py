"""Matching of detections and ground truth: each in turn takes the best of what is left."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def match_in_turn(
    choosers: ArrayLike,
    chosen: ArrayLike,
    preference: ArrayLike,
    num_choosers: int,
    num_chosen: int,
) -> NDArray[np.int64]:
    """Lets choosers choose in turn, each what it prefers of what nobody before it has taken.

    Chooser 0 chooses first. That is what the loops of detection benchmarks do. All choosers are
    handled at once here, in rounds: each asks for its favourite, the first in turn of those who ask
    for the same gets it, also where a later one already holds it, and who goes empty asks for its
    next. As all agree who comes first, there is one stable outcome, that of choosing in turn.

    Args:
        choosers: (P,) integers: for each admissible pair, who chooses, in turn from 0.
        chosen: (P,) integers: for each pair, what may be chosen.
        preference: (P,) numbers: the smallest of a chooser is its favourite. Of equal ones the
            first in `chosen` is.
        num_choosers: Number of choosers.
        num_chosen: Number of things to choose.

    Returns:
        (num_choosers,) int64: what each has taken, or -1.

    Example:

    The second would have liked 0 better, which the first took:

    >>> match_in_turn([0, 1, 1], [0, 0, 1], [0.3, 0.1, 0.2], num_choosers=2, num_chosen=2)
    array([0, 1])
    """
    who, what = np.asarray(choosers, np.int64), np.asarray(chosen, np.int64)
    order = np.lexsort((what, np.asarray(preference), who))
    who, what = who[order], what[order]
    place = np.searchsorted(who, np.arange(num_choosers + 1))  # of each one's next request
    stop, place = place[1:], place[:-1].copy()
    nobody = num_choosers
    holder = np.full(num_chosen, nobody, np.int64)
    asking = np.flatnonzero(place < stop)
    while asking.size:
        wish = what[place[asking]]
        before = holder[wish]
        np.minimum.at(holder, wish, asking)
        # Who goes empty: those that asked and do not hold it now, and those it was taken from.
        displaced = np.unique(before[(before != nobody) & (before != holder[wish])])
        empty = np.concatenate([asking[holder[wish] != asking], displaced])
        place[empty] += 1
        asking = empty[place[empty] < stop[empty]]
    taken = np.full(num_choosers, -1, np.int64)
    held = np.flatnonzero(holder != nobody)
    taken[holder[held]] = held
    return taken
