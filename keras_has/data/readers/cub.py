"""CUB-200-2011: 200 species of birds, each image with one box."""

import os
import re
from pathlib import Path

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.folders import (
    file_names,
    for_each_file,
    not_found,
    require_file,
    require_folder,
)
from keras_has.data.image_decoding import image_size
from keras_has.data.problems import Problems
from keras_has.data.readers.annotation_files import clip_box, numbered_lines, parse_corners
from keras_has.data.sources import FileImages

_ADVICE = (
    "Unpack CUB_200_2011.tgz (https://www.vision.caltech.edu/datasets/cub_200_2011/) and pass the "
    "folder CUB_200_2011, or the one above it, as data_dir."
)

# The lines of a file by their id: the number of the line, and what follows the id.
_Rows = dict[str, tuple[int, str]]


def cub(data_dir: str | os.PathLike[str], split: str = "train") -> Dataset:
    """Reads the index of CUB-200-2011 in its official layout, or of some of its classes.

    ```
    images.txt                           id, path below images/
    image_class_labels.txt               id, number of the class
    classes.txt                          number of the class, name
    bounding_boxes.txt                   id, x, y, width, height
    train_test_split.txt                 id, 1 for train and 0 for test
    images/001.Black_footed_Albatross/*.jpg
    ```

    A label is the index of the class's number among the sorted numbers of `classes.txt`: with all
    200 classes the number minus one. Class names have neither number nor underscores, such as
    `"Black footed Albatross"`. Image ids are the paths of `images.txt`.

    Boxes extend from `(x, y)` to `(x + width, y + height)`. Some official boxes extend beyond their
    image, by up to tens of pixels; they are clipped. Heights and widths are read from the headers
    of the image files.

    Args:
        data_dir: The folder `CUB_200_2011` or the one above it.
        split: `"train"` (default) or `"test"`; `"val"` is another name for `"test"`, because the
            dataset has no third split.

    Returns:
        A `Dataset` in the order of `images.txt`.

    Raises:
        FileNotFoundError: If a part is missing; the message names it and says what to do.
        ValueError: If lines are invalid, a box is inverted, empty or outside its image, or ids,
            lines and images do not match, in any split. The message counts all problems and gives
            file and line of the first ten.

    Reference:
        Wah et al., The Caltech-UCSD Birds-200-2011 Dataset, CNS-TR-2011-001.
    """
    if split not in ("train", "val", "test"):
        raise ValueError(f'`split` should be "train", "val" or "test". Received: split={split!r}')
    root = Path(data_dir)
    if (root / "CUB_200_2011").is_dir():
        root = root / "CUB_200_2011"
    require_folder(root, "the folder of CUB-200-2011", _ADVICE)
    problems = Problems(f"The files of {root}")
    paths = _read(root / "images.txt", r"\S.*", "a path below images/", problems)
    labels = _read(root / "image_class_labels.txt", r"\d+", "the number of a class", problems)
    names = _read(root / "classes.txt", r"\S+", "the name of a class", problems)
    boxes = _read(root / "bounding_boxes.txt", r"(\S+\s+){3}\S+", "x, y, width, height", problems)
    splits = _read(root / "train_test_split.txt", "[01]", "1 (train) or 0 (test)", problems)
    if not paths:
        raise not_found(root / "images.txt", "lines of id and path", _ADVICE)
    for file, rows in (
        ("image_class_labels.txt", labels),
        ("bounding_boxes.txt", boxes),
        ("train_test_split.txt", splits),
    ):
        _check_ids(root, file, rows, paths, problems)
    for number, label in labels.values():
        if label not in names:
            problems.add(
                f"{root}/image_class_labels.txt:{number}: the class should be one of classes.txt. "
                f"Received: {label}"
            )
    _check_images(root, paths, problems)
    problems.raise_if_any()

    wanted = "1" if split == "train" else "0"
    image_ids = [image_id for image_id in paths if splits[image_id][1] == wanted]
    files = [f"{root}/images/{paths[image_id][1]}" for image_id in image_ids]
    sizes = list(for_each_file(image_size, files))
    corners = []
    for image_id, size in zip(image_ids, sizes, strict=True):
        number, fields = boxes[image_id]
        where = f"{root}/bounding_boxes.txt:{number}"
        try:
            x, y, width, height = parse_corners(fields.split(), where)
            corners.append(clip_box([x, y, x + width, y + height], size, where))
        except ValueError as error:
            problems.add(error)
    problems.raise_if_any()

    numbers = sorted(names, key=int)
    index = {number: label for label, number in enumerate(numbers)}
    return Dataset(
        name=f"cub/{'train' if split == 'train' else 'test'}",
        ids=np.array([paths[image_id][1] for image_id in image_ids], np.str_),
        columns={
            "label": np.array([index[labels[image_id][1]] for image_id in image_ids], np.int64),
            "boxes": tuple(np.array([box], np.float32) for box in corners),
            "image_size": None if None in sizes else np.array(sizes, np.int64).reshape(-1, 2),
        },
        source=FileImages(np.array(files, np.str_)),
        class_names=_class_names([names[number][1] for number in numbers]),
        class_ids=tuple(names[number][1] for number in numbers),
    )


