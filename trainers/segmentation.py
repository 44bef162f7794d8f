r"""Trains a fully convolutional network that labels every pixel, and reports its mean IoU.

  python -m trainers.segmentation --data_dir=DIR --weights=PATH

DIR is CamVid in the layout of PASCAL VOC, PATH the ImageNet weights of EfficientNet-Lite0
(docs/data.md says which). Nothing hidden, for comparison:

  python -m trainers.segmentation --recipe=camvid_full --data_dir=DIR --weights=PATH

On your own images, with the names of their classes in DIR/classes.txt:

  python -m trainers.segmentation --dataset=voc_folder --data_dir=DIR --weights=PATH

Hidden pixels keep their labels, unless --hidden_pixels=ignore is given. Every field of a recipe is
a flag of the same name, which overrides it. The same command resumes an interrupted run after its
last finished epoch.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags

from trainers.engine.command import training_command

main = training_command(
    "segmentation",
    on_bad_image=flags.DEFINE_enum(
        "on_bad_image",
        "error",
        ["error", "skip"],
        "What to do about images and masks that cannot be used: stop and name them, or leave them "
        "out and list them at the end.",
    ),
)

if __name__ == "__main__":
    app.run(main)
