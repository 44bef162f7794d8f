"""Images of one's own: a folder a class, with or without boxes."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.folders import (
    IMAGE_EXTENSIONS,
    file_names,
    for_each_file,
    is_hidden,
    is_system_folder,
    not_found,
    require_folder,
    subfolder_names,
)
from keras_has.data.image_decoding import image_size
from keras_has.data.readers.annotation_files import (
    clip_box,
    numbered_lines,
    parse_corners,
    read_voc_annotation,
)
from keras_has.data.sources import FileImages

_UNREADABLE_EXTENSIONS = (".heic", ".heif", ".avif", ".jxl", ".jp2")
_HEADER = ["image", "x0", "y0", "x1", "y1"]
_HEADERS = (_HEADER, ["path", *_HEADER[1:]])
_ADVICE = (
    "Put the images into data_dir/train/CLASS/ and data_dir/val/CLASS/, a folder a class, and pass "
    "data_dir."
)


def image_folder(
    data_dir: str | os.PathLike[str], split: str = "train", read_boxes: bool = True
) -> Dataset:
    """Reads the index of your own images, one folder per class, and their boxes if there are any.

    ```
    train/CLASS/*.jpg                    .jpg, .jfif, .png, .bmp, .gif, .webp, .tif, in any case
    val/CLASS/*.jpg                      classes that train also has
    boxes.csv                            either this,
    train/CLASS/*.xml                    or a VOC file beside an image,
    annotations/train/CLASS/*.xml        or in a separate folder
    ```

    The classes are the sorted folders of `train`, for every split. Image ids are paths
    below `data_dir`, such as `"val/dog/3.jpg"`.

    `boxes.csv` has the header `image,x0,y0,x1,y1` (or `path` for `image`) and one line per box: the
    image's id, and the corners in pixels, half-open (`x1` and `y1` are the first column and row
    outside of the box). VOC files have the format of PASCAL VOC and LabelImg, with the first and
    last pixel of a box counted from 1; only objects with the name of the class folder count. Boxes
    that extend beyond the image are clipped. Images without a box are allowed. The EXIF orientation
    is not applied.

    Args:
        data_dir: The folder that contains `train` and `val`.
        split: `"train"` (default), `"val"` or any other folder beside them.
        read_boxes: Whether to read the boxes.

    Returns:
        A `Dataset`, sorted by class and name. It has the column `image_size` if every image has
        an annotation. Its `problems` count the files and folders that are not read, and name
        classes without images.

    Raises:
        FileNotFoundError: If a part is missing; the message names it and says what to do.
        ValueError: If a line or an annotation is invalid, a box is inverted, empty or outside its
            image, an annotation has no image, or a class is not in `train`; the message names file
            and line, or the folder.
    """
    if not split or split.startswith(".") or Path(split).name != split:
        raise ValueError(
            '`split` should be the name of a folder in `data_dir`, such as "train" or "val". '
            f"Received: split={split!r}"
        )
    data_dir = require_folder(Path(data_dir), "a folder with images", _ADVICE)
    train = require_folder(data_dir / "train", "the folder of the train images", _ADVICE)
    folder = require_folder(data_dir / split, f"the folder of the {split} images", _ADVICE)
    class_names = subfolder_names(train)
    if not class_names:
        raise not_found(train / "CLASS", "a folder for each class", _ADVICE)
    unknown = sorted(set(subfolder_names(folder)) - set(class_names))
    if unknown:
        raise ValueError(
            f"The class folders of {folder} should be among those of {train}. "
            f"Received: {unknown[0]!r} and {len(unknown) - 1} more that are not."
        )
    image_ids: list[str] = []
    labels: list[int] = []
    problems: list[str] = []
    for label, class_name in enumerate(class_names):
        names = _list_images(folder / class_name)
        if not names and split == "train":
            raise not_found(folder / class_name / "*.jpg", "images of the class", _ADVICE)
        if not names:
            problems.append(f"{folder / class_name}: no image of this class")
        if (folder / class_name).is_dir():
            problems += _files_not_read(folder / class_name)
        image_ids += [f"{split}/{class_name}/{name}" for name in names]
        labels += [label] * len(names)
    if not image_ids:
        raise not_found(folder / "CLASS" / "*.jpg", "images", _ADVICE)
    if len(class_names) == 1:
        problems.append(f"{train}: only one class, {class_names[0]!r}; classification needs two")

    boxes: Sequence[np.ndarray] = [np.zeros((0, 4), np.float32)] * len(image_ids)
    image_sizes = None
    if read_boxes:
        boxes, image_sizes = _read_boxes(data_dir, split, class_names, image_ids)
    return Dataset(
        name=f"{data_dir.resolve().name}/{split}",
        ids=np.array(image_ids, np.str_),
        columns={
            "label": np.array(labels, np.int64),
            "boxes": tuple(boxes),
            "image_size": image_sizes,
        },
        source=FileImages(np.array([f"{data_dir}/{image_id}" for image_id in image_ids], np.str_)),
        class_names=tuple(class_names),
        problems=tuple(problems),
    )


def _files_not_read(folder: Path) -> list[str]:
    """Returns one sentence for each kind of entry of a class folder that is not read."""
    found: dict[str, list[str]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            extension = Path(entry.name).suffix.lower()
            if extension in (*IMAGE_EXTENSIONS, ".xml") or is_hidden(entry.name):
                continue  # By the name alone: asking what each image is would take long.
            if not entry.is_dir():
                found.setdefault(extension or "without extension", []).append(entry.name)
            elif not is_system_folder(entry.name):
                found.setdefault("folder", []).append(entry.name)
    return [
        f"{folder}: entries not read: {len(names)} ({kind}), such as {min(names)!r}"
        for kind, names in sorted(found.items())
    ]


def _list_images(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    unreadable = file_names(folder, _UNREADABLE_EXTENSIONS)
    if unreadable:
        raise ValueError(
            "Images should be JPEG, PNG, BMP, GIF, WebP or TIFF. Received: "
            f"{folder / unreadable[0]} and {len(unreadable) - 1} more in that folder; convert them "
            "or move them away."
        )
    return file_names(folder)


def _read_boxes(
    data_dir: Path, split: str, class_names: Sequence[str], image_ids: Sequence[str]
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Returns the boxes of each image and, where all are known, the sizes of the images."""
    xml_files = _find_xml_files(data_dir, split, class_names, image_ids)
    table = data_dir / "boxes.csv"
    rows: dict[str, list[tuple[str, list[float]]]] = {}
    if table.is_file():
        if xml_files:
            raise ValueError(
                "Boxes should stand either in boxes.csv or in XML files. Received: both "
                f"{table} and {min(xml_files.values())}."
            )
        rows = _read_table(table, data_dir, split, image_ids)

    def read(image_id: str) -> tuple[np.ndarray, tuple[int, int] | None]:
        if image_id not in rows and image_id not in xml_files:
            return np.zeros((0, 4), np.float32), None
        size = image_size(data_dir / image_id)
        if image_id in rows:
            boxes = [clip_box(corners, size, where) for where, corners in rows[image_id]]
        else:
            boxes = _read_xml(xml_files[image_id], image_id, size)
        return np.array(boxes, np.float32).reshape(-1, 4), size

    boxes, sizes = zip(*for_each_file(read, image_ids), strict=True)
    return list(boxes), None if None in sizes else np.array(sizes, np.int64)


