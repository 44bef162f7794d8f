"""Person re-identification: rank-k and mAP with and without hiding and random erasing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_has import data, models
from keras_has.callbacks import EvaluationCallback
from keras_has.data import Dataset, transforms
from keras_has.evaluation import ReidentificationEvaluator
from keras_has.evaluation.reidentification import truth_of
from keras_has.export import export_embedder
from keras_has.models.identity_classifier import NEW_LAYERS
from keras_has.ops.retrieval import Truth, score_rankings
from trainers.engine.console import percent_rows
from trainers.engine.run_directory import RunDirectory
from trainers.engine.run_error import RunError
from trainers.recipes.reidentification_recipe import ReidentificationRecipe
from trainers.tasks.erasing import erasing_layers
from trainers.tasks.image_task import ImageTask
from trainers.tasks.splits import SplitReader

_TITLES = {
    "rank1": "Rank-1",
    "rank5": "Rank-5",
    "rank10": "Rank-10",
    "map": "mAP",
    "map_step": "mAP, area by steps",
    "reranked_rank1": "Rank-1, re-ranked",
    "reranked_map": "mAP, re-ranked",
    "untrained_rank1": "Rank-1 before training",
    "untrained_map": "mAP before training",
    "random_rank1": "Rank-1 of a random ranking",
    "random_map": "mAP of a random ranking",
}
_RANDOM_RANKINGS = 5
_ASPECT_RATIOS = (1 / 3, 1 / 2)  # width by height of random crops


class Reidentification(ImageTask):
    """Trains on identities, and ranks pictures of others; for arguments see `ImageTask`."""

    recipe: ReidentificationRecipe

    readers: ClassVar[Mapping[str, SplitReader]] = {
        "market1501": SplitReader(lambda _, folder, split: data.market1501(folder, split)),
        "dukemtmc_reid": SplitReader(lambda _, folder, split: data.dukemtmc_reid(folder, split)),
    }
    record_column: ClassVar[str] = "camera"
    columns: ClassVar[Sequence[tuple[str, str]]] = tuple(_TITLES.items())

    @property
    def split_names(self) -> tuple[str, str]:
        """The images to train on; the queries and the gallery."""
        return "train", "test"

    @property
    def evaluated_examples(self) -> str:
        """What is evaluated on, in words."""
        return "queries and gallery images"

    def set_splits(self, train: Dataset, val: Dataset) -> None:
        """Sets the splits after checking that they can be trained and evaluated on.

        Raises:
            RunError: If there are no training images or no query has a match.
        """
        if len(train) == 0:
            raise RunError(f"{train.name} has no {self.examples}.")
        problems = list(val.problems)
        without = [not len(rows) for rows in truth_of(val).matches]
        if all(without):
            raise RunError(
                f"No query of {val.name} has a match: an image in the gallery of the same identity "
                "from another camera."
            )
        problems += [
            f"{name}: has no match in the gallery, and does not count"
            for name in val.ids[val["is_query"]][without].tolist()
        ]
        both = np.intersect1d(train["identity"], val["identity"])
        if both.size:
            problems.append(
                f"{both.size} identities are in the training and in the test images, such as "
                f"{both[0]}: figures say nothing about unknown people"
            )
        self.train_split, self.val_split = train, dataclasses.replace(val, problems=problems)

    def augmentation(self) -> list[keras.Layer]:
        """Returns the layer that erases a rectangle of some images, if the recipe says so."""
        return erasing_layers(self.recipe.augmentation, self.recipe.seed)

    def build_model(self) -> keras.Model:
        """Returns the classifier of identities, with normalization, erasing and hiding inside."""
        return models.IdentityClassifier(
            super().build_model(),
            len(self.train_split.class_names),
            self.recipe.embedding_size,
            self.recipe.dropout_rate,
        )

    def layer_rates(self) -> dict[str, float]:
        """Returns the factor of the learning rate for the layers that are not pretrained."""
        return dict.fromkeys(NEW_LAYERS, self.recipe.new_layers_rate)

    def batches(self, first_step: int) -> tf.data.Dataset:
        """Returns training batches: uint8 images, cropped, resized and flipped."""
        recipe = self.recipe
        height, width = recipe.input_size

        def transform(
            example: transforms.Example, seed: tf.Tensor, is_flipped: tf.Tensor
        ) -> transforms.Example:
            if recipe.min_crop_area < 1:
                example = transforms.random_area_crop(
                    example, seed, recipe.min_crop_area, _ASPECT_RATIOS
                )
            example = transforms.resize_to(example, height, width, "bilinear")
            if recipe.horizontal_flip:
                example = transforms.flip(example, is_flipped)
            return {**example, "image": tf.ensure_shape(example["image"], (height, width, 3))}

        return data.image_batches(
            self.train_split,
            recipe.batch_size,
            transform,
            class_balanced=recipe.class_balanced,
            seed=recipe.seed,
            first_step=first_step,
        ).map(lambda batch: (batch["image"], batch["label"]))

    def evaluation_callback(
        self, directory: RunDirectory | None, is_reranked: bool = False
    ) -> EvaluationCallback:
        """Returns the evaluation of an epoch."""
        recipe = self.recipe
        return EvaluationCallback(
            ReidentificationEvaluator(self.val_split, is_reranked=is_reranked),
            data.resized_batches(self.val_split, recipe.batch_size, *recipe.input_size),
            log_dir=None if directory is None else directory.logs,
        )

    def summary_of_epoch(self, logs: dict[str, float]) -> str:
        """Returns the loss and accuracy on the training identities, rank-1 and mAP."""
        line = f"loss {logs['loss']:.3f}  train top1_clas {100 * logs['top1_clas']:.1f}"
        if "val_map" in logs:
            line += f"  |  rank1 {100 * logs['val_rank1']:.1f}  map {100 * logs['val_map']:.1f}"
        return line

    def final_results(self, model: keras.Model) -> tuple[dict[str, Any], np.ndarray | None]:
        """Evaluates the network, the same before training, and a random ranking."""
        final = self.evaluation_callback(None, self.recipe.rerank)
        final.set_model(model)
        figures = final.evaluate(draw=True)
        untrained = self.evaluation_callback(None)
        untrained.set_model(self.build_model())
        before = untrained.evaluate()
        truth = truth_of(self.val_split)
        return {
            "queries": len(truth.matches),
            "gallery": len(truth.is_junk),
            **{name.removeprefix("val_"): value for name, value in figures.items()},
            **{f"untrained_{name}": before[f"val_{name}"] for name in ("rank1", "map")},
            **_random_ranking(truth, self.recipe.seed),
            "queries_without_match": sum(not len(rows) for rows in truth.matches),
            "bad_images": len(self.bad_images),
            "evaluated_examples": self.evaluated_examples,
        }, final.panel

    def export(self, model: keras.Model, directory: RunDirectory) -> None:
        """Exports a model from images to embeddings."""
        export_embedder(model, directory.saved_model)

    def results_headline(self, results: dict[str, Any]) -> str:
        """Returns how many images were evaluated."""
        return f"{results['queries']} queries, {results['gallery']} gallery images, percent"

    def results_table(self, results: dict[str, Any]) -> list[str]:
        """Returns rank-k, mAP and the baselines."""
        return percent_rows([(t, results[key], "") for key, t in _TITLES.items() if key in results])

    @classmethod
    def table_notes(cls, all_results: Sequence[Mapping[str, Any]]) -> str:
        """Returns how the figures were computed."""
        first = all_results[0]
        return (
            f"{first['queries']} queries, {first['gallery']} gallery images, single query. mAP is "
            "the area by trapezoids, as in the toolbox of Market-1501."
        )


def _random_ranking(truth: Truth, seed: int) -> dict[str, float]:
    """Returns the mean figures of some random rankings."""
    random = np.random.default_rng(seed)
    figures = []
    for _ in range(_RANDOM_RANKINGS):
        blocks = (random.random((1, len(truth.is_junk)), "float32") for _ in truth.matches)
        figures.append(score_rankings(blocks, truth).means())
    return {f"random_{n}": float(np.mean([one[n] for one in figures])) for n in ("rank1", "map")}
