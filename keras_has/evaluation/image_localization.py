"""Localization of objects in images from class activation maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_has import drawing, metrics
from keras_has.cams import CAM, MapMethod
from keras_has.evaluation.batch import Batch
from keras_has.evaluation.evaluator import Evaluator, Tensors
from keras_has.evaluation.inference import decode_text
from keras_has.evaluation.localized_image import LocalizedImage
from keras_has.evaluation.panel import Panel, displayable
from keras_has.metrics.max_box_metric import MaxBoxMetric
from keras_has.ops.boxes import box_iou, boxes_from_maps, centred_boxes, scale_boxes
from keras_has.ops.contour_boxes import contour_boxes_of_score_maps

Arrays = dict[str, np.ndarray]

_PANEL_COLUMNS = 3
_PANEL_STRIDE = 7  # rows between two images of the panel that come from one batch
_IMAGES_PER_UPDATE = 512


class ImageLocalizationEvaluator(Evaluator):
    """Loss, classification and localization from the class activation map of the true class.

    The figures are those of `keras_has.callbacks.CAMLocalization`, without the prefix `val_`.

    Args:
        dataset: The batched `tf.data.Dataset` of dicts to be evaluated: "image" (B, H, W, C),
            "label" (B,), "boxes" (B, N, 4) "xyxy" pixels padded with -1, and, where boxes are not
            in pixels of "image", "size" (B, 2), the height and width that they refer to.
        threshold: Fraction of the map's maximum above which a pixel belongs to the object. Defaults
            to 0.2.
        class_names: Names for the captions of the panel, or None for numbers.
        centred_side: Side of the centred box as a fraction of the image's. Defaults to 0.8.
        panel_images: Number of images in the panel. Defaults to 12.
        thresholds: Further thresholds for `localization_curve`, or None.
        method: From a model to its map method. Defaults to `keras_has.cams.CAM`.
        map_metrics: Metrics of whole maps by the names of their figures, or None.

    Attributes:
        localization_curve: A `keras_has.metrics.LocalizationCurve` over `thresholds`, or None.

    Raises:
        ValueError: If `threshold` or `centred_side` is out of range, or `dataset` lacks an entry.

    Example:

    >>> val = keras_has.data.generated_parts("val", num_images=6)
    >>> batches = keras_has.data.evaluation_batches(val, 4, 64)
    >>> evaluator = keras_has.evaluation.ImageLocalizationEvaluator(batches)
    >>> forward = evaluator.forward(keras_has.models.SmallGAP(len(val.class_names), (64, 64, 3)))
    >>> sorted(keras_has.evaluation.Inference(batches, forward).run([evaluator]))[:3]
    ['cam_threshold', 'centred_box', 'degenerate_maps']

    Reference:
        Zhou et al., CVPR 2016, for the protocol; Singh and Lee, ICCV 2017, for the figures.
    """

    name = "localization"
    panel_tag = "class activation maps"
    noun = "image"
    # Valid values for the arithmetic on padding: no box, and a size that can be divided by.
    padding_values: ClassVar[Mapping[str, float]] = {"boxes": -1, "size": 1}

    def __init__(
        self,
        dataset: tf.data.Dataset,
        threshold: float = 0.2,
        class_names: Sequence[str] | None = None,
        centred_side: float = 0.8,
        panel_images: int = 12,
        thresholds: Sequence[float] | None = None,
        method: Callable[[keras.Model], MapMethod] = CAM,
        map_metrics: Mapping[str, keras.metrics.Metric] | None = None,
    ) -> None:
        if not 0 <= threshold < 1:
            raise ValueError(f"`threshold` should be in [0, 1). Received: threshold={threshold}")
        if not 0 < centred_side <= 1:
            raise ValueError(
                f"`centred_side` should be in (0, 1]. Received: centred_side={centred_side}"
            )
        spec = _checked_spec(dataset)
        self.image_size = tuple(spec["image"].shape[1:3])
        self.num_batches = max(int(dataset.cardinality()), 1)
        self.threshold = float(threshold)
        self.class_names = None if class_names is None else tuple(class_names)
        self.centred_side = float(centred_side)
        self.panel_images = int(panel_images)
        self.thresholds = tuple(thresholds or ())
        self.localization_curve = (
            metrics.LocalizationCurve(self.thresholds) if self.thresholds else None
        )
        self.method = method
        self.map_metrics = dict(map_metrics or {})
        self._metrics = {
            "top1_clas": metrics.Top1Classification(),
            "gt_known_loc": metrics.GTKnownLocalization(),
            "top1_loc": metrics.Top1Localization(),
            "top5_loc": metrics.Top5Localization(),
        }
        self._centred = metrics.GTKnownLocalization(name="centred_box")
        # In one graph: the metrics' many small steps would cost more than the network's work.
        self._update = tf.function(self._update_metrics, reduce_retracing=True)
        self._panel: Panel | None = None
        self.reset()

    def forward(self, model: keras.Model) -> Callable[[Tensors], Tensors]:
        """Returns the forward pass to maps, probabilities and losses; see `Evaluator`."""
        method = self.method(model)

        def on_replica(batch: Tensors) -> Tensors:
            labels = tf.cast(batch["label"], tf.int32)
            maps, probabilities = method(batch["image"], labels)
            probability = tf.gather(probabilities, labels, axis=1, batch_dims=1)
            return {
                "map": maps,
                "probabilities": probabilities,
                "loss": -tf.math.log(tf.maximum(probability, keras.config.epsilon())),
            }

        return on_replica

    def reset(self) -> None:
        """Forgets all images."""
        curve = [] if self.localization_curve is None else [self.localization_curve]
        own = [*self._metrics.values(), self._centred, *curve]
        for metric in (*own, *self.map_metrics.values()):
            metric.reset_state()
        self._total_loss, self._count, self._num_processed = 0.0, 0, 0
        self._pending: list[Arrays] = []
        self._panel = None
        self._panel_rows: dict[int, list[int]] = {}

    def start_panel(self) -> None:
        """Asks for a panel: the same images in every epoch, spread over the data."""
        self._panel = Panel(
            "map of the true class; true box white, predicted box orange "
            f"(above {self.threshold:.0%} of the map's maximum)",
            _PANEL_COLUMNS,
        )
        for number in range(self.panel_images):
            batch = number * self.num_batches // self.panel_images
            rows = self._panel_rows.setdefault(batch, [])
            rows.append(len(rows) * _PANEL_STRIDE)

    def panel(self) -> Panel | None:
        """Returns images beside their maps, with true and predicted boxes."""
        return self._panel if self._panel and self._panel.tiles else None

    def process(self, batch: Batch) -> None:
        """Finds boxes, updates the metrics and draws the images of the panel."""
        arrays = self._localized(batch)
        _update_map_metrics(self.map_metrics.values(), batch, arrays["size"])
        self._total_loss += float(batch["loss"].sum(dtype="float64"))
        self._count += batch.num_examples
        if self._panel is not None and batch.num_examples:
            # Rows beyond the end of a small batch wrap around.
            rows = self._panel_rows.get(self._num_processed, ())
            for row in sorted({row % batch.num_examples for row in rows}):
                self._panel.add(*self._tile(batch["image"][row], arrays, row))
        self._num_processed += 1
        self._pending.append(arrays)
        if sum(len(pending["label"]) for pending in self._pending) >= _IMAGES_PER_UPDATE:
            self._update_with_pending()

    def result(self) -> dict[str, float]:
        """Returns the figures over all images since `reset`."""
        if self._pending:
            self._update_with_pending()
        figures = {"loss": self._total_loss / self._count}
        measured = {**self._metrics, "centred_box": self._centred, **self.map_metrics}
        results = {name: float(metric.result()) for name, metric in measured.items()}
        # Without any box, localization is undefined, and JSON has no NaN.
        figures.update((name, value) for name, value in results.items() if np.isfinite(value))
        figures["cam_threshold"] = self.threshold
        figures["degenerate_maps"] = float(self._metrics["gt_known_loc"].degenerate_maps)
        return figures

    def localized_images(self, batch: Batch, first_number: int = 0) -> list[LocalizedImage]:
        """Returns the result for each image of a batch; the figures are not touched.

        Args:
            batch: As in `process`.
            first_number: Number of the batch's first image; images without an "image_id" are
                called by their number.
        """
        arrays = self._localized(batch)
        return [
            self._result(batch, arrays, row, str(first_number + row))
            for row in range(batch.num_examples)
        ]

    def _result(self, batch: Batch, arrays: Arrays, row: int, number: str) -> LocalizedImage:
        probabilities, boxes = batch["probabilities"][row], batch["boxes"][row]
        true_boxes = boxes[boxes[:, 0] < boxes[:, 2]]
        box, size = arrays["box"][row], arrays["size"][row]
        label, predicted = int(batch["label"][row]), int(probabilities.argmax())
        return LocalizedImage(
            image_id=decode_text(batch["image_id"][row]) if "image_id" in batch else number,
            label=label,
            predicted_class=predicted,
            probability=float(probabilities[predicted]),
            label_probability=float(probabilities[label]),
            image=batch["image"][row],
            size=(int(size[0]), int(size[1])),
            map=batch["map"][row],
            box=box,
            true_boxes=true_boxes,
            iou=float(box_iou(true_boxes, box).max()) if len(true_boxes) else None,
        )

    def _localized(self, batch: Batch) -> Arrays:
        """Returns a batch's small arrays, and the boxes of its maps in the pixels of "size"."""
        arrays = {key: batch[key] for key in ("label", "boxes", "probabilities", "map")}
        arrays["size"] = (
            batch["size"]
            if "size" in batch
            else np.full((batch.num_examples, 2), self.image_size, "float32")
        )
        found = boxes_from_maps(batch["map"], (self.threshold, *self.thresholds), self.image_size)
        found = scale_boxes(found, self.image_size, arrays["size"][:, None])
        return {**arrays, "box": found[:, 0], "boxes_at_thresholds": found[:, 1:]}

    def _update_with_pending(self) -> None:
        """Updates the metrics once for several batches, which is cheaper than once per batch."""
        pending, self._pending = self._pending, []
        keys = ("label", "probabilities", "box", "boxes_at_thresholds", "size")
        joined = {key: np.concatenate([arrays[key] for arrays in pending]) for key in keys}
        most = max(arrays["boxes"].shape[1] for arrays in pending)
        boxes = [
            np.pad(
                arrays["boxes"],
                ((0, 0), (0, most - arrays["boxes"].shape[1]), (0, 0)),
                constant_values=-1,
            )
            for arrays in pending
        ]
        true = {"label": joined["label"], "boxes": np.concatenate(boxes)}
        centred = centred_boxes(joined.pop("size"), self.centred_side)
        self._update(true, joined, centred)

    def _update_metrics(self, true: Tensors, joined: Tensors, centred: tf.Tensor) -> None:
        predicted = {"probabilities": joined["probabilities"], "boxes": joined["box"]}
        for metric in self._metrics.values():
            metric.update_state(true, predicted)
        self._centred.update_state(true, {**predicted, "boxes": centred})
        if self.localization_curve is not None:
            predicted = {**predicted, "boxes": joined["boxes_at_thresholds"]}
            self.localization_curve.update_state(true, predicted)

    def _tile(self, image: np.ndarray, arrays: Arrays, row: int) -> tuple[drawing.Picture, str]:
        image = displayable(image)
        to_image = (arrays["size"][row], image.shape[:2])
        predicted = scale_boxes(arrays["box"][row], *to_image)
        boxes = arrays["boxes"][row]
        is_box = boxes[:, 0] < boxes[:, 2]
        true = scale_boxes(boxes[is_box], *to_image)
        label = int(arrays["label"][row])
        predicted_class = int(arrays["probabilities"][row].argmax())
        caption = f"{self._class_name(label)}"
        if predicted_class != label:
            caption += f" (taken for {self._class_name(predicted_class)})"
        overlap = box_iou(boxes, arrays["box"][row]).max(initial=0.0)
        caption += f"\nIoU {overlap:.2f}" if is_box.any() else "\nno true box"
        plain = drawing.localization_tile(image, None, true, predicted)
        heat = drawing.localization_tile(image, arrays["map"][row], true, predicted)
        return np.concatenate([plain, heat], axis=1), caption

    def _class_name(self, label: int) -> str:
        return str(label if self.class_names is None else self.class_names[label])


