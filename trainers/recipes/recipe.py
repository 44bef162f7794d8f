"""What a recipe consists of."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

SCHEDULES = ("cosine", "regimes")
DATASETS = ("parts", "tiny_imagenet", "imagenet", "folder")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One experiment. Each field is also a flag of `python -m trainers.imagenet`.

    Args:
        name: What `--recipe` asks for.
        description: One line that says what it is.
        dataset: "parts", "tiny_imagenet", "imagenet" or "folder".
        model: "small_gap", "alexnet_gap", "googlenet_gap", or the name of a network of
            `keras.applications`.
        weights: Weights to start from: "" for none, "imagenet", or a path. For networks of
            `keras.applications` only.
        pooling: "avg" or "max".
        map_stride: Pixels of the input a place of the map, for "small_gap" (4 or 8); for networks
            of `keras.applications` 16 keeps the last stage's stride at 1 and 32 leaves it.
        widths: Kernels of each convolution of "small_gap"; () for its default. Fewer convolutions
            see less around a place, so that the map is sharper.
        image_size: Side in pixels of the square that the network sees.
        resize_size: Short side in pixels before the random crop of `image_size`.
        horizontal_flip: Whether training images are flipped at random.
        mean: Mean of each channel, pixels in [0, 255]; () for that of the training images.
        std: Standard deviation likewise.
        patch_size: Sides of the hidden patches in pixels; each image draws one; (0,) hides nothing.
        hide_probability: Probability that a patch is hidden.
        fill_value: What hidden pixels become, after normalisation: one number or one a channel.
        epochs: How often the training images are gone through.
        steps_per_epoch: Batches an epoch; 0 for as many as the training images fill.
        batch_size: Images a batch, over all devices.
        schedule: "cosine" from `learning_rate` to 0, or "regimes".
        learning_rate: For "cosine".
        momentum: Of stochastic gradient descent.
        nesterov: Whether the momentum is Nesterov's.
        weight_decay: For "cosine"; added to the gradient, as in PyTorch.
        regimes: For "regimes": (first epoch from 0, learning rate, weight decay); the momentum
            starts anew with each. Where `epochs` is overridden they are stretched with it.
        class_balanced: Whether classes are drawn uniformly, with replacement.
        cam_threshold: Share of the map's maximum above which a place belongs to the object.
        seed: Of everything random.
        mixed_precision: "", "mixed_float16" or "mixed_bfloat16".
        published: Figures in per cent that the paper gives for this row, if it does.
        choices: What the sources do not give and this project chose.
    """

    name: str
    description: str
    dataset: str
    model: str = "small_gap"
    weights: str = ""
    pooling: str = "avg"
    map_stride: int = 4
    widths: tuple[int, ...] = ()
    image_size: int = 64
    resize_size: int = 64
    horizontal_flip: bool = True
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    patch_size: tuple[int, ...] = (0,)
    hide_probability: float = 0.5
    fill_value: tuple[float, ...] = (0.0,)
    epochs: int = 12
    steps_per_epoch: int = 0
    batch_size: int = 64
    schedule: str = "cosine"
    learning_rate: float = 0.05
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    regimes: tuple[tuple[int, float, float], ...] = ()
    class_balanced: bool = False
    cam_threshold: float = 0.2
    seed: int = 0
    mixed_precision: str = ""
    published: Mapping[str, float] = dataclasses.field(default_factory=dict)
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field, values in (
            ("dataset", DATASETS),
            ("schedule", SCHEDULES),
            ("pooling", ("avg", "max")),
            ("mixed_precision", ("", "mixed_float16", "mixed_bfloat16")),
        ):
            if getattr(self, field) not in values:
                allowed = ", ".join(repr(value) for value in values)
                raise ValueError(
                    f"`{field}` should be one of {allowed}. "
                    f"Received: {field}={getattr(self, field)!r}"
                )
        for field in ("epochs", "batch_size", "image_size"):
            if getattr(self, field) < 1:
                raise ValueError(
                    f"`{field}` should be at least 1. Received: {field}={getattr(self, field)}"
                )
        if self.steps_per_epoch < 0 or self.seed < 0:
            raise ValueError(
                "`steps_per_epoch` and `seed` should be at least 0. Received: "
                f"steps_per_epoch={self.steps_per_epoch}, seed={self.seed}"
            )
        if self.resize_size < self.image_size:
            raise ValueError(
                "`resize_size` should be at least `image_size`. Received: "
                f"resize_size={self.resize_size}, image_size={self.image_size}"
            )
        if (self.schedule == "regimes") != bool(self.regimes):
            raise ValueError(
                '`regimes` belong to `schedule="regimes"`, and have to be given there.'
            )

    def override(self, **fields: Any) -> "Recipe":
        """Returns a recipe with some fields replaced; regimes are stretched with the epochs.

        Raises:
            ValueError: If a value is outside its range.
        """
        epochs = fields.get("epochs", self.epochs)
        if self.regimes and "regimes" not in fields and epochs != self.epochs:
            stretched = {
                round(first * epochs / self.epochs): (rate, decay)
                for first, rate, decay in self.regimes
            }
            fields["regimes"] = tuple((first, *rest) for first, rest in sorted(stretched.items()))
        if "image_size" in fields and "resize_size" not in fields:
            share = self.resize_size / self.image_size
            fields["resize_size"] = round(fields["image_size"] * share)
        return dataclasses.replace(self, **fields)

    def to_json(self) -> str:
        """Returns all fields as JSON, for the run directory."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Returns the recipe that `to_json` wrote."""
        fields = json.loads(text)
        for field, value in fields.items():
            if isinstance(value, list):
                fields[field] = tuple(tuple(v) if isinstance(v, list) else v for v in value)
        return cls(**fields)
