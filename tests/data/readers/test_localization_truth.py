"""The true boxes and masks of images, and the files of their score maps."""

import numpy as np
import pytest

from keras_has.data.readers.localization_truth import (
    read_boxes,
    read_image_sizes,
    read_localization_metadata,
)
from keras_has.data.readers.score_maps import find_score_maps


def test_boxes_of_a_table_are_read_with_heading_sizes_and_both_kinds_of_corners(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("image_id,x0,y0,x1,y1,width,height\na,1,2,3,4,50,40\na,0,0,9.5,9,50,40\n")
    inclusive = read_boxes(path)
    assert inclusive.boxes["a"].tolist() == [[1, 2, 4, 5], [0, 0, 10.5, 10]]
    assert inclusive.sizes["a"] == (40, 50)
    assert read_boxes(path, half_open=True).boxes["a"][0].tolist() == [1, 2, 3, 4]
    path.write_text("a,1,2,3,4\n")
    assert read_boxes(path, {"a": (7, 8)}).sizes["a"] == (7, 8)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,1,2,3", r"boxes.csv:2: a line should be image_id,x0,y0,x1,y1"),
        ("a,1,2,3,x", r"boxes.csv:2: a line should be"),
        ("a,1,2,3,nan", r"boxes.csv:2: a line should be"),
        ("a,5,2,3,4,50,40", r"boxes.csv:2: a box should have"),
        ("a,-1,2,3,4,50,40", r"boxes.csv:2: a box should have"),
        ("b,1,2,3,4", r"boxes.csv:2: the size of 'b' should be known"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path, line, message):
    path = tmp_path / "boxes.csv"
    path.write_text(f"a,0,0,1,1,50,40\n{line}\n")
    with pytest.raises(ValueError, match=message):
        read_boxes(path)


def test_names_that_could_be_taken_for_others_are_sorted_out(tmp_path):
    """Headings, masks and maps named as documented, two images of one short name, repeated ids."""
    table = tmp_path / "boxes.csv"
    table.write_text("a.jpg,.5,1,50,60,100,100\nb.jpg,1,1,2,2,100,100\n")
    assert read_boxes(table).image_ids == ["a.jpg", "b.jpg"]
    table.write_text("image,x0,y0,x1,y1,width,height\nb.jpg,1,1,2,2,100,100\n")
    assert read_boxes(table).image_ids == ["b.jpg"]
    table.write_text("image,width,height\nb.jpg,100,50\n")
    assert read_image_sizes(table) == {"b.jpg": (50.0, 100.0)}
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    np.save(tmp_path / "c.jpg.npy", np.zeros((2, 2)))
    assert find_score_maps(tmp_path, ["c"]).missing == []
    with pytest.raises(ValueError, match=r"belongs to two images, one of which is a\.png"):
        find_score_maps(tmp_path, ["a.jpg", "a.png"])
    (tmp_path / "localization.txt").write_text("x.jpg,1,1,2,2\n")
    (tmp_path / "image_sizes.txt").write_text("x.jpg,9,9\n")
    for ids, message in (("y.jpg\n", "should be one of image_ids"), ("x.jpg\nx.jpg\n", "once")):
        (tmp_path / "image_ids.txt").write_text(ids)
        with pytest.raises(ValueError, match=message):
            read_localization_metadata(tmp_path)


def test_corners_of_metadata_may_be_fractional_but_not_negative(tmp_path):
    (tmp_path / "image_ids.txt").write_text("a.jpg\nb.jpg\n")
    (tmp_path / "image_sizes.txt").write_text("a.jpg,8,6\nb.jpg,8,6\n")
    (tmp_path / "localization.txt").write_text("a.jpg,1,1,2.5,2\n")
    truth = read_localization_metadata(tmp_path)
    assert truth.image_ids == ["a.jpg", "b.jpg"]
    assert truth.boxes["a.jpg"].tolist() == [[1, 1, 3.5, 3]]
    assert truth.sizes["a.jpg"] == (6, 8)
    assert "b.jpg" not in truth.boxes
    (tmp_path / "localization.txt").write_text("a.jpg,1,1,2,2\nb.jpg,-1,1,2,2\n")
    with pytest.raises(ValueError, match=r"localization.txt:2:.*-1.*'b.jpg'"):
        read_localization_metadata(tmp_path)
