r"""Detects actions in your own sequences of features with an exported model, and draws them.

  python -m trainers.detect --model=RUN/saved_model --features=DIR --out=DIR

Features are .npy, .npz or HDF5 files, one per video, as `python -m trainers.extract_features`
writes them. The time between features is read from features.json next to them, or given as
--seconds_per_feature.

Writes detections.json in ActivityNet's layout (video, label, score, segment in seconds) and one
timeline per video. Files that cannot be read are listed.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from absl import app, flags, logging

from keras_has.atomic_files import write_atomically
from trainers.engine.command import exit_on_error, refuse_arguments
from trainers.engine.console import print_problems, progress

FEATURES_FILE = "features.json"
SUFFIXES = (".npy", ".npz", ".h5", ".hdf5")


def find_features(path: Path) -> tuple[list[Path], list[Path]]:
    """Returns the file itself, or all files of features in a folder, in order, and its other files.

    Raises:
        FileNotFoundError: If there is no such file, or a video has two.
    """
    if path.is_file():
        return [path], []
    found, others = [], []
    for file in sorted(path.glob("*")):
        # macOS writes a file ._a.npy beside a.npy.
        is_features = file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
        if is_features:
            found.append(file)
        elif file.name != FEATURES_FILE:
            others.append(file)
    by_name: dict[str, Path] = {}
    for file in found:
        if file.stem in by_name:
            raise FileNotFoundError(
                f"{path} should contain one file of features per video. Received: {file.name} and "
                f"{by_name[file.stem].name}"
            )
        by_name[file.stem] = file
    if not found:
        raise FileNotFoundError(
            f"{path} contains no features ({', '.join(SUFFIXES)}): --features should be a file or "
            "a folder that `python -m trainers.extract_features` wrote."
        )
    return found, others


def seconds_per_feature(folder: Path, given: float | None) -> float:
    """Returns the time between features in seconds: as given, or as stated in features.json.

    Raises:
        ValueError: If neither states it.
    """
    if given is not None:
        if not 0 < given < np.inf:
            raise ValueError(f"--seconds_per_feature should be above 0. Received: {given}")
        return given
    from trainers.tasks.feature_folders import seconds_per_feature_in

    seconds = seconds_per_feature_in(folder)
    if seconds is None:
        raise ValueError(
            f"There is no features.json in {folder} with the time between features: give "
            "--seconds_per_feature."
        )
    return seconds


def check_size(features: np.ndarray, size: int) -> None:
    """Raises if features, (T, D), are not of the size D that the model takes.

    Raises:
        ValueError: If they are not; the message says if they seem to be transposed.
    """
    if features.shape[1] != size:
        turned = "; they are probably transposed" if features.shape[0] == size else ""
        raise ValueError(f"features of {features.shape[1]} numbers; the model takes {size}{turned}")


def detect(signature: Any, features: np.ndarray, step: float, num_features: int | None) -> dict:
    """Returns the outputs of the model for one video, and the time between steps of its map."""
    import tensorflow as tf

    from keras_has.data.feature_files import sample_uniformly

    count = len(features)
    if num_features is not None:
        features = features[sample_uniformly(count, num_features)]  # as in training
    step_seconds = step * count / len(features)
    found = signature(
        features=tf.constant(features[None]), step_seconds=tf.constant([step_seconds], tf.float32)
    )
    return {**{key: value.numpy()[0] for key, value in found.items()}, "step_seconds": step_seconds}


def draw(found: dict, class_names: Sequence[str], threshold: float) -> np.ndarray:
    """Returns the timelines of up to four detected classes, the most probable one first."""
    from keras_has import drawing

    maps, step = found["cam"], found["step_seconds"]
    order = np.argsort(-found["probabilities"], kind="stable")
    drawn = [label for label in order if (found["labels"] == label).any()][:4] or [order[0]]
    tiles, captions = [], []
    for label in drawn:
        is_label = found["labels"] == label
        tiles.append(
            [
                drawing.timeline(
                    len(maps) * step,
                    (),
                    maps[:, label],
                    step,
                    found["segments"][is_label],
                    found["scores"][is_label],
                    threshold,
                )
            ]
        )
        captions.append([f"{class_names[label]} ({found['probabilities'][label]:.0%})"])
    return drawing.sheet(tiles, captions=captions)


def main(argv: Sequence[str]) -> None:
    """Detects actions in all videos, and draws them."""
    refuse_arguments(argv)
    logging.set_verbosity(logging.WARNING)
    from keras_has import data, drawing
    from keras_has.export import load_temporal_localizer, read_temporal_metadata

    values = flags.FLAGS
    out, path = Path(values.out), Path(values.features)
    with exit_on_error(FileNotFoundError, ValueError, interrupted=""):
        read_temporal_metadata(values.model)
        files, others = find_features(path)
        step = seconds_per_feature(
            path if path.is_dir() else path.parent, values.seconds_per_feature
        )
        model, metadata = load_temporal_localizer(values.model)
    signature = model.signatures["serving_default"]
    results: dict[str, list[dict[str, Any]]] = {}
    bad: list[str] = []
    show = progress("detecting", "video")
    for number, file in enumerate(files, start=1):
        if show is not None:
            show(number, len(files))
        try:
            features, _ = data.read_features(
                file, values.feature_key, allow_large_features=values.allow_large_features
            )
            check_size(features, metadata.feature_size)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            bad.append(reason if str(file) in reason else f"{file}: {reason}")
            continue
        found = detect(signature, features, step, metadata.num_features)
        order = np.argsort(-found["scores"], kind="stable")
        results[file.stem] = [
            {
                "label": metadata.class_names[found["labels"][row]],
                "score": round(float(found["scores"][row]), 6),
                "segment": [round(float(time), 3) for time in found["segments"][row]],
            }
            for row in order
            if found["labels"][row] >= 0
        ]
        picture = draw(found, metadata.class_names, metadata.threshold)
        drawing.write_png(out / f"{file.name}.timeline.png", picture)
    description = {"version": "keras_has", "results": results, "external_data": {}}
    write_atomically(out / "detections.json", json.dumps(description, indent=1) + "\n")
    count = sum(len(detections) for detections in results.values())
    print(f"{count} detections in {len(results)} videos: detections.json and timelines in {out}")
    print_problems("files could not be read and were left out", bad, limit=None)
    print_problems("files are not features and were not read", others)
    if len(bad) == len(files):
        sys.exit(1)


def define_flags() -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("model", None, "Folder of an exported model: RUN/saved_model.")
    flags.DEFINE_string("features", None, "A file of features, or a folder of such files.")
    flags.DEFINE_string("out", None, "Folder for the timelines and detections.json.")
    flags.DEFINE_float(
        "seconds_per_feature",
        None,
        "Time between features in seconds. Default: as stated in features.json.",
    )
    flags.DEFINE_string("feature_key", None, "Name of the array in a .npz or HDF5 file.")
    flags.DEFINE_boolean(
        "allow_large_features",
        False,
        "Read files that expand to more than 1 GiB and more than 100 times their size.",
    )
    flags.mark_flags_as_required(["model", "features", "out"])


if __name__ == "__main__":
    define_flags()
    app.run(main)
