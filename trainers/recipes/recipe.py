"""What every recipe consists of, whatever it trains."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

SCHEDULES = ("cosine", "regimes")
MOST_SEEDS = 2**31  # TensorFlow's and Keras' seeds are 32 bits wide


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """One experiment: everything that decides its result.

    Args:
        name: What `--recipe` asks for.
        description: One line that says what it is.
        dataset: Which data set.
        hide_probability: Probability that a patch or segment is hidden.
        fill_value: What hidden values become, after normalisation: one number or one a channel.
        epochs: How often the training data are gone through.
        steps_per_epoch: Batches an epoch; 0 for as many as the training data fill.
        batch_size: Examples a batch, over all devices.
        schedule: "cosine" from `learning_rate` to 0, or "regimes".
        learning_rate: For "cosine".
        momentum: Of stochastic gradient descent.
        nesterov: Whether the momentum is Nesterov's.
        weight_decay: For "cosine"; added to the gradient, as in PyTorch.
        regimes: For "regimes": (first epoch from 0, learning rate, weight decay); the momentum
            starts anew with each. Where `epochs` is overridden they are stretched with it. On the
            command line: FIRST:RATE:DECAY, with commas between them.
        evaluate_every: Epochs from one evaluation to the next; the last epoch has one always.
        cam_threshold: Share of the map's maximum above which a place belongs to the object, or a
            moment to the action.
        seed: Of everything random.
        mixed_precision: "", "mixed_float16" or "mixed_bfloat16".
        published: Figures in per cent that the paper gives for this row, if it does.
        choices: What the sources do not give and this project chose.
    """

    name: str
    description: str
    dataset: str
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
    evaluate_every: int = 1
    cam_threshold: float = 0.2
    seed: int = 0
    mixed_precision: str = ""
    published: Mapping[str, float] = dataclasses.field(default_factory=dict)
    choices: tuple[str, ...] = ()

    # Fields that say something of a recipe and decide nothing.
    WORDS: ClassVar[tuple[str, ...]] = (
        "name",
        "description",
        "published",
        "choices",
        "evaluate_every",
    )
    # Fields that decide how a trained network is judged, and nothing of its training.
    JUDGING: ClassVar[tuple[str, ...]] = ("cam_threshold",)
    DATASETS: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        self._check_choice("dataset", self.DATASETS)
        self._check_choice("schedule", SCHEDULES)
        self._check_choice("mixed_precision", ("", "mixed_float16", "mixed_bfloat16"))
        for field in ("epochs", "batch_size", "evaluate_every"):
            self._check_range(field, 1)
        for field in ("steps_per_epoch", "learning_rate", "weight_decay"):
            self._check_range(field, 0)
        self._check_range("hide_probability", 0, 1)
        self._check_range("momentum", 0, 1)
        self._check_range("seed", 0, MOST_SEEDS - 1)
        if not 0 <= self.cam_threshold < 1:
            raise ValueError(
                "`cam_threshold` should be in [0, 1): it is a share of the map's maximum. "
                f"Received: cam_threshold={self.cam_threshold}"
            )
        if (self.schedule == "regimes") != bool(self.regimes):
            raise ValueError(
                '`regimes` belong to `schedule="regimes"`, and have to be given there. '
                f"Received: schedule={self.schedule!r}, regimes={self.regimes}"
            )
        for name, numbers in (
            ("learning_rate", (self.learning_rate,)),
            ("fill_value", self.fill_value),
            ("regimes", [number for _, *rest in self.regimes for number in rest]),
        ):
            if not all(math.isfinite(number) for number in numbers):
                raise ValueError(
                    f"`{name}` should be finite. Received: {name}={getattr(self, name)}"
                )
        if any(rate < 0 or decay < 0 for _, rate, decay in self.regimes):
            raise ValueError(
                "`regimes` should hold rates and decays of at least 0. "
                f"Received: regimes={self.regimes}"
            )
        firsts = [first for first, *_ in self.regimes]
        if self.regimes and (firsts[0] != 0 or firsts != sorted(set(firsts))):
            raise ValueError(
                "`regimes` should begin at epoch 0, each later than the one before. "
                f"Received: regimes={self.regimes}"
            )

    def _check_choice(self, field: str, values: tuple[str, ...]) -> None:
        if getattr(self, field) not in values:
            allowed = ", ".join(repr(value) for value in values)
            raise ValueError(
                f"`{field}` should be one of {allowed}. Received: {field}={getattr(self, field)!r}"
            )

    def _check_range(self, field: str, lowest: float, highest: float | None = None) -> None:
        value = getattr(self, field)
        if not value >= lowest or (highest is not None and not value <= highest):
            wanted = f"at least {lowest}" if highest is None else f"from {lowest} to {highest}"
            raise ValueError(f"`{field}` should be {wanted}. Received: {field}={value}")

    def override(self, **fields: Any) -> Self:
        """Returns a recipe with some fields replaced; regimes are stretched with the epochs.

        Where stretched regimes begin at one epoch, the first of them stays at epoch 0 and a later
        one wins elsewhere: training begins with the first learning rate, however short it is.

        Raises:
            ValueError: If a value is outside its range, or would be ignored.
        """
        if fields.get("schedule", self.schedule) == "regimes":
            for ignored in ("learning_rate", "weight_decay"):
                if ignored in fields and fields[ignored] != getattr(self, ignored):
                    raise ValueError(
                        f'`{ignored}` has no effect under schedule="regimes": give `regimes`, or '
                        f'schedule="cosine". Received: {ignored}={fields[ignored]}'
                    )
        elif "regimes" not in fields:
            fields["regimes"] = ()
        epochs = fields.get("epochs", self.epochs)
        if self.regimes and "regimes" not in fields and 0 < epochs != self.epochs:
            stretched: dict[int, tuple[float, float]] = {}
            for first, rate, decay in self.regimes:
                start = round(first * epochs / self.epochs)
                if (start > 0 or not stretched) and start < epochs:
                    stretched[start] = (rate, decay)
            fields["regimes"] = tuple((first, *rest) for first, rest in sorted(stretched.items()))
        return dataclasses.replace(self, **fields)

    def training_differences(self, other: "Recipe") -> list[str]:
        """Returns the fields in which another recipe trains otherwise, with both values."""
        return self._differences(other, (*self.WORDS, *self.JUDGING))

    def differences(self, other: "Recipe") -> list[str]:
        """Returns the fields in which another recipe decides otherwise, with both values."""
        return self._differences(other, self.WORDS)

    def _differences(self, other: "Recipe", ignored: tuple[str, ...]) -> list[str]:
        if type(self) is not type(other):
            return [f"{type(self).__name__} there, {type(other).__name__} asked for"]
        return [
            f"{field.name}: {getattr(self, field.name)!r} there, "
            f"{getattr(other, field.name)!r} asked for"
            for field in dataclasses.fields(self)
            if field.name not in ignored and getattr(self, field.name) != getattr(other, field.name)
        ]

    def to_json(self) -> str:
        """Returns all fields as JSON, for the run directory."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Returns the recipe that `to_json` wrote.

        Raises:
            ValueError: If the text is none.
        """
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError("a recipe should be a JSON object")
        for field, value in fields.items():
            if isinstance(value, list):
                fields[field] = tuple(tuple(v) if isinstance(v, list) else v for v in value)
        known = {field.name for field in dataclasses.fields(cls)}
        if not fields.keys() <= known:
            raise ValueError(f"unknown fields {sorted(fields.keys() - known)}")
        try:
            return cls(**fields)
        except TypeError as error:
            raise ValueError(str(error)) from error
