"""boxes.csv: the one table of boxes that datasets, `evaluate` and `localize` share."""

import csv
import dataclasses
import io
import os
from collections.abc import Iterable
from pathlib import Path

from keras_has.atomic_files import write_atomically
from keras_has.data.problems import Problems
from keras_has.data.readers.annotation_files import clip_own_box, numbered_lines, parse_corners

_CORNERS = ("x0", "y0", "x1", "y1")
_OPTIONAL = ("class", "probability", "width", "height")
HEADER = ",".join(("image", *_CORNERS))
_FORMER_HEADER = HEADER.replace("image", "image_id")
# The last names a table of which x1 and y1 are the last pixels of the box.
IMAGE_NAMES = ("image", "path", "image_id")
_OTHER_SEPARATORS = ((";", "semicolons"), ("\t", "tabs"), ("|", "bars"))
# An image of this many pixels needs 1 GiB as a map of float32.
MAX_PIXELS = 2**28


@dataclasses.dataclass(frozen=True)
class BoxRow:
    """One line of boxes.csv.

    Args:
        image: The image.
        corners: x0, y0, x1, y1 in pixels, half-open; `None` if no box was found in the image.
        class_name: The class of what the box surrounds; "" if the table does not say.
        probability: The probability of that class, or `None`.
        size: Height and width of the image in pixels, or `None` if the table does not say.
        where: File and line, for messages.
    """

    image: str
    corners: tuple[float, float, float, float] | None
    class_name: str = ""
    probability: float | None = None
    size: tuple[int, int] | None = None
    where: str = ""


def read_boxes_csv(
    path: Path, half_open: bool = False, problems: Problems | None = None
) -> list[BoxRow]:
    r"""Reads a table of boxes whose first line names the columns, in any order.

    The columns are `image`, `x0`, `y0`, `x1` and `y1`, and optionally `class`, `probability`,
    `width` and `height`. Corners are in pixels and half-open: `x1` and `y1` are the first column
    and row outside of the box. All four are empty where no box was found.

    `path` may stand for `image`. With `image_id`, as in the tables for `evaluate` before version
    0.2, `x1` and `y1` are the last pixels of the box, as in the metadata of wsolevaluation.

    Args:
        path: The file.
        half_open: Whether `x1` and `y1` are outside of the box even in a table with `image_id`.
            Defaults to `False`.
        problems: Collects invalid lines, which are left out then. By default they are an error.

    Returns:
        The lines of the table, in order.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the header is not this one, or lines are invalid: not the columns of the
            header, a box that is inverted, empty or far outside of its image, two sizes of one
            image, or boxes that are all fractions of the image. The message names all such lines.

    Example:

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "boxes.csv"
    >>> _ = file.write_text("image,width,height,x0,y0,x1,y1\na.jpg,60,40,5,5,20,30\n")
    >>> row, = read_boxes_csv(file)
    >>> row.corners, row.size
    ((5.0, 5.0, 20.0, 30.0), (40, 60))
    """
    lines = numbered_lines(path)
    columns = _read_header(path, lines)
    is_inclusive = "image_id" in columns and not half_open
    collected = Problems(str(path)) if problems is None else problems
    rows: list[BoxRow] = []
    sizes: dict[str, BoxRow] = {}
    for number, line in lines[1:]:
        try:
            row = _read_row(line, columns, is_inclusive, f"{path}:{number}")
            if row.size is not None and sizes.setdefault(row.image, row).size != row.size:
                raise ValueError(
                    f"{row.where}: an image should have one size. Received: {row.image!r} of "
                    f"{_as_text(row.size)} here and {_as_text(sizes[row.image].size)} in "
                    f"{sizes[row.image].where} (width x height)."
                )
            rows.append(row)
        except ValueError as error:
            collected.add(error)
    boxes = [row.corners for row in rows if row.corners is not None]
    if boxes and max(corner - is_inclusive for box in boxes for corner in box[2:]) <= 1:
        collected.add(
            f"{path}: corners should be in pixels. Received: only numbers up to 1, such as "
            f"{boxes[0]}, which look like fractions of width and height: multiply them."
        )
    if problems is None:
        collected.raise_if_any()
    return rows


