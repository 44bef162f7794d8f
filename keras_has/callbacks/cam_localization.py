"""Localization from class activation maps, measured on the validation data after each epoch."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_has import drawing, metrics
from keras_has.callbacks.localization_callback import LocalizationCallback
from keras_has.callbacks.localized_image import LocalizedImage
from keras_has.cams import CAM, MapMethod
from keras_has.metrics.max_box_metric import MaxBoxMetric
from keras_has.ops.boxes import box_iou, boxes_from_maps, centred_boxes, scale_boxes
from keras_has.ops.contour_boxes import contour_boxes_of_score_maps

Batch = dict[str, Any]

_PANEL_COLUMNS = 3
_PANEL_STRIDE = 7  # rows between two images of the panel that come from one batch
_IMAGES_AT_ONCE = 512
_ID_BYTES = 256


class CAMLocalization(LocalizationCallback):
    """Measures loss, classification and localization on the validation data after each epoch.

    One pass gives everything: the forward pass that `evaluate` would do yields the probabilities,
    the loss and, from the last features and the classifier's kernel, the class activation map of
    each image's true class (another `method` may take more passes); a thread turns the maps of one
    batch into boxes while the network works on the next. So pass the data here, and no
    `validation_data` to `fit`. Nothing is hidden. The model may give probabilities or logits.

    The values are written into `logs`, where `ModelCheckpoint(monitor="val_gt_known_loc",
    mode="max")`, `EarlyStopping`, `History` and `TensorBoard` find them. Put this callback before
    those:

    - `val_loss`: mean cross-entropy of the true class.
    - `val_top1_clas`: Top-1 Clas, over all images.
    - `val_gt_known_loc`, `val_top1_loc`, `val_top5_loc`: over the images that have boxes.
    - `val_centred_box`: GT-known Loc of a box of the image's shape in the image's middle. A method
      whose `val_gt_known_loc` is below has not shown that it localizes.
    - `val_cam_threshold`, the threshold that gave the figures, and `val_degenerate_maps`, how many
      maps were constant or not finite (they count as wrong).

    - One value for each of `map_metrics`, if there are any.

    Where no image of the data has a box, the figures of localization would be no numbers: they are
    left out. What remains are `val_loss`, `val_top1_clas`, `val_cam_threshold` and
    `val_degenerate_maps`.

    With `log_dir` they are also written for TensorBoard, with a panel of images: heat map of the
    true class, true box (white) and predicted box (orange).

    The memory needed does not grow with the data. Under a `tf.distribute` strategy each batch is
    shared out; a last partial batch is padded and the padding not counted. Batch normalization then
    uses each replica's own moving statistics, as `evaluate` does; a saved model holds their mean.

    Args:
        dataset: A batched `tf.data.Dataset` of dicts: "image" (B, H, W, C), what the model takes;
            "label" (B,); "boxes" (B, N, 4) "xyxy" pixels, filled up with -1; and, where boxes are
            not in pixels of "image", "size" (B, 2), height and width of the image that they refer
            to. `keras_has.data.evaluation_batches` makes one.
        threshold: Share of the map's maximum above which a place belongs to the object. Defaults to
            0.2, the paper's for AlexNet; it has 0.3 for GoogLeNet.
        log_dir: Folder for TensorBoard, or None.
        class_names: Names for the captions of the panel, or None for numbers.
        centred_side: Side of the centred box as a share of the image's, best found on the training
            boxes by `keras_has.ops.boxes.best_centred_side`. Defaults to 0.8.
        panel_images: How many images the panel shows; they are spread over the data and always the
            same. Defaults to 12.
        thresholds: More thresholds at which GT-known Loc is to be known, or None. They give
            `localization_curve`, a `keras_has.metrics.LocalizationCurve`, at some cost in time.
        method: From a model to the method that makes its maps and probabilities, such as
            `lambda model: cams.TenCrop(cams.CAM(model), 224)`. Defaults to `keras_has.cams.CAM`.
        map_metrics: Metrics of whole maps by the names they get in `logs`, such as
            `{"val_max_box_acc_v2": keras_has.metrics.MaxBoxAccuracyV2()}`, or None. They are
            updated as `update_state(boxes, score_maps, image_sizes)`, in the thread that finds the
            boxes. They cost more than all the rest: for a final evaluation.

    Raises:
        ValueError: For a threshold or side out of range, creation inside the scope of a strategy
            with several replicas, or a model that `method` refuses, such as one without the layers
            "cam_features" and "predictions".

    Example:

    >>> callback = CAMLocalization(  # doctest: +SKIP
    ...     keras_has.data.evaluation_batches(val, 64, 64), log_dir="runs/first"
    ... )
    >>> model.fit(batches, epochs=10, callbacks=[callback])  # doctest: +SKIP

    Reference:
        Zhou et al., CVPR 2016, for the protocol; Singh and Lee, ICCV 2017, for the figures.
    """

    _board = "localization"
    _panel_tag = "class activation maps"

    def __init__(
        self,
        dataset: tf.data.Dataset,
        threshold: float = 0.2,
        log_dir: str | os.PathLike[str] | None = None,
        class_names: Sequence[str] | None = None,
        centred_side: float = 0.8,
        panel_images: int = 12,
        thresholds: Sequence[float] | None = None,
        method: Callable[[keras.Model], MapMethod] = CAM,
        map_metrics: Mapping[str, keras.metrics.Metric] | None = None,
    ) -> None:
        super().__init__(log_dir)
        if not 0 <= threshold < 1:
            raise ValueError(f"`threshold` should be in [0, 1). Received: threshold={threshold}")
        if not 0 < centred_side <= 1:
            raise ValueError(
                f"`centred_side` should be in (0, 1]. Received: centred_side={centred_side}"
            )
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                "`CAMLocalization` counts outside of the replicas: create it outside of "
                "`strategy.scope()`; the model belongs inside."
            )
        _check_dataset(dataset)
        self.dataset = dataset
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
            "val_top1_clas": metrics.Top1Classification(),
            "val_gt_known_loc": metrics.GTKnownLocalization(),
            "val_top1_loc": metrics.Top1Localization(),
            "val_top5_loc": metrics.Top5Localization(),
        }
        self._centred = metrics.GTKnownLocalization(name="centred_box")
        # As one graph: the metrics' many small steps would cost more than the network's work.
        self._update = tf.function(self._update_metrics, reduce_retracing=True)
        self._forward: Callable[[Batch], dict[str, Sequence[tf.Tensor]]]
        self._batches: Any = None

    def _build(self, model: keras.Model) -> None:
        method = self.method(model)
        strategy = getattr(model, "distribute_strategy", None) or tf.distribute.get_strategy()

        def on_replica(batch: Batch) -> Batch:
            labels = tf.cast(batch["label"], tf.int32)
            maps, probabilities = method(batch["image"], labels)
            of_true_class = tf.gather(probabilities, labels, axis=1, batch_dims=1)
            return {
                **batch,
                "map": maps,
                "probabilities": probabilities,
                "loss": -tf.math.log(tf.maximum(of_true_class, keras.config.epsilon())),
            }

        @tf.function(reduce_retracing=True)
        def forward(batch: Batch) -> dict[str, Sequence[tf.Tensor]]:
            outputs = strategy.run(on_replica, args=(batch,))
            return {key: strategy.experimental_local_results(outputs[key]) for key in outputs}

        replicas = strategy.num_replicas_in_sync
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        batches = self.dataset.map(lambda batch: _padded(batch, replicas)).prefetch(2)
        batches = batches.with_options(options)
        if replicas > 1:
            batches = strategy.experimental_distribute_dataset(batches)
        self._forward, self._batches = forward, batches

    def evaluate(self, draw: bool = False) -> dict[str, float]:
        """Does one pass over the data with the model that was set.

        Args:
            draw: Whether to draw `panel`, too.

        Returns:
            The figures listed in the class, as floats.

        Raises:
            ValueError: If no model was set, or the data is empty.
        """
        self._check_model("evaluate")
        curve = [] if self.localization_curve is None else [self.localization_curve]
        own = [*self._metrics.values(), self._centred, *curve]
        for metric in (*own, *self.map_metrics.values()):
            metric.reset_state()
        total_loss, count = 0.0, 0
        shown = self._places_of_panel() if draw else {}
        tiles: list[drawing.Picture] = []
        captions: list[str] = []
        gathered: list[Batch] = []
        for number, batch in enumerate(self._judged_batches(shown, self.map_metrics)):
            total_loss += float(batch["loss"].sum(dtype="float64"))
            count += len(batch["loss"])
            # Rows beyond a small batch start over from its first.
            for row in sorted({row % len(batch["loss"]) for row in shown.get(number, ())}):
                tile, caption = self._tile(batch, row)
                tiles.append(tile)
                captions.append(caption)
            batch.pop("image", None)
            gathered.append(batch)
            if sum(len(each["loss"]) for each in gathered) >= _IMAGES_AT_ONCE:
                self._count(gathered)
                gathered = []
        if count == 0:
            raise ValueError("`dataset` should hold at least one image. Received: none.")
        if gathered:
            self._count(gathered)
        if tiles:
            self._draw_panel(
                tiles,
                captions,
                "map of the true class; true box white, predicted box orange "
                f"(above {self.threshold:.0%} of the map's maximum)",
                _PANEL_COLUMNS,
            )
        figures = {"val_loss": total_loss / count}
        measured = {**self._metrics, "val_centred_box": self._centred, **self.map_metrics}
        results = {name: float(metric.result()) for name, metric in measured.items()}
        # Without a box there is nothing to measure, and no JSON takes NaN.
        figures.update((name, value) for name, value in results.items() if np.isfinite(value))
        figures["val_cam_threshold"] = self.threshold
        figures["val_degenerate_maps"] = float(self._metrics["val_gt_known_loc"].degenerate_maps)
        return figures

    def iterate(self) -> Iterator[LocalizedImage]:
        """Yields what is known of each image, in the order of the data, with the model set.

        It is a pass of its own, of which only a few batches are in memory; the figures of
        `evaluate` are not touched.

        Yields:
            A `LocalizedImage` for each image.

        Raises:
            ValueError: If no model was set.
        """
        self._check_model("iterate")
        count = 0
        for batch in self._judged_batches(None, {}):
            for row in range(len(batch["label"])):
                yield self._result(batch, row, count)
                count += 1

    def _result(self, batch: Batch, row: int, number: int) -> LocalizedImage:
        probabilities, boxes = batch["probabilities"][row], batch["boxes"][row]
        true_boxes = boxes[boxes[:, 0] < boxes[:, 2]]
        label, predicted = int(batch["label"][row]), int(probabilities.argmax())
        has_id = "image_id" in batch
        return LocalizedImage(
            image_id=_text(batch["image_id"][row]) if has_id else str(number),
            label=label,
            predicted_class=predicted,
            probability=float(probabilities[predicted]),
            label_probability=float(probabilities[label]),
            image=batch["image"][row],
            size=(int(batch["size"][row][0]), int(batch["size"][row][1])),
            map=batch["map"][row],
            box=batch["found"][row],
            true_boxes=true_boxes,
            iou=float(box_iou(true_boxes, batch["found"][row]).max()) if len(true_boxes) else None,
        )

    def _judged_batches(
        self,
        shown: dict[int, list[int]] | None,
        map_metrics: Mapping[str, keras.metrics.Metric],
    ) -> Iterator[Batch]:
        """Yields the batches in order, without padding, with boxes added.

        A thread finds the boxes of one batch while the network works on the next, and updates
        `map_metrics`. Images stay in the batches that `shown` names; None names all.
        """

        def judge(batch: Batch) -> Batch:
            batch = self._find_boxes(batch)
            _update_map_metrics(map_metrics.values(), batch)
            return batch

        with ThreadPoolExecutor(max_workers=1) as executor:
            waiting: deque[Future[Batch]] = deque()
            for number, batch in enumerate(self._batches):
                outputs = self._forward(batch)
                if shown is not None and number not in shown:
                    outputs.pop("image")
                arrays = {
                    key: np.concatenate([np.asarray(part) for part in parts])
                    for key, parts in outputs.items()
                }
                waiting.append(executor.submit(judge, arrays))
                if len(waiting) > 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _find_boxes(self, batch: Batch) -> Batch:
        """Takes the padding out and adds "found", boxes in the pixels that "boxes" refer to."""
        is_real = batch.pop("weight") > 0
        batch = {key: value[is_real] for key, value in batch.items()}
        size = tuple(self.dataset.element_spec["image"].shape[1:3])
        if "size" not in batch:
            batch["size"] = np.full((len(batch["label"]), 2), size, "float32")
        found = boxes_from_maps(batch["map"], (self.threshold, *self.thresholds), size)
        found = scale_boxes(found, size, batch["size"][:, None])
        return {**batch, "found": found[:, 0], "found_at_thresholds": found[:, 1:]}

    def _count(self, batches: list[Batch]) -> None:
        """Updates the metrics once for several batches, which is cheaper than once for each."""
        keys = ("label", "probabilities", "found", "found_at_thresholds", "size")
        joined = {key: np.concatenate([batch[key] for batch in batches]) for key in keys}
        most = max(batch["boxes"].shape[1] for batch in batches)
        boxes = [
            np.pad(
                batch["boxes"],
                ((0, 0), (0, most - batch["boxes"].shape[1]), (0, 0)),
                constant_values=-1,
            )
            for batch in batches
        ]
        true = {"label": joined["label"], "boxes": np.concatenate(boxes)}
        centred = centred_boxes(joined.pop("size"), self.centred_side)
        self._update(true, joined, centred)

    def _update_metrics(self, true: Batch, joined: Batch, centred: tf.Tensor) -> None:
        predicted = {"probabilities": joined["probabilities"], "boxes": joined["found"]}
        for metric in self._metrics.values():
            metric.update_state(true, predicted)
        self._centred.update_state(true, {**predicted, "boxes": centred})
        if self.localization_curve is not None:
            predicted = {**predicted, "boxes": joined["found_at_thresholds"]}
            self.localization_curve.update_state(true, predicted)

    def _places_of_panel(self) -> dict[int, list[int]]:
        """Returns which rows of which batches the panel shows: the same at each epoch."""
        batches = max(int(self.dataset.cardinality()), 1)
        places: dict[int, list[int]] = {}
        for number in range(self.panel_images):
            rows = places.setdefault(number * batches // self.panel_images, [])
            rows.append(len(rows) * _PANEL_STRIDE)
        return places

    def _tile(self, batch: Batch, row: int) -> tuple[drawing.Picture, str]:
        image = _displayable(batch["image"][row])
        to_image = (batch["size"][row], image.shape[:2])
        predicted = scale_boxes(batch["found"][row], *to_image)
        is_box = batch["boxes"][row, :, 0] < batch["boxes"][row, :, 2]
        true = scale_boxes(batch["boxes"][row][is_box], *to_image)
        label, guess = int(batch["label"][row]), int(batch["probabilities"][row].argmax())
        caption = f"{self._name(label)}"
        if guess != label:
            caption += f" (taken for {self._name(guess)})"
        overlap = box_iou(batch["boxes"][row], batch["found"][row]).max(initial=0.0)
        caption += f"\nIoU {overlap:.2f}" if is_box.any() else "\nno true box"
        plain = drawing.localization_tile(image, None, true, predicted)
        heat = drawing.localization_tile(image, batch["map"][row], true, predicted)
        return np.concatenate([plain, heat], axis=1), caption

    def _name(self, label: int) -> str:
        return str(label if self.class_names is None else self.class_names[label])


def _check_dataset(dataset: Any) -> None:
    spec = getattr(dataset, "element_spec", None)
    if not isinstance(spec, dict) or not {"image", "label", "boxes"} <= set(spec):
        raise ValueError(
            '`dataset` should be a batched tf.data.Dataset of dicts with "image", "label" and '
            f'"boxes", as `keras_has.data.evaluation_batches` makes. Received: elements {spec}'
        )
    if len(spec["image"].shape) != 4 or None in spec["image"].shape[1:3]:
        raise ValueError(
            '`dataset` should hold batches of images of one known size under "image". '
            f"Received: shape={spec['image'].shape}"
        )


def _padded(batch: Batch, multiple: int) -> Batch:
    """Fills a batch up so that it can be shared out evenly; "weight" is 0 for the filling."""
    count = tf.shape(batch["label"])[0]
    missing = -count % multiple
    padded = {"weight": tf.pad(tf.ones([count]), [[0, missing]])}
    if "image_id" in batch:
        # As bytes: not every device takes strings. Names that are longer are cut.
        numbers = tf.io.decode_raw(batch["image_id"], tf.uint8, fixed_length=_ID_BYTES)
        batch = {**batch, "image_id": numbers}
    for key in ("image", "label", "boxes", "size", "image_id"):
        if key in batch:
            paddings = [[0, missing]] + [[0, 0]] * (len(batch[key].shape) - 1)
            # A size of 1 and boxes of -1: values that the arithmetic that follows can take.
            fill = tf.cast({"boxes": -1, "size": 1}.get(key, 0), batch[key].dtype)
            padded[key] = tf.pad(batch[key], paddings, constant_values=fill)
    return padded


def _update_map_metrics(map_metrics: Iterable[keras.metrics.Metric], batch: Batch) -> None:
    """Hands whole maps, and boxes in pixels of "size", to the metrics."""
    found: dict[Any, Any] = {}
    for metric in map_metrics:
        maps = batch["map"]
        if isinstance(metric, MaxBoxMetric):
            # The boxes of all thresholds are the costly part: metrics of one size share them.
            if metric.resize not in found:
                found[metric.resize] = contour_boxes_of_score_maps(maps, metric.resize)
            maps = found[metric.resize]
        metric.update_state(batch["boxes"], maps, batch["size"])


def _text(image_id: np.ndarray) -> str:
    return image_id.tobytes().rstrip(b"\0").decode("utf-8", errors="replace")


def _displayable(image: np.ndarray) -> np.ndarray:
    """Returns an image as uint8 RGB, whatever was done to it before."""
    if image.dtype != np.uint8:
        image = image.astype("float32")
        low, high = float(image.min()), float(image.max())
        image = ((image - low) / max(high - low, 1e-6) * 255).astype("uint8")
    return np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image[..., :3]
