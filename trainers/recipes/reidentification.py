"""Person re-identification: the paper's recipes, and a part of Market-1501 at small scale."""

import dataclasses
from typing import Any

from trainers.recipes.imagenet import MIXED
from trainers.recipes.reidentification_recipe import ReidentificationRecipe

_HIDING_CHOICE = (
    "Patch sizes and probability are those of the localization networks, in pixels of the network "
    "input: no source gives those for re-identification."
)
_IDE = ReidentificationRecipe(
    name="market1501_ide",
    description="Market-1501, IDE on ResNet-50 at 256 x 128, nothing hidden.",
    dataset="market1501",
    model="ResNet50",
    weights="imagenet",
    map_stride=32,
    fill_value=(),
    epochs=50,
    batch_size=128,
    schedule="steps",
    learning_rate=0.01,
    step_epochs=(40,),
    evaluate_every=10,
    published={"rank1": 85.6, "map": 65.8},
    choices=(
        "Network and schedule are those of the CamStyle code, which the paper used. ResNet-50 is "
        "that of keras.applications, which has biases in its convolutions, and strides in the "
        "first convolution of a block.",
        "The areas of random crops are drawn as TensorFlow does it. The last, incomplete batch of "
        "an epoch is carried over into the next epoch.",
    ),
)
_CAMSTYLE = (
    "The published figures are with 46 images per batch transferred between cameras (CamStyle) "
    "besides the 128; there are none here."
)
_ERASING_CHOICE = (
    "Keras' layer erases; it draws both sides independently. Probability and area are the Random "
    "Erasing paper's, the fill is the mean."
)
# Of each dataset: the figures without hiding, with random erasing and with hiding.
_PUBLISHED = {
    "market1501": ((85.6, 65.8), (89.4, 71.5), (90.2, 72.8)),
    "dukemtmc_reid": ((72.3, 51.8), (78.3, 57.6), (79.9, 57.2)),
}
_TITLES = {"market1501": "Market-1501", "dukemtmc_reid": "DukeMTMC-reID"}


def _full_scale(dataset: str) -> tuple[ReidentificationRecipe, ...]:
    """Returns the recipes with nothing hidden, random erasing, hiding, and both."""
    network = f"{_TITLES[dataset]}, IDE on ResNet-50 at 256 x 128"
    figures = [{"rank1": rank1, "map": mean} for rank1, mean in _PUBLISHED[dataset]]

    def recipe(
        name: str, change: str, choices: tuple[str, ...], **fields: Any
    ) -> ReidentificationRecipe:
        return dataclasses.replace(
            _IDE,
            name=f"{dataset}_{name}",
            dataset=dataset,
            description=f"{network}, {change}.",
            choices=(*_IDE.choices, *choices),
            **fields,
        )

    return (
        recipe("ide", "nothing hidden", (), published=figures[0]),
        recipe(
            "erasing",
            "a random rectangle of half of the images erased",
            (_CAMSTYLE, _ERASING_CHOICE),
            augmentation="random_erasing",
            published=figures[1],
        ),
        recipe(
            "has",
            "mixed patches hidden",
            (_CAMSTYLE, _HIDING_CHOICE),
            patch_size=MIXED,
            published=figures[2],
        ),
        recipe(
            "has_erasing",
            "mixed patches hidden and random rectangles erased",
            (_ERASING_CHOICE, _HIDING_CHOICE),
            augmentation="random_erasing",
            patch_size=MIXED,
            published={},
        ),
    )


_SMALL = dataclasses.replace(
    _IDE,
    name="market1501_small_ide",
    description="Market-1501, IDE on EfficientNet-Lite0 at 128 x 64, nothing hidden.",
    model="efficientnet_lite0",
    weights="",
    image_size=128,
    image_width=64,
    resize_size=128,
    # The scaling that the network was trained with: pixels in [-1, 1].
    mean=(127.5, 127.5, 127.5),
    std=(127.5, 127.5, 127.5),
    # The mean color of ImageNet on that scale.
    fill_value=(-0.0293, -0.0893, -0.1921),
    batch_norm_momentum=0.9,
    epochs=12,
    batch_size=64,
    schedule="cosine",
    step_epochs=(),
    learning_rate=0.02,
    embedding_size=256,
    evaluate_every=6,
    published={},
    choices=(
        "Everything: the paper has no small experiment. Size and epochs are what two cores can do "
        "in minutes; nothing was chosen on the test images.",
    ),
)
# The paper's sizes for half the width of its input.
_SMALL_PATCHES = (0, 8, 16, 22, 28)


def _small(
    name: str, change: str, patch_size: tuple[int, ...] = (0,), augmentation: str = ""
) -> ReidentificationRecipe:
    return dataclasses.replace(
        _SMALL,
        name=f"market1501_small_{name}",
        description=f"Market-1501, IDE on EfficientNet-Lite0 at 128 x 64, {change}.",
        patch_size=patch_size,
        augmentation=augmentation,
    )


SMALL_RECIPES = (
    _SMALL,
    _small("has", "mixed patches hidden", _SMALL_PATCHES),
    _small("erasing", "random rectangles erased", augmentation="random_erasing"),
    _small(
        "has_erasing",
        "mixed patches hidden and random rectangles erased",
        _SMALL_PATCHES,
        "random_erasing",
    ),
)
RECIPES = (*SMALL_RECIPES, *(recipe for name in _PUBLISHED for recipe in _full_scale(name)))
DEFAULT_RECIPES = {
    "market1501": "market1501_small_has",
    "dukemtmc_reid": "dukemtmc_reid_has",
}
