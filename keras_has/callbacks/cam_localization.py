"""Localization from class activation maps, measured on the validation data after each epoch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import tensorflow as tf

from keras_has.callbacks.evaluation_callback import EvaluationCallback
from keras_has.cams import CAM, MapMethod
from keras_has.evaluation import Batch, ImageLocalizationEvaluator, LocalizedImage


class CAMLocalization(EvaluationCallback):
    """Measures loss, classification and localization on the validation data after each epoch.

    One pass gives everything: the forward pass that `evaluate` would do yields the probabilities,
    the loss and, from the last features and the classifier's kernel, the class activation map of
    each image's true class (another `method` may take more passes). A thread turns the maps of one
    batch into boxes while the network works on the next. So pass the data here, and no
    `validation_data` to `fit`. Nothing is hidden. The model may output probabilities or logits.

    The figures are written into `logs`, where `ModelCheckpoint(monitor="val_gt_known_loc",
    mode="max")`, `EarlyStopping`, `History` and `TensorBoard` find them. Put this callback before
    those:

    - `val_loss`: mean cross-entropy of the true class.
    - `val_top1_clas`: Top-1 Clas, over all images.
    - `val_gt_known_loc`, `val_top1_loc`, `val_top5_loc`: over the images that have boxes.
    - `val_centred_box`: GT-known Loc of a box in the middle with the image's shape. A method whose
      `val_gt_known_loc` is lower has not shown that it localizes.
    - `val_cam_threshold`: the threshold behind the figures. `val_degenerate_maps`: the number of
      maps that were constant or not finite; they count as wrong.
    - One value for each of `map_metrics`, if there are any.

    If no image has a box, the localization figures are undefined and left out. What remains are
    `val_loss`, `val_top1_clas`, `val_cam_threshold` and `val_degenerate_maps`.

    With `log_dir` they are also written for TensorBoard, with a panel of images: heat map of the
    true class, true box (white) and predicted box (orange).

    The memory needed does not grow with the data. Under a `tf.distribute` strategy each batch is
    split among the replicas; a last partial batch is padded, and the padding is not counted. Batch
    normalization then uses each replica's own moving statistics, as `evaluate` does; a saved model
    holds their mean.

    Args:
        dataset: A batched `tf.data.Dataset` of dicts: "image" (B, H, W, C), the model's input;
            "label" (B,); "boxes" (B, N, 4) "xyxy" pixels, padded with -1; and, where boxes are
            not in pixels of "image", "size" (B, 2), height and width of the image that they refer
            to. `keras_has.data.evaluation_batches` returns one.
        threshold: Fraction of the map's maximum above which a pixel belongs to the object. Defaults
            to 0.2, the paper's for AlexNet; it has 0.3 for GoogLeNet.
        log_dir: Folder for TensorBoard, or None.
        class_names: Names for the captions of the panel, or None for numbers.
        centred_side: Side of the centred box as a fraction of the image's, best found on the
            training boxes by `keras_has.ops.boxes.best_centred_side`. Defaults to 0.8.
        panel_images: Number of images in the panel; they are spread over the data and the same in
            every epoch. Defaults to 12.
        thresholds: Further thresholds at which GT-known Loc is computed, or None. They give
            `localization_curve`, a `keras_has.metrics.LocalizationCurve`, at some cost in time.
        method: From a model to the method that makes its maps and probabilities, such as
            `lambda model: cams.TenCrop(cams.CAM(model), 224)`. Defaults to `keras_has.cams.CAM`.
        map_metrics: Metrics of whole maps by their names in `logs`, such as
            `{"val_max_box_acc_v2": keras_has.metrics.MaxBoxAccuracyV2()}`, or None. They are
            updated as `update_state(boxes, score_maps, image_sizes)`, in the thread that finds the
            boxes. They cost more than everything else: use them for a final evaluation.

    Raises:
        ValueError: If a threshold or side is out of range, if the callback is created inside the
            scope of a strategy with several replicas, or if `method` refuses the model, for example
            because it lacks the layers "cam_features" and "predictions".

    Example:

    >>> callback = CAMLocalization(  # doctest: +SKIP
    ...     keras_has.data.evaluation_batches(val, 64, 64), log_dir="runs/first"
    ... )
    >>> model.fit(batches, epochs=10, callbacks=[callback])  # doctest: +SKIP

    Reference:
        Zhou et al., CVPR 2016, for the protocol; Singh and Lee, ICCV 2017, for the figures.
    """

    evaluator: ImageLocalizationEvaluator

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
        evaluator = ImageLocalizationEvaluator(
            dataset,
            threshold,
            class_names,
            centred_side,
            panel_images,
            thresholds,
            method,
            map_metrics,
        )
        super().__init__(evaluator, dataset, log_dir)
        self.threshold = evaluator.threshold
        self.class_names = evaluator.class_names
        self.centred_side = evaluator.centred_side
        self.panel_images = evaluator.panel_images
        self.thresholds = evaluator.thresholds
        self.localization_curve = evaluator.localization_curve
        self.method = method
        self.map_metrics = evaluator.map_metrics

    def log_name(self, name: str) -> str:
        """Returns the name in `logs`; those of `map_metrics` are complete already."""
        return name if name in self.map_metrics else super().log_name(name)

    def iterate(self) -> Iterator[LocalizedImage]:
        """Yields the result for each image, in the order of the data, with the model that was set.

        This is a separate pass, of which only a few batches are in memory; the figures of
        `evaluate` are not touched.

        Yields:
            A `LocalizedImage` for each image.

        Raises:
            ValueError: If no model was set.
        """
        count = 0

        def localize(batch: Batch) -> list[LocalizedImage]:
            nonlocal count
            images = self.evaluator.localized_images(batch, count)
            count += len(images)
            return images

        for images in self.inference("iterate").map(localize):
            yield from images
