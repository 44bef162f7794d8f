r"""Trains a network that says when actions happen, from labels of whole videos.

With no arguments it trains on generated sequences and ends within minutes on two CPU cores:

  python -m trainers.thumos

On THUMOS'14, features as one .npy, .npz or HDF5 file a video in DIR/features, and the annotations
as DIR/annotations.json (ActivityNet's layout) or the official text files in DIR/annotations:

  python -m trainers.thumos --recipe=video_has --data_dir=DIR

On one's own videos, DIR/features/ID.npy and DIR/annotations.json: docs/video.md.

  python -m trainers.thumos --dataset=watch_untrimmed --data_dir=DIR

Every field of a recipe is a flag of the same name that overrides it. Started again with the same
command, a run goes on from its last finished epoch.
"""

import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags

from trainers.engine.command import define_run_flags, run_from_flags
from trainers.recipes import DEFAULT_VIDEO_RECIPES, VIDEO_RECIPES, VideoRecipe

define_run_flags(VideoRecipe, VIDEO_RECIPES)


def train(recipe: VideoRecipe, run_dir: str) -> None:
    """Does the run."""
    from trainers.tasks import temporal_localization

    values = flags.FLAGS
    temporal_localization.train(recipe, run_dir, values.data_dir, network_from=values.network_from)


def main(argv: Sequence[str]) -> None:
    """Runs the recipe that the flags ask for."""
    run_from_flags(argv, VIDEO_RECIPES, DEFAULT_VIDEO_RECIPES, train)


if __name__ == "__main__":
    app.run(main)
