r"""Trains a network that finds pictures of the same person, and reports rank-1 and mAP.

  python -m trainers.reid --data_dir=DIR --weights=PATH

DIR contains bounding_box_train, query and bounding_box_test of Market-1501, PATH the ImageNet
weights of EfficientNet-Lite0 (docs/data.md says which). Nothing hidden, for comparison:

  python -m trainers.reid --recipe=market1501_small_ide --data_dir=DIR --weights=PATH

Random erasing and hiding together:

  python -m trainers.reid --recipe=market1501_small_has_erasing --data_dir=DIR --weights=PATH

The paper's network is that of --recipe=market1501_has. Every field of a recipe is a flag of the
same name, which overrides it. The same command resumes an interrupted run after its last finished
epoch. `python -m trainers.search` searches your own folders with the exported model.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags

from trainers.engine.command import training_command

main = training_command(
    "reidentification",
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
