"""Recipes of person re-identification."""

import dataclasses
from typing import Any, ClassVar, Self

from trainers.recipes.fields import field
from trainers.recipes.image_fields import ImageFields


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReidentificationRecipe(ImageFields):
    """A recipe of a network that compares people by an embedding."""

    dataset: str = field(help='"market1501" or "dukemtmc_reid".')
    image_size: int = field(256, help="Height in pixels of the network input.")
    image_width: int = field(
        128, help="Width in pixels of the network input; by default it follows `image_size`."
    )
    resize_size: int = field(256, help="The same as `image_size`.", is_flag=False)
    min_crop_area: float = field(
        0.64,
        help="Smallest area of a random crop as a fraction of the image; it is 2 to 3 times as "
        "high as wide, and is resized to the network input. 1 for the whole image.",
    )
    augmentation: str = field(
        "",
        help='What is erased besides hidden patches: "" or "random_erasing".',
    )
    embedding_size: int = field(1024, help="Units of the dense layer before the softmax.")
    dropout_rate: float = field(0.5, help="Share of its outputs that are dropped in training.")
    new_layers_rate: float = field(
        10.0,
        help="Factor of the learning rate for the layers behind the pooled features, which are "
        "not pretrained.",
    )
    rerank: bool = field(
        False,
        help="Whether to evaluate with k-reciprocal re-ranking, too, at the end.",
        role="evaluation",
    )

    TASK: ClassVar[str] = "reidentification"
    DATASETS: ClassVar[tuple[str, ...]] = ("market1501", "dukemtmc_reid")

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the network input in pixels."""
        return self.image_size, self.image_width

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choice("augmentation", ("", "random_erasing"))
        self._check_range("image_width", 1)
        self._check_range("embedding_size", 1)
        self._check_range("dropout_rate", 0, 0.999)
        self._check_range("min_crop_area", 0.01, 1)
        self._check_range("new_layers_rate", 0)
        self._check_range("tuning_share", 0, 0)  # its images would show known identities
        if self.resize_size != self.image_size:
            raise ValueError(
                "`resize_size` should be `image_size`. "
                f"Received: image_size={self.image_size}, resize_size={self.resize_size}"
            )

    def override(self, **fields: Any) -> Self:
        """Returns a copy with some fields replaced; the width follows the height.

        Raises:
            ValueError: If a value is out of range, or would have no effect.
        """
        if "image_size" in fields:
            ratio = self.image_width / self.image_size
            fields.setdefault("image_width", round(fields["image_size"] * ratio))
        return super().override(**fields)
