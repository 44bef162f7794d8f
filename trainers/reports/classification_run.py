"""A finished run that classifies images, evaluated again image by image."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from keras_has.evaluation import Batch
from trainers.recipes.classification_recipe import ClassificationRecipe
from trainers.reports.image_run import ImageRun
from trainers.tasks.classification import Classification

_FIGURES = {"is_top1": "top1_clas", "is_top5": "top5_clas"}
_OUTCOMES = ("predicted_class", "probability", "label_probability", *_FIGURES)


class ClassificationRun(ImageRun):
    """A finished run and its result for each image that it is evaluated on.

    See `FinishedRun` for the arguments.
    """

    recipe_kind = ClassificationRecipe
    task_class = Classification

    recipe: ClassificationRecipe
    task: Classification

    @functools.cached_property
    def outcomes(self) -> dict[str, np.ndarray]:
        """The outputs of `ClassificationEvaluator.forward` without the loss, one row per image.

        Raises:
            RunError: If the figures do not agree with `results.json`.
        """
        callback = self.task.evaluation_callback(None)
        callback.set_model(self.model)
        names: list[str] = []

        def rows_of(batch: Batch) -> list[tuple[np.generic, ...]]:
            names[:] = [name for name in _OUTCOMES if name in batch]
            return list(zip(*(batch[name] for name in names), strict=True))

        rows = self._with_progress(
            row for of_batch in callback.inference("outcomes").map(rows_of) for row in of_batch
        )
        columns = [np.array(column) for column in zip(*rows, strict=True)]
        outcomes = dict(zip(names, columns, strict=True))
        self._check_figures(_figures_of(outcomes), len(self.split), len(self.split))
        return outcomes

    @property
    def figures(self) -> dict[str, float]:
        """Top-1 and, with at least five classes, Top-5 Clas, evaluated again."""
        return _figures_of(self.outcomes)

    @functools.cached_property
    def confusions(self) -> np.ndarray:
        """Number of images by true and predicted class, (classes, classes)."""
        classes = len(self.split.class_names)
        places = classes * np.asarray(self.split["label"]) + self.outcomes["predicted_class"]
        return np.bincount(places, minlength=classes**2).reshape(classes, classes)

    def describe(self, row: int) -> str:
        """Returns the predicted class of an image in words."""
        outcomes = {name: values[row] for name, values in self.outcomes.items()}
        return self.describe_prediction(
            int(outcomes["predicted_class"]), outcomes["probability"], bool(outcomes["is_top1"])
        )

    def pixels(self, rows: Sequence[int]) -> dict[int, np.ndarray]:
        """Returns some images as the network sees them, (H, W, 3) uint8, by row."""
        if not len(rows):
            return {}
        batches = self.task.evaluation_batches(self.split.select(np.array(rows)))
        images = (image for batch in batches.as_numpy_iterator() for image in batch["image"])
        return dict(zip(rows, images, strict=True))


def _figures_of(outcomes: dict[str, np.ndarray]) -> dict[str, float]:
    return {key: float(outcomes[name].mean()) for name, key in _FIGURES.items() if name in outcomes}
