"""Fields of recipes that localize with maps."""

import dataclasses

from trainers.recipes.fields import field
from trainers.recipes.recipe import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class MapFields(Recipe):
    """Adds localization from thresholded maps to a recipe."""

    cam_threshold: float = field(
        0.2,
        help="Fraction of the map's maximum above which a pixel belongs to the object, or a time "
        "step to the action.",
        role="evaluation",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.cam_threshold < 1:
            raise ValueError(
                "`cam_threshold` should be in [0, 1): it is a fraction of the map's maximum. "
                f"Received: cam_threshold={self.cam_threshold}"
            )
