"""The networks for images, in a table: the recipe field `model` names an entry."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_has import layers, models
from keras_has.data import Dataset
from trainers.engine.choices import unknown_name
from trainers.engine.run_error import RunError
from trainers.recipes.image_fields import ImageFields


@dataclasses.dataclass(frozen=True)
class Network:
    """One network.

    Args:
        build: Returns the model, given the number of classes, the input shape and keyword
            arguments.
        fields: Recipe fields that are passed on; an empty tuple leaves the network's default.
            "weights" are a path, "imagenet" or none, and "last_stage_stride" follows from the
            recipe's `map_stride`. Every network takes `pooling`.
        can_hide_conv1: Whether patches can be hidden in the map of its first convolution.
        needs_weights: Why `weights` has to be given as a path or as "random"; "" if it need not.
        scaling: The name under which `keras_has.models.pixel_scaling` knows the pixels that the
            network was trained on; "" for a network without pretrained weights.
    """

    build: Callable[..., keras.Model]
    fields: tuple[str, ...] = ()
    can_hide_conv1: bool = False
    needs_weights: str = ""
    scaling: str = ""


NETWORKS = {
    "small_gap": Network(models.SmallGAP, ("map_stride", "widths"), can_hide_conv1=True),
    "alexnet": Network(
        models.AlexNet,
        ("weights", "conv1_padding"),
        needs_weights="alexnet starts from weights of ILSVRC 2012 in a file: --weights=PATH "
        "(docs/segmentation.md says which), or from scratch: --weights=random.",
    ),
    "alexnet_gap": Network(models.AlexNetGAP, can_hide_conv1=True),
    "googlenet_gap": Network(models.GoogLeNetGAP, ("map_stride", "width_multiplier")),
    "khorrami_cnn": Network(models.KhorramiCNN, ("widths",)),
    "levi_hassner_cnn": Network(models.LeviHassnerCNN),
    "cifar_resnet": Network(models.CifarResNet, ("depth", "block")),
    "efficientnet_lite0": Network(
        models.EfficientNetLite0,
        ("weights", "last_stage_stride", "batch_norm_momentum"),
        needs_weights="efficientnet_lite0 starts from ImageNet weights in a file: --weights=PATH "
        "(docs/data.md says which), or from scratch: --weights=random.",
        scaling="EfficientNetLite0",
    ),
}


def find_network(name: str) -> Network:
    """Returns a network of the table, or one of `keras.applications`.

    Raises:
        RunError: If there is no such network.
    """
    if name in NETWORKS:
        return NETWORKS[name]
    if not _is_application(name):
        applications = [other for other in dir(keras.applications) if _is_application(other)]
        raise RunError(unknown_name("model", name, [*NETWORKS, *applications]))
    return Network(
        functools.partial(models.GAPClassifier, name),
        ("weights", "last_stage_stride"),
        scaling=name,
    )


def build_network(
    recipe: ImageFields,
    num_classes: int,
    scaling: keras.Layer,
    augmentation: Sequence[keras.Layer] = (),
    takes_any_size: bool = False,
) -> keras.Model:
    """Returns the network of a recipe, with normalization and hiding inside.

    Args:
        recipe: The recipe.
        num_classes: Number of classes.
        scaling: The layer that scales pixels, see `pixel_layer`.
        augmentation: Further layers between scaling and hiding.
        takes_any_size: Whether height and width of the input are left open.

    Returns:
        A flat Functional model, not compiled.

    Raises:
        RunError: If network or weights do not exist, or settings do not fit together.
    """
    network = find_network(recipe.model)
    arguments: dict[str, Any] = {
        "pooling": recipe.pooling,
        "preprocessing": preprocessing_layers(recipe, scaling, augmentation),
    }
    if any(recipe.conv1_patch_size):
        if not network.can_hide_conv1:
            raise RunError(
                f"--conv1_patch_size requires --model={_names(lambda n: n.can_hide_conv1)}. "
                f"Received: --model={recipe.model}"
            )
        arguments["conv1_hiding"] = _hiding(recipe, recipe.conv1_patch_size, (0.0,))
    _check_weights(recipe, network)
    for name in network.fields:
        value = _argument(recipe, name)
        if value != ():
            arguments[name] = value
    height, width = (None, None) if takes_any_size else recipe.input_size
    build = functools.partial(network.build, num_classes, (height, width, 3), **arguments)
    has_weights = arguments.get("weights") is not None
    try:
        return build()
    except Exception as error:  # Keras raises a plain Exception if a download fails.
        if not has_weights and not isinstance(error, (OSError, ValueError)):
            raise
        try:
            _ = build(weights=None) if has_weights else None
        except (OSError, ValueError) as without_weights:  # The weights are not the reason.
            raise RunError(str(without_weights)) from error
        raise RunError(_why_not_loaded(recipe, error) if has_weights else str(error)) from error


def _why_not_loaded(recipe: ImageFields, error: Exception) -> str:
    """Returns the message for weights that cannot be downloaded, read or used."""
    # Keras adds whole arrays.
    reason = " ".join(str(error).split("Target variable:", maxsplit=1)[0].split())[:400].rstrip(".")
    if recipe.weights == "imagenet":
        return (
            f"The ImageNet weights of {recipe.model} could not be downloaded: {reason}. Without "
            "internet, download that file on another machine and pass it with --weights=FILE, or "
            "train from scratch with --weights=random: with few images this costs most of the "
            "accuracy and takes many more epochs (--epochs)."
        )
    return (
        f"{recipe.weights} (--weights) should contain the weights of --model={recipe.model}; for a "
        "network of keras.applications, those without its classifier, in a file whose name ends in "
        f"notop.h5 or no_top.h5. Received: {reason}"
    )


def pixel_layer(recipe: ImageFields, dataset: Dataset) -> keras.Layer:
    """Returns the layer that scales pixels: by mean and deviation, or as a network was trained.

    Raises:
        RunError: If there is no such network.
    """
    network = find_network(recipe.model)
    if not recipe.mean and network.scaling:
        return models.pixel_scaling(network.scaling)
    mean, std = mean_and_std(recipe, dataset)
    return keras.layers.Normalization(mean=mean, variance=np.square(std), dtype="float32")


def mean_and_std(recipe: ImageFields, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation of each channel: the recipe's, or the data's.

    If the recipe has none and the data are not in memory, they are those of ImageNet.
    """
    if recipe.mean:
        return np.array(recipe.mean, "float32"), np.array(recipe.std, "float32")
    images = getattr(dataset.source, "pixels", None)
    if images is None:
        of_photographs = models.pixel_scaling("DenseNet121")
        return np.array(of_photographs.mean, "float32"), np.array(of_photographs.std, "float32")
    count = images[..., 0].size
    sums = np.zeros(3)
    squares = np.zeros(3)
    for start in range(0, len(dataset), 1000):  # in parts, because float64 takes eight times more
        pixels = images[start : start + 1000].astype("float64")
        sums += pixels.sum((0, 1, 2))
        squares += np.square(pixels).sum((0, 1, 2))
    mean = sums / count
    return mean.astype("float32"), np.sqrt(squares / count - mean**2).astype("float32")


