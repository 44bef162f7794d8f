"""Training images as the network sees them."""

import random

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.layers import HideAndSeek  # noqa: E402
from keras_has.models import pixel_scaling  # noqa: E402
from trainers.recipes.cifar import RECIPES  # noqa: E402
from trainers.tasks.classification import Classification  # noqa: E402
from trainers.tasks.image_localization import ImageLocalization  # noqa: E402
from trainers.tasks.training_images import training_images  # noqa: E402


@pytest.fixture
def task(cifar):
    """Returns a function from fields of a recipe to its task, with the data loaded."""

    def load(**fields):
        loaded = Classification(RECIPES[0].override(batch_size=20, **fields), cifar)
        loaded.load()
        return loaded

    return load


def batches(images, labels):
    return tf.data.Dataset.from_tensors((images, labels))


def test_the_images_are_those_of_the_first_step_of_the_training(task):
    classification = task(patch_size=(0, 8))
    seen = classification.training_images(20)
    model = classification.build_model()
    (hiding,) = (layer for layer in model.layers if isinstance(layer, HideAndSeek))
    images, labels = next(iter(classification.batches(0)))
    scaled = keras.Model(model.input, hiding.output)(images, training=True)
    mean, std = (classification.train_split.source.pixels.astype("float64") for _ in range(2))
    mean, std = mean.mean(axis=(0, 1, 2)), std.std(axis=(0, 1, 2))
    np.testing.assert_array_equal(seen.cropped, images)
    np.testing.assert_allclose(seen.seen, np.asarray(scaled) * std + mean, atol=0.51)
    assert seen.classes == [("dog", "cat")[label] for label in labels.numpy()]
    assert seen.are_changed


def test_nothing_is_changed_if_nothing_is_hidden(task):
    assert not task().training_images(20).are_changed
    assert task(augmentation="cutout").training_images(20).are_changed


def test_looking_at_the_images_does_not_change_the_training(task):
    classification = task(patch_size=(0, 8), augmentation="random_erasing")
    states = random.getstate(), np.random.get_state()[1].tolist()
    first = classification.training_images(4)
    assert states == (random.getstate(), np.random.get_state()[1].tolist())
    np.testing.assert_array_equal(classification.training_images(4).seen, first.seen)


@pytest.mark.parametrize("name", ["ResNet50", "DenseNet121", "EfficientNetB0"])
def test_the_scaling_of_every_network_is_inverted(name):
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 6, 3), "uint8")
    found = training_images(batches(images, [0, 1, 0]), [pixel_scaling(name)], "ab", 2)
    np.testing.assert_array_equal(found.seen, images[:2])
    assert found.classes == ["a", "b"]


def test_images_that_are_hidden_before_the_network_are_shown_once():
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype("float32")
    masks = np.zeros((2, 8, 8), "uint8")
    for labels in (masks, {"age": np.array([1, 2])}):
        found = training_images(batches(images, labels), [pixel_scaling("VGG16")], "ab", 2)
        np.testing.assert_array_equal(found.cropped, np.rint(images))
        assert not found.are_changed
        assert found.classes == ["", ""]


def test_mixed_classes_are_named_with_their_shares():
    images = np.zeros((2, 8, 8, 3), "uint8")
    labels = np.array([[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]], "float32")
    found = training_images(batches(images, labels), [pixel_scaling("VGG16")], "abc", 2)
    assert found.classes == ["b 75%,\na 25%", "c"]


def test_the_panel_shows_images_before_and_after_hiding(task, few_parts, tiny_recipe):
    plain, hiding = (task(**fields).training_panel() for fields in ({}, {"patch_size": (8,)}))
    assert hiding.shape[1] > 1.8 * plain.shape[1]
    localization = ImageLocalization(tiny_recipe())
    localization.load()
    assert localization.training_panel().ndim == 3
