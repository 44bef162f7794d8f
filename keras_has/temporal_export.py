"""A trained network for sequences as a SavedModel: features in, detections out."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from keras_has.export import METADATA_FILE, replace_folder
from keras_has.ops.temporal_cam import (
    check_threshold_and_score,
    detections_in_graph,
    temporal_class_activation_maps,
)
from keras_has.version import __version__


@dataclasses.dataclass(frozen=True)
class TemporalLocalizerMetadata:
    """What stands beside an exported model, in `keras_has.json`.

    Args:
        class_names: One name a class.
        threshold: Share of the map's maximum that the detections were made with.
        score: What scores a detection, `"mean"` or `"max"` of the map in it.
        num_features: How many features were sampled from a video, or None for all of them.
        feature_size: Numbers a feature.
        kind: Always `"temporal"`: what tells it from an exported network for images.
        version: Version of keras-has that wrote the model.
    """

    class_names: tuple[str, ...]
    threshold: float
    score: str
    num_features: int | None
    feature_size: int
    kind: str = "temporal"
    version: str = __version__


def export_temporal_localizer(
    model: keras.Model,
    path: str | os.PathLike[str],
    class_names: Sequence[str],
    threshold: float = 0.5,
    score: str = "mean",
    num_features: int | None = None,
) -> None:
    """Writes a SavedModel that says which actions a sequence shows, and when.

    Load it with `tf.saved_model.load(path)`: no Keras and no keras-has needed. Nothing is hidden,
    whatever layers the training model holds. It has these signatures:

    - `serving_default(features=..., step_seconds=...)`: float32 (B, T, D) and (B,), the time that a
      feature stands for.
    - `padded(features=..., mask=..., step_seconds=...)`, for a model that takes a mask: sequences
      of different lengths, with a bool (B, T), False for padding.

    Both return "probabilities" (B, classes); "cam" (B, T, classes), the temporal class activation
    maps; and the detections of all classes: "segments" (B, n, 2) in seconds and "labels" (B, n),
    padded by -1, and "scores" (B, n), padded by 0.

    Args:
        model: A trained model as `keras_has.models.TemporalGAP` makes, masked or not.
        path: Folder to write. It is written aside and renamed; what was there is replaced.
        class_names: One name a class; they are kept in `keras_has.json` in the folder.
        threshold: Share of the map's maximum above which a step belongs to the action. Defaults to
            the paper's 0.5.
        score: `"mean"` (default) or `"max"` of the map in a detection.
        num_features: How many features were sampled from each video in training, or None for all;
            kept for those who use the model.

    Raises:
        ValueError: For another number of names than classes, or a threshold or score that is none.

    Example:

    >>> model = keras_has.models.TemporalGAP(2, (None, 8), widths=(4,))
    >>> export_temporal_localizer(model, "temporal", ["jump", "run"])
    >>> loaded = tf.saved_model.load("temporal")
    >>> found = loaded.signatures["serving_default"](
    ...     features=tf.zeros((1, 10, 8)), step_seconds=tf.constant([0.5])
    ... )
    >>> sorted(found)
    ['cam', 'labels', 'probabilities', 'scores', 'segments']

    Reference:
        Singh and Lee, ICCV 2017, section 4: a threshold of half the maximum.
    """
    check_threshold_and_score(threshold, score)
    features_layer, predictions = (
        model.get_layer(name) for name in ("cam_features", "predictions")
    )
    kernel = predictions.kernel
    if len(class_names) != kernel.shape[1]:
        raise ValueError(
            f"`class_names` should hold one name for each of the {kernel.shape[1]} classes. "
            f"Received: {len(class_names)} names"
        )
    inputs = model.input
    is_masked = isinstance(inputs, dict)
    network = keras.Model(inputs, [features_layer.output, predictions.output])
    size = (inputs["features"] if is_masked else inputs).shape[-1]

    def detect(features: tf.Tensor, mask: tf.Tensor | None, step_seconds: tf.Tensor) -> dict:
        given: tf.Tensor | dict[str, tf.Tensor] = features
        if is_masked:
            every = tf.ones(tf.shape(features)[:2], tf.bool)
            given = {"features": features, "mask": every if mask is None else mask}
        steps, probabilities = network(given, training=False)
        maps = temporal_class_activation_maps(steps, kernel)
        return {
            "probabilities": tf.cast(probabilities, tf.float32),
            "cam": maps,
            **detections_in_graph(maps, step_seconds, threshold, mask, None, score),
        }

    specs = {
        "features": tf.TensorSpec((None, None, size), tf.float32, name="features"),
        "mask": tf.TensorSpec((None, None), tf.bool, name="mask"),
        "step_seconds": tf.TensorSpec((None,), tf.float32, name="step_seconds"),
    }
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serving_default",
        lambda features, step_seconds: detect(features, None, step_seconds),
        input_signature=[specs["features"], specs["step_seconds"]],
    )
    if is_masked:
        archive.add_endpoint("padded", detect, input_signature=list(specs.values()))
    path = Path(path)
    aside = path.with_name(path.name + ".tmp")
    shutil.rmtree(aside, ignore_errors=True)
    archive.write_out(str(aside), verbose=False)
    metadata = TemporalLocalizerMetadata(
        tuple(map(str, class_names)), float(threshold), score, num_features, int(size)
    )
    text = json.dumps(dataclasses.asdict(metadata), indent=2, ensure_ascii=False)
    (aside / METADATA_FILE).write_text(text + "\n", encoding="utf-8")
    replace_folder(aside, path)


def read_temporal_metadata(path: str | os.PathLike[str]) -> TemporalLocalizerMetadata:
    """Reads what stands beside an exported model for sequences.

    Args:
        path: Folder that `export_temporal_localizer` wrote.

    Raises:
        FileNotFoundError: If there is no such folder, or it is not one of
            `export_temporal_localizer`.
    """
    file = Path(path) / METADATA_FILE
    fields = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if fields.get("kind") != "temporal":
        raise FileNotFoundError(
            f"{path} should be a folder that `export_temporal_localizer` wrote, such as the "
            f"`saved_model` of a run on videos. Received: {file} "
            + ("is of another kind." if fields else "is missing.")
        )
    return TemporalLocalizerMetadata(**{**fields, "class_names": tuple(fields["class_names"])})
