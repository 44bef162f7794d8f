"""Parsers of annotation files: numbered lines, box corners, class names and PASCAL VOC XML."""

import dataclasses
import math
import re
import xml.etree.ElementTree as ElementTree
import xml.parsers.expat as expat
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_has.data.folders import not_found

# Beyond this, float32 does not hold every whole pixel.
_LARGEST_CORNER = 2**24
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LONGEST_NUMBER = 64
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
        ValueError: If the file is not UTF-8, or contains the character 0, which no file name can
            contain. The message names the file and line.
    """
    if not path.is_file():
        raise not_found(path, "a text file", "Restore it from the dataset's archive.")
    content = path.read_bytes()
    text = _decoded(content, path)
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(f"{path}:{line}: the file should be UTF-8 text. Received: a zero byte.")
    lines = text.split("\n")
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
    corners = [_number(text.strip()) for text in texts]
    if len(corners) != 4 or not all(abs(corner) <= _LARGEST_CORNER for corner in corners):
        raise ValueError(
            f"{where}: the corners of a box should be four numbers. Received: {list(texts)}"
        )
    return corners


def _number(text: str) -> float:
    # The length is checked first: matching a long text takes quadratic time.
    is_number = len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text)
    return float(text) if is_number else math.nan


def clip_own_box(corners: Sequence[float], size: tuple[int, int] | None, where: str) -> list[float]:
    """Does the same as `clip_box`, and refuses a box that cannot be meant for its image.

    For annotations of one's own. Published ones are read as their protocols do, with `clip_box`.

    Args:
        corners: x0, y0, x1, y1 in pixels, half-open.
        size: Height and width of the image in pixels, or `None` if it is unknown.
        where: File and line, for the error message.

    Returns:
        The corners within the image, rounded to float32.

    Raises:
        ValueError: If `clip_box` refuses the box, or it extends beyond its image by more than the
            image's own width or height.
    """
    clipped = clip_box(corners, size, where)
    if size is None:
        return clipped
    (x0, y0, x1, y1), (height, width) = corners, size
    if min(x0 / width, y0 / height) < -1 or max(x1 / width, y1 / height) > 2:
        raise ValueError(
            f"{where}: a box should lie in its image of {width} x {height} pixels (width x "
            "height); this one extends beyond it by more than its size. Received: "
            f"x0={x0:g}, y0={y0:g}, x1={x1:g}, y1={y1:g}. Were the boxes drawn on a larger copy of "
            "the image?"
        )
    return clipped


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


# Elements of <annotation> in files of PASCAL VOC, ILSVRC, LabelImg and tools that export VOC.
_VOC_ELEMENTS = {
    *("folder", "filename", "path", "source", "owner", "size", "segmented", "object"),
    *("verified", "image", "database"),
}
# What a file of another format starts with. The names of an element and of one within it.
_OTHER_FORMATS = (
    ("annotations", "image", "CVAT for images"),
    ("annotations", "track", "CVAT for videos"),
    ("annotation", "imagesize", "LabelMe"),
    ("PcGts", "Page", "PAGE"),
    ("alto", "Layout", "ALTO"),
    ("dataset", "images", "dlib"),
    ("Annotations", "Annotation", "ASAP"),
    ("ASAP_Annotations", "Annotations", "ASAP"),
    ("svg", "", "an SVG picture"),
    ("html", "", "a web page"),
    ("kml", "", "KML"),
    ("gpx", "", "GPX"),
    ("plist", "", "an Apple property list"),
    ("opencv_storage", "", "OpenCV's storage"),
    ("xmpmeta", "", "XMP metadata"),
)


def read_voc_annotation(path: Path) -> VocAnnotation:
    """Reads a PASCAL VOC XML file, in time proportional to its length.

    Only elements and text are accepted. A file that declares a document type or an entity is
    rejected where it does, so that entities can neither expand nor refer to other files.

    Args:
        path: The XML file, UTF-8.

    Returns:
        A `VocAnnotation`.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file is not valid PASCAL VOC XML. The message names the file and line,
            and the format that a file of another kind seems to have.
    """
    if not path.is_file():
        raise not_found(path, "an XML annotation", "Restore it from the dataset's archive.")
    root, lines = _parse_xml(_decoded(path.read_bytes(), path), path)
    elements = root.findall("object")
    foreign = sorted({child.tag for child in root} - _VOC_ELEMENTS)
    has_other_objects = any(tag.lower().startswith("object") for tag in foreign)
    if root.tag != "annotation" or (foreign and not elements) or has_other_objects:
        raise ValueError(
            f"{path}: the file should be PASCAL VOC XML: <annotation> with <size> and <object>. "
            f"Received: <{root.tag}> with {_contents(root)}{_format_of(root)}. Export the "
            "annotations as PASCAL VOC."
        )
    objects = [
        _voc_object(element, f"{path}:{line}")
        for element, line in zip(elements, lines, strict=True)
    ]
    return VocAnnotation(_voc_size(root), tuple(objects))


def _parse_xml(text: str, path: Path) -> tuple[ElementTree.Element, list[int]]:
    """Returns the outermost element, and the line of each <object> directly within it."""
    builder = ElementTree.TreeBuilder()
    # Given as text, so that no encoding can hide a declaration.
    parser = expat.ParserCreate()
    lines: list[int] = []
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        if depth == 1 and name == "object":
            lines.append(parser.CurrentLineNumber)
        depth += 1
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def refuse(*declaration: object) -> None:
        raise ValueError(
            f"{path}:{parser.CurrentLineNumber}: an annotation should hold no document type or "
            f"entity declaration; such a file is not parsed. Received: {declaration[0]!r}. Delete "
            "the declaration if you trust the file."
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ValueError(
            f"{path}:{error.lineno}: the file should be well-formed XML: {error}"
        ) from error
    return builder.close(), lines


def _contents(root: ElementTree.Element) -> str:
    """Returns the names of the first kinds of elements within `root`."""
    names = list(dict.fromkeys(f"<{child.tag}>" for child in root))
    return ", ".join(names[:5]) or "nothing in it"


def _format_of(root: ElementTree.Element) -> str:
    """Returns what a file that is not PASCAL VOC looks like, or "" if that is unknown."""
    for outer, inner, name in _OTHER_FORMATS:
        # Some tools put their namespace before the name.
        if root.tag.rpartition(":")[2] == outer and (not inner or root.find(inner) is not None):
            return f"; it looks like {name}"
    return ""


def _voc_size(root: ElementTree.Element) -> tuple[int, int] | None:
    sides = [root.findtext(f"size/{name}", "").strip() for name in ("height", "width")]
    if not all(re.fullmatch(r"\d{1,7}(\.0*)?", side, re.ASCII) for side in sides):
        return None
    height, width = (int(float(side)) for side in sides)
    return (height, width) if height and width else None


def _voc_object(element: ElementTree.Element, where: str) -> VocObject:
    name = element.findtext("name", "").strip()
    if not name:
        raise ValueError(f"{where}: an object should have a <name>. Received: none.")
    boxes = element.findall("bndbox")
    if len(boxes) > 1:
        raise ValueError(f"{where}: an object should have one <bndbox>. Received: {len(boxes)}.")
    box = boxes[0] if boxes else None
    if box is None:
        looks = "; it looks like LabelMe" if element.find("polygon") is not None else ""
        raise ValueError(
            f"{where}: an object should have a <bndbox>. Received: {_contents(element)}{looks}."
        )
    corners = [box.findtext(tag, "") for tag in ("xmin", "ymin", "xmax", "ymax")]
    return VocObject(name, parse_corners(corners, where), where)
