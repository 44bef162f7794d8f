"""CAMLocalization: it logs what an independent computation gives, on one replica and two."""

import json

import cv2
import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

from keras_has import cams, metrics  # noqa: E402
from keras_has.callbacks import CAMLocalization  # noqa: E402
from keras_has.data import ArrayImages, Dataset, evaluation_batches, training_batches  # noqa: E402
from keras_has.layers import HideAndSeek  # noqa: E402
from keras_has.ops.boxes import boxes_from_maps  # noqa: E402

THRESHOLD = 0.3


def rectangles(count):
    """Dark noise with a rectangle whose colour is the class; some have a bright spot elsewhere."""
    random = np.random.default_rng(5)
    images = random.integers(0, 60, (count, 64, 64, 3), dtype="uint8")
    labels = np.arange(count) % 3
    boxes = []
    for image, label in zip(images, labels, strict=True):
        height, width = random.integers(8, 40, 2)
        y, x = random.integers(0, 64 - height), random.integers(0, 64 - width)
        image[y : y + height, x : x + width, label] = random.integers(120, 256)
        image[random.integers(64), :, random.integers(3)] += 90
        boxes.append(np.array([[x, y, x + width, y + height]], "float32"))
    return Dataset(
        name="rectangles",
        ids=[str(n) for n in range(count)],
        columns={"label": labels, "boxes": boxes},
        source=ArrayImages(images),
        class_names="rgb",
    )


def small_model(hidden=False, activation="softmax", channels=3):
    """A network that sees colours from the start: its maps are right more often than not."""
    inputs = keras.Input((64, 64, channels))
    x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    if hidden:
        x = HideAndSeek(8, hide_probability=1.0)(x)
    x = keras.layers.Conv2D(3, 5, strides=4, padding="same", name="conv")(x)
    features = keras.layers.ReLU(name="cam_features")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(features)
    outputs = keras.layers.Dense(3, activation=activation, name="predictions")(x)
    model = keras.Model(inputs, outputs)
    colours = np.zeros((5, 5, channels, 3), "float32")
    colours[:, :] = (np.eye(3)[:channels] - 0.4) / 10
    model.get_layer("conv").set_weights([colours, np.zeros(3, "float32")])
    mixing = np.random.default_rng(1).normal(size=(3, 3)) / 2
    model.get_layer("predictions").set_weights([np.eye(3) * 3 + mixing, np.zeros(3)])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def iou(a, b):
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def by_hand(model, dataset, threshold=THRESHOLD):
    """GT-known and Top-1 Loc, one image at a time, with nothing of the project but the model."""
    extractor = keras.Model(model.input, model.get_layer("cam_features").output)
    features = np.asarray(extractor(dataset.source.pixels, training=False))
    probabilities = np.asarray(model(dataset.source.pixels, training=False))
    kernel = model.get_layer("predictions").get_weights()[0]
    known, top1, count = 0, 0, 0
    for index, label in enumerate(dataset["label"]):
        if len(dataset["boxes"][index]) == 0:
            continue
        count += 1
        cam = cv2.resize((features[index] * kernel[:, label]).sum(-1), (64, 64))
        if cam.max() <= 0:
            continue
        above = (cam > threshold * cam.max()).astype("uint8")
        _, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
        largest = 1 + stats[1:, 4].argmax()
        rows, columns = np.nonzero(labels == largest)
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        hit = max(iou(box, true) for true in dataset["boxes"][index]) > 0.5
        known += hit
        top1 += hit and probabilities[index].argmax() == label
    return known / count, top1 / count


