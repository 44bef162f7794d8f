"""One named entry for each experiment: everything that decides its result, in one place."""

from trainers.recipes import folder, imagenet, parts, tiny_imagenet
from trainers.recipes.recipe import Recipe as Recipe

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for module in (parts, tiny_imagenet, imagenet, folder)
    for recipe in module.RECIPES
}

# What `--dataset=...` runs where no recipe is named.
DEFAULT_RECIPES = {
    "parts": "parts_has",
    "tiny_imagenet": "tiny_imagenet_has",
    "imagenet": "alexnet_has_mixed",
    "folder": "folder_has",
}


def find_recipe(name: str) -> Recipe:
    """Returns the recipe of that name.

    Raises:
        ValueError: If there is none; the message lists those there are.
    """
    if name not in RECIPES:
        raise ValueError(f"There is no recipe {name!r}. There are: {', '.join(sorted(RECIPES))}.")
    return RECIPES[name]
