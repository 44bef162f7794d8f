"""Recipes for localization in images."""

import dataclasses
from typing import ClassVar

from trainers.recipes.fields import field
from trainers.recipes.image_fields import ImageFields
from trainers.recipes.map_fields import MapFields

MAPS = ("cam", "backprop", "grad_cam")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageRecipe(ImageFields, MapFields):
    """One localization experiment on images. Every field is a flag of `trainers.imagenet`."""

    dataset: str = field(help='"parts", "tiny_imagenet", "cub", "pets", "imagenet" or "folder".')
    nested: bool = field(
        False,
        help="Whether images in subfolders of a class folder belong to the class, with "
        "--dataset=folder. Without, they are not read, and listed.",
    )
    cam: str = field(
        "cam",
        help='The kind of map: "cam", "backprop" (gradient saliency) or "grad_cam".',
        role="evaluation",
    )
    crops: int = field(
        1,
        help="Views per image in the final evaluation: 1, or 10 (four corners, center, and their "
        "mirror images).",
        role="evaluation",
    )

    TASK: ClassVar[str] = "image_localization"
    DATASETS: ClassVar[tuple[str, ...]] = (
        *("parts", "tiny_imagenet", "cub", "pets", "imagenet", "folder"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choice("cam", MAPS)
        if self.crops not in (1, 10):
            raise ValueError(f"`crops` should be 1 or 10. Received: crops={self.crops}")
        if self.crops == 10 and self.resize_size == self.image_size:
            raise ValueError(
                "`crops=10` takes its crops from a square of `resize_size`, which should be larger "
                f"than `image_size`. Received: both {self.image_size}"
            )
