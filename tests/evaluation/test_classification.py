"""ClassificationEvaluator against a calculation by hand."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.evaluation import ClassificationEvaluator, Inference  # noqa: E402

CLASSES = 7


def network(activation):
    """The scores are the pixels."""
    inputs = keras.Input((1, 1, CLASSES))
    x = keras.layers.Flatten()(inputs)
    layer = keras.layers.Dense(CLASSES, activation=activation, name="predictions")
    model = keras.Model(inputs, layer(x))
    layer.set_weights([np.eye(CLASSES, dtype="float32"), np.zeros(CLASSES, "float32")])
    return model


def figures(scores, labels, activation="softmax", strategy=None, batch_size=4):
    dataset = tf.data.Dataset.from_tensor_slices(
        {"image": scores[:, None, None].astype("float32"), "label": labels}
    ).batch(batch_size)
    if strategy is None:
        model = network(activation)
    else:
        with strategy.scope():
            model = network(activation)
    evaluator = ClassificationEvaluator()
    return Inference(dataset, evaluator.forward(model), strategy).run([evaluator])


@pytest.mark.parametrize("activation", ["softmax", None])
@pytest.mark.parametrize("count", [12, 9, 10])  # the last batch holds 4, 1 or 2
@pytest.mark.parametrize("replicas", [1, 2])
def test_figures_equal_a_calculation_by_hand(activation, count, replicas, two_replicas):
    random = np.random.default_rng(count)
    scores = random.normal(size=(count, CLASSES)) * 3
    labels = random.integers(0, CLASSES, count)
    found = figures(scores, labels, activation, two_replicas if replicas == 2 else None)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    ranks = [int((row > row[label]).sum()) for row, label in zip(scores, labels, strict=True)]
    expected = {
        "loss": -np.log(probabilities[np.arange(count), labels]).mean(),
        "top1_clas": np.mean([rank < 1 for rank in ranks]),
        "top5_clas": np.mean([rank < 5 for rank in ranks]),
    }
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, rel=1e-5)


def test_figures_equal_those_of_keras_evaluate():
    random = np.random.default_rng(1)
    scores, labels = random.normal(size=(10, CLASSES)), random.integers(0, CLASSES, 10)
    model = network("softmax")
    top5 = keras.metrics.SparseTopKCategoricalAccuracy(5, name="top5")
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy", top5])
    expected = model.evaluate(
        scores[:, None, None].astype("float32"), labels, verbose=0, return_dict=True
    )
    found = figures(scores, labels)
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert found["top1_clas"] == pytest.approx(expected["accuracy"])
    assert found["top5_clas"] == pytest.approx(expected["top5"])


def test_a_confident_error_has_its_true_loss_and_nan_is_wrong():
    scores = np.zeros((2, CLASSES))
    scores[:, 1] = 200.0
    assert figures(scores, np.array([0, 1]))["loss"] == pytest.approx(100.0)
    scores[1] = np.nan
    assert figures(scores, np.array([1, 1]))["top1_clas"] == 0.5


def test_equal_scores_count_as_argmax_does():
    found = figures(np.zeros((CLASSES, CLASSES)), np.arange(CLASSES))
    assert found["top1_clas"] == pytest.approx(1 / CLASSES)
    assert found["top5_clas"] == pytest.approx(5 / CLASSES)


def test_the_panel_shows_the_most_confident_mistakes_of_all_batches():
    scores = np.zeros((9, CLASSES))
    labels = np.zeros(9, int)
    # Taken for class 3 with growing confidence, but for row 5, which is right, and row 6, with NaN.
    scores[:, 3] = np.arange(9)
    labels[5] = 3
    scores[6, 0] = np.nan
    dataset = tf.data.Dataset.from_tensor_slices(
        {"image": scores[:, None, None].astype("float32"), "label": labels}
    ).batch(4)
    evaluator = ClassificationEvaluator("abcdefg", panel_images=3)
    inference = Inference(dataset, evaluator.forward(network("softmax")))
    inference.run([evaluator], draw=True)
    confidence = [np.exp(score) / (np.exp(score) + CLASSES - 1) for score in (8, 7, 4)]
    assert evaluator.panel().captions == [f"a\ntaken for d\n{value:.0%}" for value in confidence]
    assert evaluator.panel().tiles[0].shape == (128, 128, 3)
    inference.run([evaluator])
    assert evaluator.panel() is None


def test_there_is_no_panel_without_a_mistake():
    scores = 9 * np.eye(CLASSES)
    dataset = tf.data.Dataset.from_tensor_slices(
        {"image": scores[:, None, None].astype("float32"), "label": np.arange(CLASSES)}
    ).batch(4)
    evaluator = ClassificationEvaluator()
    Inference(dataset, evaluator.forward(network(None))).run([evaluator], draw=True)
    assert evaluator.panel() is None
