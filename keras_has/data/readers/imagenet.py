"""ImageNet: the 1,000 classes of ILSVRC 2012, with the boxes of its localization task."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.folders import (
    file_names,
    for_each_file,
    not_found,
    require_folder,
    subfolder_names,
)
from keras_has.data.image_decoding import image_size
from keras_has.data.readers.annotation_files import (
    clip_box,
    is_wordnet_id,
    numbered_lines,
    parse_corners,
    read_class_names,
    read_voc_annotation,
)
from keras_has.data.sources import FileImages

_LAYOUTS = (".", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")
_ANNOTATIONS = ("Annotations/CLS-LOC", "ILSVRC/Annotations/CLS-LOC", "Annotations")
_SOLUTION = "LOC_val_solution.csv"
_LISTS = ("val.txt", "ILSVRC2012_validation_list.txt", "ILSVRC2012_validation_list")
_ADVICE = (
    "Unpack ILSVRC 2012 into class folders, data_dir/train/n01440764/*.JPEG and data_dir/val (in "
    "class folders, or flat with a list of labels), or unpack Kaggle's imagenet-object-"
    "localization-challenge, and pass the folder above as data_dir."
)
_LABEL_ADVICE = (
    "The labels of val images can come from: class folders, val/WNID/*.JPEG; Kaggle's "
    f"{_SOLUTION} in data_dir; or a list with lines of file and WordNet id, or file and index of "
    "the class in the sorted WordNet ids counted from 0, as data_dir/val.txt or data_dir/"
    "ILSVRC2012_validation_list(.txt). The devkit's ILSVRC2012_validation_ground_truth.txt is not "
    "read: its class numbers are explained only in a MATLAB file."
)

# The boxes of an annotation: the place and the inclusive corners of each box, and the height and
# width of the image on which they were drawn, if the annotation gives them.
_RawBoxes = tuple[list[tuple[str, list[float]]], tuple[int, int] | None]


def imagenet(
    data_dir: str | os.PathLike[str], split: str = "train", read_boxes: bool | None = None
) -> Dataset:
    """Reads the index of ImageNet (ILSVRC 2012), or of some of its classes.

    Images are expected in `data_dir`, or in `ILSVRC/Data/CLS-LOC` below it, as in Kaggle's archive:

    ```
    train/WNID/*.JPEG
    val/WNID/*.JPEG                  or val/*.JPEG and one of
        LOC_val_solution.csv             Kaggle's labels and boxes
        val.txt                          or ILSVRC2012_validation_list(.txt): file and WordNet id,
                                         or file and index of the class in the sorted WordNet ids
    LOC_synset_mapping.txt           the names of the classes; may be absent
    Annotations/CLS-LOC/val/*.xml    boxes, also in class folders; may be absent
    Annotations/CLS-LOC/train/WNID/*.xml
    ```

    Labels are the usual ones: the index of the WordNet id among the sorted ids of the class folders
    of `train`; without that folder, among those of `LOC_synset_mapping.txt` or, without that file,
    of `val`. Image ids are the file names. No image is opened, unless boxes are read.

    Boxes are read from the XML files or, without those, from `LOC_val_solution.csv`. Their corners
    are the first and last pixel of the box, counted from 0, although VOC's format counts from 1: in
    images of 500 pixels they range from 0 to 499, and the devkit's overlap counts both ends. One is
    added to the last corner for half-open boxes. Known errors of the official files are corrected
    as in TensorFlow's `process_bounding_boxes.py`: swapped corners are put in order, a box drawn on
    an image of another size than the stored one is scaled to it, and objects named by a word
    (`Scottish_deerhound`) instead of a WordNet id count as the image's class. Objects of other
    classes are left out. Boxes are clipped to the image. An image without an annotation has no box.

    Args:
        data_dir: The folder that contains `train` and `val`, or Kaggle's folder `ILSVRC`.
        split: `"train"` (default) or `"val"`.
        read_boxes: `True` reads the boxes and raises if there are none; `False` reads no boxes.
            `None` (default) reads those of "val", if there are any, but not those of "train", whose
            544,546 XML files no weakly supervised method needs.

    Returns:
        A `Dataset`, sorted by class and name if there are class folders, otherwise by name. It has
        the column `image_size` if boxes were read and the sizes of all images are known.

    Raises:
        FileNotFoundError: If a part is missing; the message names it and says what to do.
        ValueError: If a line or an annotation is invalid, a box lies outside its image, or labels
            and images do not match; the message names file and line, or the image.

    Reference:
        Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015.
    """
    if split not in ("train", "val"):
        raise ValueError(f'`split` should be "train" or "val". Received: split={split!r}')
    data_dir = require_folder(Path(data_dir), "the folder of ImageNet", _ADVICE)
    root = next((data_dir / at for at in _LAYOUTS if (data_dir / at / split).is_dir()), None)
    if root is None:
        raise not_found(data_dir / split, f"the folder of the {split} images", _ADVICE)
    mapping = data_dir / "LOC_synset_mapping.txt"
    class_folders = subfolder_names(root / split)
    classes: Sequence[str] = ()
    if (root / "train").is_dir():
        classes = subfolder_names(root / "train")
    if not classes and mapping.is_file():
        classes = sorted({line.split(None, 1)[0] for _, line in numbered_lines(mapping)})

    solution: dict[str, _RawBoxes] = {}
    if split == "train" or class_folders:
        classes = classes or class_folders
        paths, wordnet_ids = _list_class_folders(root / split, class_folders, classes)
    else:
        paths, wordnet_ids, classes, solution = _list_flat_folder(root / split, data_dir, classes)
    names = [path.rpartition("/")[2] for path in paths]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"The file names of ImageNet should be distinct in {root / split}. Received: "
            f"{repeated!r} in two class folders. Images of one's own are read by `image_folder`."
        )

    boxes: Sequence[np.ndarray] = [np.zeros((0, 4), np.float32)] * len(paths)
    image_sizes = None
    wants_boxes = split == "val" if read_boxes is None else read_boxes
    if wants_boxes:
        annotations = _find_annotations(data_dir, split)
        if split == "val" and class_folders and (data_dir / _SOLUTION).is_file():
            _, solution = _read_solution(data_dir / _SOLUTION)
        if read_boxes and not annotations and not solution:
            raise not_found(
                data_dir / _ANNOTATIONS[0] / split,
                "the XML annotations with the boxes",
                "Unpack ILSVRC2012_bbox_val_v3.tgz (val) or ILSVRC2012_bbox_train_v2.tar.gz "
                "(train) there, or pass read_boxes=False.",
            )
        if annotations or solution:
            boxes, image_sizes = _read_boxes(paths, wordnet_ids, classes, annotations, solution)
    index = {wordnet_id: label for label, wordnet_id in enumerate(classes)}
    return Dataset(
        name=f"imagenet/{split}",
        ids=np.array(names, np.str_),
        columns={
            "label": np.array([index[wordnet_id] for wordnet_id in wordnet_ids], np.int64),
            "boxes": tuple(boxes),
            "image_size": image_sizes,
        },
        source=FileImages(np.array(paths, np.str_)),
        class_names=read_class_names(mapping, classes),
        class_ids=tuple(classes),
    )


def _list_class_folders(
    folder: Path, class_folders: Sequence[str], classes: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Returns path and WordNet id of each image of `folder/WNID/*.JPEG`."""
    if not class_folders:
        raise not_found(folder / "n01440764", "class folders, such as this one,", _ADVICE)
    unknown = sorted(set(class_folders) - set(classes))
    if unknown:
        raise ValueError(
            f"{folder} should hold only folders of the {len(classes)} classes of train (or of "
            f"LOC_synset_mapping.txt). Received: {unknown[0]!r} and {len(unknown) - 1} more."
        )
    paths: list[str] = []
    wordnet_ids: list[str] = []
    for wordnet_id in class_folders:
        names = file_names(folder / wordnet_id)
        if not names:
            raise not_found(f"{folder}/{wordnet_id}/*.JPEG", "images", _ADVICE)
        paths += [f"{folder}/{wordnet_id}/{name}" for name in names]
        wordnet_ids += [wordnet_id] * len(names)
    return paths, wordnet_ids


