r"""Trains a classifier on CIFAR-10 or CIFAR-100, with or without hiding, and reports its accuracy.

  python -m trainers.cifar --data_dir=DIR
  python -m trainers.cifar --dataset=cifar100 --data_dir=DIR

DIR is one of the folders in the official archives, such as cifar-10-batches-bin, or the folder
that contains it. By default, a small network is trained: 30 epochs, which take less than an hour
on two CPU cores. Nothing hidden, for comparison:

  python -m trainers.cifar --recipe=cifar10_small_full --data_dir=DIR

A network of Table 8 of the extended paper, 300 epochs, for a GPU:

  python -m trainers.cifar --recipe=resnet44_has --data_dir=DIR

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