def _find_xml_files(
    data_dir: Path, split: str, class_names: Sequence[str], image_ids: Sequence[str]
) -> Mapping[str, Path]:
    """Returns the XML file of each image that has one."""
    by_stem: dict[str, list[str]] = {}
    for image_id in image_ids:
        by_stem.setdefault(image_id.rpartition(".")[0], []).append(image_id)
    found: dict[str, Path] = {}
    for above in (data_dir, data_dir / "annotations"):
        for class_name in class_names:
            folder = above / split / class_name
            for name in file_names(folder, (".xml",)) if folder.is_dir() else ():
                owners = by_stem.get(f"{split}/{class_name}/{name[:-4]}", [])
                if len(owners) != 1 or owners[0] in found:
                    raise ValueError(
                        f"{folder / name} should be the one annotation of one image of its name in "
                        f"{data_dir / split / class_name}. Received: images {owners}"
                        + (f" and {found[owners[0]]} as well." if set(owners) & set(found) else ".")
                    )
                found[owners[0]] = folder / name
    return found


def _read_xml(path: Path, image_id: str, size: tuple[int, int] | None) -> list[list[float]]:
    annotation = read_voc_annotation(path)
    if size and annotation.size and size != annotation.size:
        raise ValueError(
            f"{path} should give the size of its image, {size[1]} x {size[0]} pixels (width x "
            f"height). Received: {annotation.size[1]} x {annotation.size[0]}. Was the image "
            "resized or turned after its boxes were drawn?"
        )
    class_name = image_id.split("/")[1]
    boxes = []
    for thing in annotation.objects:
        if thing.name == class_name:
            x0, y0, x1, y1 = thing.corners
            boxes.append(clip_box([x0 - 1, y0 - 1, x1, y1], size, thing.where))
    if annotation.objects and not boxes:
        raise ValueError(
            f"{path} should have an object of its image's class, {class_name!r}. Received: "
            f"{sorted({thing.name for thing in annotation.objects})}"
        )
    return boxes


def _read_table(
    path: Path, data_dir: Path, split: str, image_ids: Sequence[str]
) -> dict[str, list[tuple[str, list[float]]]]:
    """Reads `boxes.csv`: for each image of the split that is in it, where a box stands and it."""
    known = set(image_ids)
    elsewhere: dict[str, bool] = {}
    boxes: dict[str, list[tuple[str, list[float]]]] = {}
    lines = numbered_lines(path)
    header = _fields(lines[0][1], f"{path}:{lines[0][0]}") if lines else []
    if header not in _HEADERS:
        raise ValueError(f"{path}:1: the header should be {','.join(_HEADER)}. Received: {header}")
    for number, line in lines[1:]:
        where = f"{path}:{number}"
        fields = _fields(line, where)
        if len(fields) != len(_HEADER):
            raise ValueError(f"{where}: a line should be {','.join(_HEADER)}. Received: {line!r}")
        image_id, corners = fields[0], parse_corners(fields[1:], where)
        parts = PurePosixPath(image_id).parts
        if parts[:1] != (split,) and len(parts) == 3 and not {"..", "/"} & set(parts):
            if image_id not in elsewhere:
                elsewhere[image_id] = _is_file(data_dir / image_id)
            is_there = elsewhere[image_id]
        else:
            is_there = image_id in known
        if not is_there:
            raise ValueError(
                f"{where}: the image should be the path of an image below {data_dir}, such as "
                f"{image_ids[0]!r}. Received: {image_id!r}; there is no such image."
            )
        clip_box(corners, None, where)
        if image_id in known:
            boxes.setdefault(image_id, []).append((where, corners))
    return boxes


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # Such as a name that is too long.
        return False


def _fields(line: str, where: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise ValueError(f"{where}: the line should be CSV: {error}. Received: {line!r}") from error
