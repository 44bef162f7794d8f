"""Parsers of annotation files: numbered lines, box corners, class names and PASCAL VOC XML."""

import dataclasses
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_has.data.folders import not_found

# Beyond this, float32 does not hold every whole pixel.
_LARGEST_CORNER = 2**24
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WORDNET_ID = re.compile(r"n\d{8}", re.ASCII)


def is_wordnet_id(text: str) -> bool:
    """Returns whether `text` is a WordNet id: "n" and eight digits."""
    return _WORDNET_ID.fullmatch(text) is not None


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """Reads the lines of a text file with their numbers, counted from 1. Skips blank lines.

    Args:
        path: A UTF-8 file, with or without a byte order mark.

    Returns:
        Pairs of line number and line, without the line ending.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file is not UTF-8. The message names the file and line.
    """
    if not path.is_file():
        raise not_found(path, "a text file", "Restore it from the dataset's archive.")
    content = path.read_bytes()
    lines = _decoded(content, path).split("\n")
    return [(number, line.rstrip("\r")) for number, line in enumerate(lines, 1) if line.strip()]


def _decoded(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path}:{line}: the file should be UTF-8 text. Received: byte "
            f"0x{content[error.start]:02x} at position {error.start}."
        ) from error


def parse_corners(texts: Sequence[str], where: str) -> list[float]:
    """Parses the four corners of a box.

    Args:
        texts: Four decimal numbers, in the order x0, y0, x1, y1.
        where: File and line, for the error message.

    Returns:
        The corners, unchanged.

    Raises:
        ValueError: If `texts` are not four numbers within the range of pixel positions.
    """
    corners = [float(text) if _NUMBER.fullmatch(text.strip()) else math.nan for text in texts]
    if len(corners) != 4 or not all(abs(corner) <= _LARGEST_CORNER for corner in corners):
        raise ValueError(
            f"{where}: the corners of a box should be four numbers. Received: {list(texts)}"
        )
    return corners


def clip_box(corners: Sequence[float], size: tuple[int, int] | None, where: str) -> list[float]:
    """Checks a box and clips it to its image.

    Args:
        corners: x0, y0, x1, y1 in pixels, half-open.
        size: Height and width of the image in pixels; if `None`, the box is not
            clipped.
        where: File and line, for the error message.

    Returns:
        The corners within the image, rounded to float32.

    Raises:
        ValueError: If the box is inverted or empty, or lies outside the image.
    """
    x0, y0, x1, y1 = np.asarray(corners, np.float32).tolist()
    if not (x0 < x1 and y0 < y1):
        raise ValueError(
            f"{where}: a box should have x0 < x1 and y0 < y1, this one is inverted or empty. "
            f"Received: x0={x0:g}, y0={y0:g}, x1={x1:g}, y1={y1:g} (half-open pixel corners)."
        )
    if size is None:
        return [x0, y0, x1, y1]
    height, width = size
    clipped = [max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))]
    if not (clipped[0] < clipped[2] and clipped[1] < clipped[3]):
        raise ValueError(
            f"{where}: a box should overlap its image of {width} x {height} pixels (width x "
            f"height). Received: x0={x0:g}, y0={y0:g}, x1={x1:g}, y1={y1:g}."
        )
    return clipped


def read_class_names(path: Path, wordnet_ids: Sequence[str]) -> tuple[str, ...]:
    """Reads the WordNet names of classes from `words.txt` or `LOC_synset_mapping.txt`.

    Args:
        path: A file with one WordNet id per line, white space and comma-separated names. If the
            file is missing, the ids are used as names.
        wordnet_ids: The classes, in order.

    Returns:
        The first name of each class, or its id if the file does not name it. Classes that share
        their first name get name and id, such as `"crane (n02012849)"`.

    Raises:
        ValueError: If a line has no id or no name. The message names the file and line.
    """
    words = {}
    if path.is_file():
        for number, line in numbered_lines(path):
            wordnet_id, *names = line.split(None, 1)
            name = names[0].split(",")[0].strip() if names else ""
            if not is_wordnet_id(wordnet_id) or not name:
                raise ValueError(
                    f'{path}:{number}: a line should be a WordNet id ("n" and eight digits) and '
                    f"its names. Received: {line!r}"
                )
            words[wordnet_id] = name
    first_names = [words.get(wordnet_id, wordnet_id) for wordnet_id in wordnet_ids]
    repeated = {name for name in first_names if first_names.count(name) > 1}
    return tuple(
        f"{name} ({wordnet_id})" if name in repeated else name
        for name, wordnet_id in zip(first_names, wordnet_ids, strict=True)
    )


