import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has import data  # noqa: E402
from keras_has.data.columns import RaggedColumn  # noqa: E402
from keras_has.evaluation import Batch, ReidentificationEvaluator  # noqa: E402
from keras_has.evaluation.reidentification import ranked_tile, truth_of  # noqa: E402


def people(with_lists=False):
    """Two queries of the identities 1 and 2, and a gallery of five images."""
    lists = {}
    if with_lists:
        empty = [()] * 5
        lists = {
            "matches": RaggedColumn([[0, 4], [2], *empty], np.int64),
            "same_camera": RaggedColumn([[1], [], *empty], np.int64),
            "gallery_position": [-1, -1, 0, 1, 2, 3, 4],
        }
    return data.Dataset(
        name="people/test",
        ids=[f"{n}" for n in range(7)],
        columns={
            "label": [2, 3, 2, 2, 3, 1, 0],
            "identity": [1, 2, 1, 1, 2, 0, -1],
            "camera": [1, 1, 2, 1, 2, 2, 2],
            "is_query": [True] * 2 + [False] * 5,
            **lists,
        },
        source=data.ArrayImages(np.full((7, 8, 4, 3), 100, "uint8")),
        class_names=("-1", "0000", "0001", "0002"),
    )


def lists_of(truth):
    return [[rows.tolist() for rows in part] for part in (truth.matches, truth.left_out)]


def test_file_names_decide_without_official_lists():
    truth = truth_of(people())
    assert lists_of(truth) == [[[0], [2]], [[1], []]]
    assert truth.is_junk.tolist() == [False] * 4 + [True]


def test_official_lists_decide_and_follow_images_that_were_left_out():
    assert lists_of(truth_of(people(True))) == [[[0, 4], [2]], [[1], []]]
    # The first gallery image, a match, and the first query cannot be decoded.
    assert lists_of(truth_of(people(True).select([0, 1, 3, 4, 5]))) == [[[], [1]], [[0], []]]
    assert lists_of(truth_of(people(True).select([1, 2, 4]))) == [[[1]], [[]]]


def test_the_figures_are_those_of_the_ranking_by_angle():
    evaluator = ReidentificationEvaluator(people(), is_reranked=True)
    angles = np.array([0.0, 1.0, 0.4, 0.0, 1.1, 0.2, 0.1])  # junk and same camera are nearest
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype("float32")
    for part in (vectors[:3], vectors[3:]):
        evaluator.process(Batch({"embedding": [part]}, [[True] * len(part)]))
    figures = evaluator.result()
    # Query 1 finds the distractor first; precision 1 / 2, and 0 right before.
    assert figures["rank1"] == 0.5
    assert figures["rank5"] == 1
    assert figures["map"] == pytest.approx((0.25 + 1) / 2)
    assert figures["map_step"] == pytest.approx((0.5 + 1) / 2)
    assert 0 <= figures["reranked_map"] <= 1
    assert [rows.tolist() for rows in evaluator.nearest([0], 3)] == [[3, 0, 2]]
    panel = evaluator.panel()
    assert panel.captions[:4] == ["0001", "1: 0000", "2: 0001", "3: 0002"]
    evaluator.reset()
    evaluator.process(Batch({"embedding": [vectors[:3]]}, [[True] * 3]))
    with pytest.raises(ValueError, match="7 images of 'people/test'.*3 images"):
        evaluator.result()


def test_edges_tell_matches_from_others():
    image = np.zeros((40, 20, 3), "uint8")
    match, other = ranked_tile(image, True), ranked_tile(image, False)
    assert match.shape == other.shape == ranked_tile(image).shape
    assert ranked_tile(image).max() == 0
    assert match[3, 3].tolist() == [0, 158, 115]
    assert other[1, 1].tolist() == [213, 94, 0] and other[3, 3].max() == 0
