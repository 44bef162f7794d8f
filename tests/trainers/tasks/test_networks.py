"""Networks from recipes."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from trainers.engine.run_error import RunError  # noqa: E402
from trainers.tasks import image_localization  # noqa: E402
from trainers.tasks.image_localization import ImageLocalization  # noqa: E402
from trainers.tasks.networks import build_network, mean_and_std, pixel_layer  # noqa: E402


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": "nowhere.h5", "model": "efficientnet_lite0"}, "no weights file nowhere.h5"),
        ({"weights": "imagenet"}, "--weights requires"),
        ({"weights": "imagenet", "model": "efficientnet_lite0"}, "--weights=PATH"),
        ({"weights": "", "model": "efficientnet_lite0"}, "--weights=random"),
        ({"model": "resnet50"}, "no model 'resnet50'"),
        ({"model": "cifar_resnet"}, "--model=cifar_resnet needs `depth`"),
        ({"conv1_patch_size": (3,), "model": "googlenet_gap"}, "--conv1_patch_size requires"),
    ],
)
def test_settings_that_do_not_go_together_are_named(tiny_recipe, fields, message):
    with pytest.raises(RunError, match=message):
        build_network(tiny_recipe(**fields), 2, keras.layers.Identity())


def test_every_setting_of_a_recipe_reaches_the_network(tiny_recipe):
    recipe = tiny_recipe(
        patch_size=(0, 8),
        hide_probability=0.25,
        fill_value=(1.0, 2.0, 3.0),
        conv1_patch_size=(3,),
        input_dropout=0.5,
        input_dropout_at_test=True,
        seed=7,
    )
    recipe = recipe.override(mean=(9.0, 9.0, 9.0), std=(2.0, 2.0, 2.0))
    model = build_network(recipe, 4, pixel_layer(recipe, None))
    names = [type(layer).__name__ for layer in model.layers]
    # Normalised, then dropped, then hidden, last of all before the first convolution.
    assert names[1:4] == ["Normalization", "InputDropout", "HideAndSeek"]
    normalised = model.layers[1](np.full((1, 2, 2, 3), 13.0, "float32"))
    np.testing.assert_allclose(np.asarray(normalised), 2.0)
    dropout, hiding = model.layers[2:4]
    assert (dropout.rate, dropout.at_test, dropout.seed) == (0.5, True, 7)
    assert (hiding.patch_size, hiding.hide_probability, hiding.seed) == ((0, 8), 0.25, 7)
    assert hiding.fill_value == (1.0, 2.0, 3.0)
    inner = [layer for layer in model.layers[4:] if type(layer).__name__ == "HideAndSeek"]
    assert [layer.patch_size for layer in inner] == [(3,)]
    assert inner[0].fill_value == 0


def test_pretrained_networks_get_the_pixels_they_were_made_with(tiny_recipe):
    """ResNet50 takes blue first, less the mean, not divided; hidden pixels are the mean colour."""
    recipe = tiny_recipe("folder_has", model="ResNet50", widths=(), weights="", image_size=32)
    scaling = pixel_layer(recipe, None)
    model = build_network(recipe, 3, scaling)
    scaled = scaling(np.array([[[[103.68, 116.779, 113.939]]]], "float32"))
    np.testing.assert_allclose(np.asarray(scaled)[0, 0, 0], [10, 0, -20], atol=1e-4)
    hiding = next(layer for layer in model.layers if type(layer).__name__ == "HideAndSeek")
    assert hiding.fill_value == pytest.approx(scaling.mean_colour)
    assert np.abs(hiding.fill_value).max() < 1


def test_mean_and_deviation_are_those_of_the_training_pixels(few_parts, tiny_recipe):
    task = ImageLocalization(tiny_recipe())
    task.load()
    mean, std = mean_and_std(task.recipe, task.train_split)
    pixels = task.train_split.source.pixels.reshape(-1, 3).astype("float64")
    np.testing.assert_allclose(mean, pixels.mean(0), rtol=1e-6)
    np.testing.assert_allclose(std, pixels.std(0), rtol=1e-6)
    side = image_localization.centred_side(task.train_split)
    assert side == image_localization.best_centred_side(
        task.train_split["boxes"], task.train_split["image_size"]
    )


def test_pixels_that_are_not_in_memory_need_a_mean_in_the_recipe(tiny_recipe):
    from keras_has import data

    files = data.FileImages(["a.png"])
    assert files.pixels is None
    dataset = data.Dataset("files", ["a"], {"label": [0], "boxes": [[]]}, files, ("x",))
    with pytest.raises(RunError, match="--mean"):
        mean_and_std(tiny_recipe(), dataset)
