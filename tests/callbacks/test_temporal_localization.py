"""TemporalLocalization: it logs what an independent computation gives."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

from keras_has.callbacks import TemporalLocalization  # noqa: E402
from keras_has.data import generated_phases, temporal_training_batches  # noqa: E402
from keras_has.layers import TemporalHideAndSeek  # noqa: E402
from keras_has.metrics import TemporalMeanAveragePrecision  # noqa: E402
from keras_has.models import TemporalGAP  # noqa: E402


@pytest.fixture(scope="module")
def dataset():
    return generated_phases("val", num_videos=10)


def small_model(**arguments):
    model = TemporalGAP(8, (None, 24), widths=(12,), **arguments)
    model.compile("adam", "categorical_crossentropy")
    return model


def trained(model, dataset, callbacks, epochs=1, num_features=60):
    batches = temporal_training_batches(dataset, 5, num_features, normalize_labels=True)
    return model.fit(
        batches, epochs=epochs, steps_per_epoch=2, verbose=0, shuffle=False, callbacks=callbacks
    ).history


def by_hand(model, dataset, num_features, threshold, iou_threshold):
    """Mean average precision of THUMOS14's later kit, with nothing of the project but the model."""
    outputs = model.get_layer("cam_features").output
    kernel = model.get_layer("predictions").get_weights()[0]
    features_of = keras.Model(model.input, outputs)
    marks, positives = {label: [] for label in range(8)}, dict.fromkeys(range(8), 0)
    for index, sequence in enumerate(dataset.source.features):
        places = ((np.arange(num_features) + 0.5) * len(sequence) / num_features).astype(int)
        features = np.asarray(features_of(sequence[places][None], training=False))[0]
        step = dataset["duration"][index] / num_features
        for label in np.flatnonzero(dataset["labels"][index]):
            cam = features @ kernel[:, label]
            runs, start = [], None
            for t, value in enumerate([*cam, -np.inf]):
                if value > threshold * cam.max() > 0:
                    start = t if start is None else start
                elif start is not None:
                    runs.append((start * step, t * step, cam[start:t].mean()))
                    start = None
            truth = dataset["segments"][index][dataset["segment_labels"][index] == label]
            positives[label] += len(truth)
            runs.sort(key=lambda run: -run[2])
            for a, b in truth:
                overlaps = [
                    max(0, min(b, y) - max(a, x)) / (max(b, y) - min(a, x)) for x, y, _ in runs
                ]
                if overlaps and max(overlaps) > iou_threshold:
                    marks[label].append((runs.pop(int(np.argmax(overlaps)))[2], True))
            marks[label] += [(score, False) for _, _, score in runs]
    precisions = []
    for label in range(8):
        ordered = sorted(marks[label], key=lambda mark: -mark[0])
        hits = [number for number, (_, is_true) in enumerate(ordered, 1) if is_true]
        if positives[label]:
            at = [(rank + 1) / number for rank, number in enumerate(hits)]
            precisions.append(sum(at) / positives[label])
    return np.mean(precisions)


def test_figures_equal_an_independent_computation(dataset):
    model = small_model(preprocessing=TemporalHideAndSeek(hide_probability=1.0))
    callback = TemporalLocalization(dataset, 4, 60, threshold=0.3, iou_thresholds=(0.1, 0.3))
    history = trained(model, dataset, [callback])
    for threshold in (0.1, 0.3):
        expected = by_hand(model, dataset, 60, 0.3, threshold)
        assert history[f"val_temporal_map_at_{threshold}"] == [pytest.approx(expected, abs=1e-4)]
    assert by_hand(model, dataset, 60, 0.3, 0.1) > 0
    sampled = np.stack([dataset.read(index, 60)[0] for index in range(10)])
    best = np.asarray(model(sampled, training=False)).argmax(axis=1)
    assert history["val_top1_clas"] == [
        pytest.approx(dataset["labels"][np.arange(10), best].mean())
    ]
    assert history["val_cam_threshold"] == [0.3]


def test_padded_sequences_give_what_they_give_one_by_one(dataset):
    model = small_model(is_masked=True)
    figures = []
    for batch_size in (1, 4):
        callback = TemporalLocalization(dataset, batch_size, None, classes_are_known=False)
        callback.set_model(model)
        figures.append(callback.evaluate())
    assert figures[0] == pytest.approx(figures[1], abs=1e-4)


