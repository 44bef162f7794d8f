"""Your own images, with one folder per class: fine-tunes a pretrained network."""

import dataclasses

from trainers.recipes.image_recipe import ImageRecipe

_GAP = ImageRecipe(
    name="folder_gap",
    description="Your own folders, MobileNetV2, nothing hidden.",
    dataset="folder",
    model="MobileNetV2",
    weights="imagenet",
    map_stride=16,
    image_size=224,
    resize_size=256,
    fill_value=(),  # the mean color on the network's own scale
    epochs=10,
    batch_size=32,
    learning_rate=0.01,
    weight_decay=1e-4,
    choices=("Everything: the paper does not fine-tune on small datasets.",),
)
_HAS = dataclasses.replace(
    _GAP,
    name="folder_has",
    description="Your own folders, MobileNetV2, the paper's mixed patches.",
    patch_size=(0, 16, 32, 44, 56),
)
RECIPES = (_GAP, _HAS)
DEFAULT_RECIPES = {"folder": "folder_has"}
