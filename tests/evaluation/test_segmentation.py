import tarfile

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has import data  # noqa: E402
from keras_has.callbacks import EvaluationCallback  # noqa: E402
from keras_has.data.readers.pascal_voc import CAMVID_CLASSES  # noqa: E402
from keras_has.drawing import label_map_overlay  # noqa: E402
from keras_has.evaluation import (  # noqa: E402
    Inference,
    SegmentationEvaluator,
    segmentation_baselines,
)
from keras_has.ops.segmentation import (  # noqa: E402
    class_iou,
    confusion_matrix,
    pixel_accuracy,
    pixel_cross_entropy,
    segmentation_scores,
)

NAMES = ("sky", "road", "tree", "car")


def scores_by_sets(labels, predictions, classes):
    """Mean IoU, pixel and class accuracy from sets of pixels, one class after the other."""
    ious, accuracies, right = [], [], 0
    labelled = {key for key, value in np.ndenumerate(labels) if value != 255}
    for c in range(classes):
        true = {key for key in labelled if labels[key] == c}
        found = {key for key in labelled if predictions[key] == c}
        if true | found:
            ious.append(len(true & found) / len(true | found))
        if true:
            accuracies.append(len(true & found) / len(true))
        right += len(true & found)
    return np.mean(ious), right / len(labelled), np.mean(accuracies)


def pixel_model(num_classes=4):
    """A network whose logits are the first channels of the image."""
    inputs = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(num_classes, 1, use_bias=False)
    model = keras.Model(inputs, layer(inputs))
    kernel = np.random.default_rng(5).normal(size=(1, 1, 3, num_classes))
    layer.set_weights([kernel])
    return model


def examples(count=7, size=(6, 9)):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, *size, 3), dtype="uint8")
    masks = random.integers(0, 3, (count, *size), dtype="uint8")  # no car
    masks[random.random(masks.shape) < 0.2] = 255
    ids = [f"image {n}" for n in range(count)]
    return {"image": images, "mask": masks, "image_id": ids}


def test_the_figures_are_those_of_an_independent_implementation_over_all_pixels():
    values, model = examples(), pixel_model()
    evaluator = SegmentationEvaluator(NAMES)
    batches = tf.data.Dataset.from_tensor_slices(values).batch(3)
    figures = Inference(batches, evaluator.forward(model)).run([evaluator])
    predictions = np.asarray(model(values["image"])).argmax(-1)
    expected = scores_by_sets(values["mask"], predictions, 4)
    found = [figures[name] for name in ("mean_iou", "pixel_acc", "mean_class_acc")]
    np.testing.assert_allclose(found, expected)
    of_images = [
        scores_by_sets(mask, prediction, 4)[0]
        for mask, prediction in zip(values["mask"], predictions, strict=True)
    ]
    assert abs(figures["mean_iou"] - np.mean(of_images)) > 1e-4  # it is no mean over images


def test_one_matrix_serves_images_of_all_sizes():
    model, evaluator = pixel_model(), SegmentationEvaluator(NAMES)
    total = np.zeros((4, 4), int)
    parts = [examples(1, size) for size in ((4, 5), (7, 3))]
    for values in parts:
        prediction = np.asarray(model(values["image"])).argmax(-1)
        np.add.at(
            total, (values["mask"][values["mask"] < 255], prediction[values["mask"] < 255]), 1
        )

    def generate():
        yield from ({key: value[0] for key, value in part.items()} for part in parts)

    spec = {
        "image": tf.TensorSpec((None, None, 3), tf.uint8),
        "mask": tf.TensorSpec((None, None), tf.uint8),
        "image_id": tf.TensorSpec((), tf.string),
    }
    batches = tf.data.Dataset.from_generator(generate, output_signature=spec).batch(1)
    Inference(batches, evaluator.forward(model)).run([evaluator])
    np.testing.assert_array_equal(evaluator.confusion, total)


def test_classes_that_neither_occur_nor_are_predicted_do_not_count():
    confusion = confusion_matrix([0, 0, 1, 255], [0, 1, 1, 2], 4)
    np.testing.assert_array_equal(class_iou(confusion), [0.5, 0.5, np.nan, np.nan])
    assert segmentation_scores(confusion)["mean_iou"] == 0.5
    assert np.isnan(segmentation_scores(np.zeros((3, 3)))["mean_iou"])