@pytest.mark.parametrize("is_masked", [False, True])
def test_what_is_known_of_each_video_is_what_the_figures_are_made_of(dataset, is_masked):
    model = small_model(is_masked=is_masked)
    callback = TemporalLocalization(dataset, 4, None if is_masked else 60, threshold=0.3)
    callback.set_model(model)
    figures = callback.evaluate()
    videos = list(callback.iterate())
    assert [video.index for video in videos] == list(range(10))
    assert [video.video_id for video in videos] == dataset.ids.tolist()
    np.testing.assert_array_equal([video.labels for video in videos], dataset["labels"])
    assert np.mean([video.is_classified for video in videos]) == figures["val_top1_clas"]
    metric = TemporalMeanAveragePrecision(8)
    features_of = keras.Model(model.input, model.get_layer("cam_features").output)
    kernel = model.get_layer("predictions").get_weights()[0]
    for video in videos:
        features, step = dataset.read(video.index, None if is_masked else 60)
        assert video.step_seconds == pytest.approx(step)
        inputs = features[None]
        if is_masked:
            inputs = {"features": inputs, "mask": np.ones((1, len(features)), bool)}
        # Padding beside longer videos of the batch has left nothing behind.
        maps = np.asarray(features_of(inputs, training=False))[0] @ kernel
        np.testing.assert_allclose(video.maps, maps, atol=1e-4)
        assert video.probability == pytest.approx(
            np.asarray(model(inputs, training=False))[0].max(), abs=1e-5
        )
        metric.update_state(dataset.truth(video.index), dict(video.detections))
    assert {
        f"val_{key}": value for key, value in metric.result().items()
    }.items() <= figures.items()


def test_tensorboard_gets_scalars_and_a_panel_of_timelines(dataset, tmp_path):
    callback = TemporalLocalization(dataset, 4, 60, log_dir=tmp_path, panel_videos=3)
    history = trained(small_model(), dataset, [callback], epochs=2)
    events = EventAccumulator(str(tmp_path / "temporal_localization"), size_guidance={"tensors": 0})
    events.Reload()
    values = [
        float(tf.make_ndarray(event.tensor_proto))
        for event in events.Tensors("temporal_localization/temporal_map_at_0.5")
    ]
    assert values == pytest.approx(history["val_temporal_map_at_0.5"])
    (image,) = tf.make_ndarray(events.Tensors("timelines")[-1].tensor_proto)[2:]
    np.testing.assert_array_equal(tf.io.decode_png(image), callback.panel)


def test_maps_that_nowhere_speak_for_the_class_are_counted(dataset):
    model = small_model()
    kernel, bias = model.get_layer("predictions").get_weights()
    model.get_layer("predictions").set_weights([-np.abs(kernel), bias])
    callback = TemporalLocalization(dataset, 4, 60)
    callback.set_model(model)
    figures = callback.evaluate(draw=True)
    assert figures["val_degenerate_maps"] == dataset["labels"].sum()
    assert figures["val_temporal_map"] == 0


def test_a_model_on_two_replicas_is_measured_as_on_one(dataset, two_replicas):
    with two_replicas.scope():
        model = small_model()
    plain = small_model()
    plain.set_weights(model.get_weights())
    figures = []
    for each in (model, plain):
        callback = TemporalLocalization(dataset, 4, 60)
        callback.set_model(each)
        figures.append(callback.evaluate())
    assert figures[0] == pytest.approx(figures[1], abs=1e-4)


def test_all_replicas_take_part_and_a_partial_batch_is_padded(dataset, two_replicas):
    with two_replicas.scope():
        model = small_model()
    callback = TemporalLocalization(dataset, 3, 60)  # 10 videos: the last batch holds one
    used = []

    def forward(model):
        outputs_of = type(callback.evaluator).forward(callback.evaluator, model)

        def on_replica(batch):
            used.append(tf.distribute.get_replica_context().replica_id_in_sync_group)
            return outputs_of(batch)

        return on_replica

    callback.evaluator.forward = forward
    callback.set_model(model)
    assert [video.index for video in callback.iterate()] == list(range(10))
    assert {int(tf.get_static_value(number)) for number in used} == {0, 1}


@pytest.mark.parametrize("is_masked", [False, True])
def test_logits_are_turned_into_probabilities(dataset, is_masked):
    model = small_model(is_masked=is_masked)
    logits_model = small_model(is_masked=is_masked)
    logits_model.set_weights(model.get_weights())
    logits_model.get_layer("predictions").activation = keras.activations.linear
    videos = []
    for network in (model, logits_model):
        callback = TemporalLocalization(dataset, 4, 60)
        callback.set_model(network)
        videos.append(list(callback.iterate()))
    for expected, video in zip(*videos, strict=True):
        np.testing.assert_allclose(video.probabilities, expected.probabilities, rtol=1e-5)
        np.testing.assert_array_equal(video.maps, expected.maps)


def test_what_is_wrong_is_named(dataset):
    with pytest.raises(ValueError, match="`threshold`"):
        TemporalLocalization(dataset, threshold=1.0)
    with pytest.raises(ValueError, match="`protocol`"):
        TemporalLocalization(dataset, protocol="voc")
    with pytest.raises(ValueError, match="set_model"):
        TemporalLocalization(dataset).evaluate()
    with pytest.raises(ValueError, match="`iterate` needs a model"):
        next(TemporalLocalization(dataset).iterate())
    with pytest.raises(ValueError, match="takes a mask"):
        TemporalLocalization(dataset, num_features=None).set_model(small_model())
    plain = keras.Sequential([keras.Input((4, 3)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="cam_features"):
        TemporalLocalization(dataset).set_model(plain)
