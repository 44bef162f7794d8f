"""All tasks that can be trained. To add a task, add its files and one entry to `_ENTRIES`."""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from trainers.engine.choices import unknown_name
from trainers.recipes import (
    cifar,
    cub,
    faces,
    folder,
    imagenet,
    imagenet_classification,
    parts,
    pets,
    reidentification,
    segmentation,
    small,
    tiny_imagenet,
    videos,
)
from trainers.recipes.classification_recipe import ClassificationRecipe
from trainers.recipes.faces_recipe import FacesRecipe
from trainers.recipes.image_recipe import ImageRecipe
from trainers.recipes.recipe import Recipe
from trainers.recipes.reidentification_recipe import ReidentificationRecipe
from trainers.recipes.segmentation_recipe import SegmentationRecipe
from trainers.recipes.video_recipe import VideoRecipe


@dataclasses.dataclass(frozen=True)
class TaskEntry:
    """One task: its class, its recipes and its command.

    Args:
        class_name: The class of the task, in the module `trainers.tasks.NAME`, where NAME is the
            name of the task. It is imported when it is needed, because that loads TensorFlow.
        recipe_class: The class of its recipes; its `TASK` is the name of the task.
        command: The module of `trainers` that trains it.
        recipe_modules: Modules with the task's `RECIPES` and, for each dataset, the name of the
            recipe that the command runs by default, in `DEFAULT_RECIPES`.
    """

    class_name: str
    recipe_class: type[Recipe]
    command: str
    recipe_modules: tuple[ModuleType, ...]

    @property
    def name(self) -> str:
        """The name of the task, as in recipe.json."""
        return self.recipe_class.TASK

    def task_class(self) -> Any:
        """Imports and returns the class of the task, a subclass of `trainers.tasks.task.Task`."""
        return getattr(importlib.import_module(f"trainers.tasks.{self.name}"), self.class_name)

    @functools.cached_property
    def recipes(self) -> dict[str, Any]:
        """All recipes by name."""
        return {recipe.name: recipe for module in self.recipe_modules for recipe in module.RECIPES}

    @functools.cached_property
    def default_recipes(self) -> dict[str, str]:
        """The name of the default recipe of each dataset; the first is the default of the task."""
        return {
            dataset: name
            for module in self.recipe_modules
            for dataset, name in getattr(module, "DEFAULT_RECIPES", {}).items()
        }


_ENTRIES = (
    TaskEntry(
        "ImageLocalization",
        ImageRecipe,
        "imagenet",
        (parts, tiny_imagenet, cub, pets, imagenet, folder, small),
    ),
    TaskEntry("TemporalLocalization", VideoRecipe, "thumos", (videos,)),
    TaskEntry("Classification", ClassificationRecipe, "cifar", (cifar, imagenet_classification)),
    TaskEntry("Faces", FacesRecipe, "faces", (faces,)),
    TaskEntry("Segmentation", SegmentationRecipe, "segmentation", (segmentation,)),
    TaskEntry("Reidentification", ReidentificationRecipe, "reid", (reidentification,)),
)
TASKS = {entry.name: entry for entry in _ENTRIES}

# Version 0.1 did not write the task into recipe.json, but each task had a field of its own.
_TASKS_BY_OLD_FIELD = {"patch_size": "image_localization", "num_segments": "temporal_localization"}


def find_task(name: str) -> TaskEntry:
    """Returns a task by its name.

    Raises:
        ValueError: If there is no such task.
    """
    if name not in TASKS:
        raise ValueError(unknown_name("task", name, TASKS))
    return TASKS[name]


def find_recipe(name: str) -> Any:
    """Returns the recipe of that name, of any task.

    Raises:
        ValueError: If there is no such recipe; the message lists all recipes.
    """
    recipes = {key: recipe for entry in TASKS.values() for key, recipe in entry.recipes.items()}
    if name not in recipes:
        raise ValueError(unknown_name("recipe", name, recipes))
    return recipes[name]


def task_of_fields(fields: Mapping[str, Any]) -> TaskEntry:
    """Returns the task of a recipe, given the content of its recipe.json.

    Raises:
        ValueError: If it is not the recipe of a known task.
    """
    if "task" in fields:
        return find_task(fields["task"])
    names = [name for field, name in _TASKS_BY_OLD_FIELD.items() if field in fields]
    if len(names) != 1:
        raise ValueError(
            'the recipe should state its "task", or contain either '
            f"{' or '.join(_TASKS_BY_OLD_FIELD)}"
        )
    return find_task(names[0])
