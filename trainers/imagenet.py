r"""Trains a classifier that also says where the object is, from image-level labels.

With no arguments it trains on generated images and ends within minutes on two CPU cores:

  python -m trainers.imagenet

On one's own images, a folder a class below DIR/train and DIR/val:

  python -m trainers.imagenet --dataset=folder --data_dir=DIR

Every field of a recipe is a flag of the same name that overrides it:

  python -m trainers.imagenet --recipe=alexnet_has_mixed --data_dir=DIR --batch_size=256

Started again with the same command, a run goes on from its last finished epoch.
"""

import os
import sys
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging

from trainers.recipe_flags import define_recipe_flags, recipe_from_flags
from trainers.recipes import DEFAULT_RECIPES, RECIPES, ImageRecipe, find_recipe

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


_NETWORK_FROM = flags.DEFINE_string(
    "network_from",
    None,
    "Folder of a finished run that trained alike: its network is judged, and none trained.",
)
define_recipe_flags(ImageRecipe)


def main(argv: Sequence[str]) -> None:
    """Runs the recipe that the flags ask for."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    try:
        dataset = flags.FLAGS.dataset or "parts"
        recipe = recipe_from_flags(find_recipe(_RECIPE.value or DEFAULT_RECIPES[dataset]))
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    run_dir = _RUN_DIR.value or f"runs/{recipe.name}-seed{recipe.seed}"
    logging.set_verbosity(logging.WARNING)  # TensorFlow tells of every function that it exports
    from trainers import image_task, runs  # TensorFlow is loaded here, so that --help is quick

    try:
        image_task.train(
            recipe,
            run_dir,
            _DATA_DIR.value,
            _ON_BAD_IMAGE.value,
            network_from=_NETWORK_FROM.value,
        )
    except (runs.RunError, ValueError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command goes on from the last finished epoch.")


if __name__ == "__main__":
    app.run(main)
