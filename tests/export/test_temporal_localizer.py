"""Exported networks for sequences say the same as the network they were made from."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.export import (  # noqa: E402
    export_temporal_localizer,
    load_temporal_localizer,
    read_temporal_metadata,
)
from keras_has.layers import TemporalHideAndSeek  # noqa: E402
from keras_has.models import TemporalGAP  # noqa: E402
from keras_has.ops.temporal_cam import (  # noqa: E402
    detections_from_maps,
    temporal_class_activation_maps,
)


def features(lengths, size=6):
    random = np.random.default_rng(1)
    padded = np.zeros((len(lengths), max(lengths), size), "float32")
    mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
    padded[mask] = random.normal(size=(sum(lengths), size))
    return padded, mask


@pytest.mark.parametrize("is_masked", [False, True])
def test_detections_equal_those_of_the_maps_and_nothing_is_hidden(tmp_path, is_masked):
    model = TemporalGAP(
        3,
        (None, 6),
        widths=(8,),
        is_masked=is_masked,
        preprocessing=TemporalHideAndSeek(num_segments=4, hide_probability=1.0),
    )
    export_temporal_localizer(model, tmp_path / "model", ["a", "b", "c"], threshold=0.3)
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    x, mask = features([30, 20] if is_masked else [30, 30])
    seconds = np.array([0.5, 2.0], "float32")
    if is_masked:
        found = loaded.signatures["padded"](
            features=tf.constant(x), mask=tf.constant(mask), step_seconds=tf.constant(seconds)
        )
        given = {"features": x, "mask": mask}
    else:
        found = loaded.signatures["serving_default"](
            features=tf.constant(x), step_seconds=tf.constant(seconds)
        )
        given = x
    np.testing.assert_allclose(found["probabilities"], model.predict(given, verbose=0), atol=1e-5)
    steps = model.get_layer("conv1")(x)
    kernel = model.get_layer("predictions").kernel
    maps = np.asarray(temporal_class_activation_maps(np.maximum(np.asarray(steps), 0), kernel))
    inside = mask if is_masked else np.ones(x.shape[:2], bool)
    np.testing.assert_allclose(np.asarray(found["cam"])[inside], maps[inside], atol=1e-4)
    expected = detections_from_maps(np.asarray(found["cam"]), seconds, 0.3, mask=inside)
    for video, detections in enumerate(expected):
        count = len(detections["labels"])
        assert count > 0
        np.testing.assert_array_equal(found["labels"][video][:count], detections["labels"])
        np.testing.assert_allclose(found["segments"][video][:count], detections["segments"])
        np.testing.assert_allclose(found["scores"][video][:count], detections["scores"], rtol=1e-5)


def test_what_stands_beside_the_model_is_read_back_and_mistakes_are_named(tmp_path):
    model = TemporalGAP(2, (None, 6), widths=(4,))
    export_temporal_localizer(model, tmp_path / "model", ["run", "jump"], num_features=50)
    metadata = read_temporal_metadata(tmp_path / "model")
    assert metadata.class_names == ("run", "jump")
    assert (metadata.threshold, metadata.num_features, metadata.feature_size) == (0.5, 50, 6)
    with pytest.raises(ValueError, match=r"2 classes.*1 names"):
        export_temporal_localizer(model, tmp_path / "model", ["run"])
    with pytest.raises(FileNotFoundError, match="is missing"):
        read_temporal_metadata(tmp_path)


@pytest.mark.parametrize("is_masked", [False, True])
def test_a_model_that_outputs_logits_is_exported_with_probabilities(tmp_path, is_masked):
    model = TemporalGAP(3, (None, 6), widths=(8,), is_masked=is_masked)
    x, mask = features([30, 30])
    expected = np.asarray(model({"features": x, "mask": mask} if is_masked else x))
    model.get_layer("predictions").activation = keras.activations.linear
    export_temporal_localizer(model, tmp_path / "model", ["a", "b", "c"])
    loaded, metadata = load_temporal_localizer(tmp_path / "model")
    found = loaded.signatures["serving_default"](
        features=tf.constant(x), step_seconds=tf.constant([1.0, 1.0])
    )
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
    assert metadata.class_names == ("a", "b", "c")


def test_the_former_module_still_works_and_warns():
    import keras_has.temporal_export as former

    with pytest.warns(DeprecationWarning, match=r"keras_has\.export\.export_temporal_localizer"):
        assert former.export_temporal_localizer is export_temporal_localizer
