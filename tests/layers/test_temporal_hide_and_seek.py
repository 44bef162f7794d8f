"""The TemporalHideAndSeek layer: what it hides, when, and that it survives Keras."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_has.layers import TemporalHideAndSeek

pytestmark = pytest.mark.backends


def numpy(x):
    return ops.convert_to_numpy(x)


def hidden_steps(layer, batch, steps, mask=None):
    """Tells which steps of a batch of ones are hidden, and that each is so in all features."""
    out = numpy(layer(np.ones((batch, steps, 3), "float32"), training=True, mask=mask))
    hidden = out == 0
    assert np.all(hidden.all(axis=2) | ~hidden.any(axis=2))
    return hidden[..., 0]


def test_hides_nothing_unless_training():
    features = np.ones((2, 8, 3), "float32")
    layer = TemporalHideAndSeek(2, hide_probability=1.0)
    for training in (None, False):
        np.testing.assert_array_equal(numpy(layer(features, training=training)), features)
    np.testing.assert_array_equal(numpy(layer(features, training=True)), 0 * features)


@pytest.mark.parametrize("length", [1, 4, 7, 30])
def test_whole_segments_of_a_length_are_hidden_and_the_last_one_may_be_partial(length):
    hidden = hidden_steps(TemporalHideAndSeek(length, seed=1), 200, 20)
    parts = [hidden[:, start : start + length] for start in range(0, 20, length)]
    assert all(np.all(part == part[:, :1]) for part in parts)
    share = np.mean([part[:, 0] for part in parts])
    assert share == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(200 * len(parts)))


@pytest.mark.parametrize(("steps", "number"), [(20, 5), (22, 5), (7, 20), (100, 20)])
def test_a_number_of_segments_divides_the_sequence_evenly(steps, number):
    hidden = hidden_steps(TemporalHideAndSeek(num_segments=number, seed=1), 300, steps)
    # Where two neighbours always agree they belong to one segment.
    borders = 1 + np.flatnonzero((hidden[:, 1:] != hidden[:, :-1]).any(axis=0))
    lengths = np.diff([0, *borders, steps])
    assert len(lengths) == min(number, steps)
    assert lengths.max() - lengths.min() <= 1


def test_twenty_segments_are_the_default_and_both_lengths_an_error():
    layer = TemporalHideAndSeek()
    assert (layer.segment_length, layer.num_segments) == (None, 20)
    layer = TemporalHideAndSeek(segment_length=100)
    assert (layer.segment_length, layer.num_segments) == (100, None)
    with pytest.raises(ValueError, match="Only one of"):
        TemporalHideAndSeek(100, 20)
    for bad in (0, -1, 2.5, True, "3"):
        with pytest.raises(ValueError, match="`segment_length`"):
            TemporalHideAndSeek(bad)
        with pytest.raises(ValueError, match="`num_segments`"):
            TemporalHideAndSeek(num_segments=bad)


@pytest.mark.parametrize("probability", [0.25, 0.75])
def test_segments_are_hidden_independently_with_the_probability(probability):
    layer = TemporalHideAndSeek(num_segments=10, hide_probability=probability, seed=5)
    hidden = hidden_steps(layer, 1000, 10)
    variance = probability * (1 - probability)
    assert abs(hidden.mean() - probability) < 4 * np.sqrt(variance / 10000)
    # The number hidden in a sequence is binomial, not fixed: its variance is n p (1 - p).
    assert hidden.sum(axis=1).var() == pytest.approx(10 * variance, rel=0.2)
    correlation = np.corrcoef(hidden.T.astype(float)) - np.eye(10)
    assert np.abs(correlation).max() < 0.15


def test_every_call_draws_anew_and_a_seed_repeats_the_sequence():
    layer, again = TemporalHideAndSeek(4, seed=11), TemporalHideAndSeek(4, seed=11)
    first, second = hidden_steps(layer, 4, 40), hidden_steps(layer, 4, 40)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(hidden_steps(again, 4, 40), first)
    np.testing.assert_array_equal(hidden_steps(again, 4, 40), second)
    assert not np.array_equal(hidden_steps(TemporalHideAndSeek(4, seed=12), 4, 40), first)


def test_padding_stays_and_segments_divide_the_true_length():
    """Each padded sequence is hidden in as many even parts as one without padding would be."""
    lengths = [12, 8, 3, 0]
    mask = np.arange(12) < np.array(lengths)[:, None]
    layer = TemporalHideAndSeek(num_segments=4, seed=3)
    seen = np.array([hidden_steps(layer, 4, 12, mask) for _ in range(60)])
    assert not seen[:, ~mask].any()
    for row, length in enumerate(lengths[:3]):
        own = seen[:, row, :length]
        borders = 1 + np.flatnonzero((own[:, 1:] != own[:, :-1]).any(axis=0))
        part = length // 4
        expected = np.arange(part, length, part) if part else np.arange(1, length)
        np.testing.assert_array_equal(borders, expected)
        assert own.mean() == pytest.approx(0.5, abs=0.2)


def test_padding_in_front_and_between_does_not_count():
    mask = np.array([[False, True, True, False, True, True, False]])
    layer = TemporalHideAndSeek(segment_length=2, seed=3)
    seen = np.array([hidden_steps(layer, 1, 7, mask)[0] for _ in range(40)])
    assert not seen[:, ~mask[0]].any()
    np.testing.assert_array_equal(seen[:, 1], seen[:, 2])
    np.testing.assert_array_equal(seen[:, 4], seen[:, 5])
    assert np.any(seen[:, 2] != seen[:, 4])


@pytest.mark.parametrize("shape", [(11, 4), (11, 3, 5, 4)])
def test_features_and_frames_with_and_without_batch_hide_alike(shape):
    sequences = np.random.default_rng(0).normal(size=(1, *shape)).astype("float32") + 10
    fill = (1, 2, 3, 4)
    batched = numpy(TemporalHideAndSeek(3, fill_value=fill, seed=4)(sequences, training=True))
    single = numpy(TemporalHideAndSeek(3, fill_value=fill, seed=4)(sequences[0], training=True))
    np.testing.assert_array_equal(batched[0], single)
    hidden = (single == np.array(fill)).all(axis=tuple(range(1, single.ndim)))
    assert 0 < hidden.sum() < 11
    np.testing.assert_array_equal(single[~hidden], sequences[0][~hidden])
    mask = np.arange(11) < 6
    masked = TemporalHideAndSeek(3, hide_probability=1.0)(sequences[0], training=True, mask=mask)
    assert np.all(numpy(masked)[:6] == 0)
    np.testing.assert_array_equal(numpy(masked)[6:], sequences[0][6:])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "uint8"])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_the_dtype_is_kept_under_any_policy(dtype, policy):
    sequences = ops.cast(np.full((2, 4, 3), 9.0), dtype)
    layer = TemporalHideAndSeek(2, hide_probability=1.0, fill_value=(1, 2, 2.6), dtype=policy)
    for training in (True, False):
        out = layer(sequences, training=training)
        assert keras.backend.standardize_dtype(out.dtype) == dtype
        last = 3 if dtype == "uint8" else float(numpy(ops.cast(ops.cast(2.6, dtype), "float32")))
        expected = [1, 2, last] if training else [9, 9, 9]
        np.testing.assert_array_equal(numpy(ops.cast(out, "float32"))[0, 0], expected)


def test_nan_and_infinity_do_not_leak_through():
    features = np.full((1, 4, 2), np.nan, "float32")
    features[:, 1] = np.inf
    out = TemporalHideAndSeek(2, hide_probability=1.0, fill_value=5)(features, training=True)
    np.testing.assert_array_equal(numpy(out), np.full((1, 4, 2), 5.0))


def test_dicts_pass_through_with_only_the_sequences_touched():
    inputs = {
        "features": np.ones((2, 4, 1), "float32"),
        "mask": np.array([[True] * 4, [True, True, False, False]]),
        "labels": np.array([16777217, 2], "int64"),
    }
    layer = TemporalHideAndSeek(2, hide_probability=1.0)
    out = layer(inputs, training=True)
    np.testing.assert_array_equal(numpy(out["features"])[..., 0], [[0, 0, 0, 0], [0, 0, 1, 1]])
    assert out["labels"] is inputs["labels"]
    assert out["mask"] is inputs["mask"]
    np.testing.assert_array_equal(numpy(layer(inputs)["features"]), inputs["features"])


def test_a_model_hands_on_the_mask_of_a_masking_layer():
    inputs = keras.Input((None, 2))
    masked = keras.layers.Masking(0.0)(inputs)
    hidden = TemporalHideAndSeek(num_segments=2, hide_probability=1.0, fill_value=7)(masked)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(hidden))
    features = np.ones((2, 4, 2), "float32")
    features[1, 2:] = 0
    np.testing.assert_array_equal(numpy(model(features, training=True)), np.full((2, 2), 7.0))
    np.testing.assert_array_equal(numpy(model(features)), np.ones((2, 2)))


def test_adapt_streams_without_padding_and_with_exact_sums():
    random = np.random.default_rng(1)
    sequences = [random.normal(size=(length, 3)).astype("float32") for length in (3, 7, 2)]
    expected = np.concatenate(sequences).mean(0, dtype="float64")
    layer = TemporalHideAndSeek(2, fill_value="mean", hide_probability=1.0)
    layer.adapt(iter(sequences))
    np.testing.assert_allclose(numpy(layer.mean), expected, rtol=1e-6)
    padded = np.full((3, 7, 3), 99, "float32")
    mask = np.arange(7) < np.array([3, 7, 2])[:, None]
    padded[mask] = np.concatenate(sequences)
    for data, given in (
        (padded, mask),
        ([{"features": padded, "mask": mask}], None),
        ([({"features": padded, "mask": mask}, 0)], None),
    ):
        layer.adapt(data, mask=given)
        np.testing.assert_allclose(numpy(layer.mean), expected, rtol=1e-6)
    out = numpy(layer(padded, training=True, mask=mask))
    np.testing.assert_allclose(out[mask], np.tile(expected, (12, 1)), rtol=1e-5)
    np.testing.assert_array_equal(out[~mask], 99)


def test_adapt_and_inputs_name_what_is_wrong():
    with pytest.raises(ValueError, match="fill_value=0"):
        TemporalHideAndSeek(2).adapt(np.ones((1, 2, 3)))
    layer = TemporalHideAndSeek(2, fill_value="mean", name="hider")
    with pytest.raises(ValueError, match="at least one step"):
        layer.adapt([])
    with pytest.raises(ValueError, match="adapt"):
        layer(np.ones((2, 2, 3), "float32"), training=True)
    layer.adapt(np.ones((2, 3)))
    with pytest.raises(ValueError, match="3 channels, as before"):
        layer.adapt(np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"features of shape \(T, D\)"):
        TemporalHideAndSeek(2)(np.ones(4, "float32"))
    with pytest.raises(ValueError, match="sequences have 3"):
        TemporalHideAndSeek(2, fill_value=(1, 2))(np.ones((4, 3), "float32"))
    with pytest.raises(ValueError, match="`mask` should be of rank 2"):
        TemporalHideAndSeek(2)(np.ones((1, 4, 3), "float32"), mask=np.ones(4, bool))
    with pytest.raises(ValueError, match="keys"):
        TemporalHideAndSeek(2)({"signal": np.ones((4, 3))})
    with pytest.raises(ValueError, match="`hide_probability`"):
        TemporalHideAndSeek(2, hide_probability=-1)


@pytest.mark.parametrize("lengths", [{"segment_length": 3}, {"num_segments": 5}])
def test_config_and_attributes_round_trip(lengths):
    arguments = {"hide_probability": 0.3, "fill_value": (1.0, 2.0), "seed": 7, **lengths}
    layer = TemporalHideAndSeek(**arguments, name="hider")
    clone = TemporalHideAndSeek.from_config(layer.get_config())
    for name, value in arguments.items():
        assert getattr(layer, name) == value
        assert getattr(clone, name) == value
    assert clone.get_config() == layer.get_config()


@pytest.mark.parametrize("fill_value", [0.0, "mean"])
def test_keras_file_round_trips_state_and_random_sequence(tmp_path, fill_value):
    layer = TemporalHideAndSeek(2, fill_value=fill_value, seed=6)
    if fill_value == "mean":
        layer.adapt(np.full((2, 2, 3), 50.0, "float32"))
    model = keras.Sequential([keras.Input((None, 3)), layer])
    layer.hide_probability = 0.75
    features = np.ones((4, 24, 3), "float32")
    model(features, training=True)  # the generator is not at its start
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        numpy(reloaded(features, training=True)), numpy(model(features, training=True))
    )
    assert reloaded.layers[-1].hide_probability == 0.75


def test_fit_hides_and_evaluate_and_predict_do_not():
    inputs = keras.Input((4, 1))
    layer = TemporalHideAndSeek(2, hide_probability=1.0)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(layer(inputs)))
    model.compile(loss="mae")
    features, targets = np.full((4, 4, 1), 3.0, "float32"), np.zeros((4, 1), "float32")
    assert model.fit(features, targets, verbose=0).history["loss"] == [0.0]
    assert model.evaluate(features, targets, verbose=0) == 3.0
    np.testing.assert_array_equal(model.predict(features, verbose=0), np.full((4, 1), 3.0))
