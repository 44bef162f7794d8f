"""Person re-identification: Market-1501, DukeMTMC-reID, and folders with such file names."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.data.columns import RaggedColumn
from keras_has.data.dataset import Dataset
from keras_has.data.folders import file_names, files_not_read, printable, require_folder
from keras_has.data.mat_files import read_mat_integers
from keras_has.data.sources import FileImages

FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
JUNK, DISTRACTOR = -1, 0
_OFFICIAL_LISTS = "gt_query"
_ADVICE = "Pass the folder that contains bounding_box_train, query and bounding_box_test."


@dataclasses.dataclass(frozen=True)
class _Layout:
    """How the files of a dataset are named.

    Args:
        name: The name of the dataset.
        names: A pattern with identity and camera as its groups.
        example: A file name, for messages.
    """

    name: str
    names: re.Pattern[str]
    example: str


# Six queries of Market-1501 end in .jpg.jpg.
_MARKET1501 = _Layout(
    "market1501",
    re.compile(r"(-1|\d{4,9})_c(\d{1,4})s\d+_\d+_\d+(?:\.[a-z]{3,4})+", re.IGNORECASE | re.ASCII),
    "0002_c1s1_000451_03.jpg",
)
_DUKEMTMC_REID = _Layout(
    "dukemtmc_reid",
    re.compile(r"(-1|\d{4,9})_c(\d{1,4})_f\d+(?:\.[a-z]{3,4})+", re.IGNORECASE | re.ASCII),
    "0001_c2_f0046182.jpg",
)


def market1501(data_dir: str | os.PathLike[str], split: str = "train") -> Dataset:
    """Reads Market-1501: pictures of people, with the identity and the camera in the file names.

    ```
    bounding_box_train/0002_c1s1_000451_03.jpg   identity 2, camera 1
    query/
    bounding_box_test/                           the gallery
    gt_query/                                    optional: the official lists of matches
    ```

    In the gallery, identity -1 marks junk, which is left out of every ranking, and 0 marks
    distractors, which stay. For a query, gallery images of the same identity are matches if they
    come from another camera, and are left out of the ranking if they come from the same one. If
    there is a folder `gt_query`, its lists decide that instead.

    Files whose names say neither identity nor camera are left out, and so are junk and distractors
    among training images and queries; `Dataset.problems` names all of them.

    Args:
        data_dir: The folder with these folders.
        split: `"train"`, `"query"`, `"gallery"`, or `"test"`, which is the queries followed by the
            gallery. Defaults to `"train"`.

    Returns:
        A `Dataset` whose ids are paths below `data_dir`. Its classes are the identities, as they
        are written in the file names. Columns: `"label"`, the class; `"identity"` and `"camera"`,
        int64; in the split `"test"` also `"is_query"` and, if there are official lists, `"matches"`
        and `"same_camera"`, each query's matches and what is left out of its ranking besides junk,
        as values of `"gallery_position"`, which is -1 for queries.

    Raises:
        FileNotFoundError: If a folder or an official list is missing.
        ValueError: If `split` is another one, or an official list is damaged or of another gallery.

    Reference:
        [Zheng et al., 2015](https://doi.org/10.1109/ICCV.2015.133).
    """
    return _read(data_dir, split, _MARKET1501)


def dukemtmc_reid(data_dir: str | os.PathLike[str], split: str = "train") -> Dataset:
    """Reads the layout of DukeMTMC-reID, such as `bounding_box_train/0001_c2_f0046182.jpg`.

    The dataset was withdrawn by its authors; this reads data that are laid out in the same way.

    Args:
        data_dir: The folder with `bounding_box_train`, `query` and `bounding_box_test`.
        split: See `market1501`. Defaults to `"train"`.

    Returns:
        A `Dataset`, see `market1501`.

    Raises:
        FileNotFoundError: If a folder is missing.
        ValueError: If `split` is another one.

    Reference:
        [Zheng et al., 2017](https://arxiv.org/abs/1701.07717).
    """
    return _read(data_dir, split, _DUKEMTMC_REID)


def _read(data_dir: str | os.PathLike[str], split: str, layout: _Layout) -> Dataset:
    splits = (*FOLDERS, "test")
    if split not in splits:
        raise ValueError(f"`split` should be one of {splits}. Received: split={split!r}")
    root = Path(data_dir)
    if split != "test":
        return _read_folder(root, split, layout)
    queries, gallery = (_read_folder(root, part, layout) for part in ("query", "gallery"))
    identities = np.concatenate([queries["identity"], gallery["identity"]])
    names = [*np.array(queries.class_names, object)[queries["label"]]]
    names += [*np.array(gallery.class_names, object)[gallery["label"]]]
    class_names, labels = _classes(identities, names)
    columns: dict[str, Any] = {
        "label": labels,
        "identity": identities,
        "camera": np.concatenate([queries["camera"], gallery["camera"]]),
        "is_query": np.arange(len(names)) < len(queries),
    }
    problems = [*queries.problems, *gallery.problems]
    if (root / _OFFICIAL_LISTS).is_dir():
        for name, lists in _official_lists(root, queries.ids, gallery.ids, problems).items():
            columns[name] = RaggedColumn([*lists, *[()] * len(gallery)], np.int64)
        places = [np.full(len(queries), -1), np.arange(len(gallery))]
        columns["gallery_position"] = np.concatenate(places)
    return Dataset(
        name=f"{layout.name}/test",
        ids=np.concatenate([queries.ids, gallery.ids]),
        columns=columns,
        source=FileImages(np.concatenate([queries.source.paths, gallery.source.paths])),
        class_names=class_names,
        problems=tuple(problems),
    )


def _read_folder(root: Path, split: str, layout: _Layout) -> Dataset:
    folder = require_folder(root / FOLDERS[split], "images of people", _ADVICE)
    problems = files_not_read(folder)
    names, texts, cameras = [], [], []
    for name in file_names(folder):
        found = layout.names.fullmatch(name)
        path = printable(folder / name)
        if found is None:
            problems.append(
                f"{path}: left out: a name should give identity and camera, as in {layout.example}"
            )
        elif split != "gallery" and int(found[1]) in (JUNK, DISTRACTOR):
            kind = "junk" if int(found[1]) == JUNK else "a distractor"
            problems.append(f"{path}: left out: identity {found[1]} is {kind}, for galleries only")
        else:
            names.append(name)
            texts.append(found[1])
            cameras.append(int(found[2]))
    identities = np.array([int(text) for text in texts], np.int64)
    class_names, labels = _classes(identities, texts)
    return Dataset(
        name=f"{layout.name}/{split}",
        ids=np.array([f"{folder.name}/{name}" for name in names], np.str_),
        columns={
            "label": labels,
            "identity": identities,
            "camera": np.array(cameras, np.int64),
        },
        source=FileImages(np.array([str(folder / name) for name in names], np.str_)),
        class_names=class_names,
        problems=tuple(problems),
    )


def _classes(identities: np.ndarray, texts: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the identities in order, as the first file of each writes it, and the labels."""
    _, first, labels = np.unique(identities, return_index=True, return_inverse=True)
    return tuple(texts[place] for place in first), labels.reshape(-1)


def _official_lists(
    root: Path, queries: np.ndarray, gallery: np.ndarray, problems: list[str]
) -> dict[str, list[np.ndarray]]:
    """Returns the positions in the gallery that gt_query lists for each query."""
    # The lists count all images of the folder from 1, whether their names are sound or not.
    all_names = [f"{FOLDERS['gallery']}/{n}" for n in file_names(root / FOLDERS["gallery"])]
    positions = np.full(len(all_names), -1)
    positions[np.searchsorted(all_names, gallery)] = np.arange(len(gallery))
    lists: dict[str, list[np.ndarray]] = {"matches": [], "same_camera": []}
    for query in queries.tolist():
        # MATLAB's scripts take off four characters, of .jpg.jpg as well.
        name = Path(query).stem
        for column, kind in (("matches", "good"), ("same_camera", "junk")):
            path = root / _OFFICIAL_LISTS / f"{name}_{kind}.mat"
            if not path.is_file():
                path = path.with_name(f"{name.partition('.')[0]}_{kind}.mat")
            if not path.is_file():
                raise FileNotFoundError(
                    f"There should be the list of a query at {path}. Restore it, or remove the "
                    f"folder {_OFFICIAL_LISTS}: file names then decide."
                )
            numbers = read_mat_integers(path, f"{kind}_index")
            if numbers.size and numbers.max() > len(all_names):
                raise ValueError(
                    f"{path} lists image {numbers.max()}, but {root / FOLDERS['gallery']} contains "
                    f"{len(all_names)}. Restore the whole gallery, or remove the folder "
                    f"{_OFFICIAL_LISTS}: file names then decide."
                )
            if (numbers < 1).any():
                problems.append(
                    f"{printable(path)}: numbers that stand for no image, which count from 1: "
                    f"{numbers[numbers < 1].tolist()}"
                )
            found = positions[numbers[numbers >= 1] - 1]
            lists[column].append(np.unique(found[found >= 0]))
    return lists
