"""One named entry for each experiment: everything that decides its result, in one place."""

from trainers.recipes import cub, folder, imagenet, parts, small, tiny_imagenet
from trainers.recipes.image_recipe import ImageRecipe as ImageRecipe
from trainers.recipes.recipe import Recipe as Recipe

RECIPES: dict[str, ImageRecipe] = {
    recipe.name: recipe
    for module in (parts, tiny_imagenet, cub, imagenet, folder, small)
    for recipe in module.RECIPES
}

# What `--dataset=...` runs where no recipe is named.
DEFAULT_RECIPES = {
    "parts": "parts_has",
    "tiny_imagenet": "tiny_imagenet_has",
    "cub": "cub_has",
    "imagenet": "alexnet_has_mixed",
    "folder": "folder_has",
}


def find_recipe(name: str) -> ImageRecipe:
    """Returns the recipe of that name.

    Raises:
        ValueError: If there is none; the message lists those there are.
    """
    if name not in RECIPES:
        raise ValueError(f"There is no recipe {name!r}. There are: {', '.join(sorted(RECIPES))}.")
    return RECIPES[name]
