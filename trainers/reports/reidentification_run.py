"""A finished run of re-identification, evaluated again query by query."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from keras_has.evaluation import ReidentificationEvaluator
from keras_has.ops.retrieval import RankingScores
from trainers.recipes.reidentification_recipe import ReidentificationRecipe
from trainers.reports.image_run import ImageRun
from trainers.tasks.reidentification import Reidentification

_FIGURES = ("rank1", "rank5", "rank10", "map", "map_step")
_RESAMPLES = 2000


class ReidentificationRun(ImageRun):
    """A finished run and the scores of each of its queries.

    See `FinishedRun` for the arguments.
    """

    recipe_kind = ReidentificationRecipe
    task_class = Reidentification
    fields_of_data = ("dataset",)

    recipe: ReidentificationRecipe
    task: Reidentification

    @functools.cached_property
    def evaluator(self) -> ReidentificationEvaluator:
        """The evaluator with the embeddings of all images.

        Raises:
            RunError: If the figures do not agree with `results.json`.
        """
        callback = self.task.evaluation_callback(None)
        callback.set_model(self.model)
        evaluated = callback.evaluate()
        figures = {name: evaluated[f"val_{name}"] for name in _FIGURES}
        queries = int(self.split["is_query"].sum())
        self._check_figures(figures, queries, queries)
        return callback.evaluator

    @functools.cached_property
    def scores(self) -> RankingScores:
        """The scores of each query."""
        return self.evaluator.scores()

    @property
    def figures(self) -> dict[str, float]:
        """Rank-k and mAP, evaluated again."""
        return self.scores.means()


def paired_interval(
    before: np.ndarray, after: np.ndarray, seed: int = 0
) -> tuple[float, float, float]:
    """Returns the mean difference of paired scores and its 95% interval, by the bootstrap.

    Args:
        before: (Q,) scores of the queries; NaN for those that do not count.
        after: (Q,) scores of the same queries.
        seed: Seed of the resampling. Defaults to `0`.

    Returns:
        The mean, and the ends of the interval over resampled queries.

    Example:

    >>> paired_interval(np.array([0.1, 0.5, np.nan]), np.array([0.2, 0.6, np.nan]))
    (0.1, 0.1, 0.1)
    """
    differences = (after - before)[np.isfinite(before)]
    random = np.random.default_rng(seed)
    means = [
        differences[random.integers(0, len(differences), len(differences))].mean()
        for _ in range(_RESAMPLES)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    mean, low, high = (round(float(value), 6) for value in (differences.mean(), low, high))
    return mean, low, high


def differences(runs: Sequence[ReidentificationRun]) -> list[tuple[str, float, float, float]]:
    """Returns mean difference and interval of rank-1 and mAP between a baseline and a run."""
    if len(runs) == 1:
        return []
    before, after = (run.scores for run in runs)
    pairs = {
        "Rank-1": [_is_first(scores) for scores in (before, after)],
        "mAP": [scores.average_precision for scores in (before, after)],
    }
    return [(title, *paired_interval(*pair)) for title, pair in pairs.items()]


def _is_first(scores: RankingScores) -> np.ndarray:
    return np.where(np.isfinite(scores.first_match), scores.first_match == 1, np.nan)
