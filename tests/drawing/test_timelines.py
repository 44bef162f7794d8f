"""Timelines draw every segment at its time."""

import numpy as np
import pytest

from keras_has import drawing, timelines
from keras_has.drawing import PREDICTED_BOX_COLOUR


def columns_of(picture, colour):
    return np.flatnonzero((picture == colour).all(-1).any(axis=0))


def test_segments_and_detections_are_drawn_at_their_times_in_rows_of_their_own():
    # 62 pixels of labels, 4 at the right: 500 pixels for 10 s.
    picture = drawing.timeline(10.0, [[2, 4]], None, None, [[6, 7]], width=566)
    true = columns_of(picture, drawing.TRUTH_COLOUR)
    assert (true.min(), true.max()) == (163, 261)  # after the edge at 162
    found = columns_of(picture, PREDICTED_BOX_COLOUR)
    assert (found.min(), found.max()) == (363, 411)
    rows = [
        np.flatnonzero((picture == colour).all(-1).any(axis=1))
        for colour in (drawing.TRUTH_COLOUR, PREDICTED_BOX_COLOUR)
    ]
    assert rows[0].max() < rows[1].min()


def test_the_map_is_drawn_to_its_maximum_and_cut_at_0():
    picture = drawing.timeline(4.0, cam=[-5.0, 1.0, 2.0, 0.0], width=466)
    is_map = (picture == drawing.MAP_COLOUR).all(-1)
    heights = is_map.sum(axis=0)
    assert heights[62:162].max() == 0
    assert heights[362:].max() == 0
    assert heights[300] > 1.7 * heights[200] > 0


@pytest.mark.parametrize("cam", [np.zeros(5), -np.ones(5), np.full(5, np.nan)])
def test_a_map_without_positive_value_stays_empty(cam):
    picture = drawing.timeline(5.0, cam=cam)
    assert not (picture == drawing.MAP_COLOUR).all(-1).any()


def test_segments_beyond_the_duration_are_clipped_and_low_scores_are_pale():
    picture = drawing.timeline(5.0, [[4, 9]], None, None, [[0, 1], [2, 3]], [1.0, 0.1])
    assert columns_of(picture, drawing.TRUTH_COLOUR).max() < picture.shape[1]
    full = columns_of(picture, PREDICTED_BOX_COLOUR)
    assert full.max() < 62 + (640 - 66) * 1.1 / 5
    with pytest.raises(ValueError, match="`duration`"):
        drawing.timeline(0.0)
    with pytest.raises(ValueError, match="`width`"):
        drawing.timeline(1.0, width=10)


@pytest.mark.parametrize("duration", [0.5, 3.0, 47.0, 1700.0, 90000.0])
def test_any_duration_has_an_axis(duration):
    picture = drawing.timeline(duration)
    assert (picture[-12:] < 128).any()


def test_the_old_names_still_work_and_name_the_new_ones():
    with pytest.warns(DeprecationWarning, match="keras_has.drawing.timeline"):
        assert timelines.timeline is drawing.timeline
    with pytest.warns(DeprecationWarning, match="keras_has.drawing.TRUTH_COLOUR"):
        assert timelines.TRUTH_COLOUR == drawing.TRUTH_COLOUR
    with pytest.raises(AttributeError, match="nothing_like_it"):
        timelines.nothing_like_it  # noqa: B018
