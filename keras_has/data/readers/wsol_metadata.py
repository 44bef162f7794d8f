"""The published splits for evaluating weakly supervised localization: folders of metadata."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.folders import for_each_file, require_folder
from keras_has.data.image_decoding import image_size
from keras_has.data.problems import Problems
from keras_has.data.readers.wsol_files import (
    ADVICE,
    Rows,
    boxes_of_rows,
    is_below,
    read_image_ids,
    read_labels,
    read_rows,
    read_sizes,
)
from keras_has.data.sources import FileImages

_SPLITS = {
    "train": "train",
    "train-weaksup": "train",
    "val": "val",
    "train-fullsup": "val",
    "test": "test",
}


def wsol_metadata(
    metadata_dir: str | os.PathLike[str],
    image_dir: str | os.PathLike[str],
    split: str = "train",
    mask_dir: str | os.PathLike[str] | None = None,
    class_names: Sequence[str] | None = None,
    read_boxes: bool | None = None,
    use_proxy: bool = False,
) -> Dataset:
    """Reads the index of a published split of the WSOL evaluation protocol.

    These are the splits of "Evaluating Weakly Supervised Object Localization Methods Right": for
    ILSVRC (with ImageNetV2 for choosing hyper-parameters), CUB (with CUBV2) and OpenImages30k.

    ```
    train/  image_ids.txt                path of an image below image_dir
            class_labels.txt             path,label
            image_ids_proxy.txt          the images of a smaller train split; may be absent
    val/    the same, and
            localization.txt             path,x0,y0,x1,y1; one line per box
                                         or, for OpenImages, path,mask,ignore; below mask_dir
            image_sizes.txt              path,width,height; may be absent
    test/   the same
    ```

    Image ids are these paths, unchanged.

    **Boxes.** The rows are whole pixels with the last one included (the protocol's overlap counts
    `x1 - x0 + 1`), so one is added to `x1` and `y1` for this project's half-open boxes, and nothing
    is clipped: the rows are exactly `boxes - [0, 0, 1, 1]`, also where they extend beyond the
    image. The boxes of `metadata/CUB` differ from those of `cub` by that one pixel: the protocol
    uses `x + width` as the last pixel if it lies in the image.

    **Masks.** The columns `mask_paths` and `ignore_path` contain the paths of the files, below
    `mask_dir`; `load_mask` reads them as the protocol does.

    Args:
        metadata_dir: The folder that contains `train`, `val` and `test`.
        image_dir: The folder that contains the paths of the images.
        split: `"train"` (default), `"val"` or `"test"`; the paper's `"train-weaksup"` is train and
            its `"train-fullsup"` is val: hyper-parameters are chosen on val and results reported on
            test.
        mask_dir: The folder that contains the paths of the masks, or `None` (default) for
            `image_dir`.
        class_names: Names of the classes, in the order of the labels. The metadata contains no
            names, so `None` (default) uses the numbers.
        read_boxes: Whether to read boxes or masks. `None` (default) reads those of "val" and
            "test", and none of "train", which no weakly supervised method needs.
        use_proxy: Whether to read `image_ids_proxy.txt` instead of `image_ids.txt`.

    Returns:
        A `Dataset` in the order of `image_ids.txt`. It has the column `image_size` if
        `image_sizes.txt` exists.

    Raises:
        FileNotFoundError: If a part is missing. The message names it and says what to do.
        ValueError: If lines are invalid, a box is inverted or outside its image, images and lines
            do not match, or an image is missing or, if its boxes are read, has another size than in
            `image_sizes.txt`. The message counts all problems and gives file and line of the first
            ten.

    Reference:
        Choe et al., Evaluating Weakly Supervised Object Localization Methods Right, CVPR 2020,
        arXiv:2001.07437.
    """
    if split not in _SPLITS:
        raise ValueError(f"`split` should be one of {', '.join(_SPLITS)}. Received: split={split}")
    folder = require_folder(Path(metadata_dir) / _SPLITS[split], f"the metadata of {split}", ADVICE)
    image_root = require_folder(
        Path(image_dir),
        "the folder of the images",
        "Pass as image_dir the folder that the paths of image_ids.txt start from.",
    )
    problems = Problems(f"The metadata of {folder}")
    list_name = "image_ids_proxy.txt" if use_proxy else "image_ids.txt"
    image_ids = read_image_ids(folder / list_name, problems)
    labels = read_labels(folder / "class_labels.txt", problems)
    for image_id, number in image_ids.items():
        if image_id not in labels:
            problems.add(
                f"{folder}/{list_name}:{number}: the image should have a line in class_labels.txt. "
                f"Received: none for {image_id!r}."
            )
    sizes = read_sizes(folder / "image_sizes.txt", image_ids, problems)
    _check_images(image_root, folder / list_name, image_ids, problems)
    rows: Rows = {}
    if _SPLITS[split] != "train" if read_boxes is None else read_boxes:
        rows = read_rows(folder / "localization.txt", image_ids, problems)
    problems.raise_if_any()

    boxes: list[np.ndarray] = [np.zeros((0, 4), np.float32)] * len(image_ids)
    masks: tuple[list[tuple[str, ...]], list[str]] | None = None
    has_masks = any(len(fields) == 2 for lines in rows.values() for _, fields in lines)
    if has_masks:
        mask_root = image_root if mask_dir is None else Path(mask_dir)
        masks = _masks(folder / "localization.txt", mask_root, image_ids, rows, problems)
    elif rows:
        _compare_sizes(image_root, folder, image_ids, sizes, problems)
        boxes = boxes_of_rows(folder / "localization.txt", image_ids, rows, sizes, problems)
    problems.raise_if_any()

    num_classes = _count_classes(folder, labels)
    names = tuple(str(label) for label in range(num_classes))
    if class_names is not None:
        if len(class_names) < num_classes:
            raise ValueError(
                f"`class_names` should name the {num_classes} classes of {folder}. "
                f"Received: {len(class_names)} names."
            )
        names = tuple(class_names)
    return Dataset(
        name=f"{folder.resolve().parent.name.lower()}/{_SPLITS[split]}",
        ids=np.array(list(image_ids), np.str_),
        columns={
            "label": np.array([labels[image_id] for image_id in image_ids], np.int64),
            "boxes": tuple(boxes),
            "image_size": None
            if sizes is None
            else np.array([sizes[i] for i in image_ids], np.int64),
            "mask_paths": None if masks is None else tuple(masks[0]),
            "ignore_path": None if masks is None else np.array(masks[1], np.str_),
        },
        source=FileImages(
            np.array([f"{image_root}/{image_id}" for image_id in image_ids], np.str_)
        ),
        class_names=names,
    )


def _check_images(root: Path, path: Path, image_ids: dict[str, int], problems: Problems) -> None:
    """Notes missing images; every folder is listed once, and no file is opened."""
    there: dict[str, set[str]] = {}
    for image_id, number in image_ids.items():
        folder, _, name = image_id.rpartition("/")
        if folder not in there:
            try:
                there[folder] = set(os.listdir(root / folder))  # noqa: PTH208 (a million names)
            except OSError:
                there[folder] = set()
        if name not in there[folder]:
            problems.add(
                f"{path}:{number}: there should be such an image. Received: none at "
                f"{root}/{image_id}."
            )


def _compare_sizes(
    image_root: Path,
    folder: Path,
    image_ids: Iterable[str],
    sizes: dict[str, tuple[int, int]] | None,
    problems: Problems,
) -> None:
    """Notes images that were resized after their boxes were drawn."""
    if sizes is None:
        return
    files = [f"{image_root}/{image_id}" for image_id in image_ids]
    for image_id, found in zip(image_ids, for_each_file(image_size, files), strict=True):
        if found is not None and found != sizes[image_id]:
            problems.add(
                f"{folder}/image_sizes.txt: the size of {image_root}/{image_id} should be that of "
                f"the original, which its boxes are drawn on: {sizes[image_id][1]} x "
                f"{sizes[image_id][0]} (width x height). Received: {found[1]} x {found[0]}."
            )


def _masks(
    path: Path, mask_root: Path, image_ids: Iterable[str], rows: Rows, problems: Problems
) -> tuple[list[tuple[str, ...]], list[str]]:
    """Returns the paths of the masks of each image and of what is to be ignored in it."""
    masks, ignored = [], []
    for image_id in image_ids:
        first, *others = rows[image_id]
        for number, fields in rows[image_id]:
            for field in fields:
                if field and not (is_below(field) and (mask_root / field).is_file()):
                    problems.add(
                        f"{path}:{number}: there should be such a mask. Received: none at "
                        f"{mask_root}/{field}."
                    )
            if not fields[0]:
                problems.add(f"{path}:{number}: a line should name a mask. Received: none.")
        for number, fields in others:
            if fields[1]:
                problems.add(
                    f"{path}:{number}: only the first line of an image should name what is to be "
                    f"ignored. Received: {fields[1]!r}, and line {first[0]} is the first."
                )
        masks.append(tuple(f"{mask_root}/{fields[0]}" for _, fields in rows[image_id]))
        ignored.append(f"{mask_root}/{first[1][1]}" if first[1][1] else "")
    return masks, ignored


def _count_classes(folder: Path, labels: dict[str, int]) -> int:
    """Returns one more than the largest label of the splits: they share their classes."""
    largest = max(labels.values())
    for name in set(_SPLITS.values()) - {folder.name}:
        path = folder.parent / name / "class_labels.txt"
        if path.is_file():
            others = read_labels(path, Problems(""))
            largest = max([largest, *others.values()])
    return largest + 1
