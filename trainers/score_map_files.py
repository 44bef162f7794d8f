"""Score maps in files, and the true boxes or masks they are to be held against."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.data.folders import IMAGE_EXTENSIONS
from keras_has.metrics import (
    GTKnownLocalization,
    MaxBoxAccuracy,
    MaxBoxAccuracyV2,
    PixelAveragePrecision,
)
from keras_has.ops.boxes import best_centred_side, box_iou, boxes_from_maps, centred_boxes
from keras_has.ops.contour_boxes import contour_boxes_of_score_maps
from keras_has.ops.opencv import opencv

_BATCH = 16


@dataclass
class Truth:
    """What is true of some images.

    Attributes:
        image_ids: Their ids, in the order of the file.
        boxes: For each image that has boxes, its half-open boxes.
        sizes: For each image its height and width in pixels.
        masks: For each image that has masks, the files of its instances.
        ignored: For each image that has one, the file of its ignored region.
    """

    image_ids: list[str]
    boxes: dict[str, np.ndarray] = field(default_factory=dict)
    sizes: dict[str, tuple[float, float]] = field(default_factory=dict)
    masks: dict[str, list[Path]] = field(default_factory=dict)
    ignored: dict[str, Path] = field(default_factory=dict)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields number and fields of each line that is not empty."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for fields in (reader := csv.reader(file, strict=True)):
                if fields:
                    yield reader.line_num, [each.strip() for each in fields]
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} is missing.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} should be lines of comma-separated text: {error}") from error


def _numbers(fields: Sequence[str], where: str, meaning: str) -> list[float]:
    try:
        numbers = [float(each) for each in fields]
    except ValueError:
        numbers = []
    if not numbers or not np.isfinite(numbers).all():
        raise ValueError(f"{where}: a line should hold {meaning}. Received: {','.join(fields)!r}")
    return numbers


def read_image_sizes(path: Path) -> dict[str, tuple[float, float]]:
    """Reads lines of `image_id,width,height`.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If a line is not of this form.
    """
    sizes = {}
    for number, fields in _rows(path):
        if number == 1 and _is_heading(fields):
            continue
        meaning = "an image, its width and its height, above 0"
        size = _numbers(fields[1:], f"{path}:{number}", meaning)
        if len(size) != 2 or min(size) <= 0:
            raise ValueError(
                f"{path}:{number}: a line should hold {meaning}. Received: {','.join(fields)!r}"
            )
        sizes[fields[0]] = size[1], size[0]
    return sizes


def read_boxes(
    path: Path, sizes: Mapping[str, tuple[float, float]] | None = None, half_open: bool = False
) -> Truth:
    """Reads lines of `image_id,x0,y0,x1,y1`, or of `image_id,x0,y0,x1,y1,width,height`.

    Args:
        path: The file; a first line without numbers is a heading.
        sizes: Height and width of the images whose lines do not say it.
        half_open: Whether `x1` and `y1` are outside the box. Otherwise they are its last pixels, as
            in the metadata of wsolevaluation.

    Returns:
        The images in the order in which they first appear.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If a line is not of this form, or an image's size is unknown.
    """
    truth = Truth([])
    found: dict[str, list[list[float]]] = {}
    for number, fields in _rows(path):
        where = f"{path}:{number}"
        if number == 1 and _is_heading(fields):
            continue
        meaning = "image_id,x0,y0,x1,y1 or image_id,x0,y0,x1,y1,width,height"
        if len(fields) not in (5, 7):
            raise ValueError(
                f"{where}: a line should hold {meaning}. Received: {','.join(fields)!r}"
            )
        x0, y0, x1, y1, *size = _numbers(fields[1:], where, meaning)
        if not half_open:
            x1, y1 = x1 + 1, y1 + 1
        if min(x0, y0) < 0 or x1 <= x0 or y1 <= y0:
            raise ValueError(
                f"{where}: a box should be 0 <= x0, y0 and not inverted. "
                f"Received: {','.join(fields)!r}"
            )
        image = fields[0]
        found.setdefault(image, []).append([x0, y0, x1, y1])
        if size:
            truth.sizes[image] = size[1], size[0]
        elif image not in truth.sizes:
            if sizes is None or image not in sizes:
                raise ValueError(
                    f"{where}: the size of {image!r} should be known, from width and height behind "
                    "the box or from --image_sizes, a file of image_id,width,height."
                )
            truth.sizes[image] = sizes[image]
    if not found:
        raise ValueError(f"{path} should hold boxes. Received: none.")
    truth.image_ids = list(found)
    truth.boxes = {image: np.array(boxes) for image, boxes in found.items()}
    return truth


def read_metadata(folder: Path, masks: Path | None = None) -> Truth:
    """Reads one split's metadata of wsolevaluation, without its images.

    Taken are `image_ids.txt`, `localization.txt` and, for boxes, `image_sizes.txt`.
    `keras_has.data.wsol_metadata` reads the same boxes together with the images, and asks for them.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a line cannot be read, or masks are listed and `masks` is `None`.
    """
    lines = {}
    for number, fields in _rows(folder / "image_ids.txt"):
        if fields[0] in lines:
            raise ValueError(
                f"{folder / 'image_ids.txt'}:{number}: an image should be listed once. Received: "
                f"{fields[0]}, which line {lines[fields[0]]} lists, too"
            )
        lines[fields[0]] = number
    image_ids = list(lines)
    path = folder / "localization.txt"
    rows = list(_rows(path))
    for number, fields in rows:
        if fields[0] not in lines:
            raise ValueError(
                f"{path}:{number}: the image should be one of image_ids.txt. Received: {fields[0]}"
            )
    if not any(len(fields) == 3 for _, fields in rows):
        truth = read_boxes(path, read_image_sizes(folder / "image_sizes.txt"))
        truth.image_ids = image_ids
        return truth
    if masks is None:
        raise ValueError(f"{path} lists masks: --masks should be the folder they lie in.")
    truth = Truth(image_ids)
    for number, fields in rows:
        if len(fields) != 3 or not fields[1]:
            raise ValueError(
                f"{path}:{number}: a line should hold image_id,mask,ignore. "
                f"Received: {','.join(fields)!r}"
            )
        truth.masks.setdefault(fields[0], []).append(masks / fields[1])
        if fields[2]:
            truth.ignored[fields[0]] = masks / fields[2]
    return truth


def read_mask_folder(folder: Path) -> Truth:
    """Finds masks `NAME.png`, each with or without an ignored region `NAME_ignore.png`.

    Raises:
        FileNotFoundError: If there is none.
    """
    files = sorted(file for file in folder.rglob("*.png"))
    truth = Truth([])
    for file in files:
        image = file.relative_to(folder).with_suffix("").as_posix()
        if image.endswith("_ignore"):
            truth.ignored[image.removesuffix("_ignore")] = file
        else:
            truth.image_ids.append(image)
            truth.masks[image] = [file]
    if not truth.image_ids:
        raise FileNotFoundError(f"{folder} holds no mask: a .png file named by the image.")
    return truth


@dataclass
class ScoreMaps:
    """Which file holds the score map of which image.

    Attributes:
        files: The file of each image that has one.
        missing: Images without one.
        surplus: Files of no image.
    """

    files: dict[str, Path]
    missing: list[str]
    surplus: list[Path]


def find_score_maps(folder: Path, image_ids: Sequence[str]) -> ScoreMaps:
    """Finds the score map of each image: `ID.npy`, or `ID` with its ending replaced by `.npy`.

    Raises:
        FileNotFoundError: If the folder holds no such file at all.
        ValueError: If a file is that of two images.
    """
    there = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*.npy"))}
    if not there:
        raise FileNotFoundError(f"{folder} holds no score map (.npy).")
    files, missing, used = {}, [], set()
    # Masks are named without the ending of the image, and maps perhaps with it: a.jpg.npy for a.
    others: dict[str, list[str]] = {}
    for name in there:
        image = Path(name).with_suffix("")
        if image.suffix.lower() in IMAGE_EXTENSIONS:
            others.setdefault(image.with_suffix("").as_posix(), []).append(name)
    for image in image_ids:
        short = Path(image).with_suffix(".npy").as_posix()
        names = [f"{image}.npy", short, *others.get(image, ())]
        name = next((each for each in names if each in there), None)
        if name is None:
            missing.append(image)
        elif name in used:
            raise ValueError(
                f"{there[name]} is named by two images; one of them is {image}: name the maps by "
                f"the whole names, as {image}.npy."
            )
        else:
            files[image] = there[name]
            used.add(name)
    return ScoreMaps(files, missing, [file for name, file in there.items() if name not in used])


def load_score_map(file: Path) -> np.ndarray:
    """Reads a score map.

    Raises:
        ValueError: If the file is not an array of floats of rank 2; objects are not unpickled.
    """
    try:
        score_map = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(score_map, np.ndarray) or score_map.ndim != 2 or not score_map.size:
        raise ValueError(f"should be of rank 2, received shape {np.shape(score_map)}")
    if score_map.dtype.kind != "f":
        raise ValueError(f"should hold floats, received {score_map.dtype}")
    return score_map


def load_mask(file: Path) -> np.ndarray:
    """Reads a mask: what is above 0 is inside.

    Raises:
        ValueError: If the file is no picture.
    """
    cv2 = opencv()
    mask = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise ValueError(f"{file} should be a picture of a mask; it is missing or cannot be read.")
    return mask


def evaluate_boxes(
    truth: Truth,
    files: Mapping[str, Path],
    threshold: float = 0.2,
    threshold_interval: float = 0.001,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Holds score maps against boxes.

    Args:
        truth: Boxes and sizes; images without boxes are counted and left out.
        files: The file of each image's score map.
        threshold: Fraction of the map's maximum for GT-known Loc.
        threshold_interval: Step between the thresholds of MaxBoxAcc.
        progress: Called with how many images are done, and of how many.

    Returns:
        Figures and curves, by name.
    """
    first = MaxBoxAccuracy(threshold_interval=threshold_interval)
    second = MaxBoxAccuracyV2(threshold_interval=threshold_interval)
    gt_known = GTKnownLocalization()
    images = list(files)
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        maps = [load_score_map(files[image]) for image in batch]
        boxes = [truth.boxes.get(image, np.zeros((0, 4))) for image in batch]
        # Where there is no box, nothing refers to a size.
        sizes = [truth.sizes.get(image, (1, 1)) for image in batch]
        found = contour_boxes_of_score_maps(maps)
        for metric in (first, second):
            metric.update_state(boxes, found, sizes)
        for score_map, rows, (height, width) in zip(maps, boxes, sizes, strict=True):
            box = boxes_from_maps(score_map[None], threshold, (round(height), round(width)))
            padded = rows[None] if len(rows) else np.full((1, 1, 4), -1.0)
            gt_known.update_state({"boxes": padded}, {"boxes": box})
        progress(start + len(batch), len(images))
    boxed = [image for image in images if image in truth.boxes]
    side = hits = float("nan")
    if boxed:
        of_boxed = np.array([truth.sizes[image] for image in boxed])
        side = best_centred_side([truth.boxes[image] for image in boxed], of_boxed)
        centred = centred_boxes(of_boxed, side)
        hits = np.mean(
            [
                np.any(box_iou(box, truth.boxes[image]) > 0.5)
                for box, image in zip(centred, boxed, strict=True)
            ]
        )
    return {
        "images": int(first.boxed_images),
        "images_without_boxes": int(first.unboxed_images),
        "degenerate_maps": int(first.degenerate_maps),
        "max_box_acc": first.result(),
        "max_box_acc_threshold": first.best_threshold(),
        "max_box_acc_v2": second.result(),
        "max_box_acc_v2_iou_thresholds": list(second.iou_thresholds),
        "max_box_acc_v2_accuracies": list(second.accuracies()),
        "max_box_acc_v2_thresholds": list(second.best_thresholds()),
        "gt_known_loc": float(gt_known.result()),
        "gt_known_loc_threshold": threshold,
        "centred_box": float(hits),
        "centred_box_side": float(side),
        "curves": {
            "threshold": first.thresholds.tolist(),
            "max_box_acc": first.curve().tolist(),
            **{
                f"max_box_acc_v2_iou_{iou:g}": curve.tolist()
                for iou, curve in zip(second.iou_thresholds, second.curve(), strict=True)
            },
        },
    }


