"""Tiny-ImageNet at its own size, 64 px, trained from scratch."""

import dataclasses

from trainers.recipes.image_recipe import ImageRecipe

_GAP = ImageRecipe(
    name="tiny_imagenet_gap",
    description="Tiny-ImageNet, 64 px, 8 x 8 map, nothing hidden.",
    dataset="tiny_imagenet",
    map_stride=8,
    epochs=30,
    choices=("Network and schedule are this project's; nothing was tuned on the validation set.",),
)
_HAS = dataclasses.replace(
    _GAP,
    name="tiny_imagenet_has",
    description="Tiny-ImageNet, 64 px, 8 x 8 map, patches of the paper's sizes scaled to 64 px.",
    patch_size=(0, 4, 9, 12, 16),
)
_FINE = tuple(
    dataclasses.replace(
        recipe,
        name=f"{recipe.name}_16x16",
        description=recipe.description.replace("8 x 8 map", "16 x 16 map"),
        map_stride=4,
    )
    for recipe in (_GAP, _HAS)
)
RECIPES = (_GAP, _HAS, *_FINE)
DEFAULT_RECIPES = {"tiny_imagenet": "tiny_imagenet_has"}