def write_boxes_csv(path: str | os.PathLike[str], rows: Iterable[BoxRow]) -> None:
    """Writes a table with all columns, which `read_boxes_csv` reads.

    Args:
        path: The file. It appears under its name once it is complete.
        rows: The lines. Corners are rounded to a tenth of a pixel, probabilities to four digits.
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["image", "class", "probability", *_CORNERS, "width", "height"])
    for row in rows:
        probability = "" if row.probability is None else f"{row.probability:.4f}"
        corners = [""] * 4 if row.corners is None else [f"{value:.1f}" for value in row.corners]
        size = ("", "") if row.size is None else row.size[::-1]
        writer.writerow([row.image, row.class_name, probability, *corners, *size])
    write_atomically(Path(path), table.getvalue())


def check_size(width: float, height: float, where: str) -> tuple[int, int]:
    """Returns height and width if an image can have them: memory is allocated for that many pixels.

    Raises:
        ValueError: If they are not whole, not positive, or more than 2^28 pixels.
    """
    is_whole = float(width).is_integer() and float(height).is_integer()
    if not is_whole or min(width, height) < 1 or width * height > MAX_PIXELS:
        raise ValueError(
            f"{where}: width and height of an image should be whole numbers above 0, at most "
            f"{MAX_PIXELS:,} pixels together. Received: width={width:g}, height={height:g}"
        )
    return int(height), int(width)


def split_line(line: str, where: str) -> list[str]:
    """Returns the fields of a line of CSV without spaces around them.

    Raises:
        ValueError: If the line is not CSV; the message starts with `where`.
    """
    try:
        fields = next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise ValueError(f"{where}: the line should be CSV: {error}. Received: {line!r}") from error
    return [field.strip() for field in fields]


def _read_header(path: Path, lines: list[tuple[int, str]]) -> list[str]:
    """Returns the names of the columns."""
    number, line = lines[0] if lines else (1, "")
    columns = [name.lower() for name in split_line(line, f"{path}:{number}")] if line else []
    images = [name for name in columns if name in IMAGE_NAMES]
    unknown = sorted(set(columns) - {*IMAGE_NAMES, *_CORNERS, *_OPTIONAL})
    is_sized = ("width" in columns) == ("height" in columns)
    is_complete = len(images) == 1 and set(_CORNERS) <= set(columns) and is_sized
    if is_complete and not unknown and len(set(columns)) == len(columns):
        return columns
    advice = ""
    if len(columns) >= 5 and not images:
        advice = (
            f" A table without a header is not read, because it does not say whether x1 and y1 "
            f"belong to the box: put {HEADER} above it if they are the first pixels outside, "
            f"{_FORMER_HEADER} if they are the last pixels inside."
        )
    separator = next((name for mark, name in _OTHER_SEPARATORS if mark in line), "")
    if separator:
        advice = f" It seems to have {separator} between the columns: use commas."
    raise ValueError(
        f"{path}:{number}: the header should be {HEADER}, in any order, and optionally "
        f"{','.join(_OPTIONAL)} (width and height together). Received: {line!r:.200}{advice}"
    )


def _read_row(line: str, columns: list[str], is_inclusive: bool, where: str) -> BoxRow:
    fields = split_line(line, where)
    if len(fields) != len(columns):
        raise ValueError(f"{where}: a line should be {','.join(columns)}. Received: {line!r:.200}")
    values = dict(zip(columns, fields, strict=True))
    image = next(values[name] for name in IMAGE_NAMES if name in values)
    if not image:
        raise ValueError(f"{where}: a line should name an image. Received: {line!r:.200}")
    size = None
    if values.get("width") or values.get("height"):
        width, height = parse_numbers([values["width"], values["height"]], where, "width, height")
        size = check_size(width, height, where)
    probability = None
    if values.get("probability"):
        (probability,) = parse_numbers([values["probability"]], where, "probability")
    corners = None
    if any(values[name] for name in _CORNERS):
        x0, y0, x1, y1 = parse_corners([values[name] for name in _CORNERS], where)
        corners = (x0, y0, x1 + is_inclusive, y1 + is_inclusive)
        clip_own_box(corners, size, where)
    return BoxRow(image, corners, values.get("class", ""), probability, size, where)


def parse_numbers(texts: list[str], where: str, meaning: str) -> list[float]:
    """Parses plain decimal numbers.

    Raises:
        ValueError: If one of `texts` is none; the message starts with `where` and `meaning`.
    """
    try:
        return [parse_corners([text] * 4, where)[0] for text in texts]
    except ValueError as error:
        raise ValueError(f"{where}: {meaning} should be numbers. Received: {texts}") from error


def _as_text(size: tuple[int, int] | None) -> str:
    return "an unknown size" if size is None else f"{size[1]} x {size[0]}"
