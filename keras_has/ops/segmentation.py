"""Semantic segmentation: the loss and accuracy of pixels, and scores from a confusion matrix."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

VOID = 255


def pixel_cross_entropy(labels: Any, logits: Any) -> Any:
    """Returns the mean cross-entropy of the labelled pixels of each image.

    Void pixels do not count; an image of void alone has a loss of 0. The function is a loss for
    `model.compile`.

    Args:
        labels: Integers (B, H, W), 255 for void.
        logits: (B, H, W, classes).

    Returns:
        float32 (B,).

    Example:

    >>> labels = np.array([[[0, 255], [1, 1]]])
    >>> round(float(pixel_cross_entropy(labels, np.zeros((1, 2, 2, 4)))[0]), 4)
    1.3863
    """
    labels = ops.cast(labels, "int32")
    is_labelled = labels != VOID
    losses = keras.losses.sparse_categorical_crossentropy(
        ops.where(is_labelled, labels, 0), ops.cast(logits, "float32"), from_logits=True
    )
    return _mean_where(losses, is_labelled)


def pixel_accuracy(labels: Any, logits: Any) -> Any:
    """Returns the share of labelled pixels of each image with the right class, float32 (B,).

    Args:
        labels: Integers (B, H, W), 255 for void.
        logits: (B, H, W, classes).
    """
    labels = ops.cast(labels, "int32")
    is_right = ops.cast(ops.argmax(logits, axis=-1), "int32") == labels
    return _mean_where(ops.cast(is_right, "float32"), labels != VOID)


def _mean_where(values: Any, is_counted: Any) -> Any:
    """Returns the mean of each image over some of its pixels, 0 where there are none."""
    weights = ops.cast(is_counted, "float32")
    count = ops.maximum(ops.sum(weights, axis=(1, 2)), 1.0)
    return ops.sum(values * weights, axis=(1, 2)) / count


def confusion_matrix(labels: Any, predictions: Any, num_classes: int) -> np.ndarray:
    """Counts pixels by their true and predicted class, without void pixels.

    Args:
        labels: Integers of any shape, 255 for void.
        predictions: Classes, integers of the same shape.
        num_classes: Number of classes.

    Returns:
        int64 (num_classes, num_classes): entry `[i, j]` counts pixels of class i predicted as j.

    Raises:
        ValueError: If the shapes differ, or a value is not a class.

    Example:

    >>> confusion_matrix([[0, 1], [1, 255]], [[0, 0], [1, 1]], 2).tolist()
    [[1, 0], [1, 1]]
    """
    true, predicted = np.asarray(labels), np.asarray(predictions)
    if true.shape != predicted.shape:
        raise ValueError(
            "`labels` and `predictions` should have the same shape. "
            f"Received: {true.shape} and {predicted.shape}"
        )
    is_labelled = true != VOID
    true, predicted = true[is_labelled].astype(np.int64), predicted[is_labelled].astype(np.int64)
    for name, values in (("labels", true), ("predictions", predicted)):
        if values.size and not (values.min() >= 0 and values.max() < num_classes):
            raise ValueError(
                f"`{name}` should be from 0 to {num_classes - 1}. "
                f"Received: values from {values.min()} to {values.max()}"
            )
    counts = np.bincount(num_classes * true + predicted, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def class_iou(confusion: Any) -> np.ndarray:
    """Returns the intersection over union of each class, from one matrix over all images.

    `IoU_c = n_cc / (t_c + p_c - n_cc)`, with the `t_c` pixels of the class, the `p_c` pixels
    predicted as the class, and the `n_cc` pixels that are both. NaN for a class that neither
    occurs nor is predicted.

    Args:
        confusion: See `confusion_matrix`.

    Example:

    >>> class_iou([[1, 0, 0], [1, 1, 0], [0, 0, 0]]).tolist()
    [0.5, 0.5, nan]
    """
    counts = np.asarray(confusion, float)
    union = counts.sum(0) + counts.sum(1) - np.diag(counts)
    return np.divide(np.diag(counts), union, out=np.full(len(union), np.nan), where=union > 0)


def segmentation_scores(confusion: Any) -> dict[str, float]:
    """Returns mean IoU, pixel accuracy and mean accuracy of the classes.

    Classes that neither occur nor are predicted have no IoU, and those that do not occur have no
    accuracy; they do not count in the means.

    Args:
        confusion: See `confusion_matrix`.

    Returns:
        `"mean_iou"`, `"pixel_acc"` and `"mean_class_acc"`, fractions; NaN without any pixel.

    Example:

    >>> segmentation_scores([[1, 0], [1, 1]])["mean_class_acc"]
    0.75

    Reference:
        [Long et al., 2015](https://arxiv.org/abs/1411.4038), section 5.
    """
    counts = np.asarray(confusion, float)
    if not counts.sum():
        return dict.fromkeys(("mean_iou", "pixel_acc", "mean_class_acc"), float("nan"))
    occurring = counts.sum(1) > 0
    accuracies = np.diag(counts)[occurring] / counts.sum(1)[occurring]
    return {
        "mean_iou": float(np.nanmean(class_iou(counts))),
        "pixel_acc": float(np.trace(counts) / counts.sum()),
        "mean_class_acc": float(accuracies.mean()),
    }
