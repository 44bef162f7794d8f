"""Exact group, one-off and mean absolute error, computed by hand."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.evaluation import AgeEvaluator, Inference  # noqa: E402


class Fixed(keras.layers.Layer):
    """Returns the first row of an image as logits."""

    def call(self, inputs):
        return inputs[:, 0, :, 0]


def test_figures_of_three_images_in_two_batches():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.6, 0.3, 0.1]], "float32")
    images = np.log(probabilities)[:, None, :, None]
    inputs = keras.Input((1, 3, 1))
    model = keras.Model(inputs, keras.layers.Softmax(name="predictions")(Fixed()(inputs)))
    batches = tf.data.Dataset.from_tensor_slices(
        {"image": images, "label": [0, 1, 2], "age": np.array([12.0, 30.0, 70.0], "float32")}
    ).batch(2)
    evaluator = AgeEvaluator(("young", "middle", "old"), (10.0, 30.0, 60.0))
    figures = Inference(batches, evaluator.forward(model)).run([evaluator])
    # Expected ages: 5 + 9 + 12, 1 + 3 + 48, 6 + 9 + 6.
    errors = [26 - 12, 52 - 30, 70 - 21]
    assert figures["mean_absolute_error"] == pytest.approx(np.mean(errors), rel=1e-5)
    assert figures["top1_clas"] == pytest.approx(1 / 3)
    assert figures["one_off"] == pytest.approx(2 / 3)


def test_an_age_for_every_class_is_needed():
    with pytest.raises(ValueError, match=r"`class_ages` .* Received: .*\(1,\)"):
        AgeEvaluator(("young", "old"), (10.0,))
