import os
import re
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_has.data.readers.image_folder import image_folder

HEADER = "image,x0,y0,x1,y1\n"


@pytest.fixture
def folder(tmp_path, write_image):
    """Cats and dogs, 20 x 30 pixels (height x width)."""
    root = tmp_path / "pets"
    for name in ("train/dog/2.png", "train/dog/10.JPG", "train/cat/a.jpeg", "val/dog/d, e.bmp"):
        write_image(root / name, (20, 30))
    return root


def test_train_is_read_by_sorted_class_and_name(folder):
    dataset = image_folder(folder)
    assert dataset.name == "pets/train"
    assert dataset.class_names == ("cat", "dog")
    assert dataset.ids.tolist() == ["train/cat/a.jpeg", "train/dog/10.JPG", "train/dog/2.png"]
    assert dataset["label"].tolist() == [0, 1, 1]
    assert [boxes.shape for boxes in dataset["boxes"]] == [(0, 4)] * 3
    assert "image_size" not in dataset
    assert len(list(dataset.examples())) == 3


def test_other_splits_take_the_labels_of_train(folder, write_image):
    assert image_folder(str(folder), "val")["label"].tolist() == [1]
    write_image(folder / "test" / "cat" / "1.gif.png")
    assert image_folder(folder, "test").ids.tolist() == ["test/cat/1.gif.png"]


def test_other_files_are_left_alone(folder, write_text, write_image):
    write_text(folder / "train" / "dog" / "notes.txt", "good dogs")
    write_text(folder / "train" / "notes.txt", "all good")
    write_image(folder / "train" / "dog" / ".hidden.png")
    write_image(folder / "train" / ".thumbnails" / "a.png")
    (folder / "train" / "dog" / "older").mkdir()
    write_image(folder / "train" / "@eaDir" / "a.png")
    dataset = image_folder(folder)
    assert len(dataset) == 3
    assert dataset.class_names == ("cat", "dog")


def test_names_that_begin_like_those_of_system_folders_are_read(folder, write_image):
    write_image(folder / "train" / "@home" / "#1.png")
    write_image(folder / "train" / "#food" / "@a.png")
    dataset = image_folder(folder)
    assert dataset.class_names == ("#food", "@home", "cat", "dog")
    assert dataset.ids.tolist()[:2] == ["train/#food/@a.png", "train/@home/#1.png"]


def test_everything_that_is_not_read_is_counted_and_named(folder, write_text, write_image):
    write_text(folder / "train" / "dog" / "b.txt", "")
    write_text(folder / "train" / "dog" / "a.TXT", "")
    write_text(folder / "train" / "dog" / "README", "")
    write_text(folder / "train" / "dog" / "#1.txt", "")
    write_image(folder / "train" / "dog" / "older" / "1.png")
    write_image(folder / "train" / "dog" / "@eaDir" / "1.png")
    assert image_folder(folder).problems == (
        f"{folder}/train/dog: entries not read: 3 (.txt), such as '#1.txt'",
        f"{folder}/train/dog: entries not read: 1 (folder), such as 'older'",
        f"{folder}/train/dog: entries not read: 1 (without extension), such as 'README'",
    )


def test_jpegs_are_read_under_any_of_their_extensions(folder, write_image):
    for name in ("3.jpe", "4.JFIF"):
        write_image(folder / "train" / "dog" / "tmp.jpg").rename(folder / "train" / "dog" / name)
    dataset = image_folder(folder)
    assert dataset.ids.tolist()[-2:] == ["train/dog/3.jpe", "train/dog/4.JFIF"]
    assert len(list(dataset.examples())) == 5


def test_classes_without_images_and_a_single_class_are_reported(folder, write_image):
    (problem,) = image_folder(folder, "val").problems
    assert problem == f"{folder}/val/cat: no image of this class"
    shutil.rmtree(folder / "train" / "cat")
    (problem,) = image_folder(folder).problems
    assert "only one class, 'dog'" in problem


def test_boxes_come_from_a_table(folder, write_text):
    write_text(
        folder / "boxes.csv",
        HEADER + '"val/dog/d, e.bmp",1,2,3.5,4\n"val/dog/d, e.bmp",-9,0,59,10\n'
        "train/dog/2.png,0,0,30,20\n",
    )
    val = image_folder(folder, "val")
    assert val["boxes"][0].tolist() == [[1, 2, 3.5, 4], [0, 0, 30, 10]]
    assert val["image_size"].tolist() == [[20, 30]]
    train = image_folder(folder)
    assert [len(boxes) for boxes in train["boxes"]] == [0, 0, 1]
    assert "image_size" not in train
    assert [len(boxes) for boxes in image_folder(folder, read_boxes=False)["boxes"]] == [0, 0, 0]


