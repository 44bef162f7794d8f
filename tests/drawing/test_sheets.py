"""Sheets hold every picture."""

import numpy as np

from keras_has import drawing


def test_sheets_hold_all_tiles_below_each_other_and_side_by_side():
    red = np.full((10, 20, 3), (255, 0, 0), "uint8")
    blue = np.full((10, 20, 3), (0, 0, 255), "uint8")
    paper = drawing.sheet([[red, blue], [blue]], ["a", "b"], [["x\ny", "z"], ["Zürich"]], "title")
    is_red = (paper == (255, 0, 0)).all(-1)
    is_blue = (paper == (0, 0, 255)).all(-1)
    assert is_red.sum() == 200
    assert is_blue.sum() == 400
    assert np.nonzero(is_red)[1].max() < np.nonzero(is_blue[: paper.shape[0] // 2])[1].min()
