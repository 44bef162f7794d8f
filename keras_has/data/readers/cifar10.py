"""CIFAR-10: 60,000 images of 32 px in ten classes, in its binary or its Python layout."""

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
_BATCHES = {"train": r"data_batch_\d+", "test": "test_batch"}
_ADVICE = "Unpack cifar-10-binary.tar.gz or cifar-10-python.tar.gz there."


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
    if split not in _BATCHES:
        raise ValueError(f'`split` should be "train" or "test". Received: split={split!r}')
    root = Path(data_dir)
    for folder in (root, root / "cifar-10-batches-bin", root / "cifar-10-batches-py"):
        if (folder / "batches.meta.txt").is_file():
            names = [line for _, line in numbered_lines(folder / "batches.meta.txt")]
            return _dataset(folder, split, r"\.bin", _read_binary_batch, names)
        if (folder / "batches.meta").is_file():
            names = _entry(folder / "batches.meta", "label_names", list)
            names = [name.decode() if isinstance(name, bytes) else str(name) for name in names]
            return _dataset(folder, split, "", _read_python_batch, names)
    raise not_found(root, "a folder with batches.meta.txt or batches.meta", _ADVICE)


def _dataset(folder: Path, split: str, suffix: str, read_batch: Any, names: list[str]) -> Dataset:
    pattern = re.compile(_BATCHES[split] + suffix)
    paths = sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name))
    if not paths:
        raise not_found(folder, f"batches of the {split} split", _ADVICE)
    images, labels, ids = [], [], []
    for path in paths:
        pixels, batch_labels = read_batch(path)
        if batch_labels.min() < 0 or batch_labels.max() >= len(names):
            raise ValueError(
                f"{path} should contain labels from 0 to {len(names) - 1}. "
                f"Received: labels from {batch_labels.min()} to {batch_labels.max()}."
            )
        images.append(pixels.reshape(-1, *_SHAPE).transpose(0, 2, 3, 1))
        labels.append(batch_labels)
        ids += [f"{path.stem}/{row}" for row in range(len(pixels))]
    return Dataset(
        name=f"cifar10/{split}",
        ids=np.array(ids),
        columns={"label": np.concatenate(labels)},
        source=ArrayImages(np.ascontiguousarray(np.concatenate(images))),
        class_names=tuple(names),
    )


def _read_binary_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads records of one byte for the label and 3,072 for the red, green and blue planes."""
    content = np.fromfile(path, np.uint8)
    if content.size == 0 or content.size % (1 + _PIXELS):
        raise ValueError(
            f"{path} should contain records of {1 + _PIXELS} bytes. "
            f"Received: {content.size} bytes. {_ADVICE}"
        )
    records = content.reshape(-1, 1 + _PIXELS)
    return records[:, 1:], records[:, 0].astype(np.int64)


def _read_python_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = _entry(path, "data", np.ndarray), np.asarray(_entry(path, "labels", list))
    is_valid = pixels.dtype == np.uint8 and pixels.shape == (len(labels), _PIXELS) and len(labels)
    if not is_valid or labels.dtype.kind != "i":
        raise ValueError(
            f"{path} should contain one integer label and {_PIXELS} bytes for each image. Received:"
            f" {labels.shape} labels of {labels.dtype}, data {pixels.shape} of {pixels.dtype}."
        )
    return pixels, labels.astype(np.int64)


def _entry(path: Path, key: str, kind: type) -> Any:
    """Returns an entry of a pickled dict; Python 2 wrote its keys as bytes."""
    batch = read_plain_pickle(path)
    value = batch.get(key.encode(), batch.get(key)) if isinstance(batch, dict) else None
    if not isinstance(value, kind):
        raise ValueError(
            f"{path} should contain a dict with `{key}`, a {kind.__name__}. Received: {value!r:.50}"
        )
    return value