@pytest.mark.parametrize("place", ["val/dog", "annotations/val/dog"])
def test_boxes_come_from_xml_files_counted_from_one(folder, write_text, voc_xml, place):
    objects = [("dog", 1, 2, 3, 4), ("cat", 1, 1, 30, 20), ("dog", 0, 0, 45, 40)]
    write_text(folder / place / "d, e.xml", voc_xml(objects, (20, 30)))
    dataset = image_folder(folder, "val")
    assert dataset["boxes"][0].tolist() == [[0, 1, 3, 4], [0, 0, 30, 20]]
    assert dataset["image_size"].tolist() == [[20, 30]]


def test_an_annotation_without_objects_is_an_image_without_boxes(folder, write_text, voc_xml):
    write_text(folder / "val" / "dog" / "d, e.xml", voc_xml([]))
    assert image_folder(folder, "val")["boxes"][0].shape == (0, 4)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("val/dog/x.bmp,1,2,3,4", "no such image"),
        ("train/dog/x.png,1,2,3,4", "no such image"),
        ("dog/2.png,1,2,3,4", "no such image"),
        ("../pets/train/dog/2.png,1,2,3,4", "no such image"),
        ("train/../train/dog/2.png,1,2,3,4", "no such image"),
        ("/etc/hosts,1,2,3,4", "no such image"),
        ("train/dog/" + "x" * 300 + ",1,2,3,4", "no such image"),
        ("train/dog/\0,1,2,3,4", ""),
        ("train/dog/2.png,1,2,3", "a line should be image,x0,y0,x1,y1"),
        ("train/dog/2.png,1,2,3,4,dog", "a line should be image,x0,y0,x1,y1"),
        ("train/dog/2.png,1,2,3,", "the corners of a box should be four numbers"),
        ("train/dog/2.png,1,2,3,nan", "the corners of a box should be four numbers"),
        ("train/dog/2.png,3,2,1,4", "inverted or empty"),
        ("train/dog/2.png,3,2,3,4", "inverted or empty"),
        ("train/dog/2.png,30,2,33,4", "a box should overlap its image of 30 x 20"),
        ('"train/dog/2.png,1,2,3,4', "the line should be CSV"),
        ('"train/dog/2.png"x,1,2,3,4', "the line should be CSV"),
    ],
)
def test_lines_of_the_table_that_do_not_fit_are_named(folder, write_text, line, message):
    path = write_text(folder / "boxes.csv", f"{HEADER}\ntrain/cat/a.jpeg,1,2,3,4\n{line}\n")
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}:4: (.|\n)*{message}"):
        image_folder(folder)


def test_bad_lines_for_another_split_are_named_too(folder, write_text):
    write_text(folder / "boxes.csv", f"{HEADER}train/dog/2.png,3,2,1,4\n")
    with pytest.raises(ValueError, match=r"boxes\.csv:2: .*inverted or empty"):
        image_folder(folder, "val")


def test_all_bad_boxes_of_a_table_and_of_xml_files_are_named_at_once(folder, write_text, voc_xml):
    path = write_text(
        folder / "boxes.csv",
        "image,x0,y0,x1,y1,width,height\ntrain/dog/2.png,1,2,3,4,20,30\n"
        "train/dog/2.png,40,2,50,4,,\ntrain/dog/2.png,1,2,3,4,30,20\ntrain/cat/a.jpeg,0,0,90,9,,\n",
    )
    with pytest.raises(ValueError) as error:
        image_folder(folder)
    text = str(error.value)
    assert "4 problems" in text
    assert f"{path}:4: an image should have one size" in text
    assert f"{path}:2 should give the size of its image, 30 x 20 pixels" in text
    assert f"{path}:3: a box should overlap" in text
    assert f"{path}:5: a box should lie in its image" in text
    path.unlink()
    write_text(folder / "train" / "dog" / "2.xml", voc_xml([("dog", 9, 2, 8, 4)], (20, 30)))
    write_text(folder / "train" / "cat" / "a.xml", "<svg/>")
    with pytest.raises(ValueError) as error:
        image_folder(folder)
    assert "2 problems" in str(error.value)
    assert "dog/2.xml:3: a box should have x0 < x1" in str(error.value)
    assert "cat/a.xml: the file should be PASCAL VOC" in str(error.value)


