"""Recipes of the classification task."""

import dataclasses
from typing import Any, ClassVar, Self

from trainers.recipes.fields import field
from trainers.recipes.image_fields import ImageFields

AUGMENTATIONS = ("", "random_erasing", "cutout", "cutmix")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationRecipe(ImageFields):
    """A recipe whose network is evaluated by its accuracy alone."""

    padding: int = field(0, help="Black pixels added on each side before the random crop.")
    min_crop_area: float = field(
        0.0,
        help="Smallest area of a random crop as a fraction of the image, with an aspect ratio from "
        "3/4 to 4/3, which is resized to `image_size`; 0 for crops of fixed scale.",
    )
    augmentation: str = field(
        "",
        help='What is done to training images besides crops, flips and hiding: "", '
        '"random_erasing", "cutout" or "cutmix".',
    )
    depth: int = field(8, help='Depth of "cifar_resnet": 8, 14, 20 and so on, in steps of 6.')
    block: str = field("basic", help='Blocks of "cifar_resnet": "basic" or "bottleneck".')

    TASK: ClassVar[str] = "classification"
    DATASETS: ClassVar[tuple[str, ...]] = ("cifar10", "cifar100", "imagenet")
    AUGMENTATIONS: ClassVar[tuple[str, ...]] = AUGMENTATIONS

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choice("block", ("basic", "bottleneck"))
        self._check_choice("augmentation", self.AUGMENTATIONS)
        self._check_range("padding", 0, 32)
        self._check_range("min_crop_area", 0, 1)
        if self.dataset.startswith("cifar"):
            for name in ("image_size", "resize_size"):
                self._check_range(name, 32, 32)  # crops have the size of the evaluated images
        if self.depth < 8 or (self.depth - 2) % 6:
            raise ValueError(f"`depth` should be 8, 14, 20 and so on. Received: depth={self.depth}")

    def override(self, **fields: Any) -> Self:
        """Returns a copy with some fields replaced.

        Raises:
            ValueError: If a value is out of range, or would have no effect.
        """
        recipe = super().override(**fields)
        is_cifar_resnet, model = recipe.model == "cifar_resnet", f"model={recipe.model!r}"
        is_resized = recipe.min_crop_area > 0 or recipe.resize_size > recipe.image_size
        self._refuse_unused(
            fields,
            ("depth", is_cifar_resnet, model),
            ("block", is_cifar_resnet, model),
            ("map_stride", not is_cifar_resnet, model),
            ("widths", recipe.model in ("small_gap", "khorrami_cnn"), model),
            ("padding", not is_resized, "crops that are resized, or smaller than the image"),
        )
        return recipe
