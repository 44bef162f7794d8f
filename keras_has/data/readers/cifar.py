"""CIFAR-10 and CIFAR-100: 60,000 images of 32 px, in their binary or their Python layout."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.folders import not_found
from keras_has.data.readers.annotation_files import numbered_lines
from keras_has.data.restricted_pickle import read_plain_pickle
from keras_has.data.sources import ArrayImages

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32


@dataclasses.dataclass(frozen=True)
class _Layout:
    """The names of files and entries in one of the two datasets.

    Args:
        name: Name of the dataset.
        prefix: Beginning of the names of its archives.
        folders: Names of the folders in its archives.
        batches: A pattern for the names of the files of each split, without extension.
        names_file: File with the class names in the binary layout.
        meta_file: File with the class names in the Python layout, and `names_key` in it.
        names_key: See `meta_file`.
        labels_key: Entry with the labels in the Python layout.
        label_bytes: Bytes before the pixels in the binary layout; the last one is the label.
    """

    name: str
    prefix: str
    folders: tuple[str, ...]
    batches: dict[str, str]
    names_file: str
    meta_file: str
    names_key: str
    labels_key: str
    label_bytes: int

    def find(self, root: Path) -> Path | None:
        """Returns the folder of the dataset: `root` or a folder in it; None if there is none."""
        folders = (root, *(root / name for name in self.folders))
        files = (self.names_file, self.meta_file)
        return next((f for f in folders if any((f / name).is_file() for name in files)), None)

    @property
    def advice(self) -> str:
        """What to do if a file is missing."""
        return f"Unpack {self.prefix}-binary.tar.gz or {self.prefix}-python.tar.gz there."


_CIFAR10 = _Layout(
    name="cifar10",
    prefix="cifar-10",
    folders=("cifar-10-batches-bin", "cifar-10-batches-py"),
    batches={"train": r"data_batch_\d+", "test": "test_batch"},
    names_file="batches.meta.txt",
    meta_file="batches.meta",
    names_key="label_names",
    labels_key="labels",
    label_bytes=1,
)
_CIFAR100 = _Layout(
    name="cifar100",
    prefix="cifar-100",
    folders=("cifar-100-binary", "cifar-100-python"),
    batches={"train": "train", "test": "test"},
    names_file="fine_label_names.txt",
    meta_file="meta",
    names_key="fine_label_names",
    labels_key="fine_labels",
    label_bytes=2,
)


def cifar10(data_dir: str | os.PathLike[str], split: str = "train") -> Dataset:
    """Reads CIFAR-10 in either of its official layouts.

    ```
    cifar-10-batches-bin/  batches.meta.txt, data_batch_1.bin to data_batch_5.bin, test_batch.bin
    cifar-10-batches-py/   batches.meta, data_batch_1 to data_batch_5, test_batch
    ```

    The Python layout consists of pickles, of which only arrays, lists, strings and numbers are
    read: nothing in a file can run. Any number of training batches, of any size, is accepted. The
    id of an image is its batch and its position there, such as `"data_batch_1/17"`.

    Args:
        data_dir: One of these folders, or the folder that contains it.
        split: `"train"` (default) or `"test"`.

    Returns:
        A `Dataset` with the column `"label"`, and its images in memory.

    Raises:
        FileNotFoundError: If the folder or its batches are missing.
        ValueError: If `split` is invalid or a file is damaged; the message names the file.

    Reference:
        [Krizhevsky, 2009](https://www.cs.toronto.edu/~kriz/cifar.html).
    """
    return _read(_CIFAR10, data_dir, split)


def cifar100(data_dir: str | os.PathLike[str], split: str = "train") -> Dataset:
    """Reads CIFAR-100 with its 100 fine classes, in either of its official layouts.

    ```
    cifar-100-binary/  fine_label_names.txt, train.bin, test.bin
    cifar-100-python/  meta, train, test
    ```

    The Python layout consists of pickles, of which only arrays, lists, strings and numbers are
    read: nothing in a file can run. The id of an image is its split and its position there, such as
    `"train/17"`.

    Args:
        data_dir: One of these folders, or the folder that contains it.
        split: `"train"` (default) or `"test"`.

    Returns:
        A `Dataset` with the column `"label"`, the fine class, and its images in memory.

    Raises:
        FileNotFoundError: If the folder or one of its files is missing.
        ValueError: If `split` is invalid or a file is damaged; the message names the file.

    Reference:
        [Krizhevsky, 2009](https://www.cs.toronto.edu/~kriz/cifar.html).
    """
    return _read(_CIFAR100, data_dir, split)


def _read(layout: _Layout, data_dir: str | os.PathLike[str], split: str) -> Dataset:
    if split not in layout.batches:
        raise ValueError(f'`split` should be "train" or "test". Received: split={split!r}')
    root = Path(data_dir)
    folder = layout.find(root)
    if folder is None:
        expected = f"a folder with {layout.names_file} or {layout.meta_file}"
        found = [other.name for other in (_CIFAR10, _CIFAR100) if other.find(root)]
        advice = f"This is the dataset {found[0]}." if found else layout.advice
        raise not_found(root, expected, advice)
    if (folder / layout.names_file).is_file():
        names = [line for _, line in numbered_lines(folder / layout.names_file)]
        return _dataset(layout, folder, split, r"\.bin", _read_binary_batch, names)
    names = _entry(folder / layout.meta_file, layout.names_key, list)
    names = [_name(name, folder / layout.meta_file) for name in names]
    return _dataset(layout, folder, split, "", _read_python_batch, names)


def _dataset(
    layout: _Layout, folder: Path, split: str, suffix: str, read_batch: Any, names: list[str]
) -> Dataset:
    pattern = re.compile(layout.batches[split] + suffix)
    paths = sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name))
    if not paths:
        raise not_found(folder, f"batches of the {split} split", layout.advice)
    images, labels, ids = [], [], []
    for path in paths:
        pixels, batch_labels = read_batch(path, layout)
        if batch_labels.min() < 0 or batch_labels.max() >= len(names):
            raise ValueError(
                f"{path} should contain labels from 0 to {len(names) - 1}. "
                f"Received: labels from {batch_labels.min()} to {batch_labels.max()}."
            )
        images.append(pixels.reshape(-1, *_SHAPE).transpose(0, 2, 3, 1))
        labels.append(batch_labels)
        ids += [f"{path.stem}/{row}" for row in range(len(pixels))]
    return Dataset(
        name=f"{layout.name}/{split}",
        ids=np.array(ids),
        columns={"label": np.concatenate(labels)},
        source=ArrayImages(np.ascontiguousarray(np.concatenate(images))),
        class_names=tuple(names),
    )


def _read_binary_batch(path: Path, layout: _Layout) -> tuple[np.ndarray, np.ndarray]:
    """Reads records of the label and 3,072 bytes for the red, green and blue planes."""
    content = np.fromfile(path, np.uint8)
    size = layout.label_bytes + _PIXELS
    if content.size == 0 or content.size % size:
        raise ValueError(
            f"{path} should contain records of {size} bytes. "
            f"Received: {content.size} bytes. {layout.advice}"
        )
    records = content.reshape(-1, size)
    return records[:, layout.label_bytes :], records[:, layout.label_bytes - 1].astype(np.int64)


def _read_python_batch(path: Path, layout: _Layout) -> tuple[np.ndarray, np.ndarray]:
    pixels = _entry(path, "data", np.ndarray)
    labels = np.asarray(_entry(path, layout.labels_key, list))
    is_valid = pixels.dtype == np.uint8 and pixels.shape == (len(labels), _PIXELS) and len(labels)
    if not is_valid or labels.dtype.kind != "i":
        raise ValueError(
            f"{path} should contain one integer label and {_PIXELS} bytes for each image. Received:"
            f" {labels.shape} labels of {labels.dtype}, data {pixels.shape} of {pixels.dtype}."
        )
    return pixels, labels.astype(np.int64)


def _name(name: Any, path: Path) -> str:
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    if not isinstance(text, str) or not text or "\N{REPLACEMENT CHARACTER}" in text:
        raise ValueError(f"{path} should list the names of classes. Received: {name!r:.50}")
    return text


def _entry(path: Path, key: str, kind: type) -> Any:
    """Returns an entry of a pickled dict; Python 2 wrote its keys as bytes."""
    batch = read_plain_pickle(path)
    value = batch.get(key.encode(), batch.get(key)) if isinstance(batch, dict) else None
    if not isinstance(value, kind):
        raise ValueError(
            f"{path} should contain a dict with `{key}`, a {kind.__name__}. Received: {value!r:.50}"
        )
    return value
