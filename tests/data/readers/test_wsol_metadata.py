import shutil

import numpy as np
import pytest

from keras_has.data.bad_images import find_bad_images
from keras_has.data.masks import load_mask
from keras_has.data.readers.wsol_metadata import wsol_metadata

LISTS = {
    "train": {"image_ids.txt": "a/1.jpg\na/2.jpg\nb/3.jpg\n", "image_ids_proxy.txt": "a/2.jpg\n"},
    "val": {"image_ids.txt": "v/5.jpg\nv/4.jpg\n"},
    "test": {"image_ids.txt": "t/6.jpg\n"},
}
LABELS = {
    "train": "a/1.jpg,0\na/2.jpg,0\nb/3.jpg,2\n",
    "val": "v/4.jpg,1\nv/5.jpg,0\n",
    "test": "t/6.jpg,0\n",
}
BOXES = {
    "val": "v/4.jpg,1,2,3,4\nv/5.jpg,0,0,19,9\nv/4.jpg,5,5,5,5\n",
    "test": "t/6.jpg,10,5,25,9\n",
}
SIZES = {"val": "v/4.jpg,20,10\nv/5.jpg,20,10\n", "test": "t/6.jpg,20,10\n"}


@pytest.fixture
def roots(tmp_path, write_image, write_text):
    """Metadata and images of three splits with boxes; all images are 10 x 20 pixels."""
    metadata, images = tmp_path / "metadata" / "BIRDS", tmp_path / "images"
    for split, files in LISTS.items():
        for name, content in {**files, "class_labels.txt": LABELS[split]}.items():
            write_text(metadata / split / name, content)
        for image_id in files["image_ids.txt"].split():
            write_image(images / image_id, (10, 20))
    for split in ("val", "test"):
        write_text(metadata / split / "localization.txt", BOXES[split])
        write_text(metadata / split / "image_sizes.txt", SIZES[split])
    return metadata, images


@pytest.fixture
def mask_roots(roots, write_pixels, write_text):
    """The same with masks in place of the boxes of val: two instances of image 4, one of 5."""
    metadata, images = roots
    (metadata / "val" / "image_sizes.txt").unlink()
    for name, rows in (("4_a", [0, 1]), ("4_b", [5]), ("4_ignore", [1, 2, 3]), ("5_a", [9])):
        mask = np.zeros((10, 20, 3), "uint8")
        mask[rows] = 255
        write_pixels(images / "v" / f"{name}.png", mask)
    lines = "v/4.jpg,v/4_a.png,v/4_ignore.png\nv/5.jpg,v/5_a.png,\nv/4.jpg,v/4_b.png,\n"
    write_text(metadata / "val" / "localization.txt", lines)
    return metadata, images


def test_images_are_read_in_the_order_of_their_list(roots):
    val = wsol_metadata(*roots, "val")
    assert val.name == "birds/val"
    assert val.ids.tolist() == ["v/5.jpg", "v/4.jpg"]
    assert val["label"].tolist() == [0, 1]
    assert val["image_size"].tolist() == [[10, 20]] * 2
    assert find_bad_images(val) == []
    assert wsol_metadata(*roots, "train")["label"].tolist() == [0, 0, 2]


def test_all_splits_have_the_classes_of_all(roots):
    for split in ("train", "val", "test"):
        assert wsol_metadata(*roots, split).class_names == ("0", "1", "2")
    named = wsol_metadata(*roots, "test", class_names=["wren", "crow", "owl"])
    assert named.class_names == ("wren", "crow", "owl")
    with pytest.raises(ValueError, match=r"`class_names` .* 3 .*Received: 1"):
        wsol_metadata(*roots, "test", class_names=["wren"])


def test_the_rows_are_the_half_open_boxes_less_one_even_beyond_the_image(roots):
    val, test = (wsol_metadata(*roots, split) for split in ("val", "test"))
    rows = [(boxes - [0, 0, 1, 1]).tolist() for boxes in (*val["boxes"], *test["boxes"])]
    assert rows == [[[0, 0, 19, 9]], [[1, 2, 3, 4], [5, 5, 5, 5]], [[10, 5, 25, 9]]]


def test_train_has_no_boxes_unless_they_are_asked_for(roots, write_text):
    write_text(roots[0] / "train" / "localization.txt", "a/1.jpg,1,2,3,4\na/2.jpg,1,2,3,4\n")
    assert [len(boxes) for boxes in wsol_metadata(*roots, "train")["boxes"]] == [0, 0, 0]
    with pytest.raises(ValueError, match=r"localization\.txt: every image .* none for 'b/3\.jpg'"):
        wsol_metadata(*roots, "train", read_boxes=True)


