"""Networks from recipes."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has import data  # noqa: E402
from keras_has.models import GAPClassifier  # noqa: E402
from trainers.engine.run_error import RunError  # noqa: E402
from trainers.tasks import image_localization  # noqa: E402
from trainers.tasks.image_localization import ImageLocalization  # noqa: E402
from trainers.tasks.networks import (  # noqa: E402
    NETWORKS,
    Network,
    build_network,
    mean_and_std,
    pixel_layer,
)
from trainers.tasks.registry import find_recipe  # noqa: E402


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


def test_pixels_that_are_not_in_memory_get_the_mean_and_deviation_of_photographs(tiny_recipe):
    mean, std = mean_and_std(tiny_recipe(), _files())
    np.testing.assert_allclose(mean, [123.675, 116.28, 103.53], rtol=1e-6)
    np.testing.assert_allclose(std, [58.395, 57.12, 57.375], rtol=1e-6)


def test_every_network_with_pretrained_weights_brings_its_own_scaling(tiny_recipe):
    recipe = find_recipe("folder_has").override(model="efficientnet_lite0", weights="random")
    scaling = pixel_layer(recipe, _files())
    assert (scaling.mean, scaling.std) == ((127.5,) * 3, (127.5,) * 3)
    model = build_network(recipe.override(image_size=64), 3, scaling)
    hiding = next(layer for layer in model.layers if type(layer).__name__ == "HideAndSeek")
    assert hiding.fill_value == pytest.approx(
        [(c - 127.5) / 127.5 for c in (123.675, 116.28, 103.53)]
    )


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("InceptionV3", {"image_size": 299, "resize_size": 342, "weights": "imagenet"}),
        ("ResNet50", {"image_size": 224, "resize_size": 256, "weights": "imagenet"}),
        ("small_gap", {"image_size": 224, "weights": "", "map_stride": 8}),
    ],
)
def test_another_network_brings_its_own_defaults_unless_they_are_given(model, expected):
    recipe = find_recipe("folder_has").override(model=model)
    assert {name: getattr(recipe, name) for name in expected} == expected
    given = find_recipe("folder_has").override(model=model, image_size=96, weights="random")
    assert (given.image_size, given.weights) == (96, "random")
    scratch = find_recipe("tiny_imagenet_has").override(model=model)
    assert (scratch.image_size, scratch.weights) == (64, "")


def test_a_recipe_names_the_network_and_the_values_that_it_was_given():
    recipe = find_recipe("folder_has").override(model="ResNet50", epochs=3, seed=4)
    assert recipe.summary == (
        "Your own folders, ResNet50, the paper's mixed patches. "
        "Changed: epochs=3, model='ResNet50'."
    )
    again = type(recipe).from_json(recipe.to_json())
    assert again.summary == recipe.summary
    assert find_recipe("folder_has").override(seed=4).summary == find_recipe("folder_has").summary


def test_a_misspelt_model_gets_a_suggestion_before_anything_else(tiny_recipe):
    recipe = tiny_recipe("folder_has", model="MobileNetV22", weights="")
    with pytest.raises(RunError, match="'MobileNetV2'"):
        pixel_layer(recipe, _files())


def test_a_failed_download_names_the_remedies(tiny_recipe, monkeypatch):
    def no_internet(*args, weights=None, **kwargs):
        if weights == "imagenet":
            raise Exception("URL fetch failure on https://x/mobilenet_no_top.h5: None")  # as Keras
        return GAPClassifier("MobileNetV2", *args, **kwargs)

    network = Network(no_internet, ("weights", "last_stage_stride"), scaling="MobileNetV2")
    monkeypatch.setitem(NETWORKS, "MobileNetV2", network)
    recipe = tiny_recipe("folder_has", model="MobileNetV2", weights="imagenet", image_size=64)
    with pytest.raises(RunError, match=r"mobilenet_no_top.h5.*--weights=FILE.*--weights=random"):
        build_network(recipe, 3, pixel_layer(recipe, _files()))


def test_weights_of_another_network_are_named_in_a_few_words(tiny_recipe, tmp_path):
    other = keras.applications.MobileNetV3Small(include_top=False, weights=None)
    other.save_weights(tmp_path / "other.weights.h5")
    for model in ("MobileNetV2", "efficientnet_lite0"):
        recipe = tiny_recipe(
            "folder_has", model=model, weights=str(tmp_path / "other.weights.h5"), image_size=64
        )
        with pytest.raises(RunError, match=f"other.weights.h5.*--model={model}") as caught:
            build_network(recipe, 3, pixel_layer(recipe, _files()))
        assert len(str(caught.value)) < 800
        assert "array" not in str(caught.value)


def test_a_setting_that_does_not_fit_is_not_blamed_on_the_weights(tiny_recipe, tmp_path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save_weights(
        tmp_path / "dense.weights.h5"
    )
    recipe = tiny_recipe(
        "folder_has", model="InceptionV3", weights=str(tmp_path / "dense.weights.h5"), image_size=32
    )
    with pytest.raises(RunError, match="75"):
        build_network(recipe, 3, pixel_layer(recipe, _files()))


def _files():
    return data.Dataset(
        "files", ["a"], {"label": [0], "boxes": [[]]}, data.FileImages(["a.png"]), ("x",)
    )
