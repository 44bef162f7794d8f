r"""Turns the maps of a classifier into masks, to train a segmentation network on image labels.

  python -m trainers.imagenet --dataset=pets --data_dir=DIR --weights=PATH
  python -m trainers.pseudo_labels --run_dir=runs/pets_has-seed0 --out=SEEDS
  python -m trainers.segmentation --recipe=pets_weak_has --data_dir=SEEDS --weights=PATH

SEEDS is a dataset in the layout of PASCAL VOC: the training images have masks made of maps, the
test images their true masks. The threshold of the maps is chosen on the images that the classifier
was trained on.
"""

import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging

from trainers.engine.command import exit_on_error, refuse_arguments

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of a finished run on pets.", required=True)
_OUT = flags.DEFINE_string("out", None, "Folder to write.", required=True)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of the dataset. Default: the one that the run was started with."
)


def main(argv: Sequence[str]) -> None:
    """Writes the masks and prints how good they are."""
    refuse_arguments(argv)
    logging.set_verbosity(logging.WARNING)
    with exit_on_error(ValueError, OSError, interrupted="Nothing was written."):
        from trainers.tasks.pseudo_labels import results_table, write_pseudo_labels

        results = write_pseudo_labels(_RUN_DIR.value, _OUT.value, _DATA_DIR.value)
        print("Seeds from the maps of the true class, percent")
        print("\n".join(results_table(results)))
        print(f"Masks:       {_OUT.value}")


if __name__ == "__main__":
    app.run(main)
