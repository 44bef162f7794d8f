r"""Trains a classifier that also localizes the object, from image-level labels.

Without arguments it trains on generated images, within minutes on two CPU cores:

  python -m trainers.imagenet

On your own images, with one folder per class in DIR/train and DIR/val:

  python -m trainers.imagenet --dataset=folder --data_dir=DIR

Every field of a recipe is a flag of the same name, which overrides it:

  python -m trainers.imagenet --recipe=alexnet_has_mixed --data_dir=DIR --batch_size=256

Classification alone, as in Table 8 of the extended paper:

  python -m trainers.imagenet --recipe=resnet50_has --data_dir=DIR

The same command resumes an interrupted run after its last finished epoch.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags

from trainers.engine.command import training_command

main = training_command(
    "image_localization",
    "classification",
    on_bad_image=flags.DEFINE_enum(
        "on_bad_image",
        "error",
        ["error", "skip"],
        "What to do about files that cannot be decoded: stop and name the file, or search for all "
        "of them first, leave them out and list them at the end.",
    ),
)

if __name__ == "__main__":
    app.run(main)