def _read(path: Path, fields: str, expected: str, problems: Problems) -> _Rows:
    """Returns what follows each id; notes invalid lines and repeated ids as problems."""
    rows: _Rows = {}
    pattern = re.compile(rf"(\d{{1,9}})\s+({fields})", re.ASCII)
    for number, line in numbered_lines(require_file(path, f"lines of id and {expected}", _ADVICE)):
        match = pattern.fullmatch(line.strip())
        if match is None:
            problems.add(
                f"{path}:{number}: a line should be an id and {expected}. Received: {line!r}"
            )
            continue
        key, value = match[1], match[2]
        if key in rows:
            problems.add(
                f"{path}:{number}: an id should have one line. Received: a second one for {key}, "
                f"after line {rows[key][0]}."
            )
            continue
        rows[key] = number, value
    return rows


def _check_ids(root: Path, file: str, rows: _Rows, paths: _Rows, problems: Problems) -> None:
    for image_id, (number, _) in rows.items():
        if image_id not in paths:
            problems.add(
                f"{root}/{file}:{number}: the id should be one of images.txt. Received: {image_id}"
            )
    for image_id, (number, path) in paths.items():
        if image_id not in rows:
            problems.add(
                f"{root}/images.txt:{number}: the image should have a line in {file}. "
                f"Received: none for id {image_id}, {path}."
            )


def _check_images(root: Path, paths: _Rows, problems: Problems) -> None:
    """Notes files that are not there, images that have no id, and paths that lead elsewhere."""
    require_folder(root / "images", "the folder of the images", _ADVICE)
    listed: dict[str, int] = {}
    for number, path in paths.values():
        where = f"{root}/images.txt:{number}"
        parts = path.split("/")
        if len(parts) != 2 or not parts[0] or {".", ".."} & set(parts):
            problems.add(
                f"{where}: the path should be a folder and a file, such as "
                f"001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg. Received: {path!r}"
            )
        elif path in listed:
            problems.add(
                f"{where}: an image should have one id. Received: {path!r}, which line "
                f"{listed[path]} names too."
            )
        else:
            listed[path] = number
    folders = sorted({path.split("/")[0] for path in listed})
    there = {
        f"{folder}/{name}"
        for folder in folders
        if (root / "images" / folder).is_dir()
        for name in file_names(root / "images" / folder)
    }
    for path, number in listed.items():
        if path not in there:
            problems.add(
                f"{root}/images.txt:{number}: there should be such an image. "
                f"Received: none at {root}/images/{path}."
            )
    for path in sorted(there - listed.keys()):
        problems.add(f"{root}/images/{path}: the image should have an id in images.txt.")


def _class_names(names: list[str]) -> tuple[str, ...]:
    """Returns "Black footed Albatross" for "001.Black_footed_Albatross", where that is unique."""
    short = [re.sub(r"^\d+\.", "", name).replace("_", " ").strip() for name in names]
    is_plain = all(short) and len(set(short)) == len(short)
    return tuple(short if is_plain else names)
