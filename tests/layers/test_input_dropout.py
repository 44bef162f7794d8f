"""Dropout on the input, as in Table 3."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from keras_has.layers import InputDropout

ONES = np.ones((4, 16, 16, 3), "float32")


def test_half_of_all_values_are_dropped_channels_apart_and_the_mean_stays():
    out = np.asarray(InputDropout(0.5, seed=1)(ONES, training=True))
    assert set(np.unique(out)) == {0.0, 2.0}
    assert abs(out.mean() - 1) < 0.1
    dropped = out == 0
    assert not (dropped[..., 0] == dropped[..., 1]).all()


def test_nothing_is_dropped_at_test_unless_it_is_asked_for():
    np.testing.assert_array_equal(np.asarray(InputDropout(0.5, seed=1)(ONES)), ONES)
    always = InputDropout(0.5, at_test=True, seed=1)
    assert (np.asarray(always(ONES, training=False)) == 0).any()
