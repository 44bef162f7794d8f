"""Temporal mAP: hand-worked cases where the protocols differ, and loops as in their tools."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_has.metrics import TemporalMeanAveragePrecision
from keras_has.metrics.temporal_mean_average_precision import PROTOCOLS

pytestmark = pytest.mark.backends


def average_precision(protocol, truth, detections, threshold=0.5, ambiguous=()):
    """The average precision of one class in one video; detections are (start, end, score)."""
    metric = TemporalMeanAveragePrecision(1, [threshold], protocol)
    y_true = {"segments": truth, "segment_labels": [0] * len(truth)}
    if ambiguous:
        y_true["ambiguous"] = ambiguous
    detections = np.array(detections, float).reshape(-1, 3)
    y_pred = {
        "segments": detections[:, :2],
        "labels": np.zeros(len(detections)),
        "scores": detections[:, 2],
    }
    metric.update_state(y_true, y_pred)
    return metric.average_precisions()[0, 0]


def of_every_protocol(*args, **kwargs):
    return {protocol: average_precision(protocol, *args, **kwargs) for protocol in PROTOCOLS}


def test_an_overlap_of_exactly_the_threshold_counts_but_for_thumos():
    assert of_every_protocol([[0, 10]], [(0, 5, 1)]) == {
        "thumos14": 0,
        "thumos14_11point": 0,
        "activitynet": 1,
        "wtalc": 1,
    }


def test_who_chooses_decides_which_detection_is_true():
    """THUMOS: the true segment takes the detection that fits best, the others the surest one."""
    figures = of_every_protocol([[0, 10]], [(0, 8, 0.9), (0, 10, 0.5)])
    assert figures == {"thumos14": 0.5, "thumos14_11point": 0.5, "activitynet": 1, "wtalc": 1}


def test_wtalc_takes_the_first_true_segment_and_activitynet_the_best():
    truth = [[0, 10], [4, 12]]
    # IoU of [3, 12] is 7/12 with the first and 8/9 with the second; [0, 10] fits the first alone
    # (6/12 with the second), which WTALC's first detection has taken.
    figures = of_every_protocol(truth, [(3, 12, 0.9), (0, 10, 0.5)], threshold=0.55)
    assert figures == {"thumos14": 1, "thumos14_11point": 1, "activitynet": 1, "wtalc": 0.5}


def test_precision_is_averaged_in_three_ways():
    """Two true segments; found by the first and the fourth of four detections."""
    truth = [[0, 10], [20, 30]]
    detections = [(0, 10, 0.9), (40, 50, 0.8), (60, 70, 0.7), (20, 30, 0.6), (80, 90, 0.5)]
    figures = of_every_protocol(truth, detections)
    assert figures["thumos14"] == figures["wtalc"] == pytest.approx((1 + 2 / 4) / 2)
    # Recall 0.5 is reached at precision 1 (six of eleven points), recall 1 at 1/2 (five).
    assert figures["thumos14_11point"] == pytest.approx((6 * 1 + 5 * 0.5) / 11)
    assert figures["activitynet"] == pytest.approx((1 + 0.5) / 2)
    # Precision 1/2, then 2/3: made monotone it is 2/3 at both.
    detections = [(40, 50, 0.9), (0, 10, 0.8), (20, 30, 0.7)]
    figures = of_every_protocol(truth, detections)
    assert figures["thumos14"] == figures["wtalc"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert figures["thumos14_11point"] == pytest.approx(2 / 3)
    assert figures["activitynet"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("positives", [10, 20, 30, 70])
@pytest.mark.parametrize("tenths", range(11))
def test_every_recall_of_exactly_so_many_tenths_is_reached_except_for_three(tenths, positives):
    truth = [[10 * n, 10 * n + 5] for n in range(positives)]
    found = tenths * positives // 10
    detections = [(10 * n, 10 * n + 5, 1 - n / 100) for n in range(found)]
    reached = tenths + (tenths != 3 and found > 0)  # MATLAB's fourth recall is just above 0.3.
    figure = average_precision("thumos14_11point", truth, detections)
    assert figure == pytest.approx(reached / 11)


def test_ambiguous_intervals():
    """One detection is true and touches the ambiguous interval, one is false and touches it."""
    truth, ambiguous = [[0, 10]], [[9, 30]]
    detections = [(15, 20, 0.9), (0, 10, 0.8), (50, 60, 0.95)]
    assert of_every_protocol(truth, detections, ambiguous=ambiguous) == {
        "thumos14": 1 / 2,  # the false one is not counted, that at 50 is
        "thumos14_11point": 1 / 2,
        "activitynet": pytest.approx(1 / 3),  # knows no such intervals
        "wtalc": 0,  # the true one is taken out, too
    }


def test_ambiguous_intervals_are_those_of_the_same_video_and_of_any_class():
    for video, expected in ((0, 1.0), (1, 0.5)):
        metric = TemporalMeanAveragePrecision(2, [0.5])
        ambiguous = np.zeros((2, 1, 2))
        ambiguous[video] = [15, 16]
        metric.update_state(
            {
                "segments": [[[0, 10]], [[0, 10]]],
                "segment_labels": [[0], [1]],
                "ambiguous": ambiguous,
            },
            {
                "segments": np.array([[[15, 20], [0, 10]], [[0, 0], [0, 0]]]),
                "labels": [[0, 0], [-1, -1]],
                "scores": [[0.9, 0.8], [0, 0]],
            },
        )
        assert metric.average_precisions()[0].tolist() == [expected, 0]


def test_equal_scores_keep_their_order_and_count_true_positives_first_in_the_first_thumos_kit():
    figures = of_every_protocol([[0, 10]], [(40, 50, 0.5), (0, 10, 0.5)])
    assert figures == {"thumos14": 0.5, "thumos14_11point": 1, "activitynet": 0.5, "wtalc": 0.5}


@pytest.mark.parametrize("batches", [[1, 1, 1], [2, 1], [1, 2], [3]])
def test_equal_scores_keep_the_order_of_the_videos_in_any_batching(batches):
    """All scores are equal; the detections of the second and third video are true."""
    metric = TemporalMeanAveragePrecision(1, [0.5])
    segments = np.array([[[50, 60]], [[0, 10]], [[0, 10]]])
    start = 0
    for size in batches:
        y_pred = {"segments": segments[start : start + size], "labels": np.zeros((size, 1))}
        metric.update_state(
            {"segments": [[[0, 10]]] * size, "segment_labels": [[0]] * size},
            {**y_pred, "scores": np.full((size, 1), 0.5)},
        )
        start += size
    assert metric.average_precisions()[0, 0] == pytest.approx((1 / 2 + 2 / 3) / 3)


def test_a_second_detection_of_the_same_segment_is_false():
    figures = of_every_protocol([[0, 10]], [(0, 10, 0.5), (0, 10, 0.9)])
    assert figures["activitynet"] == figures["wtalc"] == 1
    assert figures["thumos14"] == 1  # of equal overlaps the one of the higher score


def test_classes_without_truth_are_left_out_and_counted():
    metric = TemporalMeanAveragePrecision(3, [0.5])
    metric.update_state(
        {"segments": [[0, 1], [2, 3]], "segment_labels": [0, 2]},
        {"segments": [[0, 1], [5, 6]], "labels": [0, 1], "scores": [1, 1]},
    )
    np.testing.assert_array_equal(metric.average_precisions(), [[1, np.nan, 0]])
    assert metric.classes_without_truth == 1
    assert metric.result() == {"temporal_map_at_0.5": 0.5, "temporal_map": 0.5}
    empty = TemporalMeanAveragePrecision(3)
    assert all(np.isnan(value) for value in empty.result().values())
    assert empty.classes_without_truth == 3


def as_their_tool_does(protocol, videos, threshold):
    """Average precision of one class, one step after the other, as the published tools do it."""

    def iou(a, b):
        overlap = min(a[1], b[1]) - max(a[0], b[0])
        return overlap / (max(a[1], b[1]) - min(a[0], b[0])) if overlap > 0 else 0

    positives = sum(len(truth) for truth, _, _ in videos)
    marks = []  # score, is true
    if protocol.startswith("thumos14"):
        for truth, found, ambiguous in videos:
            found = sorted(found, key=lambda each: -each[2])
            free = set(range(len(found)))
            for segment in truth:
                best = max(sorted(free), key=lambda n: iou(segment, found[n]), default=None)
                if best is not None and iou(segment, found[best]) > threshold:
                    free.remove(best)
            for n in range(len(found)):
                is_false = n in free
                if not is_false or not any(iou(found[n], other) > 0 for other in ambiguous):
                    marks.append((-found[n][2], is_false))
        ties = (lambda mark: mark) if protocol == "thumos14_11point" else (lambda mark: mark[0])
        marks = [(score, not is_false) for score, is_false in sorted(marks, key=ties)]
    else:
        found = [(v, *each) for v, (_, found, _) in enumerate(videos) for each in found]
        if protocol == "wtalc":
            found = [d for d in found if not any(iou(d[1:3], a) > 0 for a in videos[d[0]][2])]
        left = [list(truth) for truth, _, _ in videos]
        for video, start, end, score in sorted(found, key=lambda each: -each[3]):
            fits = [s for s in left[video] if iou((start, end), s) >= threshold]
            if fits:
                best = fits[0]
                if protocol == "activitynet":
                    best = max(fits, key=lambda s: iou((start, end), s))
                left[video].remove(best)
            marks.append((score, bool(fits)))
    hits, points = 0, []
    for rank, (_, is_true) in enumerate(marks, 1):
        hits += is_true
        points.append((hits, hits / rank, is_true))
    if protocol in ("thumos14", "wtalc"):
        return sum(p for _, p, is_true in points if is_true) / positives
    if protocol == "activitynet":
        at = [max(p for h, p, _ in points if h >= n) for n in range(1, hits + 1)]
        return sum(at) / positives
    recalls = [n * 0.1 for n in range(6)] + [1 - n * 0.1 for n in reversed(range(5))]  # 0:0.1:1
    at = [max((p for h, p, _ in points if h / positives >= r), default=0) for r in recalls]
    return sum(at) / 11


@st.composite
def videos_of_segments(draw):
    def some(most, with_score=False):
        rows = []
        for _ in range(draw(st.integers(0, most))):
            start, length = draw(st.integers(0, 12)), draw(st.integers(1, 6))
            rows.append((start, start + length))
            if with_score:
                rows[-1] += (draw(st.integers(0, 4)) / 4,)
        return rows

    return [(some(4), some(6, True), some(1)) for _ in range(draw(st.integers(1, 3)))]


@settings(max_examples=60)
@given(videos_of_segments(), st.sampled_from(PROTOCOLS), st.sampled_from([0.1, 0.3, 0.5]))
def test_every_protocol_is_what_a_loop_computes(videos, protocol, threshold):
    metric = TemporalMeanAveragePrecision(1, [threshold], protocol)
    for truth, found, ambiguous in videos:
        metric.update_state(
            {
                "segments": truth,
                "segment_labels": [0] * len(truth),
                "ambiguous": ambiguous,
            },
            {
                "segments": [each[:2] for each in found],
                "labels": [0] * len(found),
                "scores": [each[2] for each in found],
            },
        )
    if not any(truth for truth, _, _ in videos):
        assert np.isnan(metric.average_precisions()).all()
        return
    expected = as_their_tool_does(protocol, videos, threshold)
    assert metric.average_precisions()[0, 0] == pytest.approx(expected)


def some_videos(count, seed=0):
    random = np.random.default_rng(seed)
    videos = []
    for _ in range(count):
        start = random.uniform(0, 60, (6, 1))
        truth = np.concatenate([start, start + random.uniform(1, 9, (6, 1))], 1)
        found = truth[random.integers(6, size=20)] + random.normal(0, 1, (20, 2))
        labels = random.integers(0, 3, 6)
        videos.append(
            (
                {"segments": truth, "segment_labels": labels},
                {
                    "segments": np.sort(found, axis=1),
                    "labels": random.integers(0, 3, 20),
                    "scores": random.uniform(size=20),
                },
            )
        )
    return videos


def filled(videos, **settings):
    metric = TemporalMeanAveragePrecision(3, **settings)
    for video in videos:
        metric.update_state(*video)
    return metric


def stacked(videos):
    return [{key: np.stack([v[i][key] for v in videos]) for key in videos[0][i]} for i in (0, 1)]


def test_batches_padding_and_lists_give_what_single_videos_give():
    videos = some_videos(4)
    expected = filled(videos).average_precisions()
    assert 0 < expected.min() < expected.max() < 1
    true, found = stacked(videos)
    batched = filled([(true, found)])
    np.testing.assert_allclose(batched.average_precisions(), expected)
    as_lists = [{key: list(values) for key, values in each.items()} for each in (true, found)]
    np.testing.assert_allclose(filled([as_lists]).average_precisions(), expected)

    def pad(values, fill):
        widths = [(0, 1), (0, 2)] + [(0, 0)] * (values.ndim - 2)
        return keras.ops.convert_to_tensor(np.pad(values, widths, constant_values=fill))

    true = {"segments": pad(true["segments"], 0), "segment_labels": pad(true["segment_labels"], -1)}
    found = {key: pad(values, -1 if key == "labels" else 0) for key, values in found.items()}
    padded = TemporalMeanAveragePrecision(3)
    padded.update_state(true, found, sample_weight=[1, 1, 1, 1, 0])
    np.testing.assert_allclose(padded.average_precisions(), expected, rtol=1e-6)
    assert padded.num_videos == 4


def test_merging_parts_is_seeing_all_and_reset_forgets():
    videos = some_videos(7)
    whole = filled(videos)
    parts = [filled(videos[:2]), filled(videos[2:3]), filled(videos[3:])]
    parts[0].merge_state(parts[1:])
    np.testing.assert_array_equal(parts[0].average_precisions(), whole.average_precisions())
    other = filled([])
    other.merge_arrays(whole.state_arrays())
    assert other.result() == whole.result()
    assert other.num_videos == 7
    other.reset_state()
    other.merge_state([filled(videos[:2])])
    assert other.result() == filled(videos[:2]).result()
    with pytest.raises(ValueError, match="`metrics`"):
        other.merge_state([whole, filled(videos, protocol="wtalc")])
    assert other.num_videos == 2
    with pytest.raises(ValueError, match="detections"):
        other.merge_arrays({"detections": np.zeros((3, 4))})


def test_detections_that_are_no_numbers_are_left_out_and_counted():
    metric = TemporalMeanAveragePrecision(1, [0.5])
    metric.update_state(
        {"segments": [[0, 10]], "segment_labels": [0]},
        {
            "segments": [[0, np.nan], [0, 10], [0, 10]],
            "labels": [0, 0, 0],
            "scores": [1, np.inf, 0.5],
        },
    )
    assert metric.nan_detections == 2
    assert metric.result()["temporal_map"] == 1


def test_what_is_wrong_is_named_and_nothing_is_added():
    for arguments in ({"iou_thresholds": (0.5, 0.3)}, {"iou_thresholds": (1.0,)}):
        with pytest.raises(ValueError, match="`iou_thresholds`"):
            TemporalMeanAveragePrecision(2, **arguments)
    with pytest.raises(ValueError, match="`protocol`"):
        TemporalMeanAveragePrecision(2, protocol="coco")
    with pytest.raises(ValueError, match="`num_classes`"):
        TemporalMeanAveragePrecision(0)
    metric = TemporalMeanAveragePrecision(2)
    good_true = {"segments": [[0, 1]], "segment_labels": [0]}
    good = {"segments": [[0, 1]], "labels": [0], "scores": [1]}
    for true, found, words in (
        ({**good_true, "segment_labels": [2]}, good, "num_classes=2"),
        ({**good_true, "segments": [[1, 1]]}, good, r"\[1.0, 1.0\]"),
        (good_true, {**good, "scores": [1, 2]}, r"`y_pred`.*\(2,\)"),
        (good_true, {**good, "segments": [[0, 1, 2]]}, "shape"),
        ({**good_true, "ambiguous": [[[0, 1]], [[0, 1]]]}, good, "`y_true` and `y_pred`.* 2$"),
    ):
        with pytest.raises(ValueError, match=words):
            metric.update_state(true, found)
    assert metric.num_videos == 0


def test_configuration_and_serialization_round_trip():
    metric = TemporalMeanAveragePrecision(4, (0.3, 0.7), "activitynet", name="video_map")
    saved = keras.saving.serialize_keras_object(metric)
    loaded = keras.saving.deserialize_keras_object(saved)
    assert loaded.get_config() == metric.get_config()
    assert list(loaded.result()) == ["video_map_at_0.3", "video_map_at_0.7", "video_map"]
