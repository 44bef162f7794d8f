"""PxAP: the area under the precision-recall curve over the pixels of all score maps."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_has.metrics.counting_metric import CountingMetric
from keras_has.metrics.max_box_metric import (
    checked_resize,
    host_array,
    numbers,
    threshold_steps,
)
from keras_has.ops.opencv import opencv
from keras_has.ops.score_maps import normalized_score_map, shows_nothing


@keras.saving.register_keras_serializable(package="keras_has")
class PixelAveragePrecision(CountingMetric):
    """PxAP: average precision of object pixels, pooled over all images.

    Score maps are resized to `resize` (bicubic) and normalized to `[0, 1]`. Masks are resized with
    nearest-neighbor interpolation, and the union of an image's instances is the foreground. Pixels
    of the ignored region that are not foreground are left out. Foreground and background scores are
    counted in bins between the thresholds. With precision and recall at every threshold l, from the
    highest to the lowest,

    `PxAP = sum over l of precision(l) * (recall(l) - recall(l - 1))`.

    The published figure is 100 times this value. The sum starts at the second bin, as in the
    authors' code; the first bin is empty because no score exceeds 1.

    Like `MaxBoxAccuracy`, the metric works in NumPy and OpenCV, outside `tf.function`.

    Counters: `true_counts` and `false_counts` of shape `(thresholds + 2,)`, pixels per bin;
    `images`; `unmasked_images` (no foreground pixel; their background counts, as in the
    authors' code); `degenerate_maps` (constant or not finite); `ignored_pixels`.

    Args:
        threshold_interval: Step between thresholds. Defaults to `0.001`.
        resize: Height and width that maps and masks are resized to. Defaults to `(224, 224)`.
            `None` keeps the size of the score maps, and masks are resized to it.
        name: Name of the metric. Defaults to `"pxap"`.
        dtype: For compatibility with Keras; results are Python floats. Defaults to `None`.

    Call arguments:
        masks: Array of shape `(batch, height, width)`, or a list with one entry per image: an
            array of shape `(height, width)` or `(instances, height, width)`, or a list of arrays of
            shape `(height, width)`. Values above 0.5 are foreground.
        score_maps: Array of shape `(batch, height, width)`, or a list of arrays.
        ignore_masks: Optional, one array of shape `(height, width)` or `None` per image. Pixels
            above 0.5 that are not foreground are left out.
        sample_weight: Optional array of shape `(batch,)`: 0 for padding of the last batch.

    Returns:
        A fraction in `[0, 1]`; NaN until a foreground pixel has been counted.

    Example:

    >>> metric = PixelAveragePrecision(resize=None)
    >>> metric.update_state(masks=[[[1, 1], [0, 0]]], score_maps=[[[1.0, 0.5], [0.2, 0.0]]])
    >>> metric.result()
    1.0

    Reference:
        Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020,
        section 4.2, and https://github.com/clovaai/wsolevaluation.
    """

    def __init__(
        self,
        threshold_interval: float = 0.001,
        resize: Sequence[int] | None = (224, 224),
        name: str = "pxap",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self._steps = threshold_steps(threshold_interval)
        self.threshold_interval = float(threshold_interval)
        self.resize = checked_resize(resize)
        bins = self._steps.size + 2
        self.true_counts = self.add_counter("true_counts", (bins,))
        self.false_counts = self.add_counter("false_counts", (bins,))
        self.images = self.add_counter("images")
        self.unmasked_images = self.add_counter("unmasked_images")
        self.degenerate_maps = self.add_counter("degenerate_maps")
        self.ignored_pixels = self.add_counter("ignored_pixels")

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """The lower edges of the bins: the thresholds, 1 and 2."""
        return np.append(self._steps, [1.0, 2.0])

    def update_state(
        self,
        masks: Any,
        score_maps: Any,
        ignore_masks: Any = None,
        sample_weight: Any = None,
    ) -> None:
        """Counts a batch.

        Args:
            masks: One or several masks per image.
            score_maps: One map of shape `(height, width)` per image.
            ignore_masks: `None`, or one mask or `None` per image.
            sample_weight: `None`, or `(batch,)`: 1 for an image, 0 for padding of the last batch.

        Raises:
            ValueError: If the arguments differ in length, or a mask or map has the wrong shape.
                Nothing is counted then.
            TypeError: If a tensor is symbolic, as inside `tf.function`.
        """
        if not isinstance(score_maps, list | tuple):
            score_maps = host_array(score_maps, "score_maps")
        count = len(score_maps)
        ignored = [None] * count if ignore_masks is None else ignore_masks
        if len(masks) != count or len(ignored) != count:
            raise ValueError(
                "`masks`, `score_maps` and `ignore_masks` should have one entry per image. "
                f"Received: {len(masks)}, {count} and {len(ignored)}"
            )
        is_counted = np.ones(count, bool)
        if sample_weight is not None:
            is_counted = host_array(sample_weight, "sample_weight").astype(bool).reshape(-1)
        histograms = np.zeros((2, *self.true_counts.shape), dtype=np.int64)
        images = unmasked = degenerate = ignored_pixels = 0
        for index in np.flatnonzero(is_counted):
            score_map = host_array(score_maps[index], "score_maps")
            scores = normalized_score_map(score_map, self.resize)
            is_object = _union(masks[index], scores.shape)
            is_background = ~is_object
            if ignored[index] is not None:
                is_background &= ~_union(ignored[index], scores.shape)
            images += 1
            unmasked += not is_object.any()
            degenerate += shows_nothing(score_map)
            ignored_pixels += scores.size - int(is_object.sum()) - int(is_background.sum())
            bins = self._bins(scores)
            for histogram, chosen in zip(histograms, (is_object, is_background), strict=True):
                histogram += np.bincount(bins[chosen], minlength=histogram.size)
        for counter, number in (
            (self.true_counts, histograms[0]),
            (self.false_counts, histograms[1]),
            (self.images, images),
            (self.unmasked_images, unmasked),
            (self.degenerate_maps, degenerate),
            (self.ignored_pixels, ignored_pixels),
        ):
            counter.assign_add(np.asarray(number, dtype=counter.dtype))

    def _bins(self, scores: NDArray[np.float64]) -> NDArray[np.intp]:
        """Returns the last bin whose lower edge does not exceed the score, for scores up to 1."""
        edges = np.append(self._steps, [1.0, 2.0, 3.0])
        guess = np.minimum((scores / self.threshold_interval).astype(np.intp), self._steps.size)
        guess -= scores < edges[guess]
        guess += scores >= edges[guess + 1]
        return guess

    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns precision and recall at each of `thresholds`, NaN where undefined."""
        true = numbers(self.true_counts)[::-1].cumsum()
        false = numbers(self.false_counts)[::-1].cumsum()
        with np.errstate(invalid="ignore"):
            precision, recall = true / (true + false), true / true[-1]
        return precision[::-1], recall[::-1]

    def result(self) -> float:
        """Returns the average precision."""
        precision, recall = (values[::-1] for values in self.curve())
        if np.isnan(recall).all():
            return float("nan")
        parts = precision[1:] * np.diff(recall)
        return float(parts[~np.isnan(precision[1:])].sum())

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "threshold_interval": self.threshold_interval,
            "resize": self.resize,
        }


def _union(masks: Any, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Resizes the masks of an image and returns where any of them is above 0.5."""
    arrays = list(masks) if isinstance(masks, list | tuple) else [masks]
    union = np.zeros(size, dtype=bool)
    if arrays and np.ndim(arrays[0]) == 1:
        arrays = [np.asarray(masks)]
    for array in arrays:
        mask = host_array(array, "masks")
        if mask.ndim not in (2, 3) or not mask.size:
            raise ValueError(
                "Every entry of `masks` should have shape (height, width) or "
                "(instances, height, width). "
                f"Received: shape={mask.shape}"
            )
        for instance in mask if mask.ndim == 3 else mask[None]:
            resized = opencv().resize(
                instance.astype(np.float32), size[::-1], interpolation=opencv().INTER_NEAREST
            )
            union |= resized > 0.5
    return union