def test_images_in_subfolders_belong_to_the_class_on_request_and_are_reported_otherwise(
    folder, write_image, write_text, voc_xml
):
    write_image(folder / "train" / "dog" / "deep" / "er" / "9.png")
    write_text(folder / "train" / "dog" / "deep" / "er" / "9.xml", voc_xml([("dog", 1, 2, 3, 4)]))
    write_text(folder / "train" / "dog" / "deep" / "notes.txt", "")
    dog = folder / "train" / "dog"
    plain = image_folder(folder)
    assert f"{dog}: entries not read: 1 (folder), such as 'deep'" in plain.problems
    nested = image_folder(folder, nested=True)
    assert set(nested.ids) - set(plain.ids) == {"train/dog/deep/er/9.png"}
    row = nested.ids.tolist().index("train/dog/deep/er/9.png")
    assert nested["label"][row] == nested.class_names.index("dog")
    assert nested["boxes"][row].tolist() == [[0, 1, 3, 4]]
    assert nested.problems == (f"{dog}/deep: entries not read: 1 (.txt), such as 'notes.txt'",)


def test_a_pipe_in_a_class_folder_is_reported_and_not_waited_for(folder):
    os.mkfifo(folder / "train" / "dog" / "pipe.jpg")
    dataset = image_folder(folder)
    assert "train/dog/pipe.jpg" not in dataset.ids
    (problem,) = dataset.problems
    assert "1 (no regular file), such as 'pipe.jpg'" in problem


def test_boxes_of_another_class_are_left_out_and_counted(folder, write_text):
    write_text(
        folder / "boxes.csv",
        "image,class,x0,y0,x1,y1\ntrain/dog/2.png,dog,1,2,3,4\ntrain/dog/2.png,cat,1,2,9,9\n"
        "train/dog/2.png,,5,6,7,8\n",
    )
    dataset = image_folder(folder)
    assert dataset["boxes"][2].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    (problem,) = [text for text in dataset.problems if "boxes.csv" in text]
    assert "boxes.csv:3: class 'cat'" in problem
    assert "1 such boxes" in problem


def test_annotations_without_an_object_are_counted(folder, write_text, voc_xml):
    write_text(folder / "val" / "dog" / "d, e.xml", voc_xml([]))
    (problem,) = [text for text in image_folder(folder, "val").problems if ".xml" in text]
    assert "d, e.xml: no object in the annotation, as in 1 of val" in problem


@pytest.mark.parametrize("text", ["", "\n", "train/cat/a.jpeg,1,2,3,4\n", "image,x,y,w,h\n"])
def test_a_table_without_its_header_is_named(folder, write_text, text):
    write_text(folder / "boxes.csv", text)
    with pytest.raises(ValueError, match=r"boxes\.csv:1: the header should be image,x0,y0,x1,y1"):
        image_folder(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!DOCTYPE x><annotation/>", ":1: .* entity declaration"),
        ("<annotation>", ":1: the file should be well-formed XML"),
        ([("dog", 9, 2, 8, 4)], ":3: .* inverted or empty"),
        ([("dog", 31, 2, 40, 4)], ":3: a box should overlap its image of 30 x 20"),
        ([("Dog", 1, 2, 3, 4)], r" should have an object of its image's class, 'dog'.*\['Dog'\]"),
    ],
)
def test_xml_files_that_do_not_fit_are_named(folder, write_text, voc_xml, text, message):
    text = text if isinstance(text, str) else voc_xml(text, (20, 30))
    path = write_text(folder / "train" / "dog" / "2.xml", text)
    with pytest.raises(ValueError, match=re.escape(str(path)) + message):
        image_folder(folder)


def test_a_size_that_is_not_the_images_is_named(folder, write_text, voc_xml):
    write_text(folder / "train" / "dog" / "2.xml", voc_xml([("dog", 1, 2, 3, 4)], (30, 20)))
    with pytest.raises(ValueError, match=r"30 x 20 pixels .* Received: 20 x 30\. Was the image"):
        image_folder(folder)


def test_an_xml_file_without_an_image_is_named(folder, write_text, voc_xml):
    path = write_text(folder / "train" / "dog" / "7.xml", voc_xml([]))
    with pytest.raises(ValueError, match=re.escape(str(path))):
        image_folder(folder)