def _list_flat_folder(
    folder: Path, data_dir: Path, classes: Sequence[str]
) -> tuple[list[str], list[str], Sequence[str], dict[str, _RawBoxes]]:
    """Returns paths and WordNet ids of `val/*.JPEG`, the classes, and Kaggle's boxes by stem."""
    names = file_names(folder)
    if not names:
        raise not_found(folder / "*.JPEG", "the val images", f"{_ADVICE} {_LABEL_ADVICE}")
    solution: dict[str, _RawBoxes] = {}
    file = data_dir / _SOLUTION
    if file.is_file():
        labels, solution = _read_solution(file)
    else:
        file = next((data_dir / name for name in _LISTS if (data_dir / name).is_file()), file)
        if not file.is_file():
            raise not_found(file, "the labels of the val images", _LABEL_ADVICE)
        labels = _read_label_list(file, classes)
    stems = [Path(name).stem for name in names]
    for problem, left in (
        ("an image without a line", set(stems) - labels.keys()),
        ("a line without an image", labels.keys() - set(stems)),
    ):
        if left:
            raise ValueError(
                f"{file} should have one line for each image of {folder}. "
                f"Received: {problem}, {min(left)!r}, and {len(left) - 1} more."
            )
    wordnet_ids = [labels[stem] for stem in stems]
    classes = classes or sorted(set(wordnet_ids))
    unknown = sorted(set(wordnet_ids) - set(classes))
    if unknown:
        raise ValueError(
            f"{file} should name only the {len(classes)} classes of train (or of "
            f"LOC_synset_mapping.txt). Received: {unknown[0]!r} and {len(unknown) - 1} more."
        )
    return [f"{folder}/{name}" for name in names], wordnet_ids, classes, solution


