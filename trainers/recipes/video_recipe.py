"""What a recipe for videos consists of."""

import dataclasses
from typing import Any, ClassVar, Self

from trainers.recipes.recipe import Recipe

PROTOCOLS = ("thumos14", "thumos14_11point", "activitynet", "wtalc")


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoRecipe(Recipe):
    """One experiment on sequences of features. Each field is a flag of `trainers.thumos`.

    Args:
        name: What `--recipe` asks for.
        description: One line that says what it is.
        dataset: "phases" (generated), "watch_untrimmed" or one's own data in that layout,
            "thumos14" or "activitynet".
        split: What to train on; "" for the data set's own.
        val_split: What to evaluate on; "" for the data set's own.
        all_videos: For "thumos14": whether to train on all videos that have labels; else on those
            with segments alone, which are what is evaluated on.
        seconds_per_feature: Time from one feature to the next; 0 for what features.json beside them
            says, or, without one, the duration divided by their number.
        num_features: Features sampled uniformly from each video; 0 for all, padded in batches.
        widths: Kernels of each convolution.
        pooling: "max" or "avg", over time.
        activation: "softmax" or "sigmoid".
        dropout_rate: Share of the pooled features dropped while training.
        num_segments: Segments of equal length that a video is divided into; 0 hides nothing.
        segment_length: Features a segment, in place of `num_segments`; 0 for those.
        optimizer: "sgd" or "adam".
        known_classes: Whether only the classes that a video shows are detected in it.
        detection_score: What ranks detections: "mean" or "max" of the map in the run.
        protocol: How detections are matched and averaged: "thumos14", "thumos14_11point",
            "activitynet" or "wtalc".
        iou_thresholds: Temporal intersections over union.
    """

    split: str = ""
    val_split: str = ""
    all_videos: bool = False
    seconds_per_feature: float = 0.0
    num_features: int = 0
    widths: tuple[int, ...] = (500, 500)
    pooling: str = "max"
    activation: str = "softmax"
    dropout_rate: float = 0.0
    num_segments: int = 0
    segment_length: int = 0
    optimizer: str = "sgd"
    known_classes: bool = True
    detection_score: str = "mean"
    protocol: str = "thumos14"
    iou_thresholds: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)

    JUDGING: ClassVar[tuple[str, ...]] = (
        "cam_threshold",
        "known_classes",
        "detection_score",
        "protocol",
        "iou_thresholds",
        "val_split",
    )
    DATASETS: ClassVar[tuple[str, ...]] = ("phases", "watch_untrimmed", "thumos14", "activitynet")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choice("pooling", ("avg", "max"))
        self._check_choice("activation", ("softmax", "sigmoid"))
        self._check_choice("optimizer", ("sgd", "adam"))
        self._check_choice("detection_score", ("mean", "max"))
        self._check_choice("protocol", PROTOCOLS)
        for field in ("num_features", "num_segments", "segment_length", "seconds_per_feature"):
            self._check_range(field, 0)
        self._check_range("dropout_rate", 0, 0.99)
        if self.num_segments and self.segment_length:
            raise ValueError(
                "`num_segments` and `segment_length` exclude each other. Received: "
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
                f'`all_videos` is for dataset="thumos14". Received: dataset={self.dataset!r}'
            )
        if self.optimizer == "adam" and self.schedule == "regimes":
            raise ValueError('`regimes` are for `optimizer="sgd"`.')

    def override(self, **fields: Any) -> Self:
        """Returns a recipe with some fields replaced; what would be ignored is refused.

        Raises:
            ValueError: If a value is outside its range, or would be ignored.
        """
        if fields.get("dataset", self.dataset) != "thumos14":
            fields.setdefault("all_videos", False)
        recipe = super().override(**fields)
        is_hiding = recipe.num_segments > 0 or recipe.segment_length > 0
        for field, is_used, of_what in (
            ("hide_probability", is_hiding, "a recipe that hides nothing"),
            ("momentum", recipe.optimizer == "sgd", 'optimizer="adam"'),
            ("nesterov", recipe.optimizer == "sgd", 'optimizer="adam"'),
        ):
            if fields.get(field) is not None and not is_used:
                raise ValueError(
                    f"`{field}` has no effect with {of_what}. Received: {field}={fields[field]}"
                )
        return recipe