def test_an_xml_file_for_two_images_is_named(folder, write_text, write_image, voc_xml):
    write_image(folder / "train" / "dog" / "2.jpg")
    path = write_text(folder / "train" / "dog" / "2.xml", voc_xml([]))
    with pytest.raises(ValueError, match=re.escape(str(path))):
        image_folder(folder)


def test_two_xml_files_for_an_image_are_named(folder, write_text, voc_xml):
    for place in (folder, folder / "annotations"):
        write_text(place / "train" / "dog" / "2.xml", voc_xml([]))
    with pytest.raises(ValueError, match=r"annotations/train/dog/2\.xml .* as well"):
        image_folder(folder)


def test_boxes_in_a_table_and_in_xml_files_raise(folder, write_text, voc_xml):
    write_text(folder / "boxes.csv", HEADER)
    write_text(folder / "train" / "dog" / "2.xml", voc_xml([]))
    with pytest.raises(ValueError, match=r"either in boxes\.csv or in XML files"):
        image_folder(folder)


def test_a_class_that_train_does_not_have_is_named(folder, write_image):
    write_image(folder / "val" / "Dog" / "1.png")
    with pytest.raises(ValueError, match=r"class folders of .*/val should be among .* 'Dog'"):
        image_folder(folder, "val")
    assert len(image_folder(folder, "train")) == 3


@pytest.mark.parametrize("extension", [".heic", ".AVIF", ".jxl"])
def test_images_of_a_kind_that_is_not_read_are_named(folder, write_text, extension):
    path = write_text(folder / "train" / "dog" / f"photo{extension}", "")
    with pytest.raises(ValueError, match=re.escape(str(path))):
        image_folder(folder)


@pytest.mark.parametrize("part", [".", "train", "train/*", "train/cat/*", "val", "val/dog/*"])
def test_a_missing_part_is_named_with_what_to_do(folder, part):
    for path in [folder] if part == "." else list(folder.glob(part)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    named = folder / part.partition("/*")[0] if part != "val/dog/*" else folder / "val"
    with pytest.raises(FileNotFoundError, match=re.escape(str(named))) as caught:
        image_folder(folder, "val" if part.startswith("val") else "train")
    assert "Put the images into data_dir/train/CLASS/" in str(caught.value)


@pytest.mark.parametrize("split", ["", ".", "..", "train/cat", "/etc"])
def test_a_split_that_is_no_folder_name_raises(folder, split):
    with pytest.raises(ValueError, match="`split` should be the name of a folder"):
        image_folder(folder, split)


CORNERS = st.tuples(
    st.floats(0, 29, width=32),
    st.floats(0, 19, width=32),
    st.floats(0.125, 30, width=32),
    st.floats(0.125, 20, width=32),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CORNERS, max_size=5))
def test_boxes_written_to_a_table_come_back_exactly(folder, write_text, places):
    boxes = [
        np.float32([x, y, min(x + width, 30), min(y + height, 20)]).tolist()
        for x, y, width, height in places
    ]
    boxes.append([0, 0, 30, 20])  # Boxes that are all within a pixel are refused as fractions.
    lines = ["train/dog/2.png," + ",".join(map(str, box)) for box in boxes]
    write_text(folder / "boxes.csv", HEADER + "\n".join(lines))
    assert image_folder(folder)["boxes"][2].tolist() == boxes


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.text(max_size=40).filter(lambda text: not re.search(r"[\ud800-\udfff]", text)))
def test_random_lines_raise_with_their_place_and_never_otherwise(folder, write_text, noise):
    path = write_text(folder / "boxes.csv", HEADER + noise)
    if all(not line.strip() for line in noise.split("\n")):
        assert not any(len(boxes) for boxes in image_folder(folder)["boxes"])
        return
    with pytest.raises(ValueError) as caught:
        image_folder(folder)
    assert f"\n{path}:" in str(caught.value) or str(caught.value).startswith(f"{path}:")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=8), min_size=4, max_size=4))
def test_random_corners_are_read_or_raise_with_their_place(folder, texts):
    line = ",".join('"' + text.replace('"', '""') + '"' for text in texts)
    path = folder / "boxes.csv"
    path.write_bytes(f"{HEADER}train/dog/2.png,{line}".encode(errors="replace"))
    try:
        boxes = image_folder(folder)["boxes"][2]
    except ValueError as error:
        assert f"{path}:" in str(error)
    else:
        assert boxes.shape == (int(any(text.strip() for text in texts)), 4)


