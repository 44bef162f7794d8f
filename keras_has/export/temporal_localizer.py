"""A trained network for sequences as a SavedModel: features in, detections out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, cast

import keras
import tensorflow as tf

from keras_has.cams import TemporalCAM
from keras_has.export.saved_model import (
    load_saved_model,
    read_metadata_file,
    write_saved_model,
)
from keras_has.ops.temporal_cam import check_threshold_and_score, detections_in_graph
from keras_has.version import __version__


@dataclasses.dataclass(frozen=True)
class TemporalLocalizerMetadata:
    """Metadata of an exported model for sequences, stored in `keras_has.json`.

    Args:
        class_names: One name per class.
        threshold: Fraction of the map's maximum used for the detections.
        score: Score of a detection: `"mean"` or `"max"` of the map in it.
        num_features: Number of features sampled from a video, or None for all of them.
        feature_size: Length of a feature vector.
        kind: Always `"temporal"`; distinguishes it from an exported network for images.
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
    """Writes a SavedModel that predicts which actions a sequence shows, and when.

    Load it with `load_temporal_localizer(path)` or `tf.saved_model.load(path)`; the latter needs no
    Keras and no keras-has. Nothing is hidden, whatever layers the training model contains. It has
    these signatures:

    - `serving_default(features=..., step_seconds=...)`: float32 (B, T, D) and (B,), the duration
      of a feature in seconds.
    - `padded(features=..., mask=..., step_seconds=...)`, for a model that takes a mask: sequences
      of different lengths, with a bool (B, T), False for padding.

    Both return "probabilities" (B, classes); "cam" (B, T, classes), the temporal class activation
    maps; and the detections of all classes: "segments" (B, n, 2) in seconds and "labels" (B, n),
    padded with -1, and "scores" (B, n), padded with 0.

    Args:
        model: A trained model such as `keras_has.models.TemporalGAP`, masked or not. It may output
            probabilities or logits.
        path: Folder to write; an existing one is replaced once the new one is complete.
        class_names: One name per class; they are stored in `keras_has.json` in the folder.
        threshold: Fraction of the map's maximum above which a step belongs to the action. Defaults
            to the paper's 0.5.
        score: `"mean"` (default) or `"max"` of the map in a detection.
        num_features: Number of features sampled from each video in training, or None for all;
            stored for users of the model.

    Raises:
        ValueError: If the number of names differs from the number of classes, the model lacks the
            layers "cam_features" and "predictions", or `threshold` or `score` is invalid.

    Example:

    >>> model = keras_has.models.TemporalGAP(2, (None, 8), widths=(4,))
    >>> export_temporal_localizer(model, "temporal", ["jump", "run"])
    >>> loaded, metadata = load_temporal_localizer("temporal")
    >>> found = loaded.signatures["serving_default"](
    ...     features=tf.zeros((1, 10, 8)), step_seconds=tf.constant([0.5])
    ... )
    >>> sorted(found)
    ['cam', 'labels', 'probabilities', 'scores', 'segments']

    Reference:
        Singh and Lee, ICCV 2017, section 4: a threshold of half the maximum.
    """
    check_threshold_and_score(threshold, score)
    method = TemporalCAM(model)
    classes = method.kernel.shape[1]
    if len(class_names) != classes:
        raise ValueError(
            f"`class_names` should contain one name for each of the {classes} classes. "
            f"Received: {len(class_names)} names"
        )

    def detect(features: tf.Tensor, mask: tf.Tensor | None, step_seconds: tf.Tensor) -> dict:
        maps, probabilities = method.all_maps({"features": features, "mask": mask})
        return {
            "probabilities": probabilities,
            "cam": maps,
            **detections_in_graph(maps, step_seconds, threshold, mask, None, score),
        }

    specs = {
        "features": tf.TensorSpec((None, None, method.feature_size), tf.float32, name="features"),
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
    if method.takes_mask:
        archive.add_endpoint("padded", detect, input_signature=list(specs.values()))
    metadata = TemporalLocalizerMetadata(
        tuple(map(str, class_names)), float(threshold), score, num_features, method.feature_size
    )
    write_saved_model(archive, metadata, path)


def read_temporal_metadata(path: str | os.PathLike[str]) -> TemporalLocalizerMetadata:
    """Reads the metadata of an exported model for sequences.

    Args:
        path: Folder that `export_temporal_localizer` wrote.

    Raises:
        FileNotFoundError: If there is no such folder, or it has no metadata.
        ValueError: If the model is of another kind, such as one for images.
    """
    metadata = read_metadata_file(
        path, TemporalLocalizerMetadata, "temporal", "export_temporal_localizer"
    )
    return cast(TemporalLocalizerMetadata, metadata)


def load_temporal_localizer(path: str | os.PathLike[str]) -> tuple[Any, TemporalLocalizerMetadata]:
    """Loads an exported model for sequences after checking that it is one.

    Args:
        path: Folder that `export_temporal_localizer` wrote.

    Returns:
        The SavedModel, with the signatures listed in `export_temporal_localizer`, and its metadata.

    Raises:
        FileNotFoundError: If there is no such folder, or it has no metadata.
        ValueError: If the model is damaged, or of another kind, such as one for images.
    """
    metadata = read_temporal_metadata(path)
    return load_saved_model(path, metadata.class_names, ["serving_default"]), metadata
