"""Images of one's own: a folder a class, with or without boxes."""

import os
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.folders import (
    IMAGE_EXTENSIONS,
    file_names,
    files_not_read,
    folders_below,
    for_each_file,
    not_found,
    require_folder,
    subfolder_names,
)
from keras_has.data.image_decoding import image_size
from keras_has.data.problems import Problems
from keras_has.data.readers.annotation_files import clip_own_box, read_voc_annotation
from keras_has.data.readers.boxes_csv import BoxRow, read_boxes_csv
from keras_has.data.sources import FileImages

_UNREADABLE_EXTENSIONS = (".heic", ".heif", ".avif", ".jxl", ".jp2")
_ADVICE = (
    "Put the images into data_dir/train/CLASS/ and data_dir/val/CLASS/, a folder a class, and pass "
    "data_dir."
)


def image_folder(
    data_dir: str | os.PathLike[str],
    split: str = "train",
    read_boxes: bool = True,
    nested: bool = False,
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

    `boxes.csv` has the header `image,x0,y0,x1,y1`, in any order, and one line per box: the image's
    id, and the corners in pixels, half-open (`x1` and `y1` are the first column and row outside of
    the box). It may have the columns `class`, `probability`, `width` and `height`, too, and is the
    table that `trainers.localize` writes and `trainers.evaluate` reads. VOC files have the format
    of PASCAL VOC and LabelImg, with the first and last pixel of a box counted from 1. Only boxes
    whose class is that of the folder count. Boxes that extend beyond the image are clipped. Images
    without a box are allowed. Images are turned as their EXIF orientation says, as in every viewer,
    and boxes are those of the upright image.

    Args:
        data_dir: The folder that contains `train` and `val`.
        split: `"train"` (default), `"val"` or any other folder beside them.
        read_boxes: Whether to read the boxes.
        nested: Whether images in subfolders of a class folder belong to the class, too. By default
            the subfolders are not read, and reported. Defaults to `False`.

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
        folders = _class_folders(folder / class_name, nested)
        names = [
            f"{one.relative_to(folder / class_name).as_posix()}/{name}".removeprefix("./")
            for one in folders
            for name in _list_images(one)
        ]
        if not names and split == "train":
            raise not_found(folder / class_name / "*.jpg", "images of the class", _ADVICE)
        if not names:
            problems.append(f"{folder / class_name}: no image of this class")
        for one in folders:
            problems += files_not_read(one, (*IMAGE_EXTENSIONS, ".xml"), nested)
        image_ids += [f"{split}/{class_name}/{name}" for name in sorted(names)]
        labels += [label] * len(names)
    if not image_ids:
        raise not_found(folder / "CLASS" / "*.jpg", "images", _ADVICE)
    # Whatever lies beside the class folders: images, archives, broken links.
    problems += files_not_read(folder, (), reads_subfolders=True)
    problems += _similar_classes(class_names)
    if len(class_names) == 1:
        problems.append(f"{train}: only one class, {class_names[0]!r}; classification needs two")

    boxes: Sequence[np.ndarray] = [np.zeros((0, 4), np.float32)] * len(image_ids)
    image_sizes = None
    if read_boxes:
        boxes, image_sizes, notes = _read_boxes(data_dir, split, class_names, image_ids, nested)
        problems += notes
    return Dataset(
        name=f"{data_dir.resolve().name}/{split}",
        ids=np.array(image_ids, np.str_),
        columns={
            "label": np.array(labels, np.int64),
            "boxes": tuple(boxes),
            "image_size": image_sizes,
        },
        source=FileImages(
            np.array([f"{data_dir}/{image_id}" for image_id in image_ids], np.str_), upright=True
        ),
        class_names=tuple(class_names),
        problems=tuple(problems),
    )


def _class_folders(folder: Path, nested: bool) -> list[Path]:
    """Returns the folder of a class, and with `nested` those below it; nothing if it is missing."""
    if not folder.is_dir():
        return []
    return list(folders_below(folder)) if nested else [folder]


def _list_images(folder: Path) -> list[str]:
    unreadable = file_names(folder, _UNREADABLE_EXTENSIONS)
    if unreadable:
        raise ValueError(
            "Images should be JPEG, PNG, BMP, GIF, WebP or TIFF. Received: "
            f"{folder / unreadable[0]} and {len(unreadable) - 1} more in that folder; convert them "
            "or move them away."
        )
    return file_names(folder)


def _read_boxes(
    data_dir: Path,
    split: str,
    class_names: Sequence[str],
    image_ids: Sequence[str],
    nested: bool,
) -> tuple[list[np.ndarray], np.ndarray | None, list[str]]:
    """Returns the boxes of each image, the sizes of the images where all are known, and notes."""
    problems = Problems(f"The boxes of {data_dir}")
    xml_files = _find_xml_files(data_dir, split, class_names, image_ids, nested)
    table = data_dir / "boxes.csv"
    rows: dict[str, list[BoxRow]] = {}
    notes = _annotations_not_read(data_dir, class_names, nested)
    if table.is_file():
        if xml_files:
            raise ValueError(
                "Boxes should stand either in boxes.csv or in XML files. Received: both "
                f"{table} and {min(xml_files.values())}."
            )
        rows, of_table = _read_table(table, data_dir, split, image_ids, problems)
        notes += of_table
    others: list[str] = []

    def read(image_id: str) -> tuple[list[list[float]], tuple[int, int] | None, list[ValueError]]:
        if image_id not in rows and image_id not in xml_files:
            return [], None, []
        size = image_size(data_dir / image_id, upright=True)
        if image_id in xml_files:
            try:
                return _read_xml(xml_files[image_id], image_id, size, others), size, []
            except ValueError as error:
                return [], size, [error]
        found, errors = [], []
        for row in rows[image_id]:
            try:
                found.append(_clip_row(row, size))
            except ValueError as error:
                errors.append(error)
        return found, size, errors

    boxes, sizes = [], []
    for found, size, errors in for_each_file(read, image_ids):
        boxes.append(np.array(found, np.float32).reshape(-1, 4))
        sizes.append(size)
        for error in errors:
            problems.add(error)
    problems.raise_if_any()
    if others:
        notes.append(
            f"{min(others)}: an object of another class than the folder's, which is not used, as "
            f"are {len(others)} of {split}"
        )
    empty = [
        str(xml_files[name])
        for name, box in zip(image_ids, boxes, strict=True)
        if name in xml_files and not len(box)
    ]
    if empty:
        notes.append(f"{empty[0]}: no object in the annotation, as in {len(empty)} of {split}")
    return boxes, None if None in sizes else np.array(sizes, np.int64), notes


def _similar_classes(class_names: Sequence[str]) -> list[str]:
    """Returns a sentence for classes whose names differ only in case, spaces or Unicode form."""
    similar: dict[str, list[str]] = {}
    for name in class_names:
        plain = unicodedata.normalize("NFC", name).casefold()
        similar.setdefault(" ".join(plain.split()), []).append(name)
    return [
        f"classes that differ only in case, spaces or Unicode form: {', '.join(map(ascii, names))}"
        for names in similar.values()
        if len(names) > 1
    ]


def _annotations_not_read(data_dir: Path, class_names: Sequence[str], nested: bool) -> list[str]:
    """Returns a sentence for each place that seems to contain boxes and is not read."""
    notes = []
    with os.scandir(data_dir) as entries:
        for entry in entries:
            name, expected = entry.name, entry.name.lower()
            is_table = expected == "boxes.csv" and not (name == expected and entry.is_file())
            is_tree = expected == "annotations" and not (name == expected and entry.is_dir())
            if is_table or is_tree:
                kind = "file" if is_table else "folder"
                notes.append(f"{entry.path}: not read; boxes should be in a {kind} {expected!r}")
    unread: list[str] = []
    root = data_dir / "annotations"
    for folder in folders_below(root) if root.is_dir() else ():
        split, *below = folder.relative_to(root).parts or ("",)
        is_read = (data_dir / split).is_dir() and below[:1] and below[0] in class_names
        is_read = bool(is_read) and bool(split) and (nested or len(below) == 1)
        extensions = (".xml",) if is_read else ()
        unread += files_not_read(folder, extensions, reads_subfolders=True)
    if unread:
        notes.append(
            f"{unread[0]}. Annotations should be annotations/SPLIT/CLASS/NAME.xml"
            + (f"; {len(unread) - 1} more such lines" if len(unread) > 1 else "")
        )
    return notes


def _find_xml_files(
    data_dir: Path,
    split: str,
    class_names: Sequence[str],
    image_ids: Sequence[str],
    nested: bool,
) -> Mapping[str, Path]:
    """Returns the XML file of each image that has one."""
    by_stem: dict[str, list[str]] = {}
    for image_id in image_ids:
        by_stem.setdefault(image_id.rpartition(".")[0], []).append(image_id)
    found: dict[str, Path] = {}
    for above in (data_dir, data_dir / "annotations"):
        files = [
            folder / name
            for class_name in class_names
            for folder in _class_folders(above / split / class_name, nested)
            for name in file_names(folder, (".xml",))
        ]
        for file in files:
            owners = by_stem.get(file.relative_to(above).as_posix()[:-4], [])
            if len(owners) != 1 or owners[0] in found:
                raise ValueError(
                    f"{file} should be the one annotation of one image of its name in "
                    f"{data_dir / file.relative_to(above).parent}. Received: images {owners}"
                    + (f" and {found[owners[0]]} as well." if set(owners) & set(found) else ".")
                )
            found[owners[0]] = file
    return found


def _read_xml(
    path: Path, image_id: str, size: tuple[int, int] | None, others: list[str]
) -> list[list[float]]:
    """Returns the boxes of the image's class, and adds the places of other objects to `others`."""
    annotation = read_voc_annotation(path)
    if size and annotation.size and size != annotation.size:
        raise ValueError(_wrong_size(str(path), size, annotation.size))
    class_name = image_id.split("/")[1]
    boxes = []
    for thing in annotation.objects:
        x0, y0, x1, y1 = thing.corners
        if max(thing.corners) <= 1:
            raise ValueError(
                f"{thing.where}: corners should be in pixels, counted from 1. Received: "
                f"{x0:g}, {y0:g}, {x1:g}, {y1:g}, which look like fractions of width and height."
            )
        if thing.name == class_name:
            boxes.append(clip_own_box([x0 - 1, y0 - 1, x1, y1], size, thing.where))
    if boxes:
        others += [thing.where for thing in annotation.objects if thing.name != class_name]
    if annotation.objects and not boxes:
        raise ValueError(
            f"{path} should have an object of its image's class, {class_name!r}. Received: "
            f"{sorted({thing.name for thing in annotation.objects})}"
        )
    return boxes


def _clip_row(row: BoxRow, size: tuple[int, int] | None) -> list[float]:
    if row.size and size and row.size != size:
        raise ValueError(_wrong_size(row.where, size, row.size))
    return clip_own_box(row.corners or (), size, row.where)


def _wrong_size(where: str, size: tuple[int, int], received: tuple[int, int]) -> str:
    return (
        f"{where} should give the size of its image, {size[1]} x {size[0]} pixels (width x "
        f"height). Received: {received[1]} x {received[0]}. Was the image resized or turned after "
        "its boxes were drawn?"
    )


def _read_table(
    path: Path, data_dir: Path, split: str, image_ids: Sequence[str], problems: Problems
) -> tuple[dict[str, list[BoxRow]], list[str]]:
    """Reads `boxes.csv`: the lines of each image of the split, and what is left out of them."""
    known = set(image_ids)
    elsewhere: dict[str, bool] = {}
    rows: dict[str, list[BoxRow]] = {}
    others: list[BoxRow] = []
    for row in read_boxes_csv(path, problems=problems):
        parts = PurePosixPath(row.image).parts
        if parts[:1] != (split,) and len(parts) >= 3 and not {"..", "/"} & set(parts):
            if row.image not in elsewhere:
                elsewhere[row.image] = _is_file(data_dir / row.image)
            is_there = elsewhere[row.image]
        else:
            is_there = row.image in known
        if not is_there:
            problems.add(
                f"{row.where}: the image should be the path of an image below {data_dir}, such as "
                f"{image_ids[0]!r}. Received: {row.image!r}; there is no such image."
            )
        elif row.image in known and row.corners is not None:
            if row.class_name and row.class_name != parts[1]:
                others.append(row)
            else:
                rows.setdefault(row.image, []).append(row)
    notes = [] if rows or others or elsewhere or problems.count else [f"{path}: no box"]
    if others:
        notes.append(
            f"{others[0].where}: class {others[0].class_name!r} in an image of another class: "
            f"{len(others)} such boxes of {split} are not used"
        )
    return rows, notes


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # Such as a name that is too long.
        return False
