"""Recipes of the faces task."""

import dataclasses
from typing import Any, ClassVar, Self

from trainers.recipes.classification_recipe import AUGMENTATIONS, ClassificationRecipe
from trainers.recipes.fields import field

# What each dataset has labels for, and its number of folds; 0 for splits of its own.
TARGETS = {
    "ck_plus": ("emotion",),
    "fer2013": ("emotion",),
    "adience": ("age", "gender"),
    "utkface": ("age", "gender"),
}
FOLDS = {"ck_plus": 10, "fer2013": 0, "adience": 5, "utkface": 0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FacesRecipe(ClassificationRecipe):
    """A recipe of a classifier of emotion, age group or gender."""

    dataset: str = field(
        help='"ck_plus" or "fer2013" for emotions, "adience" or "utkface" for age and gender.'
    )
    target: str = field(help='"emotion", "age" or "gender".', is_flag=False)
    fold: int = field(
        -1,
        help="The test fold of ck_plus (0 to 9) or adience (0 to 4); the next fold chooses the "
        "checkpoint. -1 for the seed modulo the number of folds, so that as many seeds as folds "
        "are one cross-validation.",
    )
    neutral: bool = field(True, help='Whether to read the class "neutral" of ck_plus.')
    normalization: str = field(
        "",
        help='"" for the mean and deviation of each channel, or "local_contrast" for those of the '
        "5 x 5 pixels around each one.",
    )

    TASK: ClassVar[str] = "faces"
    DATASETS: ClassVar[tuple[str, ...]] = tuple(TARGETS)
    AUGMENTATIONS: ClassVar[tuple[str, ...]] = (*AUGMENTATIONS, "khorrami")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choice("target", TARGETS[self.dataset])
        self._check_choice("normalization", ("", "local_contrast"))
        self._check_range("fold", -1, max(FOLDS[self.dataset] - 1, -1))

    @property
    def test_fold(self) -> int:
        """The test fold; 0 for a dataset with splits of its own."""
        return self.seed % max(FOLDS[self.dataset], 1) if self.fold == -1 else self.fold

    def override(self, **fields: Any) -> Self:
        """Returns a copy with some fields replaced.

        Raises:
            ValueError: If a value is out of range, or would have no effect.
        """
        recipe = super().override(**fields)
        self._refuse_unused(
            fields,
            ("tuning_share", False, "faces, which have validation images"),
            ("neutral", recipe.dataset == "ck_plus", f"dataset={recipe.dataset!r}"),
        )
        return recipe
