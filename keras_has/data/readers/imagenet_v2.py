"""ImageNetV2: a second test set for the 1,000 classes of ImageNet, a folder a class number."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.folders import file_names, not_found, require_folder, subfolder_names
from keras_has.data.sources import FileImages

_NUM_CLASSES = 1000
_ADVICE = (
    "Unpack an archive of ImageNetV2, such as imagenetv2-matched-frequency.tar.gz, and pass the "
    "folder that holds the folders 0 to 999 as data_dir."
)


def imagenet_v2(
    data_dir: str | os.PathLike[str], class_names: Sequence[str] | None = None
) -> Dataset:
    """Reads the index of ImageNetV2 in its official layout: `data_dir/NUMBER/*.jpeg`.

    The number of a folder is the label, the same as that of `imagenet`: the index among the sorted
    WordNet ids, from 0. Folders are sorted by number, not by name. There are no boxes;
    `wsol_metadata` reads those of the WSOL evaluation protocol.

    Args:
        data_dir: The folder that contains the folders `0` to `999`, or some of them.
        class_names: The 1,000 names, as in `imagenet(...).class_names`; `None` (default) uses the
            numbers.

    Returns:
        A `Dataset`, sorted by class and name. Image ids are the paths below `data_dir`.

    Raises:
        FileNotFoundError: If there are no such folders or no images; the message says what to do.
        ValueError: If a folder's name is not a number from 0 to 999, or there are not 1,000 names.

    Reference:
        Recht et al., Do ImageNet Classifiers Generalize to ImageNet?, ICML 2019.
    """
    root = require_folder(Path(data_dir), "the folder of ImageNetV2", _ADVICE)
    if class_names is not None and len(class_names) != _NUM_CLASSES:
        raise ValueError(
            f"`class_names` should be {_NUM_CLASSES} names. Received: {len(class_names)} names."
        )
    numbers: dict[int, str] = {}
    for name in subfolder_names(root):
        if not (name.isascii() and name.isdigit() and str(int(name)) == name):
            number = _NUM_CLASSES
        else:
            number = int(name)
        if number >= _NUM_CLASSES:
            raise ValueError(
                f"A folder of {root} should be called by a number from 0 to {_NUM_CLASSES - 1}. "
                f"Received: {name!r}"
            )
        numbers[number] = name
    image_ids: list[str] = []
    labels: list[int] = []
    for number in sorted(numbers):
        names = file_names(root / numbers[number])
        if not names:
            raise not_found(root / numbers[number] / "*.jpeg", "images of the class", _ADVICE)
        image_ids += [f"{number}/{name}" for name in names]
        labels += [number] * len(names)
    if not image_ids:
        raise not_found(root / "0", "a folder for each class", _ADVICE)
    return Dataset(
        name="imagenet_v2",
        ids=np.array(image_ids, np.str_),
        columns={
            "label": np.array(labels, np.int64),
            "boxes": (np.zeros((0, 4), np.float32),) * len(image_ids),
        },
        source=FileImages(np.array([f"{root}/{image_id}" for image_id in image_ids], np.str_)),
        class_names=tuple(class_names or (str(number) for number in range(_NUM_CLASSES))),
    )
