r"""Detects actions in one's own sequences of features with an exported model, and draws them.

  python -m trainers.detect --model=RUN/saved_model --features=DIR --out=DIR

Features are .npy, .npz or HDF5 files, one a video, as `python -m trainers.extract_features` writes
them; features.json beside them says what time a feature stands for, or --seconds_per_feature does.

Writes detections.json in ActivityNet's layout (video, label, score, segment in seconds) and a
timeline a video. Files that cannot be read are named and counted.
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

from trainers.engine.text_files import write_aside

SUFFIXES = (".npy", ".npz", ".h5", ".hdf5")


def find_features(path: Path) -> list[Path]:
    """Returns the file itself, or all files of features in a folder, sorted.

    Raises:
        FileNotFoundError: If there is none.
    """
    if path.is_file():
        return [path]
    found = sorted(file for file in path.glob("*") if file.suffix.lower() in SUFFIXES)
    by_name: dict[str, Path] = {}
    for file in found:
        if file.stem in by_name:
            raise FileNotFoundError(
                f"{path} should hold one file of features a video. Received: {file.name} and "
                f"{by_name[file.stem].name}"
            )
        by_name[file.stem] = file
    if not found:
        raise FileNotFoundError(
            f"{path} holds no features ({', '.join(SUFFIXES)}): --features should be a file or a "
            "folder that `python -m trainers.extract_features` wrote."
        )
    return found


def seconds_per_feature(folder: Path, given: float | None) -> float:
    """Returns the time that a feature stands for: as given, or as features.json says.

    Raises:
        ValueError: If neither says it.
    """
    if given is not None:
        if not 0 < given < np.inf:
            raise ValueError(f"--seconds_per_feature should be above 0. Received: {given}")
        return given
    from trainers.tasks.temporal_localization import seconds_per_feature_in

    seconds = seconds_per_feature_in(folder)
    if seconds is None:
        raise ValueError(
            f"There is no features.json in {folder} that says what time a feature stands for: give "
            "--seconds_per_feature."
        )
    return seconds


def detect(signature: Any, features: np.ndarray, step: float, num_features: int | None) -> dict:
    """Returns what the model finds in one video, and the time of a step of its map."""
    import tensorflow as tf

    from keras_has.data.feature_files import sample_uniformly

    count = len(features)
    if num_features is not None:
        features = features[sample_uniformly(count, num_features)]  # as in training
    of_step = step * count / len(features)
    found = signature(
        features=tf.constant(features[None]), step_seconds=tf.constant([of_step], tf.float32)
    )
    return {**{key: value.numpy()[0] for key, value in found.items()}, "step_seconds": of_step}


def draw(found: dict, class_names: Sequence[str], threshold: float) -> np.ndarray:
    """Returns the timelines of the classes that were found, the likeliest first."""
    from keras_has import drawing

    maps, step = found["cam"], found["step_seconds"]
    order = np.argsort(-found["probabilities"], kind="stable")
    shown = [label for label in order if (found["labels"] == label).any()][:4] or [order[0]]
    tiles, captions = [], []
    for label in shown:
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
    """Detects and draws."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    import tensorflow as tf

    from keras_has import data, drawing
    from keras_has.temporal_export import read_temporal_metadata

    values = flags.FLAGS
    out, path = Path(values.out), Path(values.features)
    try:
        metadata = read_temporal_metadata(values.model)
        files = find_features(path)
        step = seconds_per_feature(
            path if path.is_dir() else path.parent, values.seconds_per_feature
        )
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")
    signature = tf.saved_model.load(values.model).signatures["serving_default"]
    out.mkdir(parents=True, exist_ok=True)
    results: dict[str, list[dict[str, Any]]] = {}
    bad: list[tuple[Path, str]] = []
    for number, file in enumerate(files, start=1):
        try:
            features, _ = data.read_features(file, values.feature_key)
            if features.shape[1] != metadata.feature_size:
                raise ValueError(
                    f"features of {features.shape[1]} numbers; the model takes "
                    f"{metadata.feature_size}"
                )
        except (OSError, ValueError) as error:
            bad.append((file, str(error).splitlines()[0]))
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
        if sys.stderr.isatty():
            print(f"\r{number}/{len(files)}", end="", file=sys.stderr, flush=True)
    description = {"version": "keras_has", "results": results, "external_data": {}}
    write_aside(out / "detections.json", json.dumps(description, indent=1) + "\n")
    count = sum(len(each) for each in results.values())
    print(f"{count} detections in {len(results)} videos: detections.json and timelines in {out}")
    if bad:
        print(f"{len(bad)} files could not be read and were left out:")
        for file, why in bad:
            print(f"  {file}: {why}")
        if len(bad) == len(files):
            sys.exit(1)


def define_flags() -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("model", None, "Folder of an exported model: RUN/saved_model.")
    flags.DEFINE_string("features", None, "A file of features, or a folder of them.")
    flags.DEFINE_string("out", None, "Folder for the timelines and detections.json.")
    flags.DEFINE_float(
        "seconds_per_feature", None, "Time a feature stands for. Default: as features.json says."
    )
    flags.DEFINE_string("feature_key", None, "Name of the array in a .npz or HDF5 file.")
    flags.mark_flags_as_required(["model", "features", "out"])


if __name__ == "__main__":
    define_flags()
    app.run(main)
