"""A finished run that classifies faces, evaluated again on its test images."""

from __future__ import annotations

from trainers.recipes.faces_recipe import FacesRecipe
from trainers.reports.classification_run import ClassificationRun
from trainers.tasks.faces import Faces


class FacesRun(ClassificationRun):
    """A finished run and its result for each test image. See `FinishedRun` for the arguments."""

    recipe_kind = FacesRecipe
    task_class = Faces
    fields_of_data = (*ClassificationRun.fields_of_data, "target", "neutral", "test_fold")

    recipe: FacesRecipe
    task: Faces
