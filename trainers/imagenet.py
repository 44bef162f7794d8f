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
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags

from trainers.engine.command import define_run_flags, run_from_flags
from trainers.recipes import DEFAULT_RECIPES, RECIPES, ImageRecipe

_ON_BAD_IMAGE = flags.DEFINE_enum(
    "on_bad_image",
    "error",
    ["error", "skip"],
    "What to do about a file that cannot be decoded: stop and name it, or look for all of them "
    "first, leave them out and list them at the end.",
)
define_run_flags(ImageRecipe, RECIPES)


def train(recipe: ImageRecipe, run_dir: str) -> None:
    """Does the run."""
    from trainers.tasks import image_localization

    values = flags.FLAGS
    image_localization.train(
        recipe,
        run_dir,
        values.data_dir,
        _ON_BAD_IMAGE.value,
        network_from=values.network_from,
    )


def main(argv: Sequence[str]) -> None:
    """Runs the recipe that the flags ask for."""
    run_from_flags(argv, RECIPES, DEFAULT_RECIPES, train)


if __name__ == "__main__":
    app.run(main)
