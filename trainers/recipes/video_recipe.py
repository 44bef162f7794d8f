"""Recipes for temporal localization in videos."""

import dataclasses
from typing import Any, ClassVar, Self

from trainers.recipes.fields import field
from trainers.recipes.hiding_fields import HidingFields
from trainers.recipes.map_fields import MapFields

PROTOCOLS = ("thumos14", "thumos14_11point", "activitynet", "wtalc")


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoRecipe(HidingFields, MapFields):
    """One experiment on sequences of features. Every field is a flag of `trainers.thumos`."""

    dataset: str = field(
        help='"phases" (generated), "feature_folder" (your own videos), "thumos14", "activitynet" '
        'or "watch_untrimmed".'
    )
    split: str = field("", help='Split to train on; "" for the default of the dataset.')
    val_split: str = field(
        "", help='Split to evaluate on; "" for the default of the dataset.', role="evaluation"
    )
    all_videos: bool = field(
        False,
        help='For "thumos14": whether to train on all labeled videos; otherwise only on the videos '
        "with segments, which are the ones that are evaluated.",
    )
    seconds_per_feature: float = field(
        0.0,
        help="Time between features in seconds; 0 for the value in features.json next to them, or, "
        "without that file, the duration divided by their number.",
    )
    feature_key: str = field(
        "", help="Name of the array in a .npz or HDF5 file of features that holds several."
    )
    missing_features: str = field(
        "raise",
        help='What to do about videos whose features are missing or cannot be read: "raise" or '
        '"skip".',
    )
    allow_large_features: bool = field(
        False,
        help="Whether to read feature files that expand to more than 1 GiB and more than 100 times "
        "their size.",
    )
    num_features: int = field(
        0, help="Features sampled uniformly from each video; 0 for all, padded in batches."
    )
    widths: tuple[int, ...] = field((500, 500), help="Number of kernels in each convolution.")
    pooling: str = field("max", help='"max" or "avg", over time.')
    activation: str = field("softmax", help='"softmax" or "sigmoid".')
    dropout_rate: float = field(
        0.0, help="Fraction of the pooled features dropped during training."
    )
    num_segments: int = field(
        0, help="Number of equal segments that a video is divided into; 0 hides nothing."
    )
    segment_length: int = field(
        0, help="Features per segment, instead of `num_segments`; 0 to use those."
    )
    optimizer: str = field("sgd", help='"sgd" or "adam".')
    known_classes: bool = field(
        True,
        help="Whether to detect only the classes that are in a video's labels.",
        role="evaluation",
    )
    detection_score: str = field(
        "mean", help='Score of a detection: "mean" or "max" of its map.', role="evaluation"
    )
    protocol: str = field(
        "thumos14",
        help='How detections are matched and averaged: "thumos14", "thumos14_11point", '
        '"activitynet" or "wtalc".',
        role="evaluation",
    )
    iou_thresholds: tuple[float, ...] = field(
        (0.1, 0.2, 0.3, 0.4, 0.5),
        help="Temporal intersections over union at which mAP is measured.",
        role="evaluation",
    )

    TASK: ClassVar[str] = "temporal_localization"
    DATASETS: ClassVar[tuple[str, ...]] = (
        "phases",
        "feature_folder",
        "thumos14",
        "activitynet",
        "watch_untrimmed",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choice("missing_features", ("raise", "skip"))
        self._check_choice("pooling", ("avg", "max"))
        self._check_choice("activation", ("softmax", "sigmoid"))
        self._check_choice("optimizer", ("sgd", "adam"))
        self._check_choice("detection_score", ("mean", "max"))
        self._check_choice("protocol", PROTOCOLS)
        for name in ("num_features", "num_segments", "segment_length", "seconds_per_feature"):
            self._check_range(name, 0)
        self._check_range("dropout_rate", 0, 0.99)
        if self.num_segments and self.segment_length:
            raise ValueError(
                "`num_segments` and `segment_length` should not be given together. Received: "
                f"num_segments={self.num_segments}, segment_length={self.segment_length}"
            )
        if not self.widths or min(self.widths) < 1:
            raise ValueError(
                f"`widths` should be numbers of at least 1. Received: widths={self.widths}"
            )
        thresholds = self.iou_thresholds
        if (
            not thresholds
            or list(thresholds) != sorted(set(thresholds))
            or (not 0 <= thresholds[0] <= thresholds[-1] < 1)
        ):
            raise ValueError(
                "`iou_thresholds` should be increasing numbers in [0, 1). "
                f"Received: iou_thresholds={thresholds}"
            )
        if self.all_videos and self.dataset != "thumos14":
            raise ValueError(
                f'`all_videos` requires dataset="thumos14". Received: dataset={self.dataset!r}'
            )
        if self.optimizer == "adam" and self.schedule == "regimes":
            raise ValueError("`regimes` requires `optimizer=\"sgd\"`. Received: optimizer='adam'")

    def override(self, **fields: Any) -> Self:
        """Returns a copy with some fields replaced.

        Raises:
            ValueError: If a value is out of range, or would have no effect.
        """
        if fields.get("dataset", self.dataset) != "thumos14":
            fields.setdefault("all_videos", False)
        recipe = super().override(**fields)
        is_hiding = recipe.num_segments > 0 or recipe.segment_length > 0
        is_sgd = recipe.optimizer == "sgd"
        self._refuse_unused(
            fields,
            ("hide_probability", is_hiding, "a recipe that hides nothing"),
            ("momentum", is_sgd, 'optimizer="adam"'),
            ("nesterov", is_sgd, 'optimizer="adam"'),
        )
        return recipe
