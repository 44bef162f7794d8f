"""CIFAR-10: classification with and without hiding, from scratch."""

import dataclasses
from typing import ClassVar

from trainers.recipes.fields import field
from trainers.recipes.image_fields import ImageFields


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationRecipe(ImageFields):
    """A recipe whose network is evaluated by its accuracy alone."""

    padding: int = field(0, help="Black pixels added on each side before the random crop.")
    depth: int = field(8, help='Depth of "cifar_resnet": 8, 14, 20 and so on, in steps of 6.')
    block: str = field("basic", help='Blocks of "cifar_resnet": "basic" or "bottleneck".')

    TASK: ClassVar[str] = "classification"
    DATASETS: ClassVar[tuple[str, ...]] = ("cifar10",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choice("block", ("basic", "bottleneck"))
        self._check_range("padding", 0, 32)
        for name in ("image_size", "resize_size"):
            self._check_range(name, 32, 32)  # crops have the size of the evaluated images
        if self.depth < 8 or (self.depth - 2) % 6:
            raise ValueError(f"`depth` should be 8, 14, 20 and so on. Received: depth={self.depth}")


_FULL = ClassificationRecipe(
    name="cifar10_small_full",
    description="CIFAR-10, a residual network of 8 layers, nothing hidden.",
    dataset="cifar10",
    model="cifar_resnet",
    image_size=32,
    resize_size=32,
    padding=4,
    epochs=15,
    batch_size=128,
    learning_rate=0.1,
    choices=("All of it: the paper's CIFAR networks and schedules take hours on a GPU.",),
)
_HAS = dataclasses.replace(
    _FULL,
    name="cifar10_small_has",
    description="CIFAR-10, a residual network of 8 layers, patches of 0, 4 or 8 px hidden.",
    patch_size=(0, 4, 8),
    choices=(*_FULL.choices, "No source gives the patch sizes for CIFAR; these were not tuned."),
)
RECIPES = (_FULL, _HAS)
DEFAULT_RECIPES = {"cifar10": "cifar10_small_has"}
