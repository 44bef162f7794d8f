"""One named entry for each experiment: everything that decides its result, in one place."""

from typing import TypeVar

from trainers.recipes import cub, folder, imagenet, parts, small, tiny_imagenet, videos
from trainers.recipes.image_recipe import ImageRecipe as ImageRecipe
from trainers.recipes.recipe import Recipe as Recipe
from trainers.recipes.video_recipe import VideoRecipe as VideoRecipe

RecipeType = TypeVar("RecipeType", bound=Recipe)

RECIPES: dict[str, ImageRecipe] = {
    recipe.name: recipe
    for module in (parts, tiny_imagenet, cub, imagenet, folder, small)
    for recipe in module.RECIPES
}

VIDEO_RECIPES: dict[str, VideoRecipe] = {recipe.name: recipe for recipe in videos.RECIPES}

# What `--dataset=...` runs where no recipe is named.
DEFAULT_RECIPES = {
    "parts": "parts_has",
    "tiny_imagenet": "tiny_imagenet_has",
    "cub": "cub_has",
    "imagenet": "alexnet_has_mixed",
    "folder": "folder_has",
}


DEFAULT_VIDEO_RECIPES = {
    "phases": "phases_has",
    "watch_untrimmed": "watch_has",
    "thumos14": "video_has",
    "activitynet": "video_has",
}


def find_recipe(name: str) -> ImageRecipe:
    """Returns the recipe for images of that name.

    Raises:
        ValueError: If there is none; the message lists those there are.
    """
    return _find(name, RECIPES)


def find_video_recipe(name: str) -> VideoRecipe:
    """Returns the recipe for videos of that name.

    Raises:
        ValueError: If there is none; the message lists those there are.
    """
    return _find(name, VIDEO_RECIPES)


def _find(name: str, recipes: dict[str, RecipeType]) -> RecipeType:
    if name not in recipes:
        raise ValueError(f"There is no recipe {name!r}. There are: {', '.join(sorted(recipes))}.")
    return recipes[name]
