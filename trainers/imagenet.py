r"""Trains a classifier that also says where the object is, from image-level labels.

With no arguments it trains on generated images and ends within minutes on two CPU cores:

  python -m trainers.imagenet

On one's own images, a folder a class below DIR/train and DIR/val:

  python -m trainers.imagenet --dataset=folder --data_dir=DIR

Every field of a recipe is a flag of the same name that overrides it:

  python -m trainers.imagenet --recipe=alexnet_has_mixed --data_dir=DIR --batch_size=256

Started again with the same command, a run goes on from its last finished epoch.
"""

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging

from trainers.recipes import DEFAULT_RECIPES, RECIPES, Recipe, find_recipe
from trainers.recipes.recipe import DATASETS

_RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "Folder of this run. Default: runs/RECIPE-seedSEED."
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of the data set, in its official layout. Not for parts."
)
_RECIPE = flags.DEFINE_enum(
    "recipe", None, sorted(RECIPES), "What to run. Default: the dataset's, with hiding."
)
_ON_BAD_IMAGE = flags.DEFINE_enum(
    "on_bad_image",
    "error",
    ["error", "skip"],
    "What to do about a file that cannot be decoded: stop and name it, or look for all of them "
    "first, leave them out and list them at the end.",
)


def _help_of_fields() -> dict[str, str]:
    """Returns what the docstring of `Recipe` says of each field."""
    texts: dict[str, str] = {}
    name = ""
    for line in (Recipe.__doc__ or "").split("Args:")[1].splitlines():
        if line.startswith(" " * 8) and not line.startswith(" " * 9):
            name, text = line.strip().split(": ", 1)
            texts[name] = text
        elif line.strip():
            texts[name] += " " + line.strip()
    return texts


def _define_recipe_flags() -> None:
    texts = _help_of_fields()
    for field in dataclasses.fields(Recipe):
        text = texts[field.name] + " Default: the recipe's."
        if field.name == "dataset":
            flags.DEFINE_enum("dataset", None, DATASETS, "Which data set. Default: the recipe's.")
        elif field.type is bool:
            flags.DEFINE_boolean(field.name, None, text)
        elif field.type is int:
            flags.DEFINE_integer(field.name, None, text, lower_bound=0)
        elif field.type is float:
            flags.DEFINE_float(field.name, None, text)
        elif field.type is str and field.name not in ("name", "description"):
            flags.DEFINE_string(field.name, None, text)
        elif field.type in (tuple[float, ...], tuple[int, ...]):
            flags.DEFINE_list(field.name, None, text)
            number: Callable[[str], Any] = int if field.type == tuple[int, ...] else float
            flags.register_validator(
                field.name,
                lambda values, number=number: _are_numbers(values, number),
                f"--{field.name} should be numbers with commas between them.",
            )


def _are_numbers(values: Sequence[str] | None, number: Callable[[str], Any]) -> bool:
    try:
        [number(value) for value in values or ()]
    except ValueError:
        return False
    return True


_define_recipe_flags()


def recipe_from_flags() -> Recipe:
    """Returns the recipe asked for, with what other flags override."""
    values = flags.FLAGS.flag_values_dict()
    name = _RECIPE.value or DEFAULT_RECIPES[values["dataset"] or "parts"]
    overrides = {}
    for field in dataclasses.fields(Recipe):
        value = values.get(field.name)
        if value is None:
            continue
        if field.type == tuple[int, ...]:
            value = tuple(int(v) for v in value)
        elif field.type == tuple[float, ...]:
            value = tuple(float(v) for v in value)
        overrides[field.name] = value
    return find_recipe(name).override(**overrides)


def main(argv: Sequence[str]) -> None:
    """Runs the recipe that the flags ask for."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    try:
        recipe = recipe_from_flags()
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    run_dir = _RUN_DIR.value or f"runs/{recipe.name}-seed{recipe.seed}"
    logging.set_verbosity(logging.WARNING)  # TensorFlow tells of every function that it exports
    from trainers import runs  # TensorFlow is loaded here, so that --help is quick

    try:
        runs.train(recipe, run_dir, _DATA_DIR.value, _ON_BAD_IMAGE.value)
    except (runs.RunError, ValueError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command goes on from the last finished epoch.")


if __name__ == "__main__":
    app.run(main)
