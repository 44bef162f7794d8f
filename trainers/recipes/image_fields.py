"""Fields of recipes that train on images."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from trainers.recipes.fields import field
from trainers.recipes.hiding_fields import HidingFields

# What replaces the fields of a recipe for another pretrained network, unless it is given: the
# size of the images of the weights where it is not 224, and no weights where there are none.
_DEFAULTS_OF_MODELS: Mapping[str, Mapping[str, Any]] = {
    "small_gap": {"weights": "", "map_stride": 8},
    "alexnet_gap": {"weights": ""},
    "googlenet_gap": {"weights": ""},
    "EfficientNetB1": {"image_size": 240},
    "EfficientNetB2": {"image_size": 260},
    "EfficientNetB3": {"image_size": 300},
    "EfficientNetB4": {"image_size": 380},
    "EfficientNetB5": {"image_size": 456},
    "EfficientNetB6": {"image_size": 528},
    "EfficientNetB7": {"image_size": 600},
    "EfficientNetV2B1": {"image_size": 240},
    "EfficientNetV2B2": {"image_size": 260},
    "EfficientNetV2B3": {"image_size": 300},
    "EfficientNetV2S": {"image_size": 384},
    "EfficientNetV2M": {"image_size": 480},
    "EfficientNetV2L": {"image_size": 480},
    "InceptionResNetV2": {"image_size": 299},
    "InceptionV3": {"image_size": 299},
    "NASNetLarge": {"image_size": 331},
    "Xception": {"image_size": 299},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFields(HidingFields):
    """Adds a network for images, its input and the hiding of patches to a recipe."""

    fill_value: tuple[float, ...] = field(
        (0.0,),
        help="Value of hidden pixels after normalization: one number, or one per channel; () for "
        "the mean color, also if a network of `keras.applications` has its own scale.",
    )
    model: str = field(
        "small_gap",
        help='"small_gap", "alexnet_gap", "googlenet_gap", "efficientnet_lite0", "khorrami_cnn", '
        '"levi_hassner_cnn", or the name of a '
        "network of `keras.applications`.",
    )
    weights: str = field(
        "",
        help='Initial weights: "" or "random" for none, "imagenet", or a path. For networks of '
        '`keras.applications`; for "efficientnet_lite0" a path or "random".',
    )
    pooling: str = field("avg", help='"avg" or "max".')
    map_stride: int = field(
        4,
        help='Pixels of the input per cell of the map: 4 or 8 for "small_gap"; 4, 8 or 16 for '
        '"googlenet_gap"; for pretrained networks 16 sets the stride of the last stage to 1, and '
        '32 keeps it. "alexnet_gap" has a fixed stride.',
    )
    widths: tuple[int, ...] = field(
        (),
        help='Number of kernels in each convolution of "small_gap", or of the three of '
        '"khorrami_cnn"; () for its default. Fewer '
        "convolutions have a smaller receptive field, which makes the map sharper.",
    )
    width_multiplier: float = field(1.0, help='Fraction of the kernels of "googlenet_gap" to keep.')
    image_size: int = field(64, help="Side in pixels of the square network input.")
    resize_size: int = field(
        64,
        help="Short side in pixels before the random crop of `image_size`; with ten crops, the "
        "side of the square from which they are taken.",
    )
    horizontal_flip: bool = field(True, help="Whether to flip training images at random.")
    mean: tuple[float, ...] = field(
        (),
        help="Mean of each channel, for pixels in [0, 255]; () for the mean of the training "
        "images, or for the scaling that a network of `keras.applications` was trained with.",
    )
    std: tuple[float, ...] = field((), help="Standard deviation of each channel; see `mean`.")
    patch_size: tuple[float, ...] = field(
        (0,),
        help="Sides of the hidden patches in pixels or, between 0 and 1, as fractions of the "
        "image's side; one is drawn for each image; 0 hides nothing.",
    )
    hide_probabilities: tuple[float, ...] = field(
        (),
        help="Probabilities that a patch is hidden, from which each image draws one; () for "
        "`hide_probability`.",
    )
    conv1_patch_size: tuple[int, ...] = field(
        (0,),
        help="Sides of the patches hidden in the feature map of the first convolution, in cells of "
        "that map; (0,) hides nothing there.",
    )
    input_dropout: float = field(
        0.0,
        help="Fraction of the values of the normalized image that are dropped during training, "
        "each independently.",
    )
    input_dropout_at_test: bool = field(
        False, help="Whether to drop them at test time, too.", role="evaluation"
    )
    class_balanced: bool = field(False, help="Whether to draw classes uniformly, with replacement.")
    batch_norm_momentum: float = field(
        0.99, help='Momentum of the moving statistics of "efficientnet_lite0".'
    )
    batch_norm_refresh: int = field(
        0,
        help="Number of batches of unhidden training images on which the statistics of batch "
        "normalization are re-estimated before the final evaluation; 0 keeps them.",
        role="evaluation",
    )
    tuning_share: float = field(
        0.0,
        help="Fraction of each class's training images to hold out and evaluate on instead of the "
        "validation images, so that settings can be chosen without looking at those; 0 for the "
        "official split.",
    )

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the network input in pixels."""
        return self.image_size, self.image_size

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choice("pooling", ("avg", "max"))
        self._check_range("image_size", 1)
        self._check_range("batch_norm_refresh", 0)
        for name in ("input_dropout", "tuning_share", "batch_norm_momentum"):
            self._check_range(name, 0, 0.999)
        if self.map_stride not in (4, 8, 16, 32):
            raise ValueError(
                f"`map_stride` should be 4, 8, 16 or 32. Received: map_stride={self.map_stride}"
            )
        if not 0 < self.width_multiplier <= 1:
            raise ValueError(
                "`width_multiplier` should be in (0, 1]. "
                f"Received: width_multiplier={self.width_multiplier}"
            )
        if self.resize_size < self.image_size:
            raise ValueError(
                "`resize_size` should be at least `image_size`. Received: "
                f"resize_size={self.resize_size}, image_size={self.image_size}"
            )
        for name in ("patch_size", "conv1_patch_size"):
            sizes = getattr(self, name)
            may_be_fraction = name == "patch_size"
            are_valid = [
                (isinstance(size, int) and size >= 0) or (may_be_fraction and 0 < size < 1)
                for size in sizes
            ]
            if not sizes or not all(are_valid):
                or_fractions = " or fractions of the image's side" if may_be_fraction else ""
                raise ValueError(
                    f"`{name}` should be one or more sides of at least 0 (0 hides nothing)"
                    f"{or_fractions}. Received: {name}={sizes}"
                )
        if not all(0 <= value <= 1 for value in self.hide_probabilities):
            raise ValueError(
                "`hide_probabilities` should be from 0 to 1. "
                f"Received: hide_probabilities={self.hide_probabilities}"
            )
        if any(width < 2 for width in self.widths):
            raise ValueError(
                f"`widths` should be numbers of at least 2. Received: widths={self.widths}"
            )
        if bool(self.mean) != bool(self.std):
            raise ValueError(
                "`mean` and `std` should be given together, or neither. "
                f"Received: mean={self.mean}, std={self.std}"
            )
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (0, 3):
                raise ValueError(
                    f"`{name}` should be three numbers: red, green and blue. "
                    f"Received: {name}={getattr(self, name)}"
                )
        if any(not value > 0 for value in self.std):
            raise ValueError(f"`std` should be above 0. Received: std={self.std}")
        if len(self.fill_value) not in (0, 1, 3):
            raise ValueError(
                "`fill_value` should be one number or three, or () for the mean color. "
                f"Received: fill_value={self.fill_value}"
            )

    @property
    def patch_probability(self) -> float | tuple[float, ...]:
        """The probability that a patch is hidden, or those from which each image draws one."""
        return self.hide_probabilities or self.hide_probability

    def override(self, **fields: Any) -> Self:
        """Returns a copy with some fields replaced; the crop keeps its fraction of the image.

        Raises:
            ValueError: If a value is out of range, or would have no effect.
        """
        if self.weights and fields.get("model", self.model) != self.model:
            # The defaults of a pretrained network are those of its own weights.
            for name, value in _DEFAULTS_OF_MODELS.get(fields["model"], {}).items():
                fields.setdefault(name, value)
            if self.model in self.description:
                fields["description"] = self.description.replace(self.model, fields["model"])
        if "image_size" in fields and "resize_size" not in fields:
            fraction = self.resize_size / self.image_size
            fields["resize_size"] = round(fields["image_size"] * fraction)
        recipe = super().override(**fields)
        is_hiding = any((*recipe.patch_size, *recipe.conv1_patch_size))
        model = f"model={recipe.model!r}"
        self._refuse_unused(
            fields,
            ("hide_probability", is_hiding, "a recipe that hides nothing"),
            ("hide_probability", not recipe.hide_probabilities, "hide_probabilities"),
            ("hide_probabilities", is_hiding, "a recipe that hides nothing"),
            ("width_multiplier", recipe.model == "googlenet_gap", model),
            ("batch_norm_momentum", recipe.model == "efficientnet_lite0", model),
            ("input_dropout_at_test", recipe.input_dropout > 0, "input_dropout=0"),
        )
        return recipe
