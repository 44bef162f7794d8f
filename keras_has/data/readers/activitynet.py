"""ActivityNet 1.2 and 1.3: untrimmed videos of 100 and 200 activities."""

import os
from collections.abc import Collection
from pathlib import Path

from keras_has.data.dataset import Dataset
from keras_has.data.readers.temporal_annotations import (
    read_activitynet_json,
    temporal_dataset,
    unread_entries,
    videos_of_json,
)

_SUBSETS = ("training", "validation")


def activitynet(
    annotations: str | os.PathLike[str],
    split: str = "training",
    features_dir: str | os.PathLike[str] | None = None,
    feature_key: str | None = None,
    seconds_per_feature: float | None = None,
    exclude: Collection[str] = (),
    missing_features: str = "raise",
    allow_large_features: bool = False,
) -> Dataset:
    """Reads the index of ActivityNet in its official JSON layout, and finds the features.

    The classes are the sorted labels of the annotations. Videos without an annotation and segments
    that do not end after their start are left out and listed in `problems`.

    Args:
        annotations: `activity_net.v1-2.min.json` or `activity_net.v1-3.min.json`.
        split: `"training"` (default) or `"validation"`. The videos of "testing" have no labels.
        features_dir: See `keras_has.data.thumos14`. Files and datasets are named by the id, with
            or without the usual `v_`.
        feature_key: Name of the array within a .npz or HDF5 file or group, such as
            `"c3d_features"`.
        seconds_per_feature: Time from one feature to the next. Defaults to `None`: the features of
            each video span its duration.
        exclude: Ids of videos to leave out, without `v_`.
        missing_features: `"raise"` (default), or `"skip"` to leave out videos without features:
            many are no longer available.
        allow_large_features: See `keras_has.data.read_features`.

    Returns:
        A `Dataset`, in the order of the file.

    Raises:
        FileNotFoundError: If a file is missing; the message names it.
        ValueError: If a file is invalid; the message names it and the video.

    Example:

    >>> dataset = activitynet("activity_net.v1-3.min.json", "validation")  # doctest: +SKIP

    Reference:
        Caba Heilbron et al., "ActivityNet: A Large-Scale Video Benchmark for Human Activity
        Understanding", CVPR 2015.
    """
    if split not in _SUBSETS:
        raise ValueError(f"`split` should be one of {_SUBSETS}. Received: split={split!r}")
    path = Path(annotations)
    content, class_names = read_activitynet_json(path)
    return temporal_dataset(
        f"activitynet/{split}",
        videos_of_json(content, path, split),
        class_names,
        features_dir,
        feature_key,
        seconds_per_feature,
        exclude,
        missing_features,
        allow_large_features=allow_large_features,
        known_ids=content["database"],
        problems=unread_entries(content, path),
    )
