import re
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_has.data.readers.imagenet import imagenet

TENCH, FISH, SNAKE = "n01440764", "n01443537", "n01751748"
VAL = "ILSVRC2012_val_0000000"


@pytest.fixture
def folder(tmp_path, write_image, write_text, voc_xml):
    """The plain layout: class folders in train and val, two val images annotated."""
    for wordnet_id in (SNAKE, TENCH, FISH):
        for number in (10, 9):
            write_image(tmp_path / "train" / wordnet_id / f"{wordnet_id}_{number}.JPEG", (20, 30))
    for number, wordnet_id in enumerate((SNAKE, FISH, FISH), 1):
        write_image(tmp_path / "val" / wordnet_id / f"{VAL}{number}.JPEG", (20, 30))
    annotations = tmp_path / "Annotations" / "CLS-LOC"
    write_text(
        annotations / "val" / f"{VAL}1.xml",
        voc_xml([(SNAKE, 0, 0, 29, 19), (SNAKE, 3, 4, 3, 4)], (20, 30)),
    )
    write_text(annotations / "val" / f"{VAL}2.xml", voc_xml([(FISH, 2, 3, 9, 99)], (20, 30)))
    write_text(
        annotations / "train" / FISH / f"{FISH}_9.xml", voc_xml([(FISH, 1, 2, 3, 4)], (20, 30))
    )
    return tmp_path


def flatten_val(folder):
    for path in sorted((folder / "val").glob("*/*")):
        path.rename(folder / "val" / path.name)
    for path in (folder / "val").iterdir():
        if path.is_dir():
            path.rmdir()


def test_train_is_read_by_sorted_class_and_name_without_opening_files(folder):
    for path in (folder / "train").glob("*/*"):
        path.write_bytes(b"")
    dataset = imagenet(folder)
    assert dataset.class_names == (TENCH, FISH, SNAKE)
    assert dataset["label"].tolist() == [0, 0, 1, 1, 2, 2]
    assert dataset.ids[:2].tolist() == [f"{TENCH}_10.JPEG", f"{TENCH}_9.JPEG"]
    assert not any(len(boxes) for boxes in dataset["boxes"])
    assert "image_size" not in dataset


def test_val_class_folders_take_the_labels_of_train(folder):
    dataset = imagenet(str(folder), "val")
    assert dataset.ids.tolist() == [f"{VAL}{i}.JPEG" for i in (2, 3, 1)]
    assert dataset["label"].tolist() == [1, 1, 2]
    assert len(list(dataset.examples())) == 3


def test_boxes_are_inclusive_from_zero_and_clipped(folder):
    boxes = imagenet(folder, "val")["boxes"]
    assert boxes[2].tolist() == [[0, 0, 30, 20], [3, 4, 4, 5]]
    assert boxes[0].tolist() == [[2, 3, 10, 20]]
    assert boxes[1].shape == (0, 4)


def test_sizes_are_known_where_all_images_are_annotated(folder, write_text, voc_xml):
    assert "image_size" not in imagenet(folder, "val")
    write_text(folder / "Annotations" / "CLS-LOC" / "val" / f"{VAL}3.xml", voc_xml([]))
    assert imagenet(folder, "val")["image_size"].tolist() == [[20, 30]] * 3


def test_train_boxes_are_read_when_asked_for(folder):
    boxes = imagenet(folder, "train", read_boxes=True)["boxes"]
    assert [len(one) for one in boxes] == [0, 0, 0, 1, 0, 0]
    assert boxes[3].tolist() == [[1, 2, 4, 5]]


def test_boxes_are_not_read_when_not_wanted(folder):
    assert not any(len(one) for one in imagenet(folder, "val", read_boxes=False)["boxes"])


def test_boxes_that_are_insisted_on_and_absent_raise(folder):
    shutil.rmtree(folder / "Annotations")
    assert not any(len(one) for one in imagenet(folder, "val")["boxes"])
    for split in ("train", "val"):
        with pytest.raises(FileNotFoundError, match=r"XML annotations .*/CLS-LOC/.*read_boxes="):
            imagenet(folder, split, read_boxes=True)


