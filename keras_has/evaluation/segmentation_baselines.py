"""What segmentation scores without a network: baselines from the training labels alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_has.data import Dataset, read_mask
from keras_has.ops.segmentation import VOID, confusion_matrix, segmentation_scores

_GRID = 100


def segmentation_baselines(train: Dataset, val: Dataset) -> dict[str, float]:
    """Returns the scores of the most frequent class, of all pixels and of each position.

    The class of a position is the one that most training images have there. If the images differ in
    size, positions are compared on a grid of 100 x 100 over each image.

    Args:
        train: The dataset whose labels are counted, with the columns `"mask"`, `"label_counts"`
            (N, classes) and `"image_size"`.
        val: The dataset to score, with the column `"mask"`.

    Returns:
        Mean IoU and pixel accuracy of both: `"most_frequent_class"`,
        `"most_frequent_class_pixel_acc"`, `"most_frequent_class_per_pixel"` and
        `"most_frequent_class_per_pixel_pixel_acc"`.
    """
    classes = len(train.class_names)
    most_frequent = int(train["label_counts"].sum(0).argmax())
    sizes = np.concatenate([train["image_size"], val["image_size"]])
    is_uniform = bool((sizes == sizes[0]).all())
    height, width = (int(side) for side in sizes[0]) if is_uniform else (_GRID, _GRID)
    counts = np.zeros((height, width, classes), np.int32)
    rows, columns = np.indices((height, width))
    for mask in _masks(train):
        labels = _resized(mask, height, width)
        is_labelled = labels != VOID
        counts[rows[is_labelled], columns[is_labelled], labels[is_labelled]] += 1
    per_pixel = np.where(counts.any(-1), counts.argmax(-1), most_frequent)

    confusions = np.zeros((2, classes, classes), np.int64)
    for mask in _masks(val):
        confusions[0] += confusion_matrix(mask, np.full_like(mask, most_frequent), classes)
        confusions[1] += confusion_matrix(mask, _resized(per_pixel, *mask.shape), classes)
    results = {}
    names = ("most_frequent_class", "most_frequent_class_per_pixel")
    for name, confusion in zip(names, confusions, strict=True):
        scores = segmentation_scores(confusion)
        results[name], results[f"{name}_pixel_acc"] = scores["mean_iou"], scores["pixel_acc"]
    return results


def _masks(dataset: Dataset) -> Iterator[np.ndarray]:
    return (read_mask(path) for path in dataset["mask"].tolist())


def _resized(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns the nearest pixels of a mask at another size."""
    rows, columns = (
        np.minimum((np.arange(new) + 0.5) * old / new, old - 1).astype(int)
        for new, old in zip((height, width), mask.shape, strict=True)
    )
    return mask[rows[:, None], columns]
