"""The constructors of datasets of version 0.1, which were two classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.records.record_files import RecordFiles
from keras_has.data.sources import (
    ArrayImages,
    FeatureArrays,
    FeatureFiles,
    FileImages,
    RecordImages,
)
from keras_has.deprecation import warn_renamed


def ImageDataset(  # noqa: N802 (it was a class)
    name: str,
    class_names: Sequence[str],
    image_ids: Any,
    labels: Any,
    boxes: Any,
    image_paths: Any = None,
    images: Any = None,
    image_sizes: Any = None,
    records: RecordFiles | None = None,
    class_ids: Sequence[str] | None = None,
    mask_paths: Any = None,
    ignore_paths: Any = None,
) -> Dataset:
    """Returns a `Dataset` of images with one label each; deprecated in favour of `Dataset`.

    Args:
        name: See `Dataset`.
        class_names: See `Dataset`.
        image_ids: N strings.
        labels: The column `label`.
        boxes: The column `boxes`.
        image_paths: N paths. Exactly one of `image_paths`, `images` and `records` is given.
        images: uint8 array of shape `(N, height, width, 3)`.
        image_sizes: The column `image_size`, or `None` (default) if sizes are unknown.
        records: Where N encoded images lie in TFRecord files.
        class_ids: See `Dataset`.
        mask_paths: The column `mask_paths`, or `None` (default).
        ignore_paths: The column `ignore_path`; given together with `mask_paths`.

    Raises:
        ValueError: As `Dataset`, or if the arguments exclude each other.
    """
    warn_renamed("keras_has.data.ImageDataset", "keras_has.data.Dataset")
    sources = {
        kind: (make, value)
        for kind, make, value in (
            ("image_paths", FileImages, image_paths),
            ("images", ArrayImages, images),
            ("records", RecordImages, records),
        )
        if value is not None
    }
    if len(sources) != 1:
        raise ValueError(
            "Exactly one of `image_paths`, `images` and `records` should be given. "
            f"Received {' and '.join(sources) or 'none'} for {name!r}."
        )
    if (mask_paths is None) != (ignore_paths is None):
        raise ValueError(
            "`mask_paths` and `ignore_paths` should be given together. "
            f"Received only one of them for {name!r}."
        )
    columns = {
        "label": labels,
        "boxes": boxes,
        "image_size": image_sizes,
        "mask_paths": mask_paths,
        "ignore_path": ignore_paths,
    }
    make, value = next(iter(sources.values()))
    return Dataset(
        name=name,
        ids=image_ids,
        columns={name: values for name, values in columns.items() if values is not None},
        source=make(value),
        class_names=tuple(class_names),
        class_ids=None if class_ids is None else tuple(class_ids),
    )


def TemporalDataset(  # noqa: N802 (it was a class)
    name: str,
    class_names: Sequence[str],
    video_ids: Any,
    durations: Any,
    labels: Any,
    segments: Any,
    segment_labels: Any,
    ambiguous: Any = None,
    features: Any = None,
    feature_paths: Any = None,
    feature_keys: Any = None,
    seconds_per_feature: float | None = None,
    problems: Sequence[str] = (),
) -> Dataset:
    """Returns a `Dataset` of untrimmed videos or signals; deprecated in favour of `Dataset`.

    Args:
        name: See `Dataset`.
        class_names: See `Dataset`.
        video_ids: N different strings.
        durations: The column `duration`.
        labels: The column `labels`.
        segments: The column `segments`.
        segment_labels: The column `segment_labels`.
        ambiguous: The column `ambiguous`; `None` (default) for no such intervals.
        features: N arrays (T, D), or `None` (default).
        feature_paths: N paths of feature files, or `None` (default).
        feature_keys: N names of arrays within these files, or `None` (default).
        seconds_per_feature: See `Dataset`.
        problems: See `Dataset`.

    Raises:
        ValueError: As `Dataset`, or if both `features` and `feature_paths` are given.
    """
    warn_renamed("keras_has.data.TemporalDataset", "keras_has.data.Dataset")
    if features is not None and feature_paths is not None:
        raise ValueError(
            f"Only one of `features` and `feature_paths` should be given for {name!r}."
        )
    source: Any = None
    if features is not None:
        source = FeatureArrays(features)
    elif feature_paths is not None:
        source = FeatureFiles(feature_paths, feature_keys)
    return Dataset(
        name=name,
        ids=np.array([str(video_id) for video_id in video_ids], np.str_),
        columns={
            "duration": durations,
            "labels": labels,
            "segments": segments,
            "segment_labels": segment_labels,
            "ambiguous": ((),) * len(video_ids) if ambiguous is None else ambiguous,
        },
        source=source,
        class_names=tuple(class_names),
        seconds_per_feature=seconds_per_feature,
        problems=tuple(problems),
    )
