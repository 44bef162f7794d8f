"""Recipes of the segmentation task."""

import dataclasses
from typing import Any, ClassVar, Self

from trainers.recipes.fields import field
from trainers.recipes.image_fields import ImageFields


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentationRecipe(ImageFields):
    """A recipe of a fully convolutional network that labels every pixel."""

    dataset: str = field(
        help='"pascal_voc" (21 classes), "camvid" (11 classes), or "voc_folder", your own data in '
        "the layout of PASCAL VOC with the names of the classes in classes.txt."
    )
    output_stride: int = field(
        32, help="32, 16 or 8: FCN-32s scores the last map, FCN-16s and FCN-8s finer maps, too."
    )
    hidden_pixels: str = field(
        "keep",
        help='Whether hidden pixels "keep" their labels, so that the network has to infer them, or '
        'their labels are "ignore"d.',
    )
    train_list: str = field(
        "train", help="The list in ImageSets/Segmentation of the images to train on."
    )
    val_list: str = field(
        "val", help="The list in ImageSets/Segmentation of the images to evaluate on."
    )
    mask_folder: str = field("SegmentationClass", help="The folder of the masks.")
    conv1_padding: int = field(0, help='Zeros around the image in "alexnet", in pixels.')

    TASK: ClassVar[str] = "segmentation"
    DATASETS: ClassVar[tuple[str, ...]] = ("pascal_voc", "camvid", "voc_folder")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choice("hidden_pixels", ("keep", "ignore"))
        self._check_range("conv1_padding", 0)
        if self.output_stride not in (32, 16, 8):
            raise ValueError(
                "`output_stride` should be 32, 16 or 8. "
                f"Received: output_stride={self.output_stride}"
            )
        if self.resize_size != self.image_size:
            raise ValueError(
                "`resize_size` should be `image_size`: images are cropped at their own scale. "
                f"Received: image_size={self.image_size}, resize_size={self.resize_size}"
            )

    def override(self, **fields: Any) -> Self:
        """Returns a copy with some fields replaced.

        Raises:
            ValueError: If a value is out of range, or would have no effect.
        """
        recipe = super().override(**fields)
        self._refuse_unused(
            fields,
            ("pooling", False, "segmentation"),
            ("class_balanced", False, "segmentation"),
            ("tuning_share", False, "segmentation: give --train_list and --val_list"),
            ("hidden_pixels", any(recipe.patch_size), "a recipe that hides no patches"),
            ("conv1_padding", recipe.model == "alexnet", f"model={recipe.model!r}"),
        )
        return recipe
