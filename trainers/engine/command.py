"""What the commands that train have in common: flags, and how they end."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from absl import app, flags, logging

from trainers.engine.recipe_flags import define_recipe_flags, recipe_from_flags
from trainers.recipes import Recipe

RecipeType = TypeVar("RecipeType", bound=Recipe)
flags.disclaim_key_flags()  # --help shows them as those of the command that defines them here


def define_run_flags(kind: type[Recipe], recipes: Mapping[str, Recipe]) -> None:
    """Defines the flags of a run, and one for each field of a recipe.

    Args:
        kind: The class of the recipes.
        recipes: Those that there are, by name.
    """
    flags.DEFINE_string("run_dir", None, "Folder of this run. Default: runs/RECIPE-seedSEED.")
    flags.DEFINE_string(
        "data_dir", None, "Folder of the data set, in its official layout. Not for generated ones."
    )
    flags.DEFINE_enum(
        "recipe", None, sorted(recipes), "What to run. Default: the dataset's, with hiding."
    )
    flags.DEFINE_string(
        "network_from",
        None,
        "Folder of a finished run that trained alike: its network is judged, and none trained.",
    )
    define_recipe_flags(kind)


def run_from_flags(
    argv: Sequence[str],
    recipes: Mapping[str, RecipeType],
    defaults: Mapping[str, str],
    train: Callable[[RecipeType, str], object],
) -> None:
    """Runs the recipe that the flags ask for, and ends as a command should.

    Args:
        argv: What was left of the command line.
        recipes: By name.
        defaults: Name of the recipe for each data set; that of the first is run without flags.
        train: Called with the recipe and the run directory.
    """
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    values = flags.FLAGS
    try:
        name = values.recipe or defaults[values.dataset or next(iter(defaults))]
        recipe = recipe_from_flags(recipes[name])
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    run_dir = values.run_dir or f"runs/{recipe.name}-seed{recipe.seed}"
    logging.set_verbosity(logging.WARNING)  # TensorFlow tells of every function that it exports
    from trainers.engine.runs import RunError  # TensorFlow is loaded here, so that --help is quick

    try:
        train(recipe, run_dir)
    except (RunError, ValueError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command goes on from the last finished epoch.")
