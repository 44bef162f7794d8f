r"""Converts a dataset into TFRecord files, once, for all later runs.

  python -m trainers.prepare --dataset=tiny_imagenet --data_dir=DIR --out=RECORDS
  python -m trainers.imagenet --dataset=tiny_imagenet --data_dir=RECORDS

Datasets of sequences: features of videos or signals, or frames of videos as JPEG, from which
`python -m trainers.extract_features --videos=RECORDS` computes features.

  python -m trainers.prepare --dataset=thumos14 --annotations=thumos14.json \
      --features_dir=FEATURES --out=RECORDS
  python -m trainers.prepare --dataset=videos --annotations=annotations.json --data_dir=VIDEOS \
      --out=RECORDS

Flags that have no effect on the dataset are refused. The same command resumes an interrupted
conversion. The layout of every dataset, and of the records, is in docs/data.md and docs/video.md.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # Broken files are reported by this command.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import numpy as np
from absl import app, flags, logging

from trainers.engine.choices import define_choice
from trainers.engine.command import exit_on_error, refuse_arguments
from trainers.engine.console import progress

if TYPE_CHECKING:
    from keras_has.data import Dataset

SPLITS = {
    "parts": ("train", "val"),
    "tiny_imagenet": ("train", "val"),
    "imagenet": ("train", "val"),
    "cub": ("train", "val"),
    "folder": ("train", "val"),
    "wsol_metadata": ("train", "val", "test"),
}
TEMPORAL_SPLITS = {
    "phases": ("train", "val"),
    "feature_folder": ("train", "test"),
    "watch_untrimmed": ("train", "test"),
    "thumos14": ("validation", "test"),
    "activitynet": ("training", "validation"),
    "videos": ("train", "test"),
}

_FILES_OF_FEATURES = ("thumos14", "activitynet")
_FEATURES = (*_FILES_OF_FEATURES, "feature_folder")
# The datasets on which a flag has an effect, if these are not all of them.
DATASETS_OF_FLAG: dict[str, tuple[str, ...]] = {
    "data_dir": (
        *(name for name in SPLITS if name != "parts"),
        "feature_folder",
        "watch_untrimmed",
        "videos",
    ),
    "seed": tuple(SPLITS),
    "label_offset": tuple(SPLITS),
    "metadata_dir": ("wsol_metadata",),
    "mask_dir": ("wsol_metadata",),
    "train_boxes": ("imagenet", "wsol_metadata"),
    "nested": ("folder",),
    "on_bad_image": tuple(name for name in SPLITS if name != "parts"),
    "annotations": (*_FILES_OF_FEATURES, "videos"),
    "features_dir": _FILES_OF_FEATURES,
    "seconds_per_feature": _FEATURES,
    "missing_features": _FEATURES,
    "feature_key": _FEATURES,
    "allow_large_features": _FEATURES,
    "all_videos": ("thumos14",),
    "frames_per_second": ("videos",),
    "frame_size": ("videos",),
    "on_bad_video": ("videos",),
}


def check_flags(dataset: str, changed: Iterable[str]) -> None:
    """Refuses flags that would have no effect.

    Args:
        dataset: The dataset.
        changed: The flags whose value differs from the default.

    Raises:
        ValueError: If one has no effect on that dataset.
    """
    for name in changed:
        datasets = DATASETS_OF_FLAG.get(name, (dataset,))
        if dataset not in datasets:
            raise ValueError(
                f"--{name} has no effect with --dataset={dataset}, only with "
                f"{', '.join(datasets)}. Omit it."
            )


def _bars() -> Callable[[str, int, int], None]:
    """Returns a function that shows a progress bar for each split that is written."""
    bars: dict[str, Callable[[int, int], None] | None] = {}

    def show(split: str, done: int, total: int) -> None:
        if split not in bars:
            bars[split] = progress(f"writing {split}", "example")
        bar = bars[split]
        if bar is not None:
            bar(done, total)

    return show


def _megabytes(out: str | os.PathLike[str], split: str) -> str:
    """Returns the size of a split's records as text."""
    size = sum(path.stat().st_size for path in Path(out).glob(f"{split}-*.tfrecord"))
    return f"{size / 1e6:.1f}"


