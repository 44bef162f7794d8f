"""Ranking a gallery for each query, and scoring the rankings: rank-k and average precision."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

JUNK = -1
_VALUES_AT_ONCE = 2**22  # distances in memory at a time


@dataclasses.dataclass(frozen=True)
class Truth:
    """What a ranking of the gallery should find for each query, and what it should leave out.

    Args:
        matches: For each query the positions in the gallery of the images to find.
        left_out: For each query further positions that are removed from its ranking.
        is_junk: (G,) whether a gallery image is removed from all rankings.
    """

    matches: Sequence[np.ndarray]
    left_out: Sequence[np.ndarray]
    is_junk: np.ndarray


@dataclasses.dataclass(frozen=True)
class RankingScores:
    """The scores of the ranking of each query, NaN where a query has no match.

    Args:
        first_match: (Q,) place of the first match in the ranking, from 1.
        average_precision: (Q,) area below the precision-recall curve by trapezoids, as in the
            toolbox of Market-1501.
        step_average_precision: (Q,) mean of the precision at each match, as in scikit-learn.
    """

    first_match: np.ndarray
    average_precision: np.ndarray
    step_average_precision: np.ndarray

    def means(self, ranks: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
        """Returns the mean scores of the queries with a match.

        `"rank1"` is the share of queries with a match at place 1, `"rank5"` that with one among the
        first 5, and so on; `"map"` and `"map_step"` are the means of the two average precisions.

        Args:
            ranks: The ranks to report. Defaults to `(1, 5, 10)`.

        Raises:
            ValueError: If no query has a match.
        """
        has_match = np.isfinite(self.first_match)
        if not has_match.any():
            raise ValueError(
                "At least one query should have a match in the gallery, an image of the same "
                f"identity from another camera. Received: {len(has_match)} queries without one"
            )
        first = self.first_match[has_match]
        return {
            **{f"rank{k}": float((first <= k).mean()) for k in ranks},
            "map": float(self.average_precision[has_match].mean()),
            "map_step": float(self.step_average_precision[has_match].mean()),
        }


def reidentification_truth(
    query_identities: np.ndarray,
    query_cameras: np.ndarray,
    gallery_identities: np.ndarray,
    gallery_cameras: np.ndarray,
) -> Truth:
    """Returns the single-query protocol of person re-identification.

    Matches have the query's identity and another camera. Images of the same identity from the same
    camera are left out, and identity -1 is junk. Distractors, identity 0, stay in the ranking.

    Args:
        query_identities: (Q,) integers.
        query_cameras: (Q,) integers.
        gallery_identities: (G,) integers.
        gallery_cameras: (G,) integers.

    Example:

    >>> truth = reidentification_truth([7], [1], [7, 7, 0, -1], [1, 2, 2, 2])
    >>> truth.matches, truth.left_out, truth.is_junk.tolist()
    ([array([1])], [array([0])], [False, False, False, True])

    Reference:
        [Zheng et al., 2015](https://doi.org/10.1109/ICCV.2015.133), section 5.1.
    """
    identities, cameras = np.asarray(gallery_identities), np.asarray(gallery_cameras)
    order = np.argsort(identities, kind="stable")
    in_order = identities[order]
    matches, left_out = [], []
    for identity, camera in zip(query_identities, query_cameras, strict=True):
        start, end = np.searchsorted(in_order, [identity, identity + 1])
        rows = order[start:end]  # in increasing order, as the sorting is stable
        is_same_camera = cameras[rows] == camera
        matches.append(rows[~is_same_camera])
        left_out.append(rows[is_same_camera])
    return Truth(matches, left_out, identities == JUNK)


def feature_distances(queries: np.ndarray, gallery: np.ndarray) -> Iterator[np.ndarray]:
    """Yields squared Euclidean distances of queries to the gallery, a block of queries at a time.

    Args:
        queries: (Q, D) vectors of length 1.
        gallery: (G, D) vectors of length 1.

    Yields:
        (B, G) float32; the blocks follow each other.
    """
    queries, gallery = (np.asarray(part, "float32") for part in (queries, gallery))
    step = max(1, _VALUES_AT_ONCE // max(1, len(gallery)))
    for start in range(0, len(queries), step):
        yield np.maximum(2 - 2 * (queries[start : start + step] @ gallery.T), 0)


def score_rankings(distances: Iterable[np.ndarray], truth: Truth) -> RankingScores:
    """Scores the ranking of the gallery by increasing distance, for each query.

    With matches at places `r_1 < ... < r_n`, from 1 and counted without what is left out, the
    precision at match k is `k / r_k`, and that right before it `(k - 1) / (r_k - 1)`, or 1 at place
    1. The average precision of the Market-1501 toolbox is the mean over the matches of the mean of
    both; the other one is the mean of `k / r_k`. Equal distances keep the order of the gallery, and
    NaN comes last.

    Args:
        distances: Blocks (B, G) of distances, all queries in order.
        truth: What to find.

    Raises:
        ValueError: If the distances are not those of the truth's queries and gallery.

    Example:

    >>> truth = reidentification_truth([7], [1], [7, 7, 0, -1], [1, 2, 2, 2])
    >>> scores = score_rankings([np.array([[0.0, 0.4, 0.3, 0.1]])], truth)
    >>> scores.first_match, scores.average_precision, scores.step_average_precision
    (array([2.]), array([0.25]), array([0.5]))
    """
    queries, size = len(truth.matches), len(truth.is_junk)
    scores = np.full((3, queries), np.nan)
    start = 0
    for block in distances:
        end = start + len(block)
        if block.shape[1:] != (size,) or end > queries:
            raise ValueError(
                f"`distances` should be those of {queries} queries to {size} gallery images. "
                f"Received: a block of shape {block.shape} at query {start}"
            )
        scores[:, start:end] = _scores_of_block(
            block, truth.matches[start:end], truth.left_out[start:end], truth.is_junk
        )
        start = end
    if start != queries:
        raise ValueError(f"`distances` should be those of {queries} queries. Received: {start}")
    return RankingScores(*scores)


def _scores_of_block(
    distances: np.ndarray,
    matches: Sequence[np.ndarray],
    left_out: Sequence[np.ndarray],
    is_junk: np.ndarray,
) -> np.ndarray:
    is_ranked = np.tile(~is_junk, (len(distances), 1))
    is_match = np.zeros_like(is_ranked)
    for row, (found, removed) in enumerate(zip(matches, left_out, strict=True)):
        is_match[row, found] = True
        is_ranked[row, removed] = False
    is_match &= is_ranked
    order = np.argsort(distances, axis=1, kind="stable")
    is_match = np.take_along_axis(is_match, order, axis=1)
    places = np.cumsum(np.take_along_axis(is_ranked, order, axis=1), axis=1)
    rows, columns = np.nonzero(is_match)
    place = places[rows, columns].astype(float)
    counts = is_match.sum(1)
    first_of_row = np.cumsum(counts) - counts
    number = np.arange(len(rows)) - first_of_row[rows] + 1.0  # of the match in its ranking
    precision = number / place
    before = np.where(place > 1, (number - 1) / np.maximum(place - 1, 1), 1.0)
    with np.errstate(invalid="ignore"):
        area = np.bincount(rows, (precision + before) / 2, len(distances)) / counts
        steps = np.bincount(rows, precision, len(distances)) / counts
    first = np.full(len(distances), np.nan)
    first[counts > 0] = place[first_of_row[counts > 0]]
    return np.stack([first, area, steps])
