import keras
import numpy as np
import pytest

from keras_has.layers import HideAndSeek
from keras_has.models import IdentityClassifier, SmallGAP
from keras_has.models.identity_classifier import NEW_LAYERS


def small(**arguments):
    hiding = HideAndSeek(8, seed=1)
    classifier = SmallGAP(2, (32, 16, 3), widths=(4, 4), preprocessing=hiding)
    return classifier, IdentityClassifier(classifier, 5, 6, **arguments)


def test_the_head_stands_on_the_pooled_features_of_the_classifier():
    classifier, model = small()
    assert model.get_layer("pooling") is classifier.get_layer("pooling")
    assert model.get_layer("embedding").input.shape == (None, 4)
    assert model.get_layer("embedding_dropout").rate == 0.5
    assert model.output.shape == (None, 5)
    probabilities = np.asarray(model(np.ones((2, 32, 16, 3), "float32"), training=False))
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(probabilities, 0.2, atol=0.01)  # the softmax starts almost flat
    names = {weight.path.split("/")[-2] for weight in model.trainable_weights}
    assert set(NEW_LAYERS) <= names


def test_new_layers_start_as_published():
    keras.utils.set_random_seed(0)
    model = IdentityClassifier(SmallGAP(2, (32, 16, 3), widths=(4, 64)), 300, 500)
    assert np.std(model.get_layer("embedding").kernel) == pytest.approx((2 / 500) ** 0.5, rel=0.05)
    assert np.std(model.get_layer("predictions").kernel) == pytest.approx(0.001, rel=0.05)
    norm = model.get_layer("embedding_bn")
    assert (norm.momentum, norm.epsilon) == (0.9, 1e-5)


def test_dropout_can_be_left_out():
    _, model = small(dropout_rate=0)
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in model.layers)


@pytest.mark.parametrize(
    "field", [{"num_identities": 0}, {"embedding_size": 0}, {"dropout_rate": 1.0}]
)
def test_invalid_arguments_are_refused(field):
    ((name, value),) = field.items()
    arguments = {"num_identities": 5, **field}
    with pytest.raises(ValueError, match=f"`{name}`.*{value}"):
        IdentityClassifier(SmallGAP(2, (32, 16, 3), widths=(4, 4)), **arguments)