def prepare(
    dataset: str,
    data_dir: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    splits: Sequence[str] | None = None,
    shards: int | None = None,
    seed: int = 0,
    label_offset: int = 0,
    metadata_dir: str | os.PathLike[str] | None = None,
    mask_dir: str | os.PathLike[str] | None = None,
    train_boxes: bool = False,
    nested: bool = False,
    on_bad_image: str = "error",
) -> list[str]:
    """Converts a dataset of images; the arguments are the flags of the same names.

    Returns:
        The lines to print at the end.

    Raises:
        OSError: If a part of the dataset is missing, or the folder contains something else.
        ValueError: If the dataset is invalid, an image cannot be decoded, or a flag is missing.
    """
    from keras_has import data

    names = list(splits or SPLITS[dataset])
    read = {
        name: _read_split(dataset, data_dir, name, metadata_dir, mask_dir, train_boxes, nested)
        for name in names
    }
    left_out = data.write_tfrecords(
        read, out, shards, seed, label_offset, on_bad_image=on_bad_image, progress=_bars()
    )
    lines = [f"left out: {bad.path} (image id {bad.image_id!r}): {bad.reason}" for bad in left_out]
    for name in names:
        written = data.tfrecords(out, name)
        boxes = sum(len(boxes) for boxes in written["boxes"])
        lines.append(
            f"{name}: {len(written)} images, {boxes} boxes, {len(written.class_names)} classes, "
            f"{_megabytes(out, name)} MB"
        )
    return [*lines, f"{len(left_out)} images left out. The dataset is in {out}."]


def _read_split(
    dataset: str,
    data_dir: str | os.PathLike[str] | None,
    split: str,
    metadata_dir: str | os.PathLike[str] | None,
    mask_dir: str | os.PathLike[str] | None,
    train_boxes: bool,
    nested: bool,
) -> Dataset:
    from keras_has import data

    if dataset == "parts":
        return data.generated_parts(split, progress=progress(f"drawing {split}", "image"))
    if not data_dir:
        raise ValueError(f"--dataset={dataset} needs --data_dir=FOLDER, the folder of its images.")
    read_boxes = True if train_boxes and split == "train" else None
    if dataset == "wsol_metadata":
        if not metadata_dir:
            raise ValueError("--dataset=wsol_metadata needs --metadata_dir=FOLDER.")
        return data.wsol_metadata(
            metadata_dir, data_dir, split, mask_dir=mask_dir, read_boxes=read_boxes
        )
    if dataset == "imagenet":
        return data.imagenet(data_dir, split, read_boxes)
    if dataset == "folder":
        return data.image_folder(data_dir, split, nested=nested)
    return (data.tiny_imagenet if dataset == "tiny_imagenet" else data.cub)(data_dir, split)


