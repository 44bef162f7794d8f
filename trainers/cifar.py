r"""Trains a classifier on CIFAR-10, with or without hiding, and reports its accuracy.

  python -m trainers.cifar --data_dir=DIR

DIR is cifar-10-batches-bin or cifar-10-batches-py, as unpacked from the official archives.
Nothing hidden, for comparison:

  python -m trainers.cifar --recipe=cifar10_small_full --data_dir=DIR

Every field of a recipe is a flag of the same name, which overrides it. The same command resumes an
interrupted run after its last finished epoch.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app

from trainers.engine.command import training_command

main = training_command("classification")

if __name__ == "__main__":
    app.run(main)
