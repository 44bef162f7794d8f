"""Segmentation from image labels: the maps of a classifier become masks to train on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_has import callbacks, data
from keras_has.data import Dataset
from keras_has.data.folders import path_inside
from keras_has.data.readers.pascal_voc import CLASSES_FILE
from keras_has.data.readers.pets import ANIMAL, BORDER, trimap_labels
from keras_has.metrics.localization_curve import THRESHOLDS
from keras_has.ops.opencv import opencv
from keras_has.ops.segmentation import class_iou, confusion_matrix, segmentation_scores
from trainers.engine.console import percent_rows
from trainers.engine.run_directory import RunDirectory, open_finished
from trainers.engine.run_error import RunError
from trainers.engine.training import load_network
from trainers.recipes import ImageRecipe
from trainers.tasks.image_localization import ImageLocalization, map_method

FILE = "pseudo_labels.json"
BACKGROUND_NAME = "background"


def write_pseudo_labels(
    run_dir: str | os.PathLike[str],
    out: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
) -> dict[str, Any]:
    """Turns the maps of a finished run into masks in the layout of PASCAL VOC.

    The seed of an image is its class where the map of the class is above a fraction of its maximum,
    and background elsewhere. The fraction is the one with the best mean IoU on the images that the
    run was trained on: it is the only use of training masks. All training images get seeds, those
    that the run held out, too; the test images get their true masks, for evaluation.

    Args:
        run_dir: The directory of a run on pets.
        out: The folder to write: `ImageSets/Segmentation/train.txt` and `test.txt`, and
            `pseudo_labels.json` with the figures.
        data_dir: The folder of the data; `None` for that of the run.
        thresholds: The fractions to choose from.

    Returns:
        The content of `pseudo_labels.json`.

    Raises:
        RunError: If the run is not finished or not on pets, or `out` exists.
    """
    out = Path(out)
    if out.exists():
        raise RunError(f"{out} exists already. Choose another --out, or delete it.")
    task, model = _open(run_dir, data_dir)
    maps = _maps(task, model, task.train_split)
    seeded = [(task.train_split, maps)]
    trained = _confusions(task.train_split, maps, thresholds)
    curve = [segmentation_scores(confusion)["mean_iou"] for confusion in trained]
    best = int(np.argmax(curve))
    threshold = float(thresholds[best])
    results = {
        "threshold": threshold,
        "thresholds": list(map(float, thresholds)),
        "mean_iou_by_threshold": curve,
        "seed_mean_iou_trained": curve[best],
        **_whole_image(task.train_split, "trained"),
    }
    if task.recipe.tuning_share:
        held_out = task.val_split
        maps = _maps(task, model, held_out)
        seeded.append((held_out, maps))
        (confusion,) = _confusions(held_out, maps, [threshold])
        ious = class_iou(confusion)
        results["seed_mean_iou_held_out"] = segmentation_scores(confusion)["mean_iou"]
        names = (BACKGROUND_NAME, *held_out.class_names)
        results["seed_class_iou_held_out"] = dict(zip(names, ious.tolist(), strict=True))
        results |= _whole_image(held_out, "held_out")
        results |= _coverage(held_out, maps, threshold)
    temporary = out.with_name(f"{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    _write_dataset(temporary, seeded, threshold, task.read_split("test"))
    RunDirectory(temporary).write_json(FILE, results)
    temporary.rename(out)
    return results


def results_table(results: dict[str, Any]) -> list[str]:
    """Returns the lines of the table of seeds, in percent."""
    titles = {
        "threshold": "Threshold, of the map's maximum",
        "seed_mean_iou_trained": "Mean IoU of the seeds, images trained on",
        "whole_image_mean_iou_trained": "  the whole image as the animal",
        "seed_mean_iou_held_out": "Mean IoU of the seeds, held-out images",
        "whole_image_mean_iou_held_out": "  the whole image as the animal",
        "head_covered": "Share of the head that the seed covers",
        "rest_covered": "Share of the rest of the animal it covers",
        "seed_on_head": "Share of the seed on the head",
        "seed_on_rest": "Share of the seed on the rest of the animal",
    }
    return percent_rows(
        [(title, results[key], "") for key, title in titles.items() if key in results]
    )


def seed_mask(cam: np.ndarray, size: tuple[int, int], label: int, threshold: float) -> np.ndarray:
    """Returns the mask of a map: `label` above a fraction of the maximum, 0 elsewhere.

    Args:
        cam: (h, w) float, the map of the class. It is interpolated linearly to the image's size.
        size: Height and width of the image.
        label: Value of the class.
        threshold: Fraction of the maximum; nothing is above a maximum that is not positive.

    Returns:
        uint8 of that size.

    Example:

    >>> seed_mask(np.array([[0.2, 1.0]]), (1, 4), 3, 0.5).tolist()
    [[0, 0, 3, 3]]
    """
    cv2 = opencv()
    large = cv2.resize(np.asarray(cam, "float32"), size[::-1], interpolation=cv2.INTER_LINEAR)
    is_seed = (large > threshold * large.max()) & (large.max() > 0)
    return np.where(is_seed, label, 0).astype(np.uint8)


def _open(
    run_dir: str | os.PathLike[str], data_dir: str | os.PathLike[str] | None
) -> tuple[ImageLocalization, keras.Model]:
    directory, recipe, _ = open_finished(run_dir, ImageRecipe)
    if recipe.dataset != "pets":
        raise RunError(
            f"Seeds need a dataset with masks to choose their threshold: --dataset=pets. Received: "
            f"{run_dir}, a run on {recipe.dataset}."
        )
    if data_dir is None:
        data_dir = (directory.read_json("source.json") or {}).get("data_dir")
    task = ImageLocalization(recipe, data_dir)
    task.load(directory)
    return task, load_network(task, directory)


def _maps(task: ImageLocalization, model: keras.Model, split: Dataset) -> list[np.ndarray]:
    """Returns the map of the true class of each image of a split."""
    recipe = task.recipe
    callback = callbacks.CAMLocalization(
        data.evaluation_batches(split, recipe.batch_size, recipe.image_size),
        method=map_method(recipe, 1),
    )
    callback.set_model(model)
    return [image.map for image in callback.iterate()]


def _truth(split: Dataset, row: int) -> np.ndarray:
    """Returns the true mask: class c of the split is c + 1, 0 is background."""
    trimap = data.read_mask(split["trimap"][row])
    return trimap_labels(trimap, int(split["label"][row]) + 1)


def _confusions(
    split: Dataset, maps: Sequence[np.ndarray], thresholds: Sequence[float]
) -> np.ndarray:
    """Returns the confusion matrix of the seeds at each threshold."""
    classes = len(split.class_names) + 1
    total = np.zeros((len(thresholds), classes, classes), np.int64)
    for row, cam in enumerate(maps):
        mask, label = _truth(split, row), int(split["label"][row]) + 1
        for number, threshold in enumerate(thresholds):
            seed = seed_mask(cam, mask.shape, label, threshold)
            total[number] += confusion_matrix(mask, seed, classes)
    return total


def _whole_image(split: Dataset, kind: str) -> dict[str, float]:
    """Returns the mean IoU of the whole image as the animal: a baseline without a network."""
    classes = len(split.class_names) + 1
    total = np.zeros((classes, classes), np.int64)
    for row in range(len(split)):
        mask = _truth(split, row)
        whole = np.full_like(mask, int(split["label"][row]) + 1)
        total += confusion_matrix(mask, whole, classes)
    return {f"whole_image_mean_iou_{kind}": segmentation_scores(total)["mean_iou"]}


def _coverage(split: Dataset, maps: Sequence[np.ndarray], threshold: float) -> dict[str, float]:
    """Returns how much of the heads and of the rest of the animals the seeds cover.

    Images without a box of the head are left out. The head is what its box contains of the animal
    and its border.
    """
    head, rest, head_seed, rest_seed, seeds, images = 0, 0, 0, 0, 0, 0
    for row, cam in enumerate(maps):
        if not len(split["head_boxes"][row]):
            continue
        trimap = data.read_mask(split["trimap"][row])
        is_seed = seed_mask(cam, trimap.shape, 1, threshold) == 1
        is_animal = (trimap == ANIMAL) | (trimap == BORDER)
        in_box = np.zeros(trimap.shape, bool)
        for x0, y0, x1, y1 in np.rint(split["head_boxes"][row]).astype(int):
            in_box[max(y0, 0) : y1, max(x0, 0) : x1] = True
        head += int((is_animal & in_box).sum())
        rest += int((is_animal & ~in_box).sum())
        head_seed += int((is_seed & is_animal & in_box).sum())
        rest_seed += int((is_seed & is_animal & ~in_box).sum())
        seeds += int(is_seed.sum())
        images += 1
    return {
        "head_images": images,
        "head_covered": head_seed / max(head, 1),
        "rest_covered": rest_seed / max(rest, 1),
        "seed_on_head": head_seed / max(seeds, 1),
        "seed_on_rest": rest_seed / max(seeds, 1),
    }


def _write_dataset(
    folder: Path,
    seeded: Sequence[tuple[Dataset, Sequence[np.ndarray]]],
    threshold: float,
    test: Dataset,
) -> None:
    """Writes images, seeds of the training images and true masks of the test images."""
    names: dict[str, list[str]] = {"train": [], "test": []}

    def write(split: Dataset, row: int, mask: np.ndarray, image_list: str) -> None:
        name, source = str(split.ids[row]), Path(split.image_source.place(row))
        target = path_inside(folder / "JPEGImages", f"{name}{source.suffix}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        data.write_mask(path_inside(folder / "SegmentationClass", f"{name}.png"), mask)
        names[image_list].append(name)

    for split, maps in seeded:
        for row, cam in enumerate(maps):
            size = data.read_mask(split["trimap"][row]).shape
            mask = seed_mask(cam, size, int(split["label"][row]) + 1, threshold)
            write(split, row, mask, "train")
    for row in range(len(test)):
        write(test, row, _truth(test, row), "test")
    lists = folder / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for image_list, ids in names.items():
        (lists / f"{image_list}.txt").write_text("\n".join(ids) + "\n", encoding="utf-8")
    classes = "\n".join((BACKGROUND_NAME, *test.class_names))
    (folder / CLASSES_FILE).write_text(classes + "\n", encoding="utf-8")