def prepare_temporal(
    dataset: str,
    data_dir: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    splits: Sequence[str] | None = None,
    shards: int | None = None,
    annotations: str | os.PathLike[str] | None = None,
    features_dir: str | os.PathLike[str] | None = None,
    seconds_per_feature: float | None = None,
    missing_features: str = "raise",
    feature_key: str | None = None,
    allow_large_features: bool = False,
    all_videos: bool = False,
    frames_per_second: float = 10.0,
    frame_size: Sequence[int] | None = None,
    on_bad_video: str = "error",
) -> list[str]:
    """Converts a dataset of sequences; the arguments are the flags of the same names.

    Returns:
        The lines to print at the end.

    Raises:
        OSError: If a part of the dataset is missing, or the folder contains something else.
        ValueError: If the dataset is invalid, a video cannot be read, or a flag is missing.
    """
    from keras_has import data
    from trainers.extract_features import find_videos

    names = list(splits or TEMPORAL_SPLITS[dataset])
    reading: dict[str, Any] = {
        "feature_key": feature_key,
        "seconds_per_feature": seconds_per_feature,
        "missing_features": missing_features,
        "allow_large_features": allow_large_features,
    }
    frames, settings, files = None, None, None
    timing: list[str] = []
    end = f"The dataset is in {out}."
    if dataset == "videos":
        if not (data_dir and annotations):
            raise ValueError(
                "--dataset=videos needs --data_dir=FOLDER, the folder of the videos, and "
                "--annotations=FILE in ActivityNet's layout."
            )
        # The annotations alone; the frames come from the videos.
        read = {name: _annotated(annotations, name) for name in names}
        files = find_videos(Path(data_dir))
        annotated = sum(map(len, read.values()))
        keep = _readable if on_bad_video == "skip" else _all_there
        read = {name: keep(split, files, data_dir) for name, split in read.items()}
        end = f"{annotated - sum(map(len, read.values()))} videos left out. {end}"
        frames = _frames(files, frames_per_second, frame_size, timing)
        settings = {
            "frames_per_second": frames_per_second,
            "frame_size": None if frame_size is None else list(frame_size),
            "format": "jpeg",
        }
    elif dataset in ("thumos14", "activitynet"):
        if not (annotations and features_dir):
            raise ValueError(f"--dataset={dataset} needs --annotations and --features_dir.")
        more: dict[str, Any] = {"all_videos": all_videos} if dataset == "thumos14" else {}
        read = {
            name: getattr(data, dataset)(
                annotations,
                name,
                features_dir,
                **reading,
                **more,
            )
            for name in names
        }
    elif dataset == "phases":
        read = {name: data.generated_phases(name) for name in names}
    else:
        if not data_dir:
            raise ValueError(f"--dataset={dataset} needs --data_dir=FOLDER.")
        if dataset == "feature_folder":
            read = {name: data.feature_folder(data_dir, name, **reading) for name in names}
        else:
            read = {name: data.watch_untrimmed(data_dir, name) for name in names}
    data.write_sequence_records(
        read, out, shards, frames, settings, progress=_bars(), frame_files=files
    )
    lines = [problem for split in read.values() for problem in split.problems]
    lines += dict.fromkeys(timing)
    if lines:
        lines.insert(0, f"{len(lines)} problems in the data:")
    for name, split in read.items():
        segments = sum(map(len, split["segments"]))
        lines.append(
            f"{name}: {len(split)} videos, {segments} segments, {len(split.class_names)} classes, "
            f"{_megabytes(out, name)} MB"
        )
    return [*lines, end]


def _annotated(annotations: str | os.PathLike[str], split: str) -> Dataset:
    """Returns the videos of a subset, from annotations in ActivityNet's layout."""
    from keras_has.data.readers.temporal_annotations import (
        read_activitynet_json,
        temporal_dataset,
        videos_of_json,
    )

    content, class_names = read_activitynet_json(Path(annotations), with_video_labels=True)
    videos = videos_of_json(content, Path(annotations), split)
    if not videos:
        subsets = sorted({str(entry["subset"]) for entry in content["database"].values()})
        raise ValueError(
            f"--splits should be among the subsets {subsets} of {annotations}. Received: {split!r}"
        )
    return temporal_dataset(f"videos/{split}", videos, class_names, keep_unlabeled=True)


def _all_there(
    dataset: Dataset, files: Mapping[str, Path], data_dir: str | os.PathLike[str]
) -> Dataset:
    missing = [video_id for video_id in dataset.ids.tolist() if video_id not in files]
    if missing:
        raise FileNotFoundError(
            f"{data_dir} should contain the {len(dataset)} videos of {dataset.name}. Missing: "
            f"{len(missing)} of them, such as {missing[:3]}. Add them, remove them from the "
            "annotations, or skip them with --on_bad_video=skip."
        )
    return dataset


