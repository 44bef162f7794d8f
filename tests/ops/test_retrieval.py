import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_has.ops.reranking import reranked_distances
from keras_has.ops.retrieval import (
    Truth,
    feature_distances,
    reidentification_truth,
    score_rankings,
)


def slow_scores(distances, query, gallery):
    """Evaluates one query as the toolbox of Market-1501 does, image by image.

    Returns the place of the first match, the area by trapezoids and that by steps.
    """
    identity, camera = query
    good = [n for n, (i, c) in enumerate(gallery) if i == identity and c != camera]
    junk = [n for n, (i, c) in enumerate(gallery) if i == -1 or (i == identity and c == camera)]
    old_recall, old_precision, area, steps = 0.0, 1.0, 0.0, 0.0
    first, hits, place = None, 0, 0
    for n in sorted(range(len(gallery)), key=lambda n: (distances[n], n)):
        if n in junk:
            continue
        place += 1
        is_hit = n in good
        if is_hit:
            hits += 1
            first = place if first is None else first
        recall, precision = hits / len(good) if good else 0.0, hits / place
        area += (recall - old_recall) * (old_precision + precision) / 2
        steps += (recall - old_recall) * precision
        old_recall, old_precision = recall, precision
    return (first, area, steps) if good else (np.nan, np.nan, np.nan)


image = st.tuples(st.integers(-1, 3), st.integers(1, 3))


@settings(max_examples=60, deadline=None)
@given(
    queries=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=4),
    gallery=st.lists(image, min_size=1, max_size=25),
    data=st.data(),
)
def test_scores_equal_those_of_the_official_loop(queries, gallery, data):
    # Few different distances, so that there are ties.
    rows = st.lists(st.integers(0, 9), min_size=len(gallery), max_size=len(gallery))
    distances = np.array([data.draw(rows) for _ in queries], "float32")
    truth = reidentification_truth(*zip(*queries, strict=True), *zip(*gallery, strict=True))
    blocks = [distances[:1], distances[1:]]
    found = score_rankings(blocks, truth)
    expected = [slow_scores(d, q, gallery) for d, q in zip(distances, queries, strict=True)]
    arrays = (found.first_match, found.average_precision, found.step_average_precision)
    np.testing.assert_allclose(np.transpose(arrays), expected, rtol=1e-12)


def test_means_are_those_of_the_queries_with_a_match():
    truth = reidentification_truth([1, 2, 3], [1, 1, 1], [1, 0, 2, 0, 3], [2, 2, 2, 2, 1])
    distances = np.array([[0, 1, 2, 3, 4], [0, 1, 5, 3, 4], [0, 1, 2, 3, 4]], "float32")
    means = score_rankings([distances], truth).means((1, 4, 5))
    # First place, with area 1; fifth place, with precision 1 / 5 and 0 right before.
    assert means == {"rank1": 0.5, "rank4": 0.5, "rank5": 1, "map": 0.55, "map_step": 0.6}
    nobody = reidentification_truth([1], [1], [1], [1])
    with pytest.raises(ValueError, match="1 queries"):
        score_rankings([np.zeros((1, 1))], nobody).means()


def test_lists_of_matches_are_the_official_ones(shared_data):
    with np.load(shared_data / "market1501-ground-truth.npz") as file:
        official = {name: file[name] for name in file}

    def labels(names):
        found = [re.match(r"(-?\d+)_c(\d)", name).groups() for name in names.tolist()]
        return np.array(found, int).T

    def split(name):
        return np.split(official[name], np.cumsum(official[f"{name}_count"])[:-1])

    truth = reidentification_truth(*labels(official["query"]), *labels(official["gallery"]))
    assert truth.is_junk.sum() == 3819
    is_equal = [
        np.array_equal(*matches) and np.array_equal(*left_out)
        for *matches, left_out in zip(
            truth.matches,
            split("good"),
            zip(truth.left_out, split("same_camera"), strict=True),
            strict=True,
        )
    ]
    assert sum(is_equal) == 3355
    for row in np.flatnonzero(~np.array(is_equal)):
        # The official list of these is one wrong image; their names say that there is none.
        np.testing.assert_array_equal(truth.matches[row], split("good")[row])
        assert len(truth.left_out[row]) == 0


def test_given_lists_decide_instead_of_names():
    truth = Truth([np.array([2])], [np.array([0])], np.array([False, True, False, False]))
    scores = score_rankings([np.array([[0.0, 1.0, 3.0, 2.0]])], truth)
    assert scores.first_match.tolist() == [2]


@pytest.mark.parametrize("shape", [(2, 3), (1, 4), (3, 3)])
def test_distances_of_another_size_are_refused(shape):
    truth = reidentification_truth([1, 1], [1, 1], [1, 1, 1], [1, 2, 2])
    if shape == (2, 3):
        score_rankings([np.zeros(shape)], truth)
    else:
        with pytest.raises(ValueError, match=r"`distances`.*2 queries"):
            score_rankings([np.zeros(shape)], truth)


def test_memory_does_not_grow_with_the_number_of_queries():
    random = np.random.default_rng(0)

    def peak(queries):
        vectors = unit_vectors(random, queries + 2000, 8)
        truth = reidentification_truth(
            np.arange(queries) % 50, np.ones(queries), np.arange(2000) % 50, np.full(2000, 2)
        )
        tracemalloc.start()
        score_rankings(feature_distances(vectors[:queries], vectors[queries:]), truth)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(6_000) < 1.2 * peak(3_000)


def unit_vectors(random, count, width=5):
    vectors = random.normal(size=(count, width)).astype("float32")
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def published_reranking(queries, gallery, k1, k2, share):
    """The authors' algorithm, with matrices of all images times all images."""
    images = np.concatenate([queries, gallery]).astype("float64")
    distances = np.square(images[:, None] - images[None]).sum(-1)
    distances = (distances / distances.max(0)).T
    count = len(images)
    rank = np.argsort(distances, axis=1, kind="stable")

    def reciprocal(i, k):
        forward = rank[i, : k + 1]
        return forward[(rank[forward, : k + 1] == i).any(1)]

    weights = np.zeros((count, count))
    for i in range(count):
        found = members = reciprocal(i, k1)
        for member in members:
            candidates = reciprocal(member, int(np.around(k1 / 2)))
            if len(np.intersect1d(candidates, members)) > 2 / 3 * len(candidates):
                found = np.append(found, candidates)
        found = np.unique(found)
        weights[i, found] = np.exp(-distances[i, found])
        weights[i] /= weights[i].sum()
    weights = np.array([weights[rank[i, :k2]].mean(0) for i in range(count)])
    shared = np.minimum(weights[: len(queries), None], weights[None]).sum(-1)
    mixed = (1 - share) * (1 - shared / (2 - shared)) + share * distances[: len(queries)]
    return mixed[:, len(queries) :]


@pytest.mark.parametrize(("k1", "k2", "share"), [(20, 6, 0.3), (5, 1, 0.0), (50, 60, 0.5)])
def test_reranking_equals_the_published_algorithm(k1, k2, share):
    random = np.random.default_rng(k1)
    queries, gallery = unit_vectors(random, 8), unit_vectors(random, 40)
    found = np.concatenate(list(reranked_distances(queries, gallery, k1, k2, share)))
    expected = published_reranking(queries, gallery, k1, k2, share)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("field", [{"k1": 0}, {"k2": 0}, {"original_share": 1.5}])
def test_invalid_settings_of_reranking_are_refused(field):
    ((name, value),) = field.items()
    with pytest.raises(ValueError, match=f"`{name}`.*{value}"):
        reranked_distances(np.eye(2), np.eye(2), **field)