@pytest.mark.parametrize("root", ["ILSVRC", "."])
def test_the_layout_of_kaggle_is_found(folder, tmp_path_factory, root):
    new = tmp_path_factory.mktemp("kaggle")
    data = new / root / "Data" / "CLS-LOC"
    data.mkdir(parents=True)
    flatten_val(folder)
    for split in ("train", "val"):
        shutil.move(folder / split, data / split)
    shutil.move(folder / "Annotations", new / root / "Annotations")
    (new / "LOC_val_solution.csv").write_text(
        f"ImageId,PredictionString\n{VAL}3,{FISH} 1 1 2 2 \n{VAL}1,{SNAKE} 0 0 9 9 \n"
        f"{VAL}2,{FISH} 5 5 6 6 {FISH} 7 7 9 9 \n"
    )
    (new / "LOC_synset_mapping.txt").write_text(
        f"{TENCH} tench, Tinca tinca\n{FISH} goldfish\n{SNAKE} sea snake\n"
    )
    dataset = imagenet(new, "val")
    assert dataset.class_names == ("tench", "goldfish", "sea snake")
    assert dataset.ids.tolist() == [f"{VAL}{i}.JPEG" for i in (1, 2, 3)]
    assert dataset["label"].tolist() == [2, 1, 1]
    # The XML files come first; the solution fills in where there is none.
    assert dataset["boxes"][1].tolist() == [[2, 3, 10, 20]]
    assert dataset["boxes"][2].tolist() == [[1, 1, 3, 3]]
    shutil.rmtree(new / root / "Annotations")
    assert imagenet(new, "val")["boxes"][1].tolist() == [[5, 5, 7, 7], [7, 7, 10, 10]]
    assert imagenet(new, "val")["image_size"].tolist() == [[20, 30]] * 3
    assert imagenet(new, "train")["label"].tolist() == [0, 0, 1, 1, 2, 2]


def test_a_solution_gives_boxes_to_class_folders_too(folder, write_text):
    shutil.rmtree(folder / "Annotations")
    text = f"ImageId,PredictionString\n{VAL}3,{FISH} 1 1 2 2\n"
    write_text(folder / "LOC_val_solution.csv", text)
    boxes = imagenet(folder, "val", read_boxes=True)["boxes"]
    assert [one.tolist() for one in boxes] == [[], [[1, 1, 3, 3]], []]


@pytest.mark.parametrize("name", ["val.txt", "ILSVRC2012_validation_list"])
@pytest.mark.parametrize("labels", [(SNAKE, FISH, FISH), (2, 1, 1)])
def test_flat_val_images_take_labels_from_a_list(folder, write_text, name, labels):
    flatten_val(folder)
    lines = [f"{VAL}{number}.JPEG {label}\n" for number, label in enumerate(labels, 1)]
    write_text(folder / name, "".join(reversed(lines)))
    dataset = imagenet(folder, "val")
    assert dataset.ids.tolist() == [f"{VAL}{i}.JPEG" for i in (1, 2, 3)]
    assert dataset["label"].tolist() == [2, 1, 1]
    assert dataset["boxes"][1].tolist() == [[2, 3, 10, 20]]


def test_val_alone_takes_its_classes_from_the_mapping_or_from_itself(folder, write_text):
    shutil.rmtree(folder / "train")
    dataset = imagenet(folder, "val")
    assert dataset.class_names == (FISH, SNAKE)
    assert dataset["label"].tolist() == [0, 0, 1]
    write_text(folder / "LOC_synset_mapping.txt", f"{TENCH} tench\n{FISH} fish\n{SNAKE} snake\n")
    assert imagenet(folder, "val")["label"].tolist() == [1, 1, 2]
    flatten_val(folder)
    (folder / "LOC_synset_mapping.txt").unlink()
    write_text(folder / "val.txt", f"{VAL}1 {SNAKE}\n{VAL}2 {FISH}\nval/{VAL}3.JPEG {FISH}\n")
    assert imagenet(folder, "val")["label"].tolist() == [1, 0, 0]


def test_flat_val_images_without_labels_raise_with_the_supported_forms(folder):
    flatten_val(folder)
    with pytest.raises(FileNotFoundError, match="the labels of the val images") as caught:
        imagenet(folder, "val")
    for form in (
        "val/WNID",
        "LOC_val_solution.csv",
        "data_dir/val.txt",
        "validation_list",
        "MATLAB",
    ):
        assert form in str(caught.value)


