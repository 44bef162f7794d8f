"""The HideAndSeek layer: what it hides, when, and that it survives everything Keras does to it."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_has.layers import HideAndSeek

pytestmark = pytest.mark.backends


def numpy(x):
    return ops.convert_to_numpy(x)


def hidden_cells(images, size, value=0.0):
    """Tells for each cell of each image whether all of it, or none of it, equals the fill."""
    images = numpy(images)
    height, width = images.shape[1:3]
    cells = []
    for y in range(0, height, size):
        for x in range(0, width, size):
            cell = images[:, y : y + size, x : x + size] == value
            everything = cell.all(axis=(1, 2, 3))
            assert np.all(everything | ~cell.any(axis=(1, 2, 3))), "a cell is hidden in part"
            cells.append(everything)
    return np.stack(cells, axis=1)


def test_hides_nothing_unless_training():
    images = np.ones((2, 8, 8, 3), "float32")
    layer = HideAndSeek(2, hide_probability=1.0)
    for training in (None, False):
        np.testing.assert_array_equal(numpy(layer(images, training=training)), images)
    np.testing.assert_array_equal(numpy(layer(images, training=True)), 0 * images)


@pytest.mark.parametrize("size", [4, 5, 7, 16])
def test_whole_cells_are_hidden_in_all_channels_with_partial_cells_at_the_border(size):
    layer = HideAndSeek(size, seed=1)
    cells = hidden_cells(layer(np.ones((64, 16, 16, 3), "float32"), training=True), size)
    assert 0.4 < cells.mean() < 0.6


@pytest.mark.parametrize("probability", [0.25, 0.5, 0.75])
def test_cells_are_hidden_independently_with_the_probability(probability):
    layer = HideAndSeek(2, hide_probability=probability, seed=5)
    cells = hidden_cells(layer(np.ones((500, 8, 8, 1), "float32"), training=True), 2)
    # 8,000 Bernoulli draws: four standard deviations.
    assert abs(cells.mean() - probability) < 4 * np.sqrt(probability * (1 - probability) / 8000)
    # The number hidden in an image is binomial, not fixed: its variance is n p (1 - p).
    variance = cells.sum(axis=1).var()
    assert variance == pytest.approx(16 * probability * (1 - probability), rel=0.35)
    correlation = np.corrcoef(cells.T.astype(float)) - np.eye(16)
    assert np.abs(correlation).max() < 0.25


def test_each_image_draws_a_size_uniformly_and_zero_hides_nothing():
    layer = HideAndSeek((0, 1, 4), hide_probability=0.5, seed=2)
    images = numpy(layer(np.ones((3000, 4, 4, 1), "float32"), training=True))
    means = images.mean(axis=(1, 2, 3))
    # Size 4 covers the image: all or nothing. Size 1 gives other means (but for 2 in 2**16).
    mixed = np.mean((means > 0) & (means < 1))
    all_hidden = np.mean(means == 0)
    assert mixed == pytest.approx(1 / 3, abs=0.04)
    assert all_hidden == pytest.approx(1 / 6, abs=0.03)
    assert np.mean(means == 1) == pytest.approx(1 / 2, abs=0.04)


def test_the_papers_mixed_sizes_hide_40_percent_on_average():
    layer = HideAndSeek(seed=3)
    images = numpy(layer(np.ones((400, 224, 224, 1), "float32"), training=True))
    assert np.mean(images == 0) == pytest.approx(0.4, abs=0.03)
    assert np.mean(images.mean(axis=(1, 2, 3)) == 1) == pytest.approx(0.2, abs=0.08)


def test_every_call_draws_anew_and_a_seed_repeats_the_sequence():
    images = np.ones((4, 16, 16, 1), "float32")
    layer = HideAndSeek(4, seed=11)
    first, second = numpy(layer(images, training=True)), numpy(layer(images, training=True))
    assert not np.array_equal(first, second)
    again = HideAndSeek(4, seed=11)
    np.testing.assert_array_equal(numpy(again(images, training=True)), first)
    np.testing.assert_array_equal(numpy(again(images, training=True)), second)
    other = HideAndSeek(4, seed=12)
    assert not np.array_equal(numpy(other(images, training=True)), first)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "uint8"])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_the_dtype_of_the_images_is_kept_under_any_policy(dtype, policy):
    images = ops.cast(np.full((2, 4, 4, 3), 9.0), dtype)
    layer = HideAndSeek(2, hide_probability=1.0, fill_value=(1, 2, 3), dtype=policy)
    for training in (True, False):
        out = layer(images, training=training)
        assert keras.backend.standardize_dtype(out.dtype) == dtype
        expected = [1, 2, 3] if training else [9, 9, 9]
        np.testing.assert_array_equal(numpy(ops.cast(out, "float32"))[0, 0, 0], expected)


def test_uint8_fill_is_rounded_to_nearest():
    layer = HideAndSeek(2, hide_probability=1.0, fill_value=(1.4, 1.6, 255))
    out = layer(np.zeros((1, 2, 2, 3), "uint8"), training=True)
    np.testing.assert_array_equal(numpy(out)[0, 0, 0], [1, 2, 255])


@pytest.mark.parametrize("channels", [1, 3, 96])
@pytest.mark.parametrize("batched", [True, False])
def test_channels_first_hides_the_same_cells(channels, batched):
    last = np.random.default_rng(0).normal(size=(3, 9, 11, channels)).astype("float32") + 10
    first = np.moveaxis(last, 3, 1)
    if not batched:
        last, first = last[0], first[0]
    fill = tuple(np.arange(channels, dtype=float))
    out_last = HideAndSeek((2, 3), fill_value=fill, seed=4)(last, training=True)
    out_first = HideAndSeek((2, 3), fill_value=fill, seed=4, data_format="channels_first")(
        first, training=True
    )
    np.testing.assert_array_equal(np.moveaxis(numpy(out_first), -3, -1), numpy(out_last))
    assert not np.array_equal(numpy(out_last), last)


def test_dicts_pass_through_with_only_the_images_touched():
    inputs = {
        "images": np.ones((2, 4, 4, 1), "uint8"),
        "labels": np.array([16777217, 2], "int64"),
        "bounding_boxes": {"boxes": np.ones((2, 1, 4), "float64")},
        "segmentation_masks": np.ones((2, 4, 4, 1), "int32"),
    }
    layer = HideAndSeek(2, hide_probability=1.0, dtype="mixed_float16")
    out = layer(inputs, training=True)
    assert set(out) == set(inputs)
    np.testing.assert_array_equal(numpy(out["images"]), 0 * inputs["images"])
    for key in ("labels", "bounding_boxes", "segmentation_masks"):
        assert out[key] is inputs[key]
    np.testing.assert_array_equal(numpy(layer(inputs)["images"]), inputs["images"])


def test_dicts_work_in_a_functional_model():
    inputs = {
        "images": keras.Input((4, 4, 1), name="images"),
        "labels": keras.Input((), dtype="int32", name="labels"),
    }
    model = keras.Model(inputs, HideAndSeek(2, hide_probability=1.0)(inputs))
    batch = {"images": np.ones((2, 4, 4, 1), "float32"), "labels": np.array([3, 4], "int32")}
    out = model(batch, training=True)
    assert numpy(out["images"]).sum() == 0
    np.testing.assert_array_equal(numpy(out["labels"]), [3, 4])


def test_fill_with_the_mean_then_normalise_equals_normalise_then_fill_with_zero():
    images = np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3)).astype("float32")
    raw = HideAndSeek((0, 2, 3), fill_value="mean", seed=9)
    raw.adapt(images)
    normalisation = keras.layers.Normalization(
        mean=images.mean((0, 1, 2)), variance=images.var((0, 1, 2))
    )
    zero = HideAndSeek((0, 2, 3), seed=9)
    before = numpy(normalisation(raw(images, training=True)))
    after = numpy(zero(normalisation(images), training=True))
    np.testing.assert_allclose(before, after, atol=1e-5)
    assert np.mean(after == 0) > 0.05


def test_adapt_streams_images_of_any_size_with_exact_sums():
    random = np.random.default_rng(1)
    images = [
        random.integers(0, 256, (h, w, 3), dtype="uint8") for h, w in ((3, 5), (7, 2), (4, 4))
    ]
    layer = HideAndSeek(2, fill_value="mean")
    layer.adapt(iter(images))
    expected = np.concatenate([i.reshape(-1, 3) for i in images]).mean(0, dtype="float64")
    np.testing.assert_allclose(numpy(layer.mean), expected, rtol=1e-7)
    layer.adapt([(i, 0) for i in images] + [{"image": images[0][None]}])
    twice = np.concatenate([i.reshape(-1, 3) for i in [*images, images[0]]]).mean(0)
    np.testing.assert_allclose(numpy(layer.mean), twice, rtol=1e-6)


def test_adapt_names_what_is_wrong_with_the_data():
    with pytest.raises(ValueError, match="fill_value=0"):
        HideAndSeek(2).adapt(np.ones((1, 2, 2, 3)))
    layer = HideAndSeek(2, fill_value="mean")
    with pytest.raises(ValueError, match="at least one image"):
        layer.adapt([])
    with pytest.raises(ValueError, match="rank"):
        layer.adapt(np.ones((4, 4)))
    with pytest.raises(ValueError, match="finite"):
        layer.adapt(np.full((1, 2, 2, 3), np.nan, "float32"))
    layer.adapt(np.ones((1, 2, 2, 3), "float32"))
    with pytest.raises(ValueError, match="3 channels, as before"):
        layer.adapt(np.ones((1, 2, 2, 1), "float32"))
    mixed = [np.ones((2, 2, channels), "float32") for channels in (1, 3)]
    with pytest.raises(ValueError, match=r"same number of channels.*\[1, 3\]"):
        HideAndSeek(2, fill_value="mean").adapt(mixed)


def test_a_probability_that_binary_lacks_comes_back_as_it_was(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 3)), HideAndSeek(np.int64(4), 0.3)])
    model.save(tmp_path / "model.keras")
    layer = keras.models.load_model(tmp_path / "model.keras").layers[-1]
    assert layer.hide_probability == 0.3
    assert layer.patch_size == 4
    assert layer.get_config() == model.layers[-1].get_config()


def test_mean_before_adapt_is_an_error_only_where_it_would_be_used():
    layer = HideAndSeek(2, fill_value="mean", name="hider")
    images = np.ones((1, 4, 4, 3), "float32")
    assert numpy(layer(images)).sum() == 48
    with pytest.raises(ValueError, match=r"adapt\(dataset\)` on layer 'hider'"):
        layer(images, training=True)


def test_a_mean_loaded_from_weights_counts_as_adapted_and_is_used_in_fit(tmp_path):
    """On JAX the step is traced, and the mean cannot be looked at there."""

    def network():
        layer = HideAndSeek(2, hide_probability=1.0, fill_value="mean")
        pool = keras.layers.GlobalAveragePooling2D()
        return keras.Sequential([keras.Input((4, 4, 1)), layer, pool, keras.layers.Dense(1)])

    adapted, model = network(), network()
    adapted.layers[0].adapt(np.full((2, 4, 4, 1), 7, "float32"))
    adapted.layers[-1].set_weights([np.ones((1, 1), "float32"), np.zeros(1, "float32")])
    adapted.save_weights(tmp_path / "adapted.weights.h5")
    model.load_weights(tmp_path / "adapted.weights.h5")
    model.compile(keras.optimizers.SGD(0.0), "mae")
    history = model.fit(np.zeros((4, 4, 4, 1), "float32"), np.zeros((4, 1)), verbose=0)
    assert history.history["loss"][0] == 7


def test_bad_inputs_are_named():
    with pytest.raises(ValueError, match="rank 3 or a batch of rank 4"):
        HideAndSeek(2)(np.ones((4, 4), "float32"))
    with pytest.raises(ValueError, match="3 channels"):
        HideAndSeek(2, fill_value=(1, 2))(np.ones((4, 4, 3), "float32"))
    with pytest.raises(ValueError, match=r"\[0, 255\] for uint8"):
        HideAndSeek(2, fill_value=-1)(np.ones((4, 4, 3), "uint8"))
    with pytest.raises(ValueError, match="keys"):
        HideAndSeek(2)({"pixels": np.ones((4, 4, 3))})
    with pytest.raises(ValueError, match="`patch_size`"):
        HideAndSeek(-2)
    with pytest.raises(ValueError, match="`hide_probability`"):
        HideAndSeek(2, hide_probability=2)
    with pytest.raises(ValueError, match="`data_format`"):
        HideAndSeek(2, data_format="NHWC")


def test_probability_and_size_weights_can_be_changed_and_are_checked():
    images = np.ones((8, 4, 4, 1), "float32")
    layer = HideAndSeek((0, 2), hide_probability=0.3)
    assert layer.hide_probability == 0.3
    layer.hide_probability = 1.0
    layer.patch_size_weights = (0, 1)
    assert numpy(layer(images, training=True)).sum() == 0
    layer.patch_size_weights = (1, 0)
    assert numpy(layer(images, training=True)).sum() == 8 * 16
    for bad in ((1, 2, 3), (-1, 2), (0, 0), (np.nan, 1)):
        with pytest.raises(ValueError, match="`patch_size_weights`"):
            layer.patch_size_weights = bad
    with pytest.raises(ValueError, match="`hide_probability`"):
        layer.hide_probability = -1


def test_config_and_attributes_round_trip():
    arguments = {
        "patch_size": (0, 3),
        "hide_probability": 0.3,
        "fill_value": (1.0, 2.0),
        "data_format": "channels_first",
        "seed": 7,
    }
    layer = HideAndSeek(**arguments, name="hider")
    clone = HideAndSeek.from_config(layer.get_config())
    for name, value in arguments.items():
        assert getattr(layer, name) == value
        assert getattr(clone, name) == value
    assert clone.get_config() == layer.get_config()


@pytest.mark.parametrize("fill_value", [0.0, "mean"])
def test_keras_file_round_trips_state_and_random_sequence(tmp_path, fill_value):
    layer = HideAndSeek((2, 4), fill_value=fill_value, seed=6)
    if fill_value == "mean":
        layer.adapt(np.full((1, 2, 2, 3), 50.0, "float32"))
    model = keras.Sequential([keras.Input((8, 8, 3)), layer])
    layer.hide_probability = 0.75
    layer.patch_size_weights = (3, 1)
    model(np.ones((4, 8, 8, 3), "float32"), training=True)  # the generator is not at its start
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    images = np.ones((4, 8, 8, 3), "float32")
    np.testing.assert_array_equal(
        numpy(reloaded(images, training=True)), numpy(model(images, training=True))
    )
    assert reloaded.layers[-1].hide_probability == 0.75
    np.testing.assert_array_equal(reloaded.layers[-1].patch_size_weights, [3, 1])


def test_fit_hides_and_predict_and_evaluate_do_not():
    """A model that outputs the mean of its input: with everything hidden that is the fill."""
    inputs = keras.Input((4, 4, 1))
    layer = HideAndSeek(2, hide_probability=1.0)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(layer(inputs)))
    model.compile(loss="mae", run_eagerly=False)
    images, targets = np.full((4, 4, 4, 1), 3.0, "float32"), np.zeros((4, 1), "float32")
    history = model.fit(images, targets, verbose=0, epochs=1)
    assert history.history["loss"] == [0.0]
    assert model.evaluate(images, targets, verbose=0) == 3.0
    np.testing.assert_array_equal(model.predict(images, verbose=0), np.full((4, 1), 3.0))


def test_a_callback_changes_the_probability_between_epochs():
    inputs = keras.Input((4, 4, 1))
    layer = HideAndSeek(2, hide_probability=0.0)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(layer(inputs)))
    model.compile(loss="mae")

    class HideAll(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            layer.hide_probability = float(epoch)

    images, targets = np.ones((4, 4, 4, 1), "float32"), np.zeros((4, 1), "float32")
    history = model.fit(images, targets, verbose=0, epochs=2, callbacks=[HideAll()])
    assert history.history["loss"] == [1.0, 0.0]


def test_gradients_flow_through_what_is_seen_only():
    inputs = keras.Input((4, 4, 1))
    scaled = keras.layers.EinsumDense("bhwc,cd->bhwd", output_shape=(4, 4, 1))(inputs)
    outputs = keras.layers.GlobalAveragePooling2D()(HideAndSeek(2, 1.0)(scaled))
    model = keras.Model(inputs, outputs)
    model.compile(loss="mae", optimizer=keras.optimizers.SGD(1.0))
    before = numpy(model.trainable_weights[0]).copy()
    model.fit(np.ones((2, 4, 4, 1), "float32"), np.ones((2, 1), "float32"), verbose=0)
    np.testing.assert_array_equal(numpy(model.trainable_weights[0]), before)


def test_every_image_draws_its_own_probability():
    layer = HideAndSeek(1, hide_probability=(0.1, 0.5, 0.9), seed=3)
    hidden = numpy(layer(np.ones((600, 20, 20, 1), "float32"), training=True)) == 0
    shares = hidden.mean(axis=(1, 2, 3))
    nearest = np.abs(shares[:, None] - [0.1, 0.5, 0.9]).argmin(axis=1)
    assert np.bincount(nearest) == pytest.approx([200, 200, 200], abs=50)
    for number, probability in enumerate((0.1, 0.5, 0.9)):
        of_choice = shares[nearest == number]
        assert of_choice.mean() == pytest.approx(probability, abs=0.01)
        assert np.abs(of_choice - probability).max() < 0.15


def test_probability_and_size_are_drawn_independently():
    layer = HideAndSeek((1, 2), hide_probability=(0.0, 1.0), seed=3)
    layer.patch_size_weights = [1, 1]
    hidden = numpy(layer(np.ones((400, 4, 4, 1), "float32"), training=True)) == 0
    assert hidden.mean() == pytest.approx(0.5, abs=0.08)


def test_relative_sizes_hide_the_cells_of_their_size_in_pixels():
    images = np.ones((9, 20, 30, 2), "float32")
    relative = HideAndSeek((0, 1 / 7, 0.25), seed=4)
    pixels = HideAndSeek((0, 2, 5), seed=4)
    assert relative.patch_size == (0, 1 / 7, 0.25)
    np.testing.assert_array_equal(
        numpy(relative(images, training=True)), numpy(pixels(images, training=True))
    )
    assert HideAndSeek(0.25).get_config()["patch_size"] == 0.25


def test_one_probability_in_a_sequence_is_that_probability():
    images = np.ones((9, 20, 30, 2), "float32")
    one, number = HideAndSeek(3, (0.3,), seed=4), HideAndSeek(3, 0.3, seed=4)
    assert (one.hide_probability, number.hide_probability) == ((0.3,), 0.3)
    np.testing.assert_array_equal(
        numpy(one(images, training=True)), numpy(number(images, training=True))
    )


def test_a_number_assigned_to_several_probabilities_replaces_them_all():
    layer = HideAndSeek(3, hide_probability=(0.3, 0.6))
    layer.hide_probability = 0.0
    assert layer.hide_probability == (0.0, 0.0)
    layer.hide_probability = (0.1, 0.4)
    assert layer.hide_probability == (0.1, 0.4)
    for wrong in ((0.1, 0.2, 0.3), 2.0):
        with pytest.raises(ValueError, match="`hide_probability` should be .* Received"):
            layer.hide_probability = wrong
    with pytest.raises(ValueError, match="`hide_probability` should be .* Received"):
        HideAndSeek(3).hide_probability = (0.1, 0.2)
