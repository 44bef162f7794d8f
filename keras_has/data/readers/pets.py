"""Pets: one breed per image, trimaps of the whole animal, and boxes of heads."""

import os
from pathlib import Path

import numpy as np

from keras_has.data.columns import RaggedColumn
from keras_has.data.dataset import Dataset
from keras_has.data.folders import file_names, for_each_file, require_folder
from keras_has.data.image_decoding import image_size
from keras_has.data.mask_files import MaskFiles, read_mask
from keras_has.data.problems import Problems
from keras_has.data.readers.annotation_files import numbered_lines, parse_corners
from keras_has.data.sources import FileImages
from keras_has.ops.segmentation import VOID

ANIMAL, BACKGROUND, BORDER = 1, 2, 3
_LISTS = {"train": "trainval.txt", "val": "test.txt", "test": "test.txt"}
_ADVICE = "Pass the folder that contains images, trimaps, trainval.txt and test.txt."


def pets(data_dir: str | os.PathLike[str], split: str = "train") -> Dataset:
    """Reads a part of the Oxford-IIIT Pet dataset, with trimaps and boxes of heads.

    ```
    trainval.txt, test.txt   image and breed on each line
    images/NAME.jpg
    trimaps/NAME.png         1 animal, 2 background, 3 border
    head_boxes/NAME.txt      optional: x0 y0 x1 y1, the last pixel included
    ```

    A box is the extent of the pixels that are not background.

    Args:
        data_dir: The folder with these files.
        split: `"train"` (default), `"val"` or `"test"`; the latter two are the same.

    Returns:
        A `Dataset` with the columns `"label"`; `"boxes"`, one for each image; `"head_boxes"`, one
        or none; and `"trimap"`: uint8 (height, width) in examples, see `trimap_labels`.

    Raises:
        FileNotFoundError: If a folder or a list is missing.
        ValueError: If `split` is invalid, or lines, images, trimaps or boxes are; the message
            counts all of them and gives the first ten.

    Reference:
        [Parkhi et al., 2012](https://www.robots.ox.ac.uk/~vgg/data/pets/).
    """
    if split not in _LISTS:
        raise ValueError(f'`split` should be "train", "val" or "test". Received: split={split!r}')
    root = Path(data_dir)
    images = _files_by_stem(require_folder(root / "images", "images", _ADVICE))
    trimaps = _files_by_stem(require_folder(root / "trimaps", "trimaps", _ADVICE))
    problems = Problems(str(root))
    breeds = {name: _breeds(root / name, images, trimaps, problems) for name in _LISTS.values()}
    problems.raise_if_any()
    class_names = sorted(set(breeds[_LISTS["train"]].values()))
    of_split = breeds[_LISTS[split]]
    for name, breed in of_split.items():
        if breed not in class_names:
            problems.add(f"{root / _LISTS[split]}: {name} is a {breed!r}, as no training image is")
    ids = list(of_split)

    def read(name: str) -> tuple[list[float], list[list[float]], str]:
        try:
            return _box(trimaps[name], images[name]), _head_boxes(root, name), ""
        except ValueError as error:
            return [], [], str(error)

    found = list(for_each_file(read, ids))
    for _, _, problem in found:
        if problem:
            problems.add(problem)
    problems.raise_if_any()
    return Dataset(
        name=f"pets/{split}",
        ids=np.array(ids, np.str_),
        columns={
            "label": np.array([class_names.index(of_split[name]) for name in ids], np.int64),
            "boxes": [[box] for box, _, _ in found],
            "head_boxes": RaggedColumn([heads for _, heads, _ in found], np.float32, (4,)),
            "trimap": MaskFiles([trimaps[name] for name in ids]),
        },
        source=FileImages(np.array([images[name] for name in ids], np.str_)),
        class_names=tuple(class_names),
    )


def trimap_labels(trimap: np.ndarray, label: int) -> np.ndarray:
    """Returns the mask of a trimap: 0 for background, `label` for the animal, 255 for the border.

    Example:

    >>> trimap_labels(np.array([[1, 2, 3]]), 7).tolist()
    [[7, 0, 255]]
    """
    return np.select([trimap == ANIMAL, trimap == BACKGROUND], [label, 0], VOID).astype(np.uint8)


def _files_by_stem(folder: Path) -> dict[str, str]:
    return {Path(name).stem: str(folder / name) for name in file_names(folder)}


def _breeds(
    path: Path, images: dict[str, str], trimaps: dict[str, str], problems: Problems
) -> dict[str, str]:
    """Returns the breed of each image of a list."""
    breeds: dict[str, str] = {}
    for number, line in numbered_lines(path):
        where, words = f"{path}:{number}", line.split()
        if len(words) != 2:
            problems.add(f"{where}: a line should be an image and a breed. Received: {line!r}")
            continue
        name, breed = words
        if name in breeds:
            problems.add(f"{where}: {name!r} is there twice")
        for kind, files in (("image", images), ("trimap", trimaps)):
            if name not in files:
                problems.add(f"{where}: there is no {kind} of {name!r}")
        breeds[name] = breed
    return breeds


def _box(trimap_path: str, image_path: str) -> list[float]:
    """Returns the extent of what is not background, half-open."""
    trimap = read_mask(trimap_path)
    unknown = np.setdiff1d(trimap, (ANIMAL, BACKGROUND, BORDER))
    if unknown.size:
        raise ValueError(
            f"{trimap_path} should contain 1, 2 and 3. Received: {', '.join(map(str, unknown[:5]))}"
        )
    size = image_size(image_path)
    if size is not None and size != trimap.shape:
        raise ValueError(
            f"{trimap_path} should have the size of its image, {size[0]} x {size[1]} (height x "
            f"width). Received: {trimap.shape[0]} x {trimap.shape[1]}"
        )
    rows, columns = np.nonzero(trimap != BACKGROUND)
    if not rows.size:
        raise ValueError(f"{trimap_path} should contain an animal. Received: background alone")
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def _head_boxes(root: Path, name: str) -> list[list[float]]:
    """Returns the box of the head, half-open, if there is one."""
    path = root / "head_boxes" / f"{name}.txt"
    if not path.is_file():
        return []
    boxes = []
    for number, line in numbered_lines(path):
        x0, y0, x1, y1 = parse_corners(line.split(), f"{path}:{number}")
        if not (x0 <= x1 and y0 <= y1):
            raise ValueError(f"{path}:{number}: a box should have x0 <= x1 and y0 <= y1: {line!r}")
        boxes.append([x0, y0, x1 + 1, y1 + 1])
    return boxes
