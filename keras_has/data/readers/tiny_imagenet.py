"""Tiny ImageNet: 200 classes of ImageNet at 64 x 64 pixels, each image with one box."""

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.folders import file_names, require_file, require_folder
from keras_has.data.readers.annotation_files import (
    clip_box,
    is_wordnet_id,
    numbered_lines,
    parse_corners,
    read_class_names,
)
from keras_has.data.sources import FileImages

_SIZE = (64, 64)
_ADVICE = (
    "Unpack the whole of tiny-imagenet-200.zip (http://cs231n.stanford.edu/tiny-imagenet-200.zip) "
    "and pass the folder that holds wnids.txt as data_dir."
)


def tiny_imagenet(data_dir: str | os.PathLike[str], split: str = "train") -> Dataset:
    """Reads the index of Tiny ImageNet, in its official layout, or of some of its classes.

    ```
    wnids.txt                            WordNet ids of the classes, one per line
    words.txt                            WordNet id, tab, names; may be absent
    train/WNID/images/WNID_0.JPEG ...
    train/WNID/WNID_boxes.txt            name, xmin, ymin, xmax, ymax, separated by tabs
    val/images/val_0.JPEG ...
    val/val_annotations.txt              name, WordNet id, xmin, ymin, xmax, ymax
    ```

    The classes are in the order of `wnids.txt`. Their names are the first words of `words.txt`, or
    the WordNet ids of classes without a word. Image ids are the file names. Corners in the files
    are the first and last pixel of the box, counted from 0; one is added to the last corner for
    half-open boxes.

    Args:
        data_dir: The folder that contains `wnids.txt`.
        split: `"train"` (default) or `"val"`. The images of `test` have no labels.

    Returns:
        A `Dataset`: sorted by class and name in "train", by name in "val".

    Raises:
        FileNotFoundError: If a part is missing; the message names it and says what to do.
        ValueError: If a line is invalid, a box is inverted or empty, an image has no line or a line
            has no image; the message names file and line, or the image.
    """
    if split not in ("train", "val"):
        raise ValueError(f'`split` should be "train" or "val". Received: split={split!r}')
    data_dir = require_folder(Path(data_dir), "the folder of Tiny ImageNet", _ADVICE)
    wordnet_ids = _read_wordnet_ids(data_dir / "wnids.txt")
    paths: list[str] = []
    labels: list[int] = []
    boxes: list[list[float]] = []
    if split == "train":
        for label, wordnet_id in enumerate(wordnet_ids):
            folder = data_dir / "train" / wordnet_id
            lines = _read_boxes(folder / f"{wordnet_id}_boxes.txt", folder / "images")
            paths += [f"{folder}/images/{name}" for name in lines]
            labels += [label] * len(lines)
            boxes += [box for _, box in lines.values()]
    else:
        index = {wordnet_id: label for label, wordnet_id in enumerate(wordnet_ids)}
        folder = data_dir / "val"
        lines = _read_boxes(folder / "val_annotations.txt", folder / "images", index)
        paths = [f"{folder}/images/{name}" for name in lines]
        labels = [index[wordnet_id] for wordnet_id, _ in lines.values()]
        boxes = [box for _, box in lines.values()]
    return Dataset(
        name=f"tiny_imagenet/{split}",
        ids=np.array([path.rpartition("/")[2] for path in paths], np.str_),
        columns={
            "label": np.array(labels, np.int64),
            "boxes": tuple(np.array([box], np.float32) for box in boxes),
            "image_size": np.tile(_SIZE, (len(paths), 1)),
        },
        source=FileImages(np.array(paths, np.str_)),
        class_names=read_class_names(data_dir / "words.txt", wordnet_ids),
        class_ids=tuple(wordnet_ids),
    )


def _read_wordnet_ids(path: Path) -> list[str]:
    lines = numbered_lines(require_file(path, "the list of classes", _ADVICE))
    wordnet_ids: list[str] = []
    for number, line in lines:
        wordnet_id = line.strip()
        if not is_wordnet_id(wordnet_id) or wordnet_id in wordnet_ids:
            raise ValueError(
                f'{path}:{number}: a line should be one WordNet id ("n" and eight digits) that '
                f"is not in the file yet. Received: {line!r}"
            )
        wordnet_ids.append(wordnet_id)
    if not wordnet_ids:
        raise ValueError(f"{path} should list the classes. Received: an empty file.")
    return wordnet_ids


def _read_boxes(
    path: Path, image_folder: Path, classes: Collection[str] | None = None
) -> dict[str, tuple[str, list[float]]]:
    """Returns WordNet id ("" where the file has none) and box of each image, sorted by its name."""
    require_folder(image_folder, "a folder of images", _ADVICE)
    lines = numbered_lines(require_file(path, "the boxes of the images", _ADVICE))
    names = file_names(image_folder)
    left = set(names)
    found: dict[str, tuple[str, list[float]]] = {}
    for number, line in lines:
        where = f"{path}:{number}"
        name, *fields = line.split("\t")
        wordnet_id = fields.pop(0) if classes is not None and fields else ""
        if len(fields) != 4:
            columns = f"name,{'' if classes is None else ' WordNet id,'} xmin, ymin, xmax, ymax"
            raise ValueError(
                f"{where}: a line should be {columns}, separated by tabs. Received: {line!r}"
            )
        if classes is not None and wordnet_id not in classes:
            raise ValueError(
                f"{where}: the class should be one of wnids.txt. Received: {wordnet_id!r}"
            )
        if name not in left:
            problem = "a second line for" if name in found else "no such image for"
            raise ValueError(
                f"{where}: each line should belong to one image of {image_folder}. "
                f"Received: {problem} {name!r}."
            )
        left.remove(name)
        x0, y0, x1, y1 = parse_corners(fields, where)
        found[name] = wordnet_id, clip_box([x0, y0, x1 + 1, y1 + 1], _SIZE, where)
    if left:
        raise ValueError(
            f"{path} should have a line for every image of {image_folder}. "
            f"Received: none for {min(left)!r} and {len(left) - 1} more."
        )
    return {name: found[name] for name in names}