def _read_solution(path: Path) -> tuple[dict[str, str], dict[str, _RawBoxes]]:
    """Reads Kaggle's `ImageId,PredictionString`: WordNet id and boxes of each image, by stem."""
    labels: dict[str, str] = {}
    solution: dict[str, _RawBoxes] = {}
    lines = numbered_lines(path)
    if not lines or lines[0][1].strip() != "ImageId,PredictionString":
        raise ValueError(
            f"{path}:1: the first line should be ImageId,PredictionString. "
            f"Received: {lines[0][1] if lines else ''!r}"
        )
    for number, line in lines[1:]:
        where = f"{path}:{number}"
        stem, _, objects = line.partition(",")
        fields = objects.split()
        wordnet_ids = set(fields[::5])
        if not stem or stem in labels or not fields or len(fields) % 5 or len(wordnet_ids) > 1:
            raise ValueError(
                f"{where}: a line should be an image id that is not in the file yet, a comma, and "
                "for each object of the image's one class its WordNet id, xmin, ymin, xmax and "
                f"ymax. Received: {line!r}"
            )
        labels[stem] = _check_wordnet_id(fields[0], where)
        corners = [parse_corners(fields[i + 1 : i + 5], where) for i in range(0, len(fields), 5)]
        solution[stem] = [(where, box) for box in corners], None
    return labels, solution


def _read_label_list(path: Path, classes: Sequence[str]) -> dict[str, str]:
    """Reads lines of file and WordNet id or index: the WordNet id of each image, by stem."""
    labels: dict[str, str] = {}
    for number, line in numbered_lines(path):
        where = f"{path}:{number}"
        name, *label = line.split()
        stem = Path(name).stem
        if len(label) != 1 or stem in labels:
            raise ValueError(
                f"{where}: a line should be a file that is not in the list yet and its WordNet id "
                f"or class index. Received: {line!r}"
            )
        if not (label[0].isascii() and label[0].isdigit()):
            labels[stem] = _check_wordnet_id(label[0], where)
            continue
        if not classes:
            raise not_found(
                path.parent / "LOC_synset_mapping.txt",
                f"the classes that the indices of {path} refer to (or the class folders of train)",
                _LABEL_ADVICE,
            )
        if len(label[0]) > 9 or int(label[0]) >= len(classes):
            raise ValueError(
                f"{where}: a class index should lie between 0 and {len(classes) - 1}, the sorted "
                f"WordNet ids counted from 0. Received: {label[0]}. (The number in Kaggle's "
                "ImageSets/CLS-LOC/val.txt only counts the images.)"
            )
        labels[stem] = classes[int(label[0])]
    return labels


def _check_wordnet_id(text: str, where: str) -> str:
    if not is_wordnet_id(text):
        raise ValueError(
            f'{where}: the class should be a WordNet id, "n" and eight digits. Received: {text!r}'
        )
    return text


def _find_annotations(data_dir: Path, split: str) -> dict[str, Path]:
    """Returns the XML files of a split by stem, from `split/*.xml` and `split/WNID/*.xml`."""
    for at in _ANNOTATIONS:
        folder = data_dir / at / split
        if folder.is_dir():
            folders = [folder, *(folder / name for name in subfolder_names(folder))]
            return {name[:-4]: one / name for one in folders for name in file_names(one, (".xml",))}
    return {}


def _read_boxes(
    paths: Sequence[str],
    wordnet_ids: Sequence[str],
    classes: Sequence[str],
    annotations: Mapping[str, Path],
    solution: Mapping[str, _RawBoxes],
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Returns the boxes of each image and, where all are known, the sizes of the images."""
    known_classes = set(classes)
    class_of = dict(zip(paths, wordnet_ids, strict=True))

    def read(path: str) -> tuple[np.ndarray, tuple[int, int] | None]:
        stem = Path(path).stem
        if stem in annotations:
            raw = _read_xml(annotations[stem], class_of[path], known_classes)
        elif stem in solution:
            raw = solution[stem]
        else:
            return np.zeros((0, 4), np.float32), None
        corners, drawn_size = raw
        # What the file says of its own size counts: the boxes are to fit the pixels.
        size = image_size(path) or drawn_size
        boxes = [_half_open(box, drawn_size, size, where) for where, box in corners]
        return np.array(boxes, np.float32).reshape(-1, 4), size

    boxes, sizes = zip(*for_each_file(read, paths), strict=True)
    return list(boxes), None if None in sizes else np.array(sizes, np.int64)


def _read_xml(path: Path, wordnet_id: str, classes: set[str]) -> _RawBoxes:
    annotation = read_voc_annotation(path)
    corners = [
        (thing.where, thing.corners)
        for thing in annotation.objects
        if thing.name == wordnet_id or not (thing.name in classes or is_wordnet_id(thing.name))
    ]
    return corners, annotation.size


def _half_open(
    corners: Sequence[float],
    drawn_size: tuple[int, int] | None,
    size: tuple[int, int] | None,
    where: str,
) -> list[float]:
    (x0, x1), (y0, y1) = sorted(corners[::2]), sorted(corners[1::2])
    x1, y1 = x1 + 1, y1 + 1
    if drawn_size and size and drawn_size != size:
        across, down = size[1] / drawn_size[1], size[0] / drawn_size[0]
        x0, y0, x1, y1 = x0 * across, y0 * down, x1 * across, y1 * down
    return clip_box([x0, y0, x1, y1], size, where)
