"""Fields of recipes that hide parts of their inputs."""

import dataclasses

from trainers.recipes.fields import field
from trainers.recipes.recipe import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class HidingFields(Recipe):
    """Adds hiding to a recipe; what is hidden (patches or segments) is up to the subclass."""

    hide_probability: float = field(
        0.5, help="Probability that a patch or segment is hidden, independently of the others."
    )
    fill_value: tuple[float, ...] = field(
        (0.0,), help="Value of hidden inputs after normalization: one number, or one per channel."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_range("hide_probability", 0, 1)
        self._check_finite("fill_value", self.fill_value)