def evaluate_masks(
    truth: Truth,
    files: Mapping[str, Path],
    threshold_interval: float = 0.001,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Holds score maps against masks; as `evaluate_boxes`.

    Raises:
        ValueError: If a mask cannot be read.
    """
    metric = PixelAveragePrecision(threshold_interval)
    images = [image for image in files if image in truth.masks]
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        metric.update_state(
            [[load_mask(file) > 0 for file in truth.masks[image]] for image in batch],
            [load_score_map(files[image]) for image in batch],
            [
                load_mask(truth.ignored[image]) > 0 if image in truth.ignored else None
                for image in batch
            ],
        )
        progress(start + len(batch), len(images))
    precision, recall = metric.curve()
    return {
        "images": int(metric.images),
        "images_without_masks": len(files) - len(images),
        "images_without_foreground": int(metric.unmasked_images),
        "degenerate_maps": int(metric.degenerate_maps),
        "ignored_pixels": int(metric.ignored_pixels),
        "pxap": metric.result(),
        "curves": {
            "threshold": metric.thresholds.tolist(),
            "precision": precision.tolist(),
            "recall": recall.tolist(),
        },
    }


def _is_heading(fields: Sequence[str]) -> bool:
    """Whether a first line names columns: nothing behind its first field is a number."""

    def is_number(text: str) -> bool:
        try:
            float(text)
        except ValueError:
            return False
        return True

    return len(fields) > 1 and not any(is_number(field) for field in fields[1:])
