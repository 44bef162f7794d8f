r"""Converts a data set into TFRecord files, once, for all later runs.

  python -m trainers.prepare --dataset=tiny_imagenet --data_dir=DIR --out=RECORDS
  python -m trainers.imagenet --dataset=tiny_imagenet --data_dir=RECORDS

Interrupted and started again with the same command, it goes on with the files that are missing.
The layout of each data set, and of what is written, is in docs/data.md.
"""

from __future__ import annotations

import inspect
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging

if TYPE_CHECKING:
    from keras_has.data import ImageDataset

SPLITS = {
    "parts": ("train", "val"),
    "tiny_imagenet": ("train", "val"),
    "imagenet": ("train", "val"),
    "cub": ("train", "val"),
    "folder": ("train", "val"),
    "wsol_metadata": ("train", "val", "test"),
}


def progress(title: str) -> Callable[[int, int], None] | None:
    """Returns a function that draws a bar on a terminal, and `None` where there is none."""
    if not sys.stderr.isatty():
        return None
    shown = 0.0

    def show(done: int, total: int) -> None:
        nonlocal shown
        if done == total or time.monotonic() - shown > 0.2:
            shown = time.monotonic()
            bar = "=" * (30 * done // max(total, 1))
            end = "\n" if done == total else ""
            print(f"\r{title} [{bar:<30}] {done}/{total}", end=end, file=sys.stderr, flush=True)

    return show


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
    on_bad_image: str = "error",
) -> list[str]:
    """Converts a data set; the arguments are the flags.

    Returns:
        What there is to say of it at the end, lines.

    Raises:
        OSError: If a part of the data set is not there, or the folder holds something else.
        ValueError: If it is not sound, an image cannot be decoded, or a flag is missing.
    """
    from keras_has import data

    bars: dict[str, Callable[[int, int], None] | None] = {}

    def show(split: str, done: int, total: int) -> None:
        if split not in bars:
            bars[split] = progress(f"writing {split}")
        bar = bars[split]
        if bar is not None:
            bar(done, total)

    names = list(splits or SPLITS[dataset])
    read = {
        name: _read_split(dataset, data_dir, name, metadata_dir, mask_dir, train_boxes)
        for name in names
    }
    left_out = data.write_tfrecords(
        read, out, shards, seed, label_offset, on_bad_image=on_bad_image, progress=show
    )
    lines = [f"left out: {bad.path} (image id {bad.image_id!r}): {bad.reason}" for bad in left_out]
    for name in names:
        written = data.tfrecords(out, name)
        size = sum(path.stat().st_size for path in Path(out).glob(f"{name}-*.tfrecord"))
        boxes = sum(len(boxes) for boxes in written.boxes)
        lines.append(
            f"{name}: {len(written)} images, {boxes} boxes, {len(written.class_names)} classes, "
            f"{size / 1e6:.1f} MB"
        )
    return [*lines, f"{len(left_out)} images left out. The data set is in {out}."]


def _read_split(
    dataset: str,
    data_dir: str | os.PathLike[str] | None,
    split: str,
    metadata_dir: str | os.PathLike[str] | None,
    mask_dir: str | os.PathLike[str] | None,
    train_boxes: bool,
) -> ImageDataset:
    from keras_has import data

    if dataset == "parts":
        return data.parts(split, progress=progress(f"drawing {split}"))
    if not data_dir:
        raise ValueError(f"--dataset={dataset} needs --data_dir=FOLDER, where its images are.")
    read_boxes = True if train_boxes and split == "train" else None
    if dataset == "wsol_metadata":
        if not metadata_dir:
            raise ValueError("--dataset=wsol_metadata needs --metadata_dir=FOLDER.")
        return data.wsol_metadata(
            metadata_dir, data_dir, split, mask_dir=mask_dir, read_boxes=read_boxes
        )
    if dataset == "imagenet":
        return data.imagenet(data_dir, split, read_boxes)
    readers: dict[str, Callable[..., ImageDataset]] = {
        "tiny_imagenet": data.tiny_imagenet,
        "cub": data.cub,
        "folder": data.image_folder,
    }
    return readers[dataset](data_dir, split)


def _define_flags() -> None:
    flags.DEFINE_enum("dataset", None, list(SPLITS), "Which data set.", required=True)
    flags.DEFINE_string(
        "data_dir",
        None,
        "Folder of the data set, in its official layout; of the images for wsol_metadata. Not for "
        "parts.",
    )
    flags.DEFINE_string("out", None, "Folder to write to; made if needed.", required=True)
    flags.DEFINE_list(
        "splits", None, "Which splits. Default: train,val; train,val,test for wsol_metadata."
    )
    flags.DEFINE_integer(
        "shards",
        None,
        "Files of the largest split, others in proportion. Default: one for every 2,500 images.",
        lower_bound=1,
    )
    flags.DEFINE_integer("seed", 0, "Of the shuffling of train over its files.", lower_bound=0)
    flags.DEFINE_integer(
        "label_offset",
        0,
        "Added to the labels, which count from 0; 1 for programs that keep 0 for the background.",
        lower_bound=0,
    )
    flags.DEFINE_string(
        "metadata_dir", None, "For wsol_metadata: the folder that holds train, val and test."
    )
    flags.DEFINE_string(
        "mask_dir", None, "For wsol_metadata: the folder of the masks. Default: --data_dir."
    )
    flags.DEFINE_boolean(
        "train_boxes", False, "For imagenet and wsol_metadata: read the boxes of train too."
    )
    flags.DEFINE_enum(
        "on_bad_image",
        "error",
        ["error", "skip"],
        "What to do about a file that cannot be decoded: stop and name it, or leave it out and "
        "list it at the end and in dataset.json.",
    )


def main(argv: Sequence[str]) -> None:
    """Converts the data set that the flags ask for."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")
    logging.set_verbosity(logging.WARNING)
    import tensorflow as tf  # Loaded here, so that --help is quick.

    names = inspect.signature(prepare).parameters
    try:
        print("\n".join(prepare(**{name: flags.FLAGS[name].value for name in names})))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    except tf.errors.OpError as error:  # Such as a full disk.
        sys.exit(f"error: {error.message}")
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command goes on with the files that are missing.")


if __name__ == "__main__":
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # Files are copied: no GPU is to be taken for it.
    _define_flags()  # Here, so that importing this module defines none.
    app.run(main)
