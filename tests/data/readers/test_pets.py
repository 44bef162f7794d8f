import tarfile

import numpy as np
import pytest
from PIL import Image

from keras_has import data
from keras_has.data.readers.pets import trimap_labels

pytest.importorskip("tensorflow")

TRIMAP = np.array([[2, 2, 2, 2], [2, 3, 1, 2], [2, 1, 1, 3]], "uint8")


@pytest.fixture
def folder(tmp_path):
    for name in ("images", "trimaps", "head_boxes"):
        (tmp_path / name).mkdir()
    for name in ("pug_1", "bengal_2", "pug_3"):
        Image.new("RGB", (4, 3)).save(tmp_path / "images" / f"{name}.jpg")
        Image.fromarray(TRIMAP).save(tmp_path / "trimaps" / f"{name}.png")
    (tmp_path / "head_boxes" / "pug_1.txt").write_text("1 0 2 1\n")
    (tmp_path / "trainval.txt").write_text("pug_1 pug\nbengal_2 bengal\n")
    (tmp_path / "test.txt").write_text("pug_3 pug\n")
    return tmp_path


def test_breeds_boxes_heads_and_trimaps_are_read(folder):
    dataset = data.pets(folder)
    assert dataset.name == "pets/train"
    assert dataset.class_names == ("bengal", "pug")
    assert dataset["label"].tolist() == [1, 0]
    assert [boxes.tolist() for boxes in dataset["boxes"]] == [[[1, 1, 4, 3]]] * 2
    assert [boxes.tolist() for boxes in dataset["head_boxes"]] == [[[1, 0, 3, 2]], []]
    (_, example) = dataset.examples(columns=["label", "trimap"])
    np.testing.assert_array_equal(example["trimap"], TRIMAP)
    assert data.pets(folder, "test").ids.tolist() == ["pug_3"]
    np.testing.assert_array_equal(
        trimap_labels(TRIMAP, 5), [[0, 0, 0, 0], [0, 255, 5, 0], [0, 5, 5, 255]]
    )


def test_every_bad_line_trimap_and_box_is_named(folder):
    (folder / "trainval.txt").write_text("pug_1 pug\nbengal_2\npug_9 pug\npug_1 pug\n")
    with pytest.raises(ValueError, match="4 problems") as error:
        data.pets(folder)
    text = str(error.value)
    assert f"{folder / 'trainval.txt'}:2" in text and "'bengal_2'" in text
    assert "no image of 'pug_9'" in text and "no trimap of 'pug_9'" in text
    assert "trainval.txt:4: 'pug_1' is there twice" in text

    (folder / "trainval.txt").write_text("pug_1 pug\nbengal_2 bengal\n")
    Image.fromarray(np.full((3, 4), 9, "uint8")).save(folder / "trimaps" / "bengal_2.png")
    (folder / "head_boxes" / "pug_1.txt").write_text("3 0 2 1\n")
    with pytest.raises(ValueError, match="2 problems") as error:
        data.pets(folder)
    assert "bengal_2.png" in str(error.value) and "9" in str(error.value)
    assert "pug_1.txt:1" in str(error.value)


def test_a_test_breed_without_training_images_is_refused(folder):
    (folder / "test.txt").write_text("pug_3 poodle\n")
    with pytest.raises(ValueError, match="'poodle'"):
        data.pets(folder, "test")


def test_the_real_pets_have_their_counts_and_areas(shared_data, tmp_path):
    with tarfile.open(shared_data / "pets-3.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    train, test = (data.pets(tmp_path / "pets-3", split) for split in ("train", "test"))
    assert (len(train), len(test)) == (300, 198)
    assert train.class_names == ("Abyssinian", "Bengal", "american_bulldog")
    assert sum(len(boxes) for boxes in train["head_boxes"]) == 296
    assert not any(len(boxes) for boxes in test["head_boxes"])
