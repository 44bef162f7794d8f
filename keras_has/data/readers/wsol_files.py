"""The files of the published localization protocol: a folder of metadata for each split.

Every function notes invalid lines in `problems`, so that all of them are reported together.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_has.data.folders import require_file
from keras_has.data.problems import Problems
from keras_has.data.readers.annotation_files import clip_box, numbered_lines, parse_corners
from keras_has.data.readers.boxes_csv import check_size

ADVICE = (
    "Pass as metadata_dir the folder of one dataset in the metadata folder of "
    "https://github.com/clovaai/wsolevaluation, such as metadata/CUB, which contains train, val "
    "and test."
)

Rows = dict[str, list[tuple[int, list[str]]]]
"""For each image its lines of localization.txt: the line's number and what follows the image."""


def read_image_ids(path: Path, problems: Problems) -> dict[str, int]:
    """Reads `image_ids.txt`: returns the line number of each image."""
    image_ids: dict[str, int] = {}
    for number, line in numbered_lines(require_file(path, "the list of the images", ADVICE)):
        if not is_below(line):
            problems.add(
                f"{path}:{number}: a line should be the path of an image below image_dir. "
                f"Received: {line!r}"
            )
        elif line in image_ids:
            problems.add(
                f"{path}:{number}: an image should be listed once. Received: {line!r}, which is "
                f"also in line {image_ids[line]}."
            )
        else:
            image_ids[line] = number
    if not image_ids and not problems.count:
        raise ValueError(f"{path} should list images. Received: an empty file.")
    return image_ids


def is_below(path: str) -> bool:
    """Returns whether a path stays below the folder that it is appended to."""
    return bool(path) and not path.startswith("/") and ".." not in path.split("/")


def read_labels(path: Path, problems: Problems) -> dict[str, int]:
    """Reads `class_labels.txt`: returns the label of each image."""
    labels: dict[str, int] = {}
    for number, line in numbered_lines(require_file(path, "the labels of the images", ADVICE)):
        image_id, _, label = line.rpartition(",")
        if not image_id or not re.fullmatch(r"\d{1,6}", label, re.ASCII) or image_id in labels:
            problems.add(
                f"{path}:{number}: a line should be the path of an image that has no line yet, a "
                f"comma and its label, counted from 0. Received: {line!r}"
            )
            continue
        labels[image_id] = int(label)
    return labels


def read_sizes(
    path: Path, image_ids: Iterable[str], problems: Problems
) -> dict[str, tuple[int, int]] | None:
    """Reads `image_sizes.txt`: returns height and width by image, `None` without such a file."""
    if not path.is_file():
        return None
    sizes = {}
    for number, line in numbered_lines(path):
        match = re.fullmatch(r"(.+),([1-9]\d{0,6}),([1-9]\d{0,6})", line, re.ASCII)
        if match is None or match[1] in sizes:
            problems.add(
                f"{path}:{number}: a line should be the path of an image that has no line yet, its "
                f"width and its height, with commas between them. Received: {line!r}"
            )
            continue
        try:
            sizes[match[1]] = check_size(int(match[2]), int(match[3]), f"{path}:{number}")
        except ValueError as error:
            problems.add(error)
    for image_id in image_ids:
        if image_id not in sizes:
            problems.add(f"{path}: every image should have a line. Received: none for {image_id!r}")
    return sizes


def read_rows(
    path: Path, image_ids: dict[str, int], problems: Problems, is_complete: bool = True
) -> Rows:
    """Reads `localization.txt`: returns the fields of each image, 4 for a box, 2 for a mask.

    Args:
        path: The file.
        image_ids: The images of the split.
        problems: Collects invalid lines.
        is_complete: Whether every image needs a line. Defaults to `True`.
    """
    rows: Rows = {}
    num_fields = 0
    for number, line in numbered_lines(require_file(path, "the boxes or masks", ADVICE)):
        image_id, *fields = line.split(",")
        num_fields = num_fields or len(fields)
        if len(fields) not in (2, 4) or len(fields) != num_fields:
            problems.add(
                f"{path}:{number}: a line should be path,x0,y0,x1,y1 in every line, or "
                f"path,mask,ignore in every line. Received: {line!r}"
            )
        elif image_id not in image_ids:
            problems.add(
                f"{path}:{number}: the image should be one of image_ids.txt. Received: {image_id!r}"
            )
        else:
            rows.setdefault(image_id, []).append((number, fields))
    for image_id in image_ids if is_complete else ():
        if image_id not in rows:
            problems.add(f"{path}: every image should have a line. Received: none for {image_id!r}")
    return rows


def boxes_of_rows(
    path: Path,
    image_ids: Iterable[str],
    rows: Rows,
    sizes: dict[str, tuple[int, int]] | None,
    problems: Problems,
    needs_whole_pixels: bool = True,
) -> list[np.ndarray]:
    """Returns the half-open boxes of each image, in the order of `image_ids`.

    Args:
        path: The file, for messages.
        image_ids: The images.
        rows: What `read_rows` returned.
        sizes: Height and width of the images, or `None` if they are unknown.
        problems: Collects invalid boxes.
        needs_whole_pixels: Whether fractional corners are refused. Defaults to `True`.
    """
    boxes = []
    for image_id in image_ids:
        found = []
        for number, fields in rows[image_id]:
            where = f"{path}:{number}"
            try:
                x0, y0, x1, y1 = parse_corners(fields, where)
                is_whole = all(corner.is_integer() for corner in (x0, y0, x1, y1))
                if needs_whole_pixels and not is_whole:
                    raise ValueError(f"{where}: corners should be whole pixels. Received: {fields}")
                box = [x0, y0, x1 + 1, y1 + 1]
                clip_box(box, None if sizes is None else sizes[image_id], where)
                found.append(box)
            except ValueError as error:
                problems.add(error)
        boxes.append(np.array(found, np.float32).reshape(-1, 4))
    return boxes
