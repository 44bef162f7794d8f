"""What the kinds of failure of boxes and of temporal segments share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

MOSTLY = 0.6  # share of an area or a time that counts as most of it
LARGER = 1.5  # ratio of areas or durations from which one is too large or too small
MERGED = 0.5  # share of each of several objects that a detection covers if it merges them


@dataclasses.dataclass(frozen=True)
class FailureKind:
    """A kind of outcome.

    Args:
        key: Its name in code.
        title: Its name for readers.
        rule: The condition, given that the conditions of the kinds before it do not hold.
    """

    key: str
    title: str
    rule: str


def count_kinds(kinds: Iterable[str], all_kinds: Sequence[FailureKind]) -> dict[str, int]:
    """Returns the number of outcomes of each kind, zeros included, in the order of `all_kinds`.

    Args:
        kinds: The key of the kind of each outcome.
        all_kinds: The kinds to count.
    """
    counts = {kind.key: 0 for kind in all_kinds}
    for key in kinds:
        counts[key] += 1
    return counts
