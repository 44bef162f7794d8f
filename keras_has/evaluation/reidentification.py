"""Rank-k and mAP of a network that compares people."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_has import drawing
from keras_has.data.dataset import Dataset
from keras_has.evaluation.batch import Batch
from keras_has.evaluation.evaluator import Evaluator, Tensors
from keras_has.evaluation.panel import Panel
from keras_has.ops.reranking import reranked_distances
from keras_has.ops.retrieval import (
    JUNK,
    RankingScores,
    Truth,
    feature_distances,
    reidentification_truth,
    score_rankings,
)

_SIDE = 96  # of a picture in the panel, in pixels


class ReidentificationEvaluator(Evaluator):
    """Ranks the gallery for each query by the distance of embeddings: rank-1, -5, -10 and mAP.

    The figures are those of `keras_has.ops.retrieval.RankingScores.means`: `"rank1"`, `"rank5"`,
    `"rank10"`, `"map"` and `"map_step"`; with `is_reranked` also the same with the prefix
    `"reranked_"`. Embeddings have length 1. Unlike other evaluators it keeps one vector for each
    image, as every query is compared with the whole gallery.

    Args:
        test: The queries and the gallery, such as `keras_has.data.market1501(folder, "test")`. The
            dataset's batches hold the same images in the same order under `"image"`.
        embedding_layer: The layer whose output is the embedding. Defaults to `"pooling"`.
        is_reranked: Whether to re-rank with k-reciprocal neighbors, too. Defaults to `False`.
        panel_queries: Number of queries in the panel. Defaults to `8`.

    Attributes:
        embeddings: (N, D) float32, after `result`.
        truth: What each query should find.

    Example:

    >>> test = keras_has.data.Dataset(
    ...     "people/test",
    ...     ["query", "match", "other"],
    ...     {
    ...         "label": [0, 0, 1],
    ...         "identity": [1, 1, 2],
    ...         "camera": [1, 2, 2],
    ...         "is_query": [True, False, False],
    ...     },
    ...     keras_has.data.ArrayImages(np.zeros((3, 8, 4, 3), "uint8")),
    ...     ("0001", "0002"),
    ... )
    >>> evaluator = keras_has.evaluation.ReidentificationEvaluator(test)
    >>> embeddings = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], "float32")
    >>> parts = {"embedding": [embeddings]}
    >>> evaluator.process(keras_has.evaluation.Batch(parts, [[True] * 3]))
    >>> evaluator.result()["rank1"]
    1.0

    Reference:
        [Zheng et al., 2015](https://doi.org/10.1109/ICCV.2015.133), section 5.1.
    """

    name = "reidentification"
    panel_tag = "ranked galleries"
    noun = "image"

    def __init__(
        self,
        test: Dataset,
        embedding_layer: str = "pooling",
        is_reranked: bool = False,
        panel_queries: int = 8,
    ) -> None:
        self.test = test
        self.embedding_layer = embedding_layer
        self.is_reranked = is_reranked
        self.panel_queries = panel_queries
        self.truth = truth_of(test)
        self.embeddings = np.zeros((0, 1), "float32")
        self.reset()

    def forward(self, model: keras.Model) -> Callable[[Tensors], Tensors]:
        """Returns the forward pass from images to embeddings of length 1; see `Evaluator`."""
        network = embedding_network(model, self.embedding_layer)
        return lambda batch: {"embedding": unit_embeddings(network, batch["image"])}

    def reset(self) -> None:
        """Forgets all images."""
        self._parts: list[np.ndarray] = []

    def process(self, batch: Batch) -> None:
        """Keeps the embeddings of a batch."""
        self._parts.append(batch["embedding"])

    def result(self) -> dict[str, float]:
        """Returns the figures over all queries.

        Raises:
            ValueError: If there were other images than those of `test`, or no query has a match.
        """
        self.embeddings = np.concatenate(self._parts)
        if len(self.embeddings) != len(self.test):
            raise ValueError(
                f"The evaluator should see the {len(self.test)} images of {self.test.name!r}. "
                f"Received: {len(self.embeddings)} images"
            )
        figures = self.scores().means()
        if self.is_reranked:
            again = score_rankings(reranked_distances(*self._vectors()), self.truth).means()
            figures |= {f"reranked_{name}": value for name, value in again.items()}
        return figures

    def scores(self) -> RankingScores:
        """Returns the scores of each query, without re-ranking."""
        return score_rankings(feature_distances(*self._vectors()), self.truth)

    def panel(self) -> Panel | None:
        """Returns some queries with the nearest gallery images, green for matches."""
        count = len(self.truth.matches)
        rows = np.unique(np.linspace(0, count - 1, min(count, self.panel_queries)).astype(int))
        return ranking_panel(self.test, self.truth, rows, self.nearest(rows, 9)) if count else None

    def nearest(self, queries: Sequence[int] | np.ndarray, count: int) -> list[np.ndarray]:
        """Returns the nearest gallery images of some queries, without those that are left out.

        Args:
            queries: Positions among the queries.
            count: Largest number of images for each.

        Returns:
            For each query positions in the gallery, nearest first.
        """
        vectors, gallery = self._vectors()
        found = []
        for query in queries:
            (distances,) = next(feature_distances(vectors[[query]], gallery))
            is_ranked = ~self.truth.is_junk
            is_ranked[self.truth.left_out[query]] = False
            order = np.argsort(distances, kind="stable")
            found.append(order[is_ranked[order]][:count])
        return found

    def _vectors(self) -> tuple[np.ndarray, np.ndarray]:
        is_query = self.test["is_query"]
        return self.embeddings[is_query], self.embeddings[~is_query]


def embedding_network(model: keras.Model, layer: str = "pooling") -> keras.Model:
    """Returns the part of a model from the image to one of its layers.

    Raises:
        ValueError: If there is no such layer, or its output is not one vector per image.
    """
    output = model.get_layer(layer).output
    if len(output.shape) != 2:
        raise ValueError(
            f"`layer` should output one vector per image. Received: layer={layer!r} with output "
            f"shape {tuple(output.shape)}"
        )
    return keras.Model(model.inputs[0], output)


def unit_embeddings(network: keras.Model, images: tf.Tensor) -> tf.Tensor:
    """Returns the outputs of a network in inference mode, divided by their lengths, float32."""
    return tf.math.l2_normalize(tf.cast(network(images, training=False), tf.float32), axis=-1)


def truth_of(test: Dataset) -> Truth:
    """Returns what each query of a test split should find: the official lists, or the file names.

    Args:
        test: See `ReidentificationEvaluator`.
    """
    is_query = test["is_query"]
    identity, camera = test["identity"], test["camera"]
    if "matches" not in test:
        return reidentification_truth(
            identity[is_query], camera[is_query], identity[~is_query], camera[~is_query]
        )
    # Images may have been left out since the lists were read.
    known = test["gallery_position"][~is_query]
    places = np.full(known.max(initial=-1) + 1, -1)
    places[known] = np.arange(len(known))

    def rows_of(name: str) -> list[np.ndarray]:
        column = [test[name][row] for row in np.flatnonzero(is_query)]
        found = [places[rows[rows < len(places)]] for rows in column]
        return [rows[rows >= 0] for rows in found]

    return Truth(rows_of("matches"), rows_of("same_camera"), identity[~is_query] == JUNK)


def ranking_panel(
    test: Dataset, truth: Truth, queries: np.ndarray, nearest: Sequence[np.ndarray]
) -> Panel:
    """Returns a panel with one row for each query: the query, then its nearest gallery images.

    Args:
        test: The queries and the gallery.
        truth: What each query should find.
        queries: Positions among the queries.
        nearest: For each of them, positions in the gallery.
    """
    columns = 1 + max(map(len, nearest), default=0)
    panel = Panel("queries left, then the nearest gallery images: green for matches", columns)
    query_rows, gallery_rows = (np.flatnonzero(test["is_query"] == side) for side in (True, False))
    for query, found in zip(queries, nearest, strict=True):
        rows = [query_rows[query], *gallery_rows[found]]
        is_match = [None, *np.isin(found, truth.matches[query]).tolist()]
        images = test.examples(np.array(rows), columns=()).as_numpy_iterator()
        for number, (example, is_right) in enumerate(zip(images, is_match, strict=True)):
            name = test.class_names[test["label"][rows[number]]]
            caption = name if is_right is None else f"{number}: {name}"
            panel.add(ranked_tile(example["image"], is_right), caption)
        for _ in range(columns - len(rows)):
            panel.add(np.full((1, 1, 3), 255, "uint8"), "")
    return panel


def ranked_tile(
    image: np.ndarray, is_match: bool | None = None, side: int = _SIDE
) -> drawing.Picture:
    """Returns a picture with an edge that says whether it is a match; `None` for no edge."""
    tile = drawing.localization_tile(image, side=side)
    if is_match is None:
        return tile
    width, color = (4, (0, 158, 115)) if is_match else (2, (213, 94, 0))
    framed = np.full_like(tile, color)
    inner = (slice(width, -width), slice(width, -width))
    framed[inner] = tile[inner]
    return framed