def test_indices_without_classes_raise(folder, write_text):
    shutil.rmtree(folder / "train")
    flatten_val(folder)
    write_text(folder / "val.txt", f"{VAL}1 0\n{VAL}2 1\n{VAL}3 1\n")
    with pytest.raises(FileNotFoundError, match=r"LOC_synset_mapping\.txt"):
        imagenet(folder, "val")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "",
            r"val\.txt should have one line .* an image without a line, 'ILSVRC2012_val_00000003'",
        ),
        (f"{VAL}3 {FISH}\n{VAL}4 {FISH}", "a line without an image, 'ILSVRC2012_val_00000004'"),
        (f"{VAL}3", r"val\.txt:3: a line should be a file"),
        (f"{VAL}2 1", r"val\.txt:3: a line should be a file that is not in the list yet"),
        (f"{VAL}3 fish", r"val\.txt:3: the class should be a WordNet id"),
        (f"{VAL}3 3", r"val\.txt:3: a class index should lie between 0 and 2.*only counts"),
        (f"{VAL}3 99999999999999999999", r"val\.txt:3: a class index should lie"),
        (f"{VAL}3 ²", r"val\.txt:3: the class should be a WordNet id"),
        (f"{VAL}3 n09999999", r"val\.txt should name only the 3 classes.*'n09999999'"),
    ],
)
def test_lists_that_do_not_fit_are_named(folder, write_text, line, message):
    flatten_val(folder)
    write_text(folder / "val.txt", f"{VAL}1 {SNAKE}\n{VAL}2 {FISH}\n{line}\n")
    with pytest.raises(ValueError, match=message):
        imagenet(folder, "val")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: the first line should be ImageId,PredictionString"),
        (f"{VAL}1,{FISH} 1 1 2 2", ":1: the first line should be ImageId,PredictionString"),
        (f"ImageId,PredictionString\n{VAL}1", ":2: a line should be an image id"),
        (f"ImageId,PredictionString\n{VAL}1,{FISH} 1 1 2", ":2: a line should be an image id"),
        (f"ImageId,PredictionString\n{VAL}1,fish 1 1 2 2", ":2: the class should be a WordNet id"),
        (f"ImageId,PredictionString\n{VAL}1,{FISH} 1 1 2 x", ":2: the corners of a box should"),
        (
            f"ImageId,PredictionString\n{VAL}1,{FISH} 1 1 2 2 {SNAKE} 1 1 2 2",
            ":2: a line should be an image id .* one class",
        ),
    ],
)
def test_solutions_that_cannot_be_read_are_named(folder, write_text, text, message):
    flatten_val(folder)
    write_text(folder / "LOC_val_solution.csv", text)
    with pytest.raises(ValueError, match=r"LOC_val_solution\.csv" + message):
        imagenet(folder, "val")


def test_boxes_of_a_solution_outside_the_image_are_named(folder, write_text):
    flatten_val(folder)
    write_text(
        folder / "LOC_val_solution.csv",
        f"ImageId,PredictionString\n{VAL}1,{SNAKE} 0 0 1 1\n{VAL}2,{FISH} 0 0 1 1\n"
        f"{VAL}3,{FISH} 30 0 31 1\n",
    )
    with pytest.raises(ValueError, match=r"solution\.csv:4: a box should overlap its image of 30"):
        imagenet(folder, "val")


@pytest.mark.parametrize(
    ("objects", "boxes"),
    [
        ([(FISH, 9, 4, 3, 2)], [[3, 2, 10, 5]]),  # Swapped corners, known in the official files.
        ([("Scottish_deerhound", 1, 2, 3, 4)], [[1, 2, 4, 5]]),  # Likewise a word for an id.
        ([(SNAKE, 0, 0, 9, 9), (FISH, 1, 2, 3, 4)], [[1, 2, 4, 5]]),
        ([("n09999999", 0, 0, 9, 9)], []),
        ([(FISH, -4, -4, 99, 99)], [[0, 0, 30, 20]]),
    ],
)
def test_known_oddities_of_the_official_annotations_are_mended(
    folder, write_text, voc_xml, objects, boxes
):
    path = folder / "Annotations" / "CLS-LOC" / "val" / f"{VAL}2.xml"
    write_text(path, voc_xml(objects, (20, 30)))
    assert imagenet(folder, "val")["boxes"][0].tolist() == boxes


def test_boxes_drawn_at_another_size_are_scaled_to_the_image(folder, write_text, voc_xml):
    path = folder / "Annotations" / "CLS-LOC" / "val" / f"{VAL}2.xml"
    write_text(path, voc_xml([(FISH, 10, 10, 19, 39)], (40, 300)))
    assert imagenet(folder, "val")["boxes"][0].tolist() == [[1, 5, 2, 20]]


