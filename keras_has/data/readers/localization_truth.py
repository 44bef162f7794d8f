"""The true boxes or masks of images, read from files without the images."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_has.data.problems import Problems
from keras_has.data.readers.annotation_files import clip_own_box, numbered_lines
from keras_has.data.readers.boxes_csv import (
    IMAGE_NAMES,
    check_size,
    parse_numbers,
    read_boxes_csv,
    split_line,
)
from keras_has.data.readers.wsol_files import (
    boxes_of_rows,
    read_image_ids,
    read_rows,
    read_sizes,
)


@dataclass
class LocalizationTruth:
    """The true boxes or masks of images, without the images.

    Attributes:
        image_ids: The ids of the images, in the order of the file.
        boxes: The half-open boxes, (N, 4), of each image that has boxes.
        sizes: Height and width in pixels of each image whose size is known.
        masks: The files with the masks of the instances, of each image that has masks.
        ignored: The file with the ignored region, of each image that has one.
        unused: The files that are not used, each with the reason.
    """

    image_ids: list[str]
    boxes: dict[str, np.ndarray] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    masks: dict[str, list[Path]] = field(default_factory=dict)
    ignored: dict[str, Path] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)


def read_image_sizes(path: Path) -> dict[str, tuple[int, int]]:
    """Reads a table of image sizes.

    Args:
        path: Lines of `image,width,height`. A first line with names in place of numbers decides the
            order of the columns; `image_id` and `path` may stand for `image`.

    Returns:
        Height and width by image.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If lines do not have this form, or an image has two sizes; the message names
            them.
    """
    lines = numbered_lines(path)
    columns = ["image", "width", "height"]
    first = split_line(lines[0][1], f"{path}:{lines[0][0]}") if lines else []
    if not any(field[:1].isdigit() for field in first[1:]):
        named = ["image" if name.lower() in IMAGE_NAMES else name.lower() for name in first]
        if sorted(named) != sorted(columns):
            raise ValueError(
                f"{path}:1: the columns should be {','.join(columns)}, in any order. "
                f"Received: {','.join(first)!r}"
            )
        columns, lines = named, lines[1:]
    problems = Problems(str(path))
    sizes: dict[str, tuple[int, int]] = {}
    for number, line in lines:
        where = f"{path}:{number}"
        try:
            fields = split_line(line, where)
            if len(fields) != len(columns):
                raise ValueError(
                    f"{where}: a line should be {','.join(columns)}. Received: {line!r:.200}"
                )
            values = dict(zip(columns, fields, strict=True))
            sides = [values["width"], values["height"]]
            width, height = parse_numbers(sides, where, "width and height")
            size = check_size(width, height, where)
            if sizes.setdefault(values["image"], size) != size:
                raise ValueError(
                    f"{where}: an image should have one size. Received: {values['image']!r} again "
                    "with another one."
                )
        except ValueError as error:
            problems.add(error)
    problems.raise_if_any()
    return sizes


def read_boxes(
    path: Path, sizes: Mapping[str, tuple[int, int]] | None = None, half_open: bool = False
) -> LocalizationTruth:
    """Reads the true boxes of images from boxes.csv, see `read_boxes_csv`.

    Args:
        path: The file.
        sizes: Height and width of the images whose lines do not contain them.
        half_open: Whether `x1` and `y1` are outside of the box in a table with the column
            `image_id`, too. Defaults to `False`.

    Returns:
        The truth, with images in the order of their first appearance, also those without a box.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If lines do not have this form, a box does not fit its image, or an image has no
            size or two; the message names them.
    """
    truth = LocalizationTruth([])
    found: dict[str, list[list[float]]] = {}
    problems = Problems(str(path))
    rows = read_boxes_csv(path, half_open, problems)
    truth.sizes = {row.image: row.size for row in rows if row.size is not None}
    for row in rows:
        other = (sizes or {}).get(row.image)
        if row.size is not None and other is not None and row.size != other:
            problems.add(
                f"{row.where}: an image should have one size. Received: {row.image!r} of "
                f"{row.size[1]} x {row.size[0]} here and {other[1]} x {other[0]} in the table of "
                "sizes (width x height)."
            )
    for row in rows:
        size = truth.sizes.get(row.image) or (sizes or {}).get(row.image)
        if row.corners is None:
            continue
        if size is None:
            problems.add(
                f"{row.where}: the size of {row.image!r} should be known, from the columns width "
                "and height or from --image_sizes, a table of image,width,height."
            )
            continue
        try:
            found.setdefault(row.image, []).append(clip_own_box(row.corners, size, row.where))
        except ValueError as error:
            problems.add(error)
        truth.sizes[row.image] = size
    problems.raise_if_any()
    if not found:
        raise ValueError(f"{path} should contain boxes. Received: none.")
    truth.image_ids = list(dict.fromkeys(row.image for row in rows))
    truth.boxes = {image: np.array(boxes) for image, boxes in found.items()}
    return truth


def read_localization_metadata(folder: Path, masks: Path | None = None) -> LocalizationTruth:
    """Reads the boxes or masks of one split of the wsolevaluation metadata, without its images.

    It reads `image_ids.txt`, `localization.txt` and, for boxes, `image_sizes.txt`.
    `keras_has.data.wsol_metadata` reads the same boxes together with the images.

    Args:
        folder: The folder of the split, such as `metadata/CUB/test`.
        masks: The folder of the masks, if `localization.txt` lists masks.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a line is invalid, or masks are listed and `masks` is `None`.
    """
    problems = Problems(f"The metadata of {folder}")
    image_ids = read_image_ids(folder / "image_ids.txt", problems)
    path = folder / "localization.txt"
    rows = read_rows(path, image_ids, problems, is_complete=False)
    has_masks = any(len(fields) == 2 for lines in rows.values() for _, fields in lines)
    if has_masks and masks is None:
        raise ValueError(f"{path} lists masks: --masks should be their folder.")
    sizes = None if has_masks else read_sizes(folder / "image_sizes.txt", rows, problems)
    problems.raise_if_any()
    if not rows:
        raise ValueError(f"{path} should contain boxes or masks. Received: none.")
    truth = LocalizationTruth(list(image_ids))
    if masks is not None and has_masks:
        for image_id, lines in rows.items():
            for number, (mask, ignored) in lines:
                if not mask:
                    problems.add(f"{path}:{number}: a line should name a mask. Received: none.")
                truth.masks.setdefault(image_id, []).append(masks / mask)
                if ignored:
                    truth.ignored[image_id] = masks / ignored
    elif sizes is None:
        raise FileNotFoundError(f"{folder / 'image_sizes.txt'} is missing: boxes need it.")
    else:
        boxes = boxes_of_rows(path, rows, rows, sizes, problems, needs_whole_pixels=False)
        for image_id, image_boxes in zip(rows, boxes, strict=True):
            if image_boxes.min(initial=0) < 0:
                problems.add(
                    f"{path}:{rows[image_id][0][0]}: corners should be at least 0. "
                    f"Received: {image_boxes.tolist()} for {image_id!r}."
                )
        truth.boxes = dict(zip(rows, boxes, strict=True))
        truth.sizes = {image_id: sizes[image_id] for image_id in rows}
    problems.raise_if_any()
    return truth


def read_mask_folder(folder: Path) -> LocalizationTruth:
    """Finds masks `NAME.png`, and their ignored regions `NAME_ignore.png` if there are any.

    Other files, hidden ones, and ignored regions of no mask are listed in `unused`.

    Args:
        folder: The folder, which is searched recursively.

    Raises:
        FileNotFoundError: If there is no mask.
        ValueError: If an image has two masks, such as `a.png` and `a.PNG`.
    """
    truth = LocalizationTruth([])
    for file in sorted(folder.rglob("*")):
        image = file.relative_to(folder).with_suffix("").as_posix()
        if file.is_dir():
            continue
        if file.suffix.lower() != ".png" or file.name.startswith("."):
            truth.unused.append(f"{file}: a mask should be NAME.png")
        elif image.endswith("_ignore"):
            truth.ignored[image.removesuffix("_ignore")] = file
        elif image in truth.masks:
            raise ValueError(
                f"{file} and {truth.masks[image][0]} are masks of one image. Delete one of them."
            )
        else:
            truth.image_ids.append(image)
            truth.masks[image] = [file]
    for image in sorted(truth.ignored.keys() - truth.masks.keys()):
        file = truth.ignored.pop(image)
        truth.unused.append(f"{file}: there is no mask {image}.png of which it is a part")
    if not truth.image_ids:
        raise FileNotFoundError(f"{folder} contains no mask: a .png file named after the image.")
    return truth