def _readable(
    dataset: Dataset, files: Mapping[str, Path], data_dir: str | os.PathLike[str]
) -> Dataset:
    """Returns the videos that can be read, with the others listed in `problems`.

    A video is bad if its file is missing or has no first frame.
    """
    from keras_has.data import VideoError, VideoFrames
    from keras_has.data.folders import printable

    show = progress(f"checking {dataset.name}", "video")
    is_good = []
    left_out = []
    for number, video_id in enumerate(dataset.ids.tolist(), start=1):
        reason = None
        if video_id not in files:
            reason = f"{video_id}: no such video in {printable(data_dir)}"
        else:
            try:
                for _ in VideoFrames(files[video_id]):
                    break
            except VideoError as error:
                reason = f"{printable(error.path)}: {error.reason}"
        is_good.append(reason is None)
        if reason is not None:
            left_out.append(f"left out: {reason}")
        if show is not None:
            show(number, len(dataset))
    if not any(is_good):
        raise ValueError(
            f"No video of {dataset.name} can be read, such as {left_out[0].partition(': ')[2]}. "
            "Check --data_dir."
        )
    good = dataset.select(np.array(is_good))
    return dataclasses.replace(good, problems=(*dataset.problems, *left_out))


def _frames(
    files: Mapping[str, Path],
    frames_per_second: float,
    frame_size: Sequence[int] | None,
    timing: list[str],
) -> Callable[[str, str], Iterator[bytes]]:
    """Returns a function from split and video id to the JPEG frames of the video.

    It adds what is odd about the times of the frames to `timing`.
    """
    import cv2

    from keras_has.data import VideoClips, VideoError, frame_preparation
    from trainers.extract_features import timing_problems

    prepare_frame = None
    if frame_size is not None:
        prepare_frame = frame_preparation((frame_size[0], frame_size[1]), blue_first=True)

    def frames(_: str, video_id: str) -> Iterator[bytes]:
        clips = VideoClips(files[video_id], 1, frames_per_second, prepare_frame)
        for clip in clips:
            is_encoded, encoded = cv2.imencode(".jpg", clip[0])
            if not is_encoded:
                raise VideoError(files[video_id], "a frame cannot be encoded as JPEG")
            yield encoded.tobytes()
        entry = {
            "frames": clips.frames.num_frames,
            "duration": clips.frames.duration,
            "odd_times": clips.frames.odd_times,
            "pauses": clips.frames.pauses,
        }
        timing.extend(timing_problems(video_id, entry))

    return frames


