"""Semantic segmentation in the layout of PASCAL VOC: VOC itself, CamVid, own folders."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.folders import file_names, require_folder
from keras_has.data.mask_files import MaskFiles
from keras_has.data.problems import Problems
from keras_has.data.readers.annotation_files import numbered_lines
from keras_has.data.sources import FileImages

VOC_CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
CAMVID_CLASSES = (
    *("sky", "building", "pole", "road", "pavement", "tree", "sign symbol", "fence", "car"),
    *("pedestrian", "bicyclist"),
)
CLASSES_FILE = "classes.txt"
_ADVICE = (
    "Pass the folder that contains JPEGImages, SegmentationClass and ImageSets, such as "
    "VOCdevkit/VOC2012."
)


def pascal_voc(
    data_dir: str | os.PathLike[str],
    split: str = "train",
    class_names: Sequence[str] | None = None,
    mask_folder: str = "SegmentationClass",
) -> Dataset:
    """Reads a segmentation dataset in the layout of PASCAL VOC.

    ```
    JPEGImages/ID.jpg          the images; other formats are read, too
    SegmentationClass/ID.png   palette images: the index is the class, 255 is void
    ImageSets/Segmentation/    train.txt, val.txt and so on: one ID per line
    classes.txt                optional: the name of class 0, class 1 and so on, one per line
    ```

    Masks are read when examples are; `keras_has.data.count_labels` checks all of them.

    Args:
        data_dir: The folder with these folders.
        split: The name of a list in `ImageSets/Segmentation`, without `.txt`. Defaults to
            `"train"`.
        class_names: One name for each index; `None` (default) for those in `classes.txt` or, where
            that is missing, the 21 of PASCAL VOC.
        mask_folder: The folder of the masks. Defaults to `"SegmentationClass"`.

    Returns:
        A `Dataset` with the column `"mask"`: uint8 (height, width) in examples.

    Raises:
        FileNotFoundError: If a folder or the list is missing.
        ValueError: If images or masks of the list are missing, ids repeat, or lines or class names
            are invalid; the message counts all of them and gives file and line of the first ten.

    Reference:
        [Everingham et al., 2010](http://host.robots.ox.ac.uk/pascal/VOC/).
    """
    root = Path(data_dir)
    lists = require_folder(root / "ImageSets" / "Segmentation", "lists of images", _ADVICE)
    images = _files_by_stem(require_folder(root / "JPEGImages", "images", _ADVICE))
    masks = _files_by_stem(require_folder(root / mask_folder, "masks", _ADVICE), (".png",))
    if class_names is None:
        class_names = _class_names(root / CLASSES_FILE)
    image_list = lists / f"{split}.txt"
    problems = Problems(str(image_list))
    first_lines: dict[str, int] = {}
    for number, line in numbered_lines(image_list):
        name, where = line.strip(), f"{image_list}:{number}"
        if len(name.split()) > 1:
            problems.add(f"{where}: a line should be one image id. Received: {line!r}")
        elif name in first_lines:
            problems.add(f"{where}: {name!r} repeats line {first_lines[name]}")
        elif name not in images:
            problems.add(f"{where}: there is no image {name!r} in {root / 'JPEGImages'}")
        elif name not in masks:
            problems.add(f"{where}: there is no mask {name!r} in {root / mask_folder}")
        first_lines.setdefault(name, number)
    problems.raise_if_any()
    ids = list(first_lines)
    return Dataset(
        name=f"{root.resolve().name}/{split}",
        ids=np.array(ids, np.str_),
        columns={"mask": MaskFiles([masks[name] for name in ids])},
        source=FileImages(np.array([images[name] for name in ids], np.str_)),
        class_names=tuple(class_names),
    )


def _files_by_stem(folder: Path, extensions: tuple[str, ...] | None = None) -> dict[str, str]:
    """Returns the path of each file by its name without extension."""
    names = file_names(folder) if extensions is None else file_names(folder, extensions)
    return {Path(name).stem: str(folder / name) for name in names}


def _class_names(path: Path) -> tuple[str, ...]:
    """Returns the class names of a dataset, or those of PASCAL VOC if it has no list of them."""
    if not path.is_file():
        return VOC_CLASSES
    problems = Problems(str(path))
    first_lines: dict[str, int] = {}
    for number, line in numbered_lines(path):
        name = line.strip()
        if name in first_lines:
            problems.add(f"{path}:{number}: {name!r} repeats line {first_lines[name]}")
        first_lines.setdefault(name, number)
    if not 1 <= len(first_lines) <= 255:
        problems.add(f"{path}: there should be 1 to 255 names. Received: {len(first_lines)}")
    problems.raise_if_any()
    return tuple(first_lines)