def trained(model, dataset, callback=None, epochs=1, **settings):
    batches = training_batches(dataset, 16, 64, seed=1)
    callbacks = [] if callback is None else callback
    return model.fit(
        batches,
        epochs=epochs,
        steps_per_epoch=4,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
        **settings,
    )


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("count", [37, 33])  # with batches of 16 the last one holds 5, or 1
def test_figures_equal_an_independent_computation(replicas, count, two_replicas):
    dataset = rectangles(count)
    # One image without a box, one with two.
    boxes = list(dataset["boxes"])
    boxes[4] = boxes[4][:0]
    boxes[5] = np.concatenate([[[0, 0, 3, 3]], boxes[5]]).astype("float32")
    dataset = Dataset(
        name="some",
        ids=dataset.ids,
        columns={"label": dataset["label"], "boxes": boxes},
        source=ArrayImages(dataset.source.pixels),
        class_names=dataset.class_names,
    )
    strategy = two_replicas if replicas == 2 else tf.distribute.get_strategy()
    with strategy.scope():
        model = small_model()
    callback = CAMLocalization(evaluation_batches(dataset, 16, 64), threshold=THRESHOLD)
    history = trained(model, dataset, [callback], epochs=2).history
    known, top1 = by_hand(model, dataset)
    assert 0.1 < top1 <= known < 0.95
    assert history["val_gt_known_loc"][-1] == pytest.approx(known, abs=1e-6)
    assert history["val_top1_loc"][-1] == pytest.approx(top1, abs=1e-6)
    probabilities = np.asarray(model(dataset.source.pixels, training=False))
    right = (probabilities.argmax(1) == dataset["label"]).mean()
    loss = -np.log(probabilities[np.arange(count), dataset["label"]]).mean()
    assert history["val_top1_clas"][-1] == pytest.approx(right, abs=1e-6)
    assert history["val_loss"][-1] == pytest.approx(loss, rel=1e-5)
    assert history["val_cam_threshold"] == [THRESHOLD] * 2
    assert int(callback.evaluator._metrics["gt_known_loc"].unboxed_images) == 1


def test_loss_and_accuracy_equal_those_of_evaluate_and_nothing_is_hidden():
    dataset = rectangles(20)
    model = small_model(hidden=True)
    callback = CAMLocalization(evaluation_batches(dataset, 8, 64))
    callback.set_model(model)
    figures = callback.evaluate()
    loss, accuracy = model.evaluate(dataset.source.pixels, dataset["label"], verbose=0)
    assert figures["val_loss"] == pytest.approx(loss, rel=1e-5)
    assert figures["val_top1_clas"] == pytest.approx(accuracy)


def test_centred_box_is_scored_in_the_same_pass():
    dataset = rectangles(60)
    callback = CAMLocalization(evaluation_batches(dataset, 16, 64), centred_side=0.5)
    callback.set_model(small_model())
    hits = [iou((16, 16, 48, 48), boxes[0]) > 0.5 for boxes in dataset["boxes"]]
    assert 0 < sum(hits) < 60
    assert callback.evaluate()["val_centred_box"] == pytest.approx(np.mean(hits))


def test_boxes_are_judged_in_pixels_of_the_original_image():
    """Boxes and sizes three times as wide and twice as high give the very same figures."""
    dataset = rectangles(40)
    model = small_model()
    trained(model, dataset)

    def figures(stretch):
        def enlarge(batch):
            size = batch["size"] * tf.constant([2.0, 3.0])
            return {**batch, "boxes": batch["boxes"] * [3.0, 2.0, 3.0, 2.0], "size": size}

        batches = evaluation_batches(dataset, 16, 64)
        callback = CAMLocalization(batches.map(enlarge) if stretch else batches, THRESHOLD)
        callback.set_model(model)
        return callback.evaluate()

    assert figures(stretch=True) == pytest.approx(figures(stretch=False))
    assert figures(stretch=True)["val_gt_known_loc"] > 0


def test_values_reach_checkpoints_early_stopping_and_history(tmp_path):
    dataset = rectangles(20)
    callback = CAMLocalization(evaluation_batches(dataset, 8, 64))
    path = tmp_path / "best.weights.h5"
    checkpoint = keras.callbacks.ModelCheckpoint(
        path, monitor="val_gt_known_loc", mode="max", save_best_only=True, save_weights_only=True
    )
    stopping = keras.callbacks.EarlyStopping(
        monitor="val_gt_known_loc", mode="max", patience=0, start_from_epoch=0, min_delta=2.0
    )
    model = small_model()
    history = trained(model, dataset, [callback, checkpoint, stopping], epochs=4).history
    assert path.is_file()
    assert len(history["val_gt_known_loc"]) == 2  # no gain of 200 points: stopped after the second


