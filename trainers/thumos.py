r"""Trains a network that localizes actions in time, from video-level labels.

Without arguments it trains on generated sequences, within minutes on two CPU cores:

  python -m trainers.thumos

On THUMOS'14, with the features of each video as one .npy, .npz or HDF5 file in DIR/features, and
the annotations as DIR/annotations.json (ActivityNet's layout) or as the official text files in
DIR/annotations:

  python -m trainers.thumos --recipe=video_has --data_dir=DIR

On your own videos, with DIR/features/ID.npy and DIR/annotations.json (see docs/video.md):

  python -m trainers.thumos --dataset=feature_folder --data_dir=DIR

Every field of a recipe is a flag of the same name, which overrides it. The same command resumes an
interrupted run after its last finished epoch.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app

from trainers.engine.command import training_command

main = training_command("temporal_localization")

if __name__ == "__main__":
    app.run(main)
