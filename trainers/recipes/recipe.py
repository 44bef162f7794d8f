"""The fields that every recipe has, whatever it trains."""

import dataclasses
import json
import math
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from trainers.recipes.fields import field

SCHEDULES = ("cosine", "regimes", "steps")
SEED_LIMIT = 2**31  # seeds of TensorFlow and Keras have 32 bits


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """One experiment: everything that determines its result.

    The meaning of each field is the `help` in its metadata, which is also the help of its flag.
    A subclass adds the fields of one task, and sets `TASK` and `DATASETS`.
    """

    name: str = field(help="The value of `--recipe`.", role="description", is_flag=False)
    description: str = field(help="One-line description.", role="description", is_flag=False)
    dataset: str = field(help="The dataset.")
    epochs: int = field(12, help="Number of passes over the training data.")
    steps_per_epoch: int = field(
        0, help="Batches per epoch; 0 for as many as the training data fill."
    )
    batch_size: int = field(64, help="Examples per batch, over all devices.")
    schedule: str = field(
        "cosine",
        help='"cosine", which decays `learning_rate` to 0; "steps", which multiplies it at some '
        'epochs; or "regimes".',
    )
    learning_rate: float = field(0.05, help='Initial learning rate for "cosine" and "steps".')
    momentum: float = field(0.9, help="Momentum of stochastic gradient descent.")
    nesterov: bool = field(True, help="Whether to use Nesterov momentum.")
    weight_decay: float = field(
        5e-4, help='Weight decay for "cosine" and "steps"; added to the gradient, as in PyTorch.'
    )
    step_epochs: tuple[int, ...] = field(
        (),
        help='For "steps": the epochs, counted from 0, before which the learning rate is '
        "multiplied by `step_factor`. If `epochs` is overridden, they are stretched to match.",
    )
    step_factor: float = field(0.1, help='For "steps": the factor.')
    regimes: tuple[tuple[int, float, float], ...] = field(
        (),
        help='For "regimes": (first epoch from 0, learning rate, weight decay); each regime resets '
        "the momentum. If `epochs` is overridden, the regimes are stretched to match. On the "
        "command line: FIRST:RATE:DECAY, separated by commas.",
    )
    evaluate_every: int = field(
        1,
        help="Epochs between evaluations; the last epoch is always evaluated.",
        role="description",
    )
    seed: int = field(0, help="Seed of everything random.")
    deterministic: bool = field(
        False,
        help="Whether TensorFlow adds up numbers in a fixed order, so that the same command gives "
        "the same weights bit for bit, also after a kill. Slower.",
    )
    mixed_precision: str = field("", help='"", "mixed_float16" or "mixed_bfloat16".')
    published: Mapping[str, float] = field(
        default_factory=dict,
        help="The figures that the paper gives for this row, in percent.",
        role="description",
        is_flag=False,
    )
    choices: tuple[str, ...] = field(
        (),
        help="Settings that the sources do not give, and the values this project chose.",
        role="description",
        is_flag=False,
    )

    overridden: tuple[str, ...] = field(
        (),
        help="The fields whose values are not those of the named recipe.",
        role="description",
        is_flag=False,
    )

    # Name of the task in the registry; recipe.json states it.
    TASK: ClassVar[str] = ""
    DATASETS: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        self._check_choice("dataset", self.DATASETS)
        self._check_choice("schedule", SCHEDULES)
        self._check_choice("mixed_precision", ("", "mixed_float16", "mixed_bfloat16"))
        for name in ("epochs", "batch_size", "evaluate_every"):
            self._check_range(name, 1)
        for name in ("steps_per_epoch", "learning_rate", "weight_decay"):
            self._check_range(name, 0)
        self._check_range("momentum", 0, 1)
        self._check_range("seed", 0, SEED_LIMIT - 1)
        if (self.schedule == "regimes") != bool(self.regimes):
            raise ValueError(
                '`regimes` should be given if and only if `schedule="regimes"`. '
                f"Received: schedule={self.schedule!r}, regimes={self.regimes}"
            )
        if (self.schedule == "steps") != bool(self.step_epochs):
            raise ValueError(
                '`step_epochs` should be given if and only if `schedule="steps"`. '
                f"Received: schedule={self.schedule!r}, step_epochs={self.step_epochs}"
            )
        if self.step_epochs and (
            self.step_epochs[0] < 1 or list(self.step_epochs) != sorted(set(self.step_epochs))
        ):
            raise ValueError(
                "`step_epochs` should be at least 1 and in increasing order. "
                f"Received: step_epochs={self.step_epochs}"
            )
        self._check_range("step_factor", 0, 1)
        self._check_finite("learning_rate", (self.learning_rate,))
        self._check_finite("regimes", [number for _, *rest in self.regimes for number in rest])
        if any(rate < 0 or decay < 0 for _, rate, decay in self.regimes):
            raise ValueError(
                "`regimes` should have rates and decays of at least 0. "
                f"Received: regimes={self.regimes}"
            )
        firsts = [first for first, *_ in self.regimes]
        if self.regimes and (firsts[0] != 0 or firsts != sorted(set(firsts))):
            raise ValueError(
                "`regimes` should start at epoch 0 and be in increasing order. "
                f"Received: regimes={self.regimes}"
            )

    @property
    def summary(self) -> str:
        """The description, and the values that were overridden."""
        changes = [f"{name}={getattr(self, name)!r}" for name in self.overridden]
        return f"{self.description} Changed: {', '.join(changes)}." if changes else self.description

    def _check_choice(self, name: str, values: tuple[str, ...]) -> None:
        if getattr(self, name) not in values:
            allowed = ", ".join(repr(value) for value in values)
            raise ValueError(
                f"`{name}` should be one of {allowed}. Received: {name}={getattr(self, name)!r}"
            )

    def _check_range(self, name: str, lowest: float, highest: float | None = None) -> None:
        value = getattr(self, name)
        if not value >= lowest or (highest is not None and not value <= highest):
            allowed = f"at least {lowest}" if highest is None else f"from {lowest} to {highest}"
            raise ValueError(f"`{name}` should be {allowed}. Received: {name}={value}")

    def _check_finite(self, name: str, numbers: Any) -> None:
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"`{name}` should be finite. Received: {name}={getattr(self, name)}")

    def override(self, **fields: Any) -> Self:
        """Returns a copy with some fields replaced; regimes and steps stretch with the epochs.

        If stretched regimes start at the same epoch, the first one stays at epoch 0, and the later
        one wins anywhere else: training starts with the first learning rate, however short it is.

        Raises:
            ValueError: If a value is out of range, or would have no effect.
        """
        if fields.get("schedule", self.schedule) == "regimes":
            for name in ("learning_rate", "weight_decay"):
                if name in fields and fields[name] != getattr(self, name):
                    raise ValueError(
                        f'`{name}` has no effect with schedule="regimes": set `regimes`, or use '
                        f'schedule="cosine". Received: {name}={fields[name]}'
                    )
        elif "regimes" not in fields:
            fields["regimes"] = ()
        if fields.get("schedule", self.schedule) != "steps":
            fields.setdefault("step_epochs", ())
        epochs = fields.get("epochs", self.epochs)
        if self.step_epochs and "step_epochs" not in fields and 0 < epochs != self.epochs:
            starts = {max(round(first * epochs / self.epochs), 1) for first in self.step_epochs}
            fields["step_epochs"] = tuple(sorted(starts))
        if self.regimes and "regimes" not in fields and 0 < epochs != self.epochs:
            stretched: dict[int, tuple[float, float]] = {}
            for first, rate, decay in self.regimes:
                start = round(first * epochs / self.epochs)
                if (start > 0 or not stretched) and start < epochs:
                    stretched[start] = (rate, decay)
            fields["regimes"] = tuple((first, *rest) for first, rest in sorted(stretched.items()))
        changed = {
            each.name
            for each in dataclasses.fields(self)
            if each.metadata["role"] != "description"
            and fields.get(each.name, getattr(self, each.name)) != getattr(self, each.name)
        }
        # A run's seed is part of its name.
        fields["overridden"] = tuple(sorted({*self.overridden, *changed} - {"seed"}))
        return dataclasses.replace(self, **fields)

    @staticmethod
    def _refuse_unused(fields: Mapping[str, Any], *rules: tuple[str, bool, str]) -> None:
        """Raises if an overridden field has no effect: (field, is it used, used with what)."""
        for name, is_used, setting in rules:
            if fields.get(name) not in (None, False) and not is_used:
                raise ValueError(
                    f"`{name}` has no effect with {setting}. Received: {name}={fields[name]}"
                )

    def training_differences(self, other: "Recipe") -> list[str]:
        """Returns the fields that make another recipe train differently, with both values."""
        return self._differences(other, ("training",))

    def differences(self, other: "Recipe") -> list[str]:
        """Returns the fields that give another recipe different results, with both values."""
        return self._differences(other, ("training", "evaluation"))

    def _differences(self, other: "Recipe", roles: tuple[str, ...]) -> list[str]:
        if type(self) is not type(other):
            return [f"task: {self.TASK!r} there, {other.TASK!r} requested"]
        return [
            f"{each.name}: {getattr(self, each.name)!r} there, "
            f"{getattr(other, each.name)!r} requested"
            for each in dataclasses.fields(self)
            if each.metadata["role"] in roles
            and getattr(self, each.name) != getattr(other, each.name)
        ]

    def to_json(self) -> str:
        """Returns the task and all fields as JSON, for the run directory."""
        return json.dumps({"task": self.TASK, **dataclasses.asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Returns the recipe that `to_json` wrote.

        Recipes written by version 0.1 do not state their task; their fields are the same.

        Raises:
            ValueError: If the text is not a recipe of this class.
        """
        # Flags are checked before Keras is imported.
        from keras_has.json_files import is_of_type, parse_json

        fields = parse_json(text, "recipe")
        task = fields.pop("task", cls.TASK)
        if task != cls.TASK:
            raise ValueError(f"it is a recipe for the task {task!r}, not for {cls.TASK!r}")
        kinds = typing.get_type_hints(cls)
        known = {each.name for each in dataclasses.fields(cls)}
        if not fields.keys() <= known:
            raise ValueError(f"unknown fields {sorted(fields.keys() - known)}")
        for name, value in fields.items():
            if not is_of_type(value, kinds[name]):
                raise ValueError(f"`{name}` should be of type {kinds[name]}, not {value!r:.50}")
            if isinstance(value, list):
                fields[name] = tuple(tuple(v) if isinstance(v, list) else v for v in value)
        try:
            return cls(**fields)
        except TypeError as error:
            raise ValueError(str(error)) from error
