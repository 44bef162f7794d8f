import re
import shutil
import tarfile

import numpy as np
import pytest

from keras_has.data.readers.cub import cub
from keras_has.ops.boxes import box_iou, centred_boxes

ALBATROSS, WREN = "001.Black_footed_Albatross", "002.House_Wren"
FILES = {
    "images.txt": f"1 {ALBATROSS}/a_1.jpg\n2 {ALBATROSS}/a_2.jpg\n"
    f"3 {WREN}/w_1.jpg\n4 {WREN}/w_2.jpg\n",
    "image_class_labels.txt": "1 1\n2 1\n3 2\n4 2\n",
    "classes.txt": f"1 {ALBATROSS}\n2 {WREN}\n",
    "bounding_boxes.txt": "1 1.0 2.0 3.0 4.0\n2 0.0 0.5 20.0 9.25\n"
    "3 10.0 1.0 14.0 5.0\n4 -2.0 3.0 5.0 2.0\n",
    "train_test_split.txt": "1 0\n2 1\n3 1\n4 0\n",
}


@pytest.fixture
def folder(tmp_path, write_image, write_text):
    """Two classes of two images, 10 x 20 pixels; one of each is for training."""
    root = tmp_path / "CUB_200_2011"
    for name, content in FILES.items():
        write_text(root / name, content)
    for line in FILES["images.txt"].splitlines():
        write_image(root / "images" / line.split()[1], (10, 20))
    return root


def test_train_and_test_are_read_in_the_order_of_the_images(folder):
    train, test = cub(folder, "train"), cub(folder, "test")
    assert train.name == "cub/train"
    assert train.class_names == test.class_names == ("Black footed Albatross", "House Wren")
    assert train.ids.tolist() == [f"{ALBATROSS}/a_2.jpg", f"{WREN}/w_1.jpg"]
    assert test.ids.tolist() == [f"{ALBATROSS}/a_1.jpg", f"{WREN}/w_2.jpg"]
    assert train["label"].tolist() == test["label"].tolist() == [0, 1]
    assert train["image_size"].tolist() == [[10, 20]] * 2
    assert [example["image"].shape for example in train.examples()] == [(10, 20, 3)] * 2


def test_boxes_are_half_open_and_clipped_to_the_image(folder):
    assert cub(folder, "test")["boxes"][0].tolist() == [[1, 2, 4, 6]]
    assert cub(folder, "test")["boxes"][1].tolist() == [[0, 3, 3, 5]]
    assert cub(folder, "train")["boxes"][0].tolist() == [[0, 0.5, 20, 9.75]]
    assert cub(folder, "train")["boxes"][1].tolist() == [[10, 1, 20, 6]]


def test_val_is_another_name_for_test_and_the_folder_above_will_do(folder):
    test, val = cub(folder, "test"), cub(folder.parent, "val")
    assert val.name == test.name == "cub/test"
    assert val.source.paths.tolist() == test.source.paths.tolist()


def test_an_unknown_split_raises(folder):
    with pytest.raises(ValueError, match=r"`split` should be .* Received: split='dev'"):
        cub(folder, "dev")


@pytest.mark.parametrize("part", [".", "images", *FILES])
def test_a_missing_part_is_named_with_what_to_do(folder, part):
    path = folder / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(FileNotFoundError, match=r"Unpack CUB_200_2011\.tgz") as caught:
        cub(folder)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("images.txt", "5", "images.txt:5: a line should be an id and a path"),
        ("images.txt", "x a/b.jpg", "images.txt:5: a line should be an id and a path"),
        ("images.txt", f"4 {WREN}/w_3.jpg", "images.txt:5: an id should have one line.*after li"),
        ("images.txt", f"5 {WREN}/w_2.jpg", "images.txt:5: an image should have one id"),
        ("images.txt", f"5 {WREN}/w_3.jpg", "images.txt:5: there should be such an image"),
        ("images.txt", "5 ../../secret.jpg", "images.txt:5: the path should be a folder and a"),
        ("image_class_labels.txt", "5 2", "image_class_labels.txt:5: the id should be one of"),
        ("image_class_labels.txt", "4 x", "image_class_labels.txt:5: a line should be an id"),
        ("classes.txt", "2 003.Wren", "classes.txt:3: an id should have one line"),
        ("bounding_boxes.txt", "9 1 2 3 4", "bounding_boxes.txt:5: the id should be one of"),
        ("bounding_boxes.txt", "4 1 2 3", "bounding_boxes.txt:5: a line should be an id and x, y"),
        ("train_test_split.txt", "4 2", "train_test_split.txt:5: a line should be an id and 1"),
    ],
)
def test_a_line_too_many_is_named(folder, file, line, message):
    path = folder / file
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=message):
        cub(folder)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("image_class_labels.txt", "none for id 4"),
        ("bounding_boxes.txt", r"images.txt:4: .* a line in bounding_boxes.txt. .* none for id 4"),
        ("train_test_split.txt", r"images.txt:4: .* a line in train_test_split.txt"),
        ("images.txt", f"images/{WREN}/w_2.jpg: the image should have an id in images.txt"),
        ("classes.txt", "image_class_labels.txt:3: the class should be one of classes.txt"),
    ],
)
def test_what_a_line_too_few_leaves_alone_is_named(folder, file, message):
    path = folder / file
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ValueError, match=message):
        cub(folder)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ("4 1 1 0 3", ":4: .* inverted or empty"),
        ("4 1 1 2 -3", ":4: .* inverted or empty"),
        ("4 20 1 2 3", ":4: a box should overlap its image of 20 x 10"),
        ("4 1 nan 2 3", ":4: the corners of a box should be four numbers"),
    ],
)
def test_boxes_that_cannot_be_are_named(folder, box, message):
    path = folder / "bounding_boxes.txt"
    path.write_text(path.read_text().replace("4 -2.0 3.0 5.0 2.0", box))
    with pytest.raises(ValueError, match="bounding_boxes.txt" + message):
        cub(folder, "test")


def test_all_problems_are_counted_and_ten_shown(folder):
    path = folder / "bounding_boxes.txt"
    path.write_text(path.read_text() + "".join(f"{number} x\n" for number in range(5, 20)))
    with pytest.raises(ValueError, match="Received: 15 problems") as caught:
        cub(folder)
    message = str(caught.value)
    assert len(re.findall(r"bounding_boxes\.txt:\d+:", message)) == 10
    assert message.endswith("... and 5 more.")


def test_an_image_that_is_cut_off_is_left_to_the_decoder(folder):
    (folder / "images" / WREN / "w_2.jpg").write_bytes(b"")
    dataset = cub(folder, "test")
    assert "image_size" not in dataset
    assert dataset["boxes"][1].tolist() == [[-2, 3, 3, 5]]


def test_the_real_birds_have_their_counts_and_baselines(shared_data, tmp_path):
    archive = shared_data / "cub-25.tar"
    if not archive.is_file():
        pytest.skip("cub-25.tar is not here")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    train, test = (cub(tmp_path / "cub-25", split) for split in ("train", "test"))
    assert (len(train), len(test)) == (750, 652)
    assert len(train.class_names) == 25
    assert train.class_names[0] == "Black footed Albatross"
    assert np.unique(train["label"]).tolist() == list(range(25))
    assert train["image_size"].min() > 100
    for side, percent in ((1, 20.7), (0.65, 55.8), (0.5, 41.0)):
        iou = box_iou(centred_boxes(test["image_size"], side), test.padded_boxes()[:, 0])
        assert 100 * np.mean(iou >= 0.5) == pytest.approx(percent, abs=0.4)
