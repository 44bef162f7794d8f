"""Ranks the images of a folder by how similar they are to query images."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_has import drawing
from keras_has.atomic_files import write_atomically
from keras_has.data.folders import printable
from keras_has.evaluation.reidentification import ranked_tile
from keras_has.ops.reranking import reranked_distances
from keras_has.ops.retrieval import feature_distances
from trainers.engine.exported_models import run_on_files

_COLUMNS = 11
_SIDE = 160  # of a picture, in pixels


@dataclasses.dataclass(frozen=True)
class Ranking:
    """The ranked gallery of one query.

    Args:
        query: The query image.
        images: Gallery images, the most similar first.
        distances: Their distances to the query: of the embeddings, or after re-ranking.
    """

    query: Path
    images: Sequence[Path]
    distances: np.ndarray


def embed_files(
    model: Any,
    files: Sequence[Path],
    batch_size: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Path], np.ndarray, list[str]]:
    """Returns the files that can be read, their embeddings (N, D), and what is wrong with others.

    Args:
        model: An exported model, see `keras_has.export.load_embedder`.
        files: Image files.
        batch_size: Files per call of the model.
        progress: Called now and then with the number of files done and the number of all.
    """
    good, embeddings, bad = [], [], []
    for number, (path, found) in enumerate(run_on_files(model, files, batch_size), start=1):
        if isinstance(found, str):
            bad.append(f"{printable(path)}: {found}")
        else:
            good.append(path)
            embeddings.append(found["embedding"])
        if progress is not None:
            progress(number, len(files))
    return good, np.array(embeddings), bad


def rank_gallery(
    queries: Sequence[Path],
    query_embeddings: np.ndarray,
    gallery: Sequence[Path],
    gallery_embeddings: np.ndarray,
    is_reranked: bool = False,
) -> Iterator[Ranking]:
    """Yields the ranking of each query; a query that is itself in the gallery is left out of it.

    Args:
        queries: The query images.
        query_embeddings: (Q, D) vectors of length 1.
        gallery: The images to rank.
        gallery_embeddings: (G, D) vectors of length 1.
        is_reranked: Whether to re-rank with k-reciprocal neighbors.
    """
    distances_of = reranked_distances if is_reranked else feature_distances
    blocks = distances_of(query_embeddings, gallery_embeddings)
    rows = (row for block in blocks for row in block)
    resolved = [path.resolve() for path in gallery]
    for query, distances in zip(queries, rows, strict=True):
        values = distances if is_reranked else np.sqrt(distances)
        own = query.resolve()
        order = [n for n in np.argsort(distances, kind="stable").tolist() if resolved[n] != own]
        yield Ranking(query, [gallery[n] for n in order], values[order])


def write_rankings(path: Path, rankings: Sequence[Ranking], root: Path, count: int) -> None:
    """Writes a table with the columns query, rank, image and distance.

    Args:
        path: The file to write.
        rankings: The ranking of each query.
        root: The folder to which the paths of gallery images are relative.
        count: Largest number of images for each query.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["query", "rank", "image", "distance"])
    for one in rankings:
        pairs = zip(one.images[:count], one.distances[:count].tolist(), strict=True)
        for rank, (image, distance) in enumerate(pairs, start=1):
            name = printable(image.relative_to(root))
            writer.writerow([printable(one.query), rank, name, f"{distance:.6f}"])
    write_atomically(path, text.getvalue())


def draw_ranking(ranking: Ranking, count: int) -> drawing.Picture:
    """Returns a picture of a query and the images that are most similar to it.

    Args:
        ranking: The ranking.
        count: Largest number of images.
    """
    import tensorflow as tf

    from keras_has.data.image_decoding import decode_image, to_upright

    tiles, captions = [], []
    for number, path in enumerate([ranking.query, *ranking.images[:count]]):
        image = decode_image(tf.constant(to_upright(path.read_bytes()))).numpy()
        tiles.append(ranked_tile(image, side=_SIDE))
        distance = "" if number == 0 else f"{number}: {ranking.distances[number - 1]:.3f}"
        captions.append(distance or "query")
    starts = range(0, len(tiles), _COLUMNS)
    return drawing.sheet(
        [tiles[start : start + _COLUMNS] for start in starts],
        captions=[captions[start : start + _COLUMNS] for start in starts],
        heading=printable(ranking.query.name),
    )