def _checked_spec(dataset: Any) -> Mapping[str, tf.TensorSpec]:
    spec = getattr(dataset, "element_spec", None)
    if not isinstance(spec, dict) or not {"image", "label", "boxes"} <= set(spec):
        raise ValueError(
            '`dataset` should be a batched tf.data.Dataset of dicts with "image", "label" and '
            f'"boxes", as from `keras_has.data.evaluation_batches`. Received: elements {spec}'
        )
    if len(spec["image"].shape) != 4 or None in spec["image"].shape[1:3]:
        raise ValueError(
            '`dataset` should hold batches of images of one known size under "image". '
            f"Received: shape={spec['image'].shape}"
        )
    return spec


def _update_map_metrics(
    map_metrics: Iterable[keras.metrics.Metric], batch: Batch, sizes: np.ndarray
) -> None:
    """Updates the metrics of whole maps, with boxes in pixels of `sizes`."""
    contour_boxes: dict[Any, Any] = {}
    for metric in map_metrics:
        maps: Any = batch["map"]
        if isinstance(metric, MaxBoxMetric):
            # The boxes at all thresholds are the costly part: metrics of one size share them.
            if metric.resize not in contour_boxes:
                contour_boxes[metric.resize] = contour_boxes_of_score_maps(maps, metric.resize)
            maps = contour_boxes[metric.resize]
        metric.update_state(batch["boxes"], maps, sizes)
