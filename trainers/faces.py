r"""Trains a classifier of emotion, age or gender, with or without hiding, and reports its accuracy.

  python -m trainers.faces --task=emotion --data_dir=DIR
  python -m trainers.faces --task=age --data_dir=DIR
  python -m trainers.faces --task=gender --data_dir=DIR

DIR is CK+ for emotions, in its official layout or as one folder per emotion, and UTKFace for age
and gender; --dataset=fer2013 and --dataset=adience select others (docs/data.md). Nothing hidden,
for comparison:

  python -m trainers.faces --task=emotion --recipe=ck_plus_small_full --data_dir=DIR

The epoch that is best on the validation images is evaluated on the test images. On CK+ and Adience
--fold=N selects the test fold, by default the seed modulo the number of folds. Every field of a
recipe is a flag of the same name, which overrides it. The same command resumes an interrupted run
after its last finished epoch.
"""

import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags

from trainers.engine.command import exit_on_error, training_command
from trainers.recipes.faces import recipe_name

_TASK = flags.DEFINE_enum(
    "task", None, ["emotion", "age", "gender"], "What to classify. Default: the recipe's."
)
_train = training_command(
    "faces",
    on_bad_image=flags.DEFINE_enum(
        "on_bad_image",
        "error",
        ["error", "skip"],
        "What to do about images that cannot be decoded: stop and name them, or leave them out and "
        "list them at the end.",
    ),
)


def main(argv: Sequence[str]) -> None:
    """Chooses the recipe of the task, and trains."""
    values = flags.FLAGS
    if _TASK.value is not None:
        with exit_on_error(ValueError):
            values.recipe = recipe_name(_TASK.value, values.dataset, values.recipe)
    _train(argv)


if __name__ == "__main__":
    app.run(main)