def test_an_image_that_cannot_be_opened_takes_the_size_of_its_annotation(folder):
    (folder / "val" / FISH / f"{VAL}2.JPEG").write_bytes(b"")
    assert imagenet(folder, "val")["boxes"][0].tolist() == [[2, 3, 10, 20]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!DOCTYPE x><annotation/>", ":1: .* entity declaration"),
        ("<annotation>", ":1: the file should be well-formed XML"),
        ([(FISH, 1, 2, 3, "x")], ":3: the corners of a box should be four numbers"),
        ([(FISH, 1, 2, 3, 4), (FISH, 50, 0, 60, 9)], ":4: a box should overlap its image of 30"),
    ],
)
def test_annotations_that_cannot_be_read_are_named(folder, write_text, voc_xml, text, message):
    text = text if isinstance(text, str) else voc_xml(text, (20, 30))
    path = write_text(folder / "Annotations" / "CLS-LOC" / "val" / f"{VAL}2.xml", text)
    with pytest.raises(ValueError, match=re.escape(str(path)) + message):
        imagenet(folder, "val")


def test_annotations_in_class_folders_are_found(folder):
    annotations = folder / "Annotations" / "CLS-LOC" / "val"
    (annotations / FISH).mkdir()
    (annotations / f"{VAL}2.xml").rename(annotations / FISH / f"{VAL}2.xml")
    assert len(imagenet(folder, "val")["boxes"][0]) == 1


@pytest.mark.parametrize("part", [".", "train", f"train/{FISH}/*", "train/*", "val", "val/*"])
def test_a_missing_part_is_named_with_what_to_do(folder, part):
    for path in [folder] if part == "." else list(folder.glob(part)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    split = "val" if part.startswith("val") else "train"
    with pytest.raises(
        FileNotFoundError, match=re.escape(str(folder / part.split("*")[0]))
    ) as caught:
        imagenet(folder, split)
    assert "Unpack ILSVRC 2012" in str(caught.value)


def test_a_val_folder_of_no_train_class_raises(folder, write_image):
    write_image(folder / "val" / "n09999999" / "a.JPEG")
    with pytest.raises(ValueError, match=r"only folders of the 3 classes.*'n09999999'"):
        imagenet(folder, "val")


def test_one_name_in_two_class_folders_raises(folder, write_image):
    for wordnet_id in (TENCH, FISH):
        write_image(folder / "train" / wordnet_id / "1.JPEG")
    with pytest.raises(ValueError, match=r"'1\.JPEG' in two class folders.*image_folder"):
        imagenet(folder)


def test_an_unknown_split_raises(folder):
    with pytest.raises(ValueError, match=r"`split` should be .* Received: split='test'"):
        imagenet(folder, "test")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.text(max_size=40).filter(lambda text: not re.search(r"[\ud800-\udfff]", text)))
def test_random_lines_raise_with_the_file_and_never_otherwise(folder, write_text, noise):
    if any(path.is_dir() for path in (folder / "val").iterdir()):
        flatten_val(folder)
    for name, start in (
        ("val.txt", f"{VAL}1 {SNAKE}\n{VAL}2 {FISH}\n"),
        ("LOC_val_solution.csv", f"ImageId,PredictionString\n{VAL}1,{SNAKE} 0 0 1 1\n"),
    ):
        path = write_text(folder / name, start + noise)
        with pytest.raises(ValueError) as caught:
            imagenet(folder, "val")
        assert str(path) in str(caught.value)
        path.unlink()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    st.lists(
        st.tuples(st.integers(-5, 29), st.integers(-5, 19), st.integers(0, 40), st.integers(0, 40)),
        min_size=1,
        max_size=4,
    )
)
def test_xml_and_solution_give_the_same_boxes(folder, write_text, voc_xml, corners):
    if any(path.is_dir() for path in (folder / "val").iterdir()):
        flatten_val(folder)
    path = folder / "Annotations" / "CLS-LOC" / "val" / f"{VAL}2.xml"
    write_text(path, voc_xml([(FISH, *box) for box in corners], (20, 30)))
    words = " ".join(f"{FISH} {' '.join(map(str, box))}" for box in corners)
    lines = ["ImageId,PredictionString", f"{VAL}1,{SNAKE} 0 0 9 9", f"{VAL}3,{FISH} 0 0 9 9"]
    write_text(folder / "LOC_val_solution.csv", "\n".join([*lines, f"{VAL}2,{words} \n"]))
    by_xml = imagenet(folder, "val")["boxes"][1]
    path.unlink()
    np.testing.assert_array_equal(by_xml, imagenet(folder, "val")["boxes"][1])
    assert len(by_xml) == len(corners)
