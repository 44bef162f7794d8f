"""Intervals hold the share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.reports.proportions import wilson_interval


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_the_share_and_lies_between_0_and_1(counts):
    hits, count = counts
    low, high = wilson_interval(hits, count)
    assert 0 <= low <= hits / count <= high <= 1


def test_the_interval_is_wilsons():
    # Of 0 of n the upper end is z^2 / (n + z^2).
    low, high = wilson_interval(0, 10)
    assert low == 0
    assert high == pytest.approx(1.96**2 / (10 + 1.96**2))
    assert wilson_interval(10, 10) == (pytest.approx(1 - high), 1)
    assert wilson_interval(0, 0) == (0, 1)