def test_tensorboard_gets_scalars_with_the_threshold_and_a_panel(tmp_path):
    dataset = rectangles(20)
    callback = CAMLocalization(
        evaluation_batches(dataset, 8, 64),
        threshold=0.25,
        log_dir=tmp_path,
        class_names=dataset.class_names,
        panel_images=5,
    )
    history = trained(small_model(), dataset, [callback], epochs=2).history
    events = EventAccumulator(str(tmp_path / "localization"), size_guidance={"tensors": 0})
    events.Reload()
    tags = events.Tags()["tensors"]
    assert "class activation maps" in tags
    values = [
        float(tf.make_ndarray(event.tensor_proto))
        for event in events.Tensors("localization/gt_known_loc")
    ]
    assert values == pytest.approx(history["val_gt_known_loc"])
    (threshold, _) = events.Tensors("localization/cam_threshold")
    assert float(tf.make_ndarray(threshold.tensor_proto)) == 0.25
    assert callback.panel.ndim == 3
    images = tf.make_ndarray(events.Tensors("class activation maps")[-1].tensor_proto)[2:]
    assert len(images) == 1
    np.testing.assert_array_equal(tf.io.decode_png(images[0]), callback.panel)


def test_the_forward_pass_is_built_once_for_all_epochs():
    dataset = rectangles(21)
    callback = CAMLocalization(evaluation_batches(dataset, 8, 64))
    trained(small_model(), dataset, [callback], epochs=3)
    assert callback.inference("test").forward.experimental_get_tracing_count() <= 2


def test_the_curve_holds_the_fixed_threshold():
    dataset = rectangles(40)
    model = small_model()
    trained(model, dataset)
    callback = CAMLocalization(
        evaluation_batches(dataset, 16, 64), THRESHOLD, thresholds=(0.1, THRESHOLD, 0.6)
    )
    callback.set_model(model)
    figures = callback.evaluate()
    curve = callback.localization_curve
    assert curve.at(THRESHOLD) == pytest.approx(figures["val_gt_known_loc"])
    for threshold in (0.1, 0.6):
        assert curve.at(threshold) == pytest.approx(by_hand(model, dataset, threshold)[0])


def test_constant_maps_are_counted_as_wrong():
    dataset = rectangles(12)
    model = small_model()
    kernel, bias = model.get_layer("predictions").get_weights()
    model.get_layer("predictions").set_weights([0 * kernel, bias])
    callback = CAMLocalization(evaluation_batches(dataset, 8, 64))
    callback.set_model(model)
    figures = callback.evaluate()
    assert figures["val_degenerate_maps"] == 12
    assert figures["val_gt_known_loc"] == 0


def test_a_model_that_gives_logits_has_the_figures_of_its_softmax():
    dataset = rectangles(20)
    figures = []
    for activation in ("softmax", None):
        callback = CAMLocalization(evaluation_batches(dataset, 8, 64))
        callback.set_model(small_model(activation=activation))
        figures.append(callback.evaluate())
    assert figures[1] == pytest.approx(figures[0], rel=1e-5)


@pytest.mark.parametrize("replicas", [1, 2])
def test_another_method_gives_its_own_maps_and_probabilities(replicas, two_replicas):
    dataset = rectangles(21)
    strategy = two_replicas if replicas == 2 else tf.distribute.get_strategy()
    with strategy.scope():
        model = small_model()

    def method(model):
        return cams.TenCrop(cams.CAM(model), 64)

    batches = evaluation_batches(dataset, 8, 72)
    callback = CAMLocalization(batches, THRESHOLD, method=method)
    callback.set_model(model)
    figures = callback.evaluate()
    images = np.concatenate([batch["image"] for batch in batches])
    maps, probabilities = method(model)(images, dataset["label"])
    assert maps.shape == (21, 72, 72)
    right = (np.asarray(probabilities).argmax(axis=1) == dataset["label"]).mean()
    assert figures["val_top1_clas"] == pytest.approx(right)
    found = boxes_from_maps(maps, THRESHOLD) * 64 / 72
    hits = [iou(box, boxes[0]) > 0.5 for box, boxes in zip(found, dataset["boxes"], strict=True)]
    assert figures["val_gt_known_loc"] == pytest.approx(np.mean(hits))
    assert 0 < sum(hits) < 21


