"""seeded_uniform: uniform, independent, and a function of each example's seed alone."""

import keras
import numpy as np
import pytest

from keras_has.ops.seeded_noise import seeded_uniform

pytestmark = pytest.mark.backends


def noise(seeds, count):
    seeds = keras.ops.convert_to_tensor(np.asarray(seeds, "int32"))
    return keras.ops.convert_to_numpy(seeded_uniform(seeds, count))


def consecutive(count):
    return np.stack([np.full(count, 3), np.arange(count)], axis=1)


def chi_square(counts):
    """Pearson's statistic, in standard deviations from its mean, of equal shares in each row."""
    expected = counts.sum(axis=-1, keepdims=True) / counts.shape[-1]
    statistic = ((counts - expected) ** 2 / expected).sum()
    freedom = counts.size - counts.size // counts.shape[-1]
    return (statistic - freedom) / np.sqrt(2 * freedom)


def test_every_backend_gives_these_numbers():
    found = noise([[1, 2], [-5, 2**31 - 1]], 3)
    expected = [
        [0.1012604832649231, 0.7397243976593018, 0.10191309452056885],
        [0.27184611558914185, 0.8077142834663391, 0.9579722285270691],
    ]
    np.testing.assert_array_equal(found, np.array(expected, "float32"))


def test_a_row_depends_on_its_seed_alone_and_longer_rows_begin_alike():
    seeds = consecutive(8)
    whole = noise(seeds, 50)
    np.testing.assert_array_equal(whole, np.concatenate([noise(s[None], 50) for s in seeds]))
    np.testing.assert_array_equal(whole[:, :20], noise(seeds, 20))


@pytest.mark.parametrize(
    "seeds",
    [
        consecutive(4000),
        consecutive(4000)[:, ::-1],
        np.stack([np.arange(4000), np.arange(4000)], axis=1),
        consecutive(4000) * 65536,
        np.random.default_rng(0).integers(-(2**31), 2**31, (4000, 2)),
    ],
    ids=["second", "first", "both", "high bits", "random"],
)
def test_values_are_uniform_and_pairs_are_independent(seeds):
    values = noise(seeds, 128)
    assert values.dtype == np.float32
    assert values.min() >= 0
    assert values.max() < 1
    assert abs(chi_square(np.histogram(values, 256, (0, 1))[0])) < 5
    cells = (values * 16).astype(int)
    pairs = {
        "neighbouring positions": (cells[:, 1:], cells[:, :-1]),
        "neighbouring examples": (cells[1:], cells[:-1]),
        "first position and others": (np.repeat(cells[:, :1], 127, axis=1), cells[:, 1:]),
        "diagonal": (cells[1:, 1:], cells[:-1, :-1]),
    }
    for name, (a, b) in pairs.items():
        counts = np.bincount((a * 16 + b).ravel(), minlength=256).reshape(16, 16)
        assert abs(chi_square(counts)) < 5, name
    # Each position by itself over all examples, and each example by itself over all positions.
    bits = values < 0.5
    for axis in (0, 1):
        size = bits.shape[axis]
        deviations = (bits.sum(axis=axis) - size / 2) / np.sqrt(size / 4)
        assert deviations.std() == pytest.approx(1, abs=0.2 if axis == 0 else 0.05)
        assert np.abs(deviations).max() < 5


def test_every_bit_of_the_seed_changes_half_of_the_mask():
    seeds = np.random.default_rng(1).integers(-(2**31), 2**31, (200, 2))
    mask = noise(seeds, 128) < 0.5
    for column in range(2):
        for bit in range(32):
            changed = seeds.astype(np.int64)
            changed[:, column] ^= 1 << bit
            changed = changed.astype(np.uint64).astype(np.uint32).view(np.int32).reshape(-1, 2)
            share = (mask != (noise(changed, 128) < 0.5)).mean()
            assert share == pytest.approx(0.5, abs=0.02), (column, bit)


def test_distinct_seeds_give_distinct_noise():
    grid = np.stack(np.meshgrid(np.arange(300), np.arange(300)), axis=-1).reshape(-1, 2)
    assert len(np.unique(noise(grid, 4), axis=0)) == len(grid)


def test_seeds_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="`hiding_seed`"):
        noise([[1, 2, 3]], 4)