def preprocessing_layers(
    recipe: ImageFields, scaling: keras.Layer, augmentation: Sequence[keras.Layer]
) -> list[keras.Layer]:
    """Returns the layers in front of the network: scaling first, and hiding last.

    Args:
        recipe: The recipe.
        scaling: The layer that scales pixels, see `pixel_layer`.
        augmentation: Further layers between scaling and hiding.
    """
    preprocessing: list[keras.Layer] = [scaling, *augmentation]
    if recipe.input_dropout:
        preprocessing.append(
            layers.InputDropout(
                recipe.input_dropout, recipe.input_dropout_at_test, seed=recipe.seed
            )
        )
    if any(recipe.patch_size):
        # The mean color is 0 after normalization, unless a network has its own scale.
        fill_value = recipe.fill_value or getattr(scaling, "mean_colour", (0.0,))
        preprocessing.append(_hiding(recipe, recipe.patch_size, fill_value))
    return preprocessing


def _hiding(
    recipe: ImageFields, sizes: Sequence[float], fill_value: tuple[float, ...]
) -> layers.HideAndSeek:
    return layers.HideAndSeek(
        sizes,
        recipe.patch_probability,
        fill_value if len(fill_value) > 1 else fill_value[0],
        data_format="channels_last",
        seed=recipe.seed,
    )


def _argument(recipe: ImageFields, name: str) -> Any:
    if name == "last_stage_stride":
        return 1 if recipe.map_stride < 32 else 2
    if name == "weights":
        return None if recipe.weights in ("", "random") else recipe.weights
    if not hasattr(recipe, name):
        raise RunError(
            f"--model={recipe.model} needs `{name}`, which recipes for {recipe.TASK} do not have. "
            "Choose another --model."
        )
    return getattr(recipe, name)


def _check_weights(recipe: ImageFields, network: Network) -> None:
    """Raises if the recipe's weights do not exist, or the network cannot use them."""
    weights = recipe.weights
    if weights and "weights" not in network.fields:
        with_weights = _names(lambda other: "weights" in other.fields)
        raise RunError(
            f"--weights requires --model={with_weights} or a network of keras.applications. "
            f"Received: --model={recipe.model} --weights={weights}"
        )
    if weights not in ("", "imagenet", "random") and not Path(weights).is_file():
        raise RunError(f"There is no weights file {weights} (--weights).")
    if network.needs_weights and weights in ("", "imagenet"):
        raise RunError(network.needs_weights)


def _is_application(name: str) -> bool:
    return inspect.isfunction(getattr(keras.applications, name, None))


def _names(is_listed: Callable[[Network], bool]) -> str:
    return " or ".join(name for name, network in NETWORKS.items() if is_listed(network))
