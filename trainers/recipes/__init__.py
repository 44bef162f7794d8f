"""One named entry per experiment: everything that determines its result, in one place."""

from trainers.recipes.image_recipe import ImageRecipe as ImageRecipe
from trainers.recipes.recipe import Recipe as Recipe
from trainers.recipes.video_recipe import VideoRecipe as VideoRecipe