@dataclasses.dataclass(frozen=True)
class VocObject:
    """One object of a PASCAL VOC XML file.

    Args:
        name: The object's name in the file, usually its class.
        corners: xmin, ymin, xmax, ymax as in the file. Whether they count from 0 or from 1 differs
            between datasets.
        where: File and line, for errors.
    """

    name: str
    corners: list[float]
    where: str


@dataclasses.dataclass(frozen=True)
class VocAnnotation:
    """The annotation of one image in PASCAL VOC XML.

    Args:
        size: Height and width of the image in pixels, or `None` if the file does not contain them.
        objects: The objects, each with its box.
    """

    size: tuple[int, int] | None
    objects: tuple[VocObject, ...]


def read_voc_annotation(path: Path) -> VocAnnotation:
    """Reads a PASCAL VOC XML file.

    Only elements and text are accepted. A file that declares a document type or an entity is
    rejected before parsing, so that entities can neither expand nor refer to other files.

    Args:
        path: The XML file, UTF-8.

    Returns:
        A `VocAnnotation`.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file is not valid PASCAL VOC XML. The message names the file and line.
    """
    if not path.is_file():
        raise not_found(path, "an XML annotation", "Restore it from the dataset's archive.")
    text = _decoded(path.read_bytes(), path)
    declaration = re.search("<!(DOCTYPE|ENTITY)", text, re.IGNORECASE)
    if declaration:
        line = text.count("\n", 0, declaration.start()) + 1
        raise ValueError(
            f"{path}:{line}: an annotation should hold no document type or entity declaration; "
            f"such a file is not parsed. Received: {declaration[0]!r}. Delete the declaration if "
            "you trust the file."
        )
    try:
        # No entities (see above); given as text, so that no encoding can hide one.
        root = ElementTree.fromstring(text)  # noqa: S314
    except ElementTree.ParseError as error:
        line = error.position[0]
        raise ValueError(f"{path}:{line}: the file should be well-formed XML: {error}") from error
    except ValueError as error:  # Characters that XML cannot hold.
        raise ValueError(f"{path}: the file should be well-formed XML: {error}") from error
    elements = root.findall("object")
    places = _object_lines(text, path, len(elements))
    objects = [_voc_object(element, place) for element, place in zip(elements, places, strict=True)]
    return VocAnnotation(_voc_size(root), tuple(objects))


def _object_lines(text: str, path: Path, count: int) -> list[str]:
    """Returns file and line of each object: the tree that the parser builds has no lines."""
    text = re.sub(
        "<!--.*?-->", lambda comment: "\n" * comment[0].count("\n"), text, flags=re.DOTALL
    )
    lines = [text.count("\n", 0, tag.start()) + 1 for tag in re.finditer(r"<object[\s/>]", text)]
    if len(lines) != count:  # Objects within objects.
        return [f"{path}: object {number}" for number in range(1, count + 1)]
    return [f"{path}:{line}" for line in lines]


def _voc_size(root: ElementTree.Element) -> tuple[int, int] | None:
    height, width = root.findtext("size/height", ""), root.findtext("size/width", "")
    if not re.fullmatch(r"\s*\d{1,7}\s*\n\s*\d{1,7}\s*", f"{height}\n{width}", re.ASCII):
        return None
    return (int(height), int(width)) if int(height) and int(width) else None


def _voc_object(element: ElementTree.Element, where: str) -> VocObject:
    name = element.findtext("name", "").strip()
    if not name:
        raise ValueError(f"{where}: an object should have a <name>. Received: none.")
    corners = [element.findtext(f"bndbox/{tag}", "") for tag in ("xmin", "ymin", "xmax", "ymax")]
    return VocObject(name, parse_corners(corners, where), where)