class WidestMap(keras.metrics.Metric):
    """Keeps what it is handed."""

    def __init__(self):
        super().__init__(name="widest")
        self.seen = []

    def update_state(self, boxes, score_maps, image_sizes):
        self.seen.append((boxes, score_maps, image_sizes))

    def result(self):
        return float(len(self.seen))

    def reset_state(self):
        self.seen = []


@pytest.mark.parametrize("replicas", [1, 2])
def test_metrics_of_maps_see_every_image_once_and_are_logged_by_name(replicas, two_replicas):
    dataset = rectangles(21)
    metric = WidestMap()
    strategy = two_replicas if replicas == 2 else tf.distribute.get_strategy()
    with strategy.scope():
        model = small_model()
    callback = CAMLocalization(
        evaluation_batches(dataset, 8, 64), map_metrics={"val_widest": metric}
    )
    callback.set_model(model)
    for _ in range(2):  # It starts anew each time.
        assert callback.evaluate()["val_widest"] == 3.0
    boxes, maps, sizes = (np.concatenate(parts) for parts in zip(*metric.seen, strict=True))
    np.testing.assert_array_equal(boxes[:, 0], np.concatenate(dataset["boxes"]))
    np.testing.assert_array_equal(sizes, np.full((21, 2), 64))
    np.testing.assert_allclose(
        maps, cams.CAM(model)(dataset.source.pixels, dataset["label"])[0], atol=1e-4
    )
    list(callback.iterate())
    assert callback.evaluate()["val_widest"] == 3.0


def test_max_box_accuracies_are_those_of_the_maps_and_are_left_out_without_boxes():
    dataset = rectangles(21)
    model = small_model()
    made = {
        "val_max_box_acc": metrics.MaxBoxAccuracy,
        "val_max_box_acc_v2": metrics.MaxBoxAccuracyV2,
    }
    for boxes in (dataset["boxes"], [boxes[:0] for boxes in dataset["boxes"]]):
        callback = CAMLocalization(
            evaluation_batches(dataset.replace_columns(boxes=boxes), 8, 64),
            map_metrics={name: kind() for name, kind in made.items()},
        )
        callback.set_model(model)
        figures = callback.evaluate()
        if not sum(map(len, boxes)):
            assert not made.keys() & figures.keys()
            continue
        maps = np.asarray(cams.CAM(model)(dataset.source.pixels, dataset["label"])[0])
        for name, kind in made.items():
            alone = kind()
            alone.update_state(dataset.padded_boxes(), maps, np.full((21, 2), 64))
            assert figures[name] == pytest.approx(float(alone.result()))
            assert 0 < figures[name] <= 1
            np.testing.assert_array_equal(callback.map_metrics[name].hits, alone.hits)


def test_without_any_box_the_figures_of_localization_are_left_out(tmp_path):
    dataset = rectangles(9)
    unboxed = [boxes[:0] for boxes in dataset["boxes"]]
    dataset = Dataset(
        name="some",
        ids=dataset.ids,
        columns={"label": dataset["label"], "boxes": unboxed},
        source=ArrayImages(dataset.source.pixels),
        class_names=dataset.class_names,
    )
    callback = CAMLocalization(evaluation_batches(dataset, 4, 64), log_dir=tmp_path)
    history = trained(small_model(), dataset, [callback]).history
    measured = {key for key in history if key.startswith("val_")}
    assert measured == {
        "val_loss",
        "val_top1_clas",
        "val_cam_threshold",
        "val_degenerate_maps",
    }
    json.dumps(history, allow_nan=False)
    assert [image.iou for image in callback.iterate()] == [None] * 9