def test_a_name_that_is_not_utf8_is_named(tmp_path, write_image):
    write_image(tmp_path / "train" / "cat" / "a.jpg")
    os.rename(  # noqa: PTH104 (bytes)
        os.fsencode(tmp_path / "train" / "cat" / "a.jpg"),
        os.fsencode(tmp_path / "train" / "cat") + b"/caf\xe9.jpg",
    )
    with pytest.raises(ValueError, match=r"should be UTF-8. Received: b'caf\\xe9\.jpg' in .*cat"):
        image_folder(tmp_path)


def test_a_folder_whose_path_is_not_utf8_is_named(tmp_path, write_image):
    write_image(tmp_path / "data" / "train" / "cat" / "a.jpg")
    folder = os.fsencode(tmp_path) + b"/d\xe9"
    os.rename(os.fsencode(tmp_path / "data"), folder)  # noqa: PTH104 (bytes)
    with pytest.raises(ValueError, match=r"`image_paths` should be texts .*d\\udce9"):
        image_folder(os.fsdecode(folder))


def test_what_lies_beside_the_class_folders_is_counted(folder, write_image, write_text):
    write_image(folder / "train" / "loose.png")
    write_text(folder / "train" / "bird", "an archive")
    (folder / "train" / "fish").symlink_to(folder / "nowhere")
    problems = "\n".join(image_folder(folder).problems)
    assert "train: entries not read: 1 (.png), such as 'loose.png'" in problems
    assert "train: entries not read: 2 (without extension), such as 'bird'" in problems


@pytest.mark.parametrize(
    "place",
    [
        "annotations/0.xml",
        "annotations/train/0.xml",
        "annotations/dog/0.xml",
        "annotations/train/Dog/2.xml",
        "annotations/train/dog/sub/2.xml",
        "annotations/train/dog/2.json",
        "annotations/instances_train.json",
        "Annotations/train/dog/2.xml",
        "Boxes.csv",
        "train/boxes.csv",
        "train/2.xml",
    ],
)
def test_annotations_in_a_place_that_is_not_read_are_named(folder, write_text, voc_xml, place):
    write_text(folder / place, voc_xml([("dog", 1, 1, 5, 5)]))
    dataset = image_folder(folder)
    assert not any(len(boxes) for boxes in dataset["boxes"])
    assert place.split("/")[0] in "\n".join(dataset.problems)
    assert dataset.problems


def test_annotations_of_other_splits_are_in_their_place(folder, write_text, voc_xml):
    write_text(folder / "annotations" / "val" / "dog" / "d, e.xml", voc_xml([("dog", 1, 1, 5, 5)]))
    assert image_folder(folder).problems == ()
    assert image_folder(folder, "val")["boxes"][0].tolist() == [[0, 0, 5, 5]]


def test_a_table_that_is_no_file_or_has_no_line_is_named(folder, write_text):
    (folder / "boxes.csv").symlink_to(folder / "nowhere.csv")
    assert any("boxes.csv" in problem for problem in image_folder(folder).problems)
    (folder / "boxes.csv").unlink()
    write_text(folder / "boxes.csv", HEADER)
    assert any("boxes.csv: no box" in problem for problem in image_folder(folder).problems)


def test_classes_that_look_alike_are_named(folder, write_image):
    for name in ("Dog", "cafe\u0301", "caf\u00e9"):
        write_image(folder / "train" / name / "1.png")
    problems = "\n".join(image_folder(folder).problems)
    assert "'Dog', 'dog'" in problems
    assert r"'cafe\u0301', 'caf\xe9'" in problems


def test_objects_of_other_classes_beside_the_right_one_are_counted(folder, write_text, voc_xml):
    objects = [("dog", 1, 1, 5, 5), ("cat", 2, 2, 9, 9), ("Dog", 2, 2, 9, 9)]
    write_text(folder / "train" / "dog" / "2.xml", voc_xml(objects))
    dataset = image_folder(folder)
    assert dataset["boxes"][2].tolist() == [[0, 0, 5, 5]]
    assert any("as are 2 of train" in problem for problem in dataset.problems)


def test_fractions_in_xml_files_are_refused(folder, write_text, voc_xml):
    for corners in ((0.1, 0.2, 0.5, 0.9), (0, 0, 1, 1)):
        write_text(folder / "train" / "dog" / "2.xml", voc_xml([("dog", *corners)]))
        with pytest.raises(ValueError, match=r"2.xml:.*fractions"):
            image_folder(folder)
