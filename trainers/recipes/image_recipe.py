"""What a recipe for images consists of."""

import dataclasses
from typing import Any, ClassVar, Self

from trainers.recipes.recipe import Recipe

MAPS = ("cam", "backprop", "grad_cam")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageRecipe(Recipe):
    """One experiment on images. Each field is also a flag of `python -m trainers.imagenet`.

    Args:
        name: What `--recipe` asks for.
        description: One line that says what it is.
        dataset: "parts", "tiny_imagenet", "cub", "imagenet" or "folder".
        model: "small_gap", "alexnet_gap", "googlenet_gap", "efficientnet_lite0", or the name of a
            network of `keras.applications`.
        weights: Weights to start from: "" or "random" for none, "imagenet", or a path. For networks
            of `keras.applications`, and for "efficientnet_lite0" a path or "random".
        pooling: "avg" or "max".
        map_stride: Pixels of the input a place of the map: 4 or 8 for "small_gap"; 4, 8 or 16 for
            "googlenet_gap"; for pretrained networks 16 keeps the last stage's stride at 1 and 32
            leaves it. "alexnet_gap" has its own.
        widths: Kernels of each convolution of "small_gap"; () for its default. Fewer convolutions
            see less around a place, so that the map is sharper.
        width_multiplier: Share of the kernels of "googlenet_gap" that is kept.
        image_size: Side in pixels of the square that the network sees.
        resize_size: Short side in pixels before the random crop of `image_size`; with ten crops,
            the side of the square that they are taken from.
        fill_value: What hidden pixels become, after normalisation: one number or one a channel; ()
            for the mean colour, also where a network of `keras.applications` has its own scale.
        horizontal_flip: Whether training images are flipped at random.
        mean: Mean of each channel, pixels in [0, 255]; () for that of the training images, or what
            a network of `keras.applications` was made with.
        std: Standard deviation likewise.
        patch_size: Sides of the hidden patches in pixels; each image draws one; 0 hides nothing.
        conv1_patch_size: Sides of the patches hidden on the map of the first convolution, in
            places of that map; (0,) hides nothing there.
        input_dropout: Share of the values of the normalised image that are dropped while training,
            each by itself.
        input_dropout_at_test: Whether they are dropped at test time, too.
        class_balanced: Whether classes are drawn uniformly, with replacement.
        batch_norm_momentum: Momentum of the moving statistics of "efficientnet_lite0".
        batch_norm_refresh: Batches of training images, nothing hidden, on which the statistics of
            batch normalization are estimated anew before the final evaluation; 0 leaves them.
        tuning_share: Share of each class's training images that is set aside and evaluated on, in
            place of the validation images, so that settings can be chosen without looking at those;
            0 for the official split.
        cam: How a map is made: "cam", "backprop" (gradient saliency) or "grad_cam".
        crops: Views at the final evaluation: 1, or 10 (four corners, centre, and their mirrors).
    """

    model: str = "small_gap"
    weights: str = ""
    pooling: str = "avg"
    map_stride: int = 4
    widths: tuple[int, ...] = ()
    width_multiplier: float = 1.0
    image_size: int = 64
    resize_size: int = 64
    horizontal_flip: bool = True
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    patch_size: tuple[int, ...] = (0,)
    conv1_patch_size: tuple[int, ...] = (0,)
    input_dropout: float = 0.0
    input_dropout_at_test: bool = False
    class_balanced: bool = False
    batch_norm_momentum: float = 0.99
    batch_norm_refresh: int = 0
    tuning_share: float = 0.0
    cam: str = "cam"
    crops: int = 1

    JUDGING: ClassVar[tuple[str, ...]] = (
        "cam_threshold",
        "cam",
        "crops",
        "input_dropout_at_test",
        "batch_norm_refresh",
    )
    DATASETS: ClassVar[tuple[str, ...]] = ("parts", "tiny_imagenet", "cub", "imagenet", "folder")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choice("pooling", ("avg", "max"))
        self._check_choice("cam", MAPS)
        self._check_range("image_size", 1)
        self._check_range("batch_norm_refresh", 0)
        for field in ("input_dropout", "tuning_share", "batch_norm_momentum"):
            self._check_range(field, 0, 0.999)
        if self.map_stride not in (4, 8, 16, 32):
            raise ValueError(
                f"`map_stride` should be 4, 8, 16 or 32. Received: map_stride={self.map_stride}"
            )
        if not 0 < self.width_multiplier <= 1:
            raise ValueError(
                "`width_multiplier` should be in (0, 1]. "
                f"Received: width_multiplier={self.width_multiplier}"
            )
        if self.crops not in (1, 10):
            raise ValueError(f"`crops` should be 1 or 10. Received: crops={self.crops}")
        if self.crops == 10 and self.resize_size == self.image_size:
            raise ValueError(
                "`crops=10` are taken from a square of `resize_size`, which should be larger than "
                f"`image_size`. Received: both {self.image_size}"
            )
        if self.resize_size < self.image_size:
            raise ValueError(
                "`resize_size` should be at least `image_size`. Received: "
                f"resize_size={self.resize_size}, image_size={self.image_size}"
            )
        for field in ("patch_size", "conv1_patch_size"):
            sizes = getattr(self, field)
            if not sizes or min(sizes) < 0:
                raise ValueError(
                    f"`{field}` should be sides of at least 0 (0 hides nothing), and at least one "
                    f"of them. Received: {field}={sizes}"
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
        for field in ("mean", "std"):
            if len(getattr(self, field)) not in (0, 3):
                raise ValueError(
                    f"`{field}` should be three numbers, red, green and blue. "
                    f"Received: {field}={getattr(self, field)}"
                )
        if any(not value > 0 for value in self.std):
            raise ValueError(f"`std` should be above 0. Received: std={self.std}")
        if len(self.fill_value) not in (0, 1, 3):
            raise ValueError(
                "`fill_value` should be one number or three, or () for the mean colour. "
                f"Received: fill_value={self.fill_value}"
            )

    def override(self, **fields: Any) -> Self:
        """Returns a recipe with some fields replaced; the crop keeps its share of the image.

        Raises:
            ValueError: If a value is outside its range, or would be ignored.
        """
        if "image_size" in fields and "resize_size" not in fields:
            share = self.resize_size / self.image_size
            fields["resize_size"] = round(fields["image_size"] * share)
        recipe = super().override(**fields)
        is_hiding = any((*recipe.patch_size, *recipe.conv1_patch_size))
        for field, is_used, of_what in (
            ("hide_probability", is_hiding, "a recipe that hides nothing"),
            ("width_multiplier", recipe.model == "googlenet_gap", f"model={recipe.model!r}"),
            (
                "batch_norm_momentum",
                recipe.model == "efficientnet_lite0",
                f"model={recipe.model!r}",
            ),
            ("input_dropout_at_test", recipe.input_dropout > 0, "input_dropout=0"),
        ):
            if fields.get(field) not in (None, False) and not is_used:
                raise ValueError(
                    f"`{field}` has no effect with {of_what}. Received: {field}={fields[field]}"
                )
        return recipe