def test_the_papers_names_of_the_splits_and_the_proxy_are_known(roots):
    fullsup = wsol_metadata(*roots, "train-fullsup")
    assert fullsup.ids.tolist() == wsol_metadata(*roots, "val").ids.tolist()
    proxy = wsol_metadata(*roots, "train-weaksup", use_proxy=True)
    assert proxy.ids.tolist() == ["a/2.jpg"]
    with pytest.raises(ValueError, match=r"`split` .*split=dev"):
        wsol_metadata(*roots, "dev")


def test_masks_are_read_as_the_protocol_reads_them(mask_roots):
    val = wsol_metadata(*mask_roots, "val")
    assert [len(paths) for paths in val["mask_paths"]] == [1, 2]
    mask, ignore = load_mask(val["mask_paths"][1], val["ignore_path"][1], image_size=(10, 4))
    assert mask.dtype == ignore.dtype == np.uint8
    assert np.flatnonzero(mask[:, 0]).tolist() == [0, 1, 5]
    assert np.flatnonzero(ignore[:, 3]).tolist() == [2, 3]
    mask, ignore = load_mask(val["mask_paths"][0], val["ignore_path"][0], image_size=5)
    # The nearest pixel at half the size is the even one: row 9 is not seen.
    assert mask.shape == (5, 5)
    assert not mask.any()
    assert not ignore.any()
    assert val.select([1])["mask_paths"] == val["mask_paths"][1:]


def test_masks_that_are_not_there_are_named(mask_roots, write_text):
    metadata, images = mask_roots
    path = metadata / "val" / "localization.txt"
    path.write_text(path.read_text() + "v/5.jpg,v/5_b.png,v/5_ignore.png\n")
    with pytest.raises(ValueError, match="Received: 3 problems") as caught:
        wsol_metadata(metadata, images, "val")
    assert f"localization.txt:4: there should be such a mask. Received: none at {images}" in str(
        caught.value
    )
    assert "only the first line of an image should name what is to be ignored" in str(caught.value)


def test_a_mask_that_cannot_be_read_is_named(tmp_path, write_text):
    with pytest.raises(FileNotFoundError, match=r"no\.png"):
        load_mask([tmp_path / "no.png"])
    with pytest.raises(ValueError, match=r"a\.png"):
        load_mask([write_text(tmp_path / "a.png", "text")])
    with pytest.raises(ValueError, match="`mask_paths`"):
        load_mask([])


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("image_ids.txt", "v/4.jpg", "image_ids.txt:3: an image should be listed once"),
        ("image_ids.txt", "../x.jpg", "image_ids.txt:3: a line should be the path of an image"),
        ("image_ids.txt", "v/9.jpg", "image_ids.txt:3: there should be such an image"),
        ("class_labels.txt", "v/9.jpg", "class_labels.txt:3: a line should be the path"),
        ("class_labels.txt", "v/9.jpg,-1", "class_labels.txt:3: a line should be the path"),
        ("class_labels.txt", "v/4.jpg,1", "class_labels.txt:3: .* that has no line yet"),
        ("localization.txt", "v/9.jpg,1,2,3,4", "localization.txt:4: the image should be one of"),
        ("localization.txt", "v/4.jpg,1,2,3", "localization.txt:4: a line should be path,x0"),
        ("localization.txt", "v/4.jpg,m.png,", "localization.txt:4: a line should be path,x0"),
        ("localization.txt", "v/4.jpg,1,2,0,4", "localization.txt:4: .* inverted or empty"),
        ("localization.txt", "v/4.jpg,1,2,3.5,4", "localization.txt:4: corners should be whole"),
        ("localization.txt", "v/4.jpg,20,2,30,4", "localization.txt:4: a box should overlap"),
        ("image_sizes.txt", "v/9.jpg,0,3", "image_sizes.txt:3: a line should be the path"),
    ],
)
def test_lines_that_do_not_fit_are_named(roots, file, line, message):
    path = roots[0] / "val" / file
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=message):
        wsol_metadata(*roots, "val")


def test_an_image_that_was_resized_is_named(roots, write_image):
    write_image(roots[1] / "v" / "4.jpg", (5, 10))
    with pytest.raises(ValueError, match=r"v/4\.jpg should be .* 20 x 10 .* Received: 10 x 5"):
        wsol_metadata(*roots, "val")


@pytest.mark.parametrize(
    "part", ["val", "val/image_ids.txt", "val/class_labels.txt", "val/localization.txt"]
)
def test_a_missing_part_is_named_with_what_to_do(roots, part):
    path = roots[0] / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(FileNotFoundError, match="clovaai/wsolevaluation") as caught:
        wsol_metadata(*roots, "val")
    assert str(path) in str(caught.value)