def _define_flags() -> None:
    names = [*SPLITS, *TEMPORAL_SPLITS]
    define_choice("dataset", names, "The dataset.", required=True)
    flags.DEFINE_string(
        "data_dir",
        None,
        "Folder of the dataset, in its official layout; of the images for wsol_metadata, of the "
        "videos for videos. Not for parts, phases, thumos14 and activitynet.",
    )
    flags.DEFINE_string("out", None, "Folder to write to; it is created.", required=True)
    flags.DEFINE_list(
        "splits",
        None,
        "The splits. Default: train,val; train,val,test for wsol_metadata; train,test for "
        "feature_folder, watch_untrimmed and videos; validation,test for thumos14; "
        "training,validation for activitynet.",
    )
    flags.DEFINE_integer(
        "shards",
        None,
        "Number of files of the largest split; others get a proportional number. Default: one per "
        "2,500 images, 512 MB of features or 50 videos.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "seed", 0, "For images: seed for shuffling train over its files.", lower_bound=0
    )
    flags.DEFINE_integer(
        "label_offset",
        0,
        "For images: added to the labels, which start at 0; 1 for programs that reserve 0 for the "
        "background.",
        lower_bound=0,
    )
    flags.DEFINE_string(
        "metadata_dir", None, "For wsol_metadata: the folder that contains train, val and test."
    )
    flags.DEFINE_string(
        "mask_dir", None, "For wsol_metadata: the folder of the masks. Default: --data_dir."
    )
    flags.DEFINE_boolean(
        "train_boxes",
        False,
        "For imagenet and wsol_metadata: also read the boxes of train.",
    )
    flags.DEFINE_boolean(
        "nested", False, "For folder: images in subfolders of a class folder belong to the class."
    )
    flags.DEFINE_enum(
        "on_bad_image",
        "error",
        ["error", "skip"],
        "For image files: what to do about one that cannot be decoded: stop and name it, or leave "
        "it out and list it at the end and in dataset.json.",
    )
    flags.DEFINE_string(
        "annotations",
        None,
        "For thumos14: JSON file or folder of text files. For activitynet and videos: JSON.",
    )
    flags.DEFINE_string(
        "features_dir", None, "For thumos14 and activitynet: the folder of the features."
    )
    flags.DEFINE_float(
        "seconds_per_feature",
        None,
        "For thumos14, activitynet and feature_folder: seconds from one feature to the next. "
        "Default: the features span the video.",
        lower_bound=1e-6,
    )
    flags.DEFINE_enum(
        "missing_features",
        "raise",
        ["raise", "skip"],
        "For thumos14, activitynet and feature_folder: what to do about videos without features.",
    )
    flags.DEFINE_string(
        "feature_key",
        None,
        "For thumos14, activitynet and feature_folder: name of the array in a .npz or HDF5 file "
        "that holds several.",
    )
    flags.DEFINE_boolean(
        "allow_large_features",
        False,
        "For thumos14, activitynet and feature_folder: read files that expand to more than 1 GiB "
        "and more than 100 times their size.",
    )
    flags.DEFINE_boolean(
        "all_videos",
        False,
        "For thumos14: use all videos with labels.",
    )
    flags.DEFINE_float(
        "frames_per_second", 10.0, "For videos: frames per second to keep.", lower_bound=1e-3
    )
    flags.DEFINE_enum(
        "on_bad_video",
        "error",
        ["error", "skip"],
        "For videos: what to do about one that is missing or cannot be read: stop and name it, or "
        "leave it out and list it at the end and in dataset.json.",
    )
    flags.DEFINE_list(
        "frame_size", None, "For videos: height,width of the frames. Default: as in the file."
    )


def _frame_size(values: Sequence[str]) -> tuple[int, int]:
    try:
        height, width = map(int, values)
    except ValueError:
        raise ValueError("--frame_size should be height,width in pixels.") from None
    return height, width


def main(argv: Sequence[str]) -> None:
    """Converts a dataset."""
    refuse_arguments(argv)
    logging.set_verbosity(logging.WARNING)
    dataset = flags.FLAGS["dataset"].value
    convert = prepare_temporal if dataset in TEMPORAL_SPLITS else prepare
    arguments = {name: flags.FLAGS[name].value for name in inspect.signature(convert).parameters}
    try:
        size = flags.FLAGS["frame_size"].value
        if size is not None:
            arguments["frame_size"] = _frame_size(size)
        check_flags(
            dataset,
            [
                name
                for name in DATASETS_OF_FLAG
                if flags.FLAGS[name].value != flags.FLAGS[name].default
            ],
        )
    except ValueError as error:
        sys.exit(f"error: {error}")
    import tensorflow as tf  # here, so that --help is quick

    with exit_on_error(OSError, ValueError):
        try:
            print("\n".join(convert(**arguments)))
        except tf.errors.OpError as error:  # such as a full disk
            raise OSError(error.message) from error


if __name__ == "__main__":
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # Copying files needs no GPU.
    _define_flags()  # not on import: tests import this module
    app.run(main)
