"""The true boxes and masks of images, and the files of their score maps."""

import numpy as np
import pytest

from keras_has.data.readers.localization_truth import (
    LocalizationTruth,
    read_boxes,
    read_image_sizes,
    read_localization_metadata,
    read_mask_folder,
)
from keras_has.data.readers.score_maps import find_score_maps
from keras_has.evaluation.score_maps import evaluate_score_maps_on_boxes


def test_a_table_with_image_id_has_last_pixels_as_before_unless_half_open_is_given(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("image_id,x0,y0,x1,y1,width,height\na,1,2,3,4,50,40\na,0,0,9.5,9,50,40\n")
    inclusive = read_boxes(path)
    assert inclusive.boxes["a"].tolist() == [[1, 2, 4, 5], [0, 0, 10.5, 10]]
    assert inclusive.sizes["a"] == (40, 50)
    assert read_boxes(path, half_open=True).boxes["a"][0].tolist() == [1, 2, 3, 4]
    path.write_text("image,x0,y0,x1,y1\na,1,2,3,4\n")
    truth = read_boxes(path, {"a": (7, 8)})
    assert truth.sizes["a"] == (7, 8)
    assert truth.boxes["a"].tolist() == [[1, 2, 3, 4]]


def test_a_box_whose_image_has_no_known_size_or_is_elsewhere_is_named(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("image,x0,y0,x1,y1\na,1,2,3,4\nb,90,2,95,4\nc,1,2,3,4\n")
    with pytest.raises(ValueError) as error:
        read_boxes(path, {"a": (7, 8), "b": (7, 8)})
    assert "boxes.csv:3: a box should overlap its image of 8 x 7 pixels" in str(error.value)
    assert "boxes.csv:4: the size of 'c' should be known" in str(error.value)


def test_two_sizes_of_an_image_are_refused_and_images_without_a_box_are_kept(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("image,x0,y0,x1,y1,width,height\na,1,2,3,4,100,100\nb,,,,,,\nc,1,2,3,4,9,9\n")
    truth = read_boxes(path, {"a": (100, 100)})
    assert truth.image_ids == ["a", "b", "c"]
    assert sorted(truth.boxes) == ["a", "c"]
    np.save(tmp_path / "b.npy", np.zeros((2, 2)))
    assert find_score_maps(tmp_path, truth.image_ids).surplus == []
    with pytest.raises(ValueError, match=r"boxes\.csv:2: .*100 x 100 here and 200 x 201"):
        read_boxes(path, {"a": (201, 200)})


def test_files_among_masks_that_are_not_used_are_named(tmp_path):
    for name in ("a.png", "b_ignore.png", "c.PNG", "d.jpg", "._a.png", "a_ignore.png"):
        (tmp_path / name).touch()
    truth = read_mask_folder(tmp_path)
    assert truth.image_ids == ["a", "c"]
    assert truth.masks == {"a": [tmp_path / "a.png"], "c": [tmp_path / "c.PNG"]}
    assert truth.ignored == {"a": tmp_path / "a_ignore.png"}
    names = [line.split(": ")[0] for line in truth.unused]
    assert names == [str(tmp_path / name) for name in ("._a.png", "d.jpg", "b_ignore.png")]
    (tmp_path / "c.png").touch()
    with pytest.raises(ValueError, match=r"c\.png and .*c\.PNG"):
        read_mask_folder(tmp_path)


def test_metadata_without_any_box_is_refused(tmp_path):
    (tmp_path / "image_ids.txt").write_text("a.jpg\n")
    (tmp_path / "image_sizes.txt").write_text("a.jpg,8,6\n")
    (tmp_path / "localization.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"localization\.txt should contain boxes"):
        read_localization_metadata(tmp_path)


@pytest.mark.parametrize("change", [lambda m: m * 1e300, lambda m: m * 1e-300, lambda m: m - 9])
def test_maps_without_a_box_for_gt_known_localization_are_counted(tmp_path, change):
    score_map = np.zeros((8, 8))
    score_map[2:6, 2:6] = 1
    np.save(tmp_path / "a.npy", change(score_map))
    np.save(tmp_path / "b.npy", score_map)
    box = np.array([[2.0, 2.0, 6.0, 6.0]])
    truth = LocalizationTruth(["a", "b"], {"a": box, "b": box}, {"a": (8, 8), "b": (8, 8)})
    files = find_score_maps(tmp_path, truth.image_ids).files
    figures = evaluate_score_maps_on_boxes(truth, files, threshold_interval=0.1)
    assert figures["maps_without_gt_known_box"] == 1
    assert figures["gt_known_loc"] == 0.5
    assert figures["degenerate_maps"] == 0


def test_column_names_decide_in_a_table_of_sizes(tmp_path):
    path = tmp_path / "sizes.csv"
    for text in (
        "image,height,width\nb.jpg,50,100\n",
        "width,height,image_id\n100,50,b.jpg\n",
        "b.jpg,100,50\n",
    ):
        path.write_text(text)
        assert read_image_sizes(path) == {"b.jpg": (50, 100)}
    for text, named in (
        ("image,w,h\nb.jpg,100,50\n", "image,w,h"),
        ("b.jpg,100,50\nb.jpg,50,100\n", r"sizes\.csv:2: .*one size"),
        ("b.jpg,200000,200000\n", r"sizes\.csv:1: .*width=200000"),
        ("b.jpg,1.5,2\n", r"sizes\.csv:1: .*width=1\.5"),
        ("b.jpg,0,2\nb,2\n", r"2 problems"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=named):
            read_image_sizes(path)


def test_names_that_could_be_taken_for_others_are_sorted_out(tmp_path):
    """Masks and maps named as documented, two images of one short name, repeated ids."""
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


def test_boxes_that_extend_beyond_their_image_are_clipped(tmp_path):
    path = tmp_path / "boxes.csv"
    lines = ["a.jpg,50,0,190,100,100,100", "b.jpg,-0.5,0,60,100,100,100"]
    path.write_text("\n".join(["image,x0,y0,x1,y1,width,height", *lines]))
    boxes = read_boxes(path).boxes
    assert boxes["a.jpg"].tolist() == [[50, 0, 100, 100]]
    assert boxes["b.jpg"].tolist() == [[0, 0, 60, 100]]
