import pytest

from keras_has.data.readers.imagenet_v2 import imagenet_v2


@pytest.fixture
def folder(tmp_path, write_image):
    for number in (0, 2, 10):
        write_image(tmp_path / "v2" / str(number) / "a.jpeg", (6, 8))
    write_image(tmp_path / "v2" / "10" / "b.jpeg", (6, 8))
    return tmp_path / "v2"


def test_a_label_is_the_number_of_the_folder_not_its_place(folder):
    dataset = imagenet_v2(folder)
    assert dataset.ids.tolist() == ["0/a.jpeg", "2/a.jpeg", "10/a.jpeg", "10/b.jpeg"]
    assert dataset["label"].tolist() == [0, 2, 10, 10]
    assert dataset.class_names[10] == "10"
    assert len(dataset.class_names) == 1000
    assert len(list(dataset.examples())) == 4


@pytest.mark.parametrize("name", ["1000", "n01440764", "07"])
def test_a_folder_that_is_no_class_number_is_named(folder, name):
    (folder / name).mkdir()
    with pytest.raises(ValueError, match=f"number from 0 to 999. Received: '{name}'"):
        imagenet_v2(folder)


def test_missing_images_and_too_few_names_are_named(folder, tmp_path):
    (folder / "3").mkdir()
    with pytest.raises(FileNotFoundError, match=r"v2/3/\*\.jpeg"):
        imagenet_v2(folder)
    with pytest.raises(FileNotFoundError, match="Unpack an archive of ImageNetV2"):
        imagenet_v2(tmp_path / "none")
    with pytest.raises(ValueError, match=r"should be 1000 names. Received: 2"):
        imagenet_v2(folder, ["a", "b"])