def test_values_that_are_no_class_are_refused():
    with pytest.raises(ValueError, match="`labels` should be from 0 to 2.*to 3"):
        confusion_matrix([3], [0], 3)
    with pytest.raises(ValueError, match="`predictions` should be from 0 to 2.*to 255"):
        confusion_matrix([0], [255], 3)
    with pytest.raises(ValueError, match=r"\(1,\) and \(2,\)"):
        confusion_matrix([0], [0, 1], 3)


def test_the_loss_is_the_mean_over_labelled_pixels_of_each_image():
    values = examples(3)
    values["mask"][1] = 255
    logits = np.random.default_rng(1).normal(size=(3, 6, 9, 4)).astype("float32")
    expected, right = [], []
    for mask, scores in zip(values["mask"], logits.astype(float), strict=True):
        log_probabilities = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        rows, columns = np.nonzero(mask < 255)
        chosen = log_probabilities[rows, columns, mask[rows, columns]]
        expected.append(-chosen.mean() if len(rows) else 0)
        right.append((scores.argmax(-1) == mask)[rows, columns].mean() if len(rows) else 0)
    assert expected[1] == 0
    np.testing.assert_allclose(pixel_cross_entropy(values["mask"], logits), expected, rtol=1e-5)
    np.testing.assert_allclose(pixel_accuracy(values["mask"], logits), right, rtol=1e-6)


def test_the_panel_shows_every_nth_image_with_both_label_maps():
    values, model = examples(), pixel_model()
    evaluator = SegmentationEvaluator(NAMES, panel_every=3)
    batches = tf.data.Dataset.from_tensor_slices(values).batch(2)
    callback = EvaluationCallback(evaluator, batches)
    callback.set_model(model)
    callback.evaluate(draw=True)
    panel = evaluator.panel()
    assert [caption.split(":")[0] for caption in panel.captions] == [
        f"image {n}" for n in (0, 3, 6)
    ]
    predictions = np.asarray(model(values["image"])).argmax(-1)
    np.testing.assert_array_equal(
        panel.tiles[1],
        np.concatenate(
            [
                label_map_overlay(values["image"][3], values["mask"][3]),
                label_map_overlay(values["image"][3], predictions[3]),
            ],
            axis=1,
        ),
    )
    assert callback.panel.dtype == np.uint8


def test_the_baselines_of_the_real_camvid_are_those_of_its_description(shared_data, tmp_path):
    with tarfile.open(shared_data / "camvid-voc.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    splits = []
    for split in ("train", "test"):
        dataset = data.pascal_voc(tmp_path / "camvid-voc", split, CAMVID_CLASSES)
        found = data.count_labels(dataset)
        splits.append(dataset.replace_columns(label_counts=found.pixels, image_size=found.sizes))
    figures = {key: round(100 * value, 1) for key, value in segmentation_baselines(*splits).items()}
    assert figures == {
        "most_frequent_class": 2.4,
        "most_frequent_class_pixel_acc": 26.7,
        "most_frequent_class_per_pixel": 15.7,
        "most_frequent_class_per_pixel_pixel_acc": 55.9,
    }


def test_positions_are_relative_where_sizes_differ(tmp_path):
    masks = {"a": np.zeros((4, 6)), "b": np.zeros((10, 2))}
    for mask in masks.values():
        mask[: len(mask) // 2] = 1  # the upper half
    paths = []
    for name, mask in masks.items():
        paths.append(tmp_path / f"{name}.png")
        data.write_mask(paths[-1], mask)
    dataset = data.Dataset(
        name="halves",
        ids=list(masks),
        columns={
            "mask": data.MaskFiles(paths),
            "image_size": [mask.shape for mask in masks.values()],
            "label_counts": [[12, 12], [10, 10]],
        },
        class_names=("below", "above"),
    )
    figures = segmentation_baselines(dataset, dataset)
    assert figures["most_frequent_class_per_pixel"] == 1
    assert figures["most_frequent_class"] == 0.25
