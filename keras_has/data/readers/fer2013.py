"""FER-2013: 35,887 grey faces of 48 px with seven emotions, in one table."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.folders import not_found
from keras_has.data.problems import name_some
from keras_has.data.readers.subject_folds import check_split
from keras_has.data.sources import ArrayImages

EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
_USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
_FILES = ("fer2013.csv", "icml_face_data.csv")
_COLUMNS = ("emotion", "pixels", "Usage")
_SIDE = 48
_ADVICE = "Unpack fer2013.tar.gz there."


def fer2013(data_dir: str | os.PathLike[str], split: str = "train") -> Dataset:
    """Reads FER-2013 from `fer2013.csv` or `icml_face_data.csv`.

    The table has the columns `emotion`, 0 to 6; `pixels`, 2,304 numbers from 0 to 255; and `Usage`:
    `Training` is the split `"train"`, `PublicTest` is `"val"`, `PrivateTest` is `"test"`. The id of
    an image is its line in the table. The set has no person ids: a person may be in several splits.

    Args:
        data_dir: The folder that contains the table, or the folder `fer2013` with it.
        split: `"train"` (default), `"val"` or `"test"`.

    Returns:
        A `Dataset` with the column `"label"`, and its images in memory. Its `problems` count and
        name the lines that cannot be used.

    Raises:
        FileNotFoundError: If there is no table.
        ValueError: If `split` is invalid, the table has no such columns or no image of the split,
            or is no table; the message names the file.

    Reference:
        [Goodfellow et al., 2013](https://arxiv.org/abs/1307.0414).
    """
    check_split(split)
    root = Path(data_dir)
    places = [folder / name for folder in (root, root / "fer2013") for name in _FILES]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise not_found(root, f"{_FILES[0]} or {_FILES[1]}", _ADVICE)
    bad: list[str] = []
    lines, labels, pixels = [], [], []
    for line, fields in _rows(path):
        try:
            label, image, usage = _parse(fields)
        except ValueError as error:
            bad.append(f"line {line} ({error})")
            continue
        if usage == split:
            lines.append(f"line {line}")
            labels.append(label)
            pixels.append(image)
    if not lines:
        raise ValueError(f"{path} should have images of the {split} split. Received: none.")
    grey = np.frombuffer(b"".join(pixels), np.uint8).reshape(-1, _SIDE, _SIDE, 1)
    problem = f"{path}: lines that cannot be used: {name_some(bad)}"
    return Dataset(
        name=f"fer2013/{split}",
        ids=np.array(lines),
        columns={"label": np.array(labels, np.int64)},
        source=ArrayImages(np.repeat(grey, 3, axis=-1)),
        class_names=EMOTIONS,
        problems=(problem,) if bad else (),
    )


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the number of each line, and the columns emotion, pixels and Usage."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            if not set(_COLUMNS) <= set(header):
                raise ValueError(
                    f"{path}:1: the columns should be {', '.join(_COLUMNS)}. Received: "
                    f"{str(header)[:80]}"
                )
            places = [header.index(name) for name in _COLUMNS]
            for row in reader:
                if row:
                    is_whole = len(row) == len(header)
                    yield reader.line_num, [row[n] for n in places] if is_whole else []
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} should be a table of comma-separated text: {error}") from error


def _parse(fields: list[str]) -> tuple[int, bytes, str]:
    """Returns label, pixels and split of a line."""
    if not fields:
        raise ValueError("wrong number of columns")
    emotion, pixels, usage = (field.strip() for field in fields)
    if emotion not in map(str, range(len(EMOTIONS))):
        raise ValueError(f"emotion {emotion[:20]!r}")
    if usage not in _USAGES:
        raise ValueError(f"Usage {usage[:20]!r}")
    try:
        image = bytes(map(int, pixels.split()))
    except ValueError as error:
        raise ValueError("pixels that are not numbers from 0 to 255") from error
    if len(image) != _SIDE**2:
        raise ValueError(f"{len(image)} pixels")
    return int(emotion), image, _USAGES[usage]
