"""Tiny-ImageNet at its own 64 px, trained from scratch."""

import dataclasses

from trainers.recipes.recipe import Recipe

_GAP = Recipe(
    name="tiny_imagenet_gap",
    description="Tiny-ImageNet, 64 px, 16 x 16 map, nothing hidden.",
    dataset="tiny_imagenet",
    epochs=30,
    choices=("Network, schedule and thresholds are this project's.",),
)
_HAS = dataclasses.replace(
    _GAP,
    name="tiny_imagenet_has",
    description="Tiny-ImageNet, 64 px, 16 x 16 map, patches of the paper's sizes scaled to 64 px.",
    patch_size=(0, 4, 9, 12, 16),
)
_COARSE = tuple(
    dataclasses.replace(
        recipe,
        name=f"{recipe.name}_8x8",
        description=recipe.description.replace("16 x 16 map", "8 x 8 map"),
        map_stride=8,
    )
    for recipe in (_GAP, _HAS)
)
RECIPES = (_GAP, _HAS, *_COARSE)
