"""Re-ranking with k-reciprocal neighbors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_has.ops.retrieval import feature_distances

_Rows = tuple[list[np.ndarray], list[np.ndarray]]


def reranked_distances(
    queries: np.ndarray,
    gallery: np.ndarray,
    k1: int = 20,
    k2: int = 6,
    original_share: float = 0.3,
) -> Iterator[np.ndarray]:
    """Yields distances of queries to the gallery that also compare their neighbors.

    An image is described by its k-reciprocal neighbors, those among the `k1` nearest images of
    which it is itself among the `k1` nearest, extended by the neighbors of these, and averaged over
    its `k2` nearest images. The distance is `(1 - original_share)` times the Jaccard distance of
    two descriptions plus `original_share` times the squared Euclidean distance, divided by the
    query's largest. Queries are neighbors, too, so the ranking of one depends on the others.

    No matrix of all images times all images is kept; the memory is that of the vectors and of a few
    hundred numbers for each image.

    Args:
        queries: (Q, D) vectors of length 1.
        gallery: (G, D) vectors of length 1.
        k1: Number of neighbors. Defaults to `20`.
        k2: Number of images to average over; 1 for none. Defaults to `6`.
        original_share: Weight of the original distance. Defaults to `0.3`.

    Yields:
        (1, G) float32, one query after the other.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        [Zhong et al., 2017](https://arxiv.org/abs/1701.08398), equations 4 to 11.
    """
    for name, value, is_valid in (
        ("k1", k1, k1 >= 1),
        ("k2", k2, k2 >= 1),
        ("original_share", original_share, 0 <= original_share <= 1),
    ):
        if not is_valid:
            wanted = "in [0, 1]" if name == "original_share" else "at least 1"
            raise ValueError(f"`{name}` should be {wanted}. Received: {name}={value}")
    images = np.concatenate([queries, gallery]).astype("float32")
    neighbors, largest = _nearest(images, min(len(images), max(k1 + 1, k2)))
    members = _averaged(*_descriptions(images, neighbors, largest, k1), neighbors[:, :k2])
    return _distances(len(queries), images, largest, members, original_share)


def _nearest(images: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the nearest images of each image, nearest first, and its largest distance."""
    found, largest = [], []
    for block in feature_distances(images, images):
        largest.append(block.max(1))
        # Sorted by position before the stable sort by distance, so that ties keep their order.
        places = np.sort(np.argpartition(block, count - 1, axis=1)[:, :count], axis=1)
        order = np.argsort(np.take_along_axis(block, places, axis=1), axis=1, kind="stable")
        found.append(np.take_along_axis(places, order, axis=1))
    return np.concatenate(found), np.maximum(np.concatenate(largest), 1e-12)


def _reciprocal(neighbors: np.ndarray, k: int) -> list[np.ndarray]:
    """Returns for each image those of its k nearest, itself included, of which it is one."""
    nearest = neighbors[:, : k + 1]
    sets = [set(row.tolist()) for row in nearest]
    return [np.array([n for n in row.tolist() if i in sets[n]]) for i, row in enumerate(nearest)]


def _descriptions(images: np.ndarray, neighbors: np.ndarray, largest: np.ndarray, k1: int) -> _Rows:
    """Returns the extended reciprocal neighbors of each image and their weights, which add to 1."""
    reciprocal = _reciprocal(neighbors, k1)
    halves = [set(row.tolist()) for row in _reciprocal(neighbors, int(np.around(k1 / 2)))]
    places, weights = [], []
    for i, row in enumerate(reciprocal):
        members = set(row.tolist())
        extended = set(members)
        for member in members:
            half = halves[member]
            if len(half & members) > 2 / 3 * len(half):
                extended |= half
        place = np.array(sorted(extended), np.int64)
        distances = np.maximum(2 - 2 * (images[place] @ images[i]), 0) / largest[i]
        weight = np.exp(-distances)
        places.append(place)
        weights.append(weight / weight.sum())
    return places, weights


def _averaged(places: list[np.ndarray], weights: list[np.ndarray], neighbors: np.ndarray) -> _Rows:
    """Returns the descriptions averaged over those of the nearest images."""
    if neighbors.shape[1] == 1:
        return places, weights
    new_places, new_weights = [], []
    for row in neighbors:
        place, inverse = np.unique(np.concatenate([places[n] for n in row]), return_inverse=True)
        values = np.concatenate([weights[n] for n in row])
        new_places.append(place)
        new_weights.append(np.bincount(inverse.reshape(-1), values).astype("float32") / len(row))
    return new_places, new_weights


def _distances(
    queries: int, images: np.ndarray, largest: np.ndarray, members: _Rows, original_share: float
) -> Iterator[np.ndarray]:
    places, weights = members
    # Which images have a member, in the order of the members.
    counts = [len(place) for place in places]
    owners = np.repeat(np.arange(len(images)), counts)
    all_places, all_weights = np.concatenate(places), np.concatenate(weights)
    order = np.argsort(all_places, kind="stable")
    owners, owner_weights = owners[order], all_weights[order]
    ends = np.cumsum(np.bincount(all_places, minlength=len(images)))
    starts = np.concatenate([[0], ends[:-1]])
    gallery = images[queries:]
    for query in range(queries):
        # Both descriptions add up to 1, so their union is 2 minus the intersection.
        parts = [slice(starts[place], ends[place]) for place in places[query]]
        own = np.repeat(weights[query], [part.stop - part.start for part in parts])
        shared = np.minimum(own, np.concatenate([owner_weights[part] for part in parts]))
        intersection = np.bincount(
            np.concatenate([owners[part] for part in parts]), shared, len(images)
        )[queries:]
        jaccard = 1 - intersection / (2 - intersection)
        original = np.maximum(2 - 2 * (gallery @ images[query]), 0) / largest[query]
        mixed = (1 - original_share) * jaccard + original_share * original
        yield mixed.astype("float32")[None]