@pytest.mark.parametrize("replicas", [1, 2])
def test_each_image_comes_with_what_a_report_needs(replicas, two_replicas):
    dataset = rectangles(19)
    boxes = [*dataset["boxes"][:-1], dataset["boxes"][-1][:0]]
    ids = [f"Käfer_{number}" for number in range(19)]
    dataset = Dataset(
        name="some",
        ids=ids,
        columns={"label": dataset["label"], "boxes": boxes},
        source=ArrayImages(dataset.source.pixels),
        class_names=dataset.class_names,
    )
    strategy = two_replicas if replicas == 2 else tf.distribute.get_strategy()
    with strategy.scope():
        model = small_model()
    stretched = evaluation_batches(dataset, 8, 64).map(
        lambda batch: {
            **batch,
            "boxes": batch["boxes"] * [3.0, 2.0, 3.0, 2.0],
            "size": batch["size"] * [2.0, 3.0],
        }
    )
    callback = CAMLocalization(stretched, THRESHOLD)
    callback.set_model(model)
    images = list(callback.iterate())
    figures = callback.evaluate()
    assert [image.image_id for image in images] == ids
    assert [image.label for image in images] == dataset["label"].tolist()
    maps, probabilities = (
        np.asarray(x) for x in cams.CAM(model)(dataset.source.pixels, dataset["label"])
    )
    found = boxes_from_maps(maps, THRESHOLD, (64, 64)) * [3, 2, 3, 2]
    for row, image in enumerate(images):
        assert image.size == (128, 192)
        np.testing.assert_array_equal(image.image, dataset.source.pixels[row])
        np.testing.assert_allclose(image.map, maps[row], atol=1e-4)
        np.testing.assert_allclose(image.box, found[row], atol=1e-3)
        assert image.predicted_class == probabilities[row].argmax()
        assert image.probability == pytest.approx(probabilities[row].max(), rel=1e-5)
        assert image.label_probability == pytest.approx(
            probabilities[row, dataset["label"][row]], rel=1e-5
        )
        if row < 18:
            true = boxes[row][0] * [3, 2, 3, 2]
            np.testing.assert_allclose(image.true_boxes, [true])
            if np.isfinite(image.box).all():
                assert image.iou == pytest.approx(iou(image.box, true), rel=1e-5)
    assert images[18].iou is None
    assert images[18].is_localized is None
    known = [image for image in images if image.iou is not None]
    assert figures["val_gt_known_loc"] == pytest.approx(
        np.mean([image.is_localized for image in known])
    )
    assert figures["val_top1_loc"] == pytest.approx(
        np.mean([image.is_localized and image.is_classified for image in known])
    )
    with pytest.raises(ValueError, match="set_model"):
        next(CAMLocalization(stretched).iterate())


def test_a_model_of_one_channel_is_evaluated_and_drawn():
    dataset = rectangles(7)
    grey = evaluation_batches(dataset, 4, 64).map(
        lambda batch: {**batch, "image": tf.image.rgb_to_grayscale(batch["image"])}
    )
    callback = CAMLocalization(grey, class_names=[0, 1, 2])
    callback.set_model(small_model(channels=1))
    assert 0 <= callback.evaluate(draw=True)["val_top1_clas"] <= 1
    assert callback.panel.ndim == 3


def test_what_is_wrong_is_named():
    dataset = rectangles(4)
    batches = evaluation_batches(dataset, 4, 64)
    with pytest.raises(ValueError, match="`threshold`"):
        CAMLocalization(batches, threshold=1.0)
    with pytest.raises(ValueError, match="`centred_side`"):
        CAMLocalization(batches, centred_side=0)
    with pytest.raises(ValueError, match="`dataset`"):
        CAMLocalization(tf.data.Dataset.range(3))
    with pytest.raises(ValueError, match="batches of images"):
        CAMLocalization(dataset.examples())
    with pytest.raises(ValueError, match="set_model"):
        CAMLocalization(batches).evaluate()
    plain = keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="cam_features"):
        CAMLocalization(batches).set_model(plain)
    empty = CAMLocalization(batches.take(0))
    empty.set_model(small_model())
    with pytest.raises(ValueError, match="at least one image"):
        empty.evaluate()


def test_a_small_set_fills_the_panel_as_far_as_it_goes():
    dataset = rectangles(5)
    callback = CAMLocalization(evaluation_batches(dataset, 32, 64), panel_images=12)
    callback.set_model(small_model())
    callback.evaluate(draw=True)
    captions = callback.evaluator.panel().captions
    assert len(captions) == 5
    assert [int(caption[0]) for caption in captions] == [0, 1, 2, 0, 1]
