"""The true boxes or masks of images, read from files without the images."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_has.data.problems import Problems
from keras_has.data.readers.wsol_files import (
    boxes_of_rows,
    read_image_ids,
    read_rows,
    read_sizes,
)
from keras_has.ops.opencv import opencv


@dataclass
class LocalizationTruth:
    """The true boxes or masks of images, without the images.

    Attributes:
        image_ids: The ids of the images, in the order of the file.
        boxes: The half-open boxes, (N, 4), of each image that has boxes.
        sizes: Height and width in pixels of each image whose size is known.
        masks: The files with the masks of the instances, of each image that has masks.
        ignored: The file with the ignored region, of each image that has one.
    """

    image_ids: list[str]
    boxes: dict[str, np.ndarray] = field(default_factory=dict)
    sizes: dict[str, tuple[float, float]] = field(default_factory=dict)
    masks: dict[str, list[Path]] = field(default_factory=dict)
    ignored: dict[str, Path] = field(default_factory=dict)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields line number and fields of each line that is not empty."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for fields in (reader := csv.reader(file, strict=True)):
                if fields:
                    yield reader.line_num, [text.strip() for text in fields]
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} is missing.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} should be lines of comma-separated text: {error}") from error


def _numbers(fields: Sequence[str], where: str, meaning: str) -> list[float]:
    try:
        numbers = [float(text) for text in fields]
    except ValueError:
        numbers = []
    if not numbers or not np.isfinite(numbers).all():
        raise ValueError(f"{where}: a line should be {meaning}. Received: {','.join(fields)!r}")
    return numbers


def read_image_sizes(path: Path) -> dict[str, tuple[float, float]]:
    """Reads lines of `image_id,width,height`.

    Args:
        path: The file; a first line without numbers is a heading.

    Returns:
        Height and width by image.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If a line does not have this form.
    """
    sizes = {}
    for number, fields in _rows(path):
        if number == 1 and _is_heading(fields):
            continue
        meaning = "an image, its width and its height, above 0"
        size = _numbers(fields[1:], f"{path}:{number}", meaning)
        if len(size) != 2 or min(size) <= 0:
            raise ValueError(
                f"{path}:{number}: a line should be {meaning}. Received: {','.join(fields)!r}"
            )
        sizes[fields[0]] = size[1], size[0]
    return sizes


def read_boxes(
    path: Path, sizes: Mapping[str, tuple[float, float]] | None = None, half_open: bool = False
) -> LocalizationTruth:
    """Reads lines of `image_id,x0,y0,x1,y1`, or of `image_id,x0,y0,x1,y1,width,height`.

    Args:
        path: The file; a first line without numbers is a heading.
        sizes: Height and width of the images whose lines do not contain them.
        half_open: Whether `x1` and `y1` are outside the box. Otherwise they are its last pixels, as
            in the metadata of wsolevaluation. Defaults to `False`.

    Returns:
        The truth, with images in the order of their first appearance.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If a line does not have this form, or an image's size is unknown.
    """
    truth = LocalizationTruth([])
    found: dict[str, list[list[float]]] = {}
    for number, fields in _rows(path):
        where = f"{path}:{number}"
        if number == 1 and _is_heading(fields):
            continue
        meaning = "image_id,x0,y0,x1,y1 or image_id,x0,y0,x1,y1,width,height"
        if len(fields) not in (5, 7):
            raise ValueError(f"{where}: a line should be {meaning}. Received: {','.join(fields)!r}")
        x0, y0, x1, y1, *size = _numbers(fields[1:], where, meaning)
        if not half_open:
            x1, y1 = x1 + 1, y1 + 1
        if min(x0, y0) < 0 or x1 <= x0 or y1 <= y0:
            raise ValueError(
                f"{where}: a box should have 0 <= x0 < x1 and 0 <= y0 < y1. "
                f"Received: {','.join(fields)!r}"
            )
        image = fields[0]
        found.setdefault(image, []).append([x0, y0, x1, y1])
        if size:
            truth.sizes[image] = size[1], size[0]
        elif image not in truth.sizes:
            if sizes is None or image not in sizes:
                raise ValueError(
                    f"{where}: the size of {image!r} should be known, from width and height after "
                    "the box or from --image_sizes, a file with lines of image_id,width,height."
                )
            truth.sizes[image] = sizes[image]
    if not found:
        raise ValueError(f"{path} should contain boxes. Received: none.")
    truth.image_ids = list(found)
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

    Args:
        folder: The folder, which is searched recursively.

    Raises:
        FileNotFoundError: If there is no mask.
    """
    files = sorted(file for file in folder.rglob("*.png"))
    truth = LocalizationTruth([])
    for file in files:
        image = file.relative_to(folder).with_suffix("").as_posix()
        if image.endswith("_ignore"):
            truth.ignored[image.removesuffix("_ignore")] = file
        else:
            truth.image_ids.append(image)
            truth.masks[image] = [file]
    if not truth.image_ids:
        raise FileNotFoundError(f"{folder} contains no mask: a .png file named after the image.")
    return truth


def load_mask(file: Path) -> np.ndarray:
    """Reads a mask; values above 0 are inside.

    Args:
        file: The picture.

    Returns:
        Gray values, uint8 (H, W).

    Raises:
        ValueError: If the file is not a picture.
    """
    cv2 = opencv()
    mask = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise ValueError(f"{file} should be a picture of a mask, but is missing or cannot be read.")
    return mask


def _is_heading(fields: Sequence[str]) -> bool:
    """Returns whether a first line names columns: no field after the first is a number."""

    def is_number(text: str) -> bool:
        try:
            float(text)
        except ValueError:
            return False
        return True

    return len(fields) > 1 and not any(is_number(field) for field in fields[1:])
