import re
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_has.data.bad_images import find_bad_images
from keras_has.data.readers.tiny_imagenet import tiny_imagenet
from keras_has.ops.boxes import box_iou, centred_boxes

FISH, KOALA = "n01443537", "n01882714"


@pytest.fixture
def folder(tmp_path, write_image, write_text):
    """Two classes, the second listed first; two train images and one val image each."""
    root = tmp_path / "tiny"
    write_text(root / "wnids.txt", f"{KOALA}\n{FISH}\n")
    write_text(root / "words.txt", f"{FISH}\tgoldfish, Carassius auratus\n{KOALA}\tkoala\n")
    for wordnet_id in (FISH, KOALA):
        lines = ""
        for number in range(2):
            name = f"{wordnet_id}_{number}.JPEG"
            write_image(root / "train" / wordnet_id / "images" / name, (64, 64))
            lines += f"{name}\t{number}\t10\t63\t58\n"
        write_text(root / "train" / wordnet_id / f"{wordnet_id}_boxes.txt", lines)
    lines = ""
    for number, wordnet_id in enumerate((FISH, KOALA)):
        write_image(root / "val" / "images" / f"val_{number}.JPEG", (64, 64))
        lines = f"val_{number}.JPEG\t{wordnet_id}\t5\t6\t5\t6\n" + lines
    write_text(root / "val" / "val_annotations.txt", lines)
    return root


def test_train_is_read_in_the_order_of_wnids(folder):
    dataset = tiny_imagenet(folder, "train")
    assert dataset.class_names == ("koala", "goldfish")
    assert dataset.ids.tolist() == [
        f"{KOALA}_0.JPEG",
        f"{KOALA}_1.JPEG",
        f"{FISH}_0.JPEG",
        f"{FISH}_1.JPEG",
    ]
    assert dataset["label"].tolist() == [0, 0, 1, 1]
    assert dataset["image_size"].tolist() == [[64, 64]] * 4
    assert len(list(dataset.examples())) == 4


def test_val_is_read_by_name_whatever_the_order_of_lines(folder):
    dataset = tiny_imagenet(str(folder), split="val")
    assert dataset.ids.tolist() == ["val_0.JPEG", "val_1.JPEG"]
    assert dataset["label"].tolist() == [1, 0]


def test_inclusive_corners_become_half_open(folder):
    assert tiny_imagenet(folder, "train")["boxes"][1].tolist() == [[1, 10, 64, 59]]
    assert tiny_imagenet(folder, "val")["boxes"][0].tolist() == [[5, 6, 6, 7]]


def test_without_words_the_ids_are_the_names(folder):
    (folder / "words.txt").unlink()
    assert tiny_imagenet(folder).class_names == (KOALA, FISH)


@pytest.mark.parametrize(
    ("part", "split"),
    [
        (".", "train"),
        ("wnids.txt", "train"),
        (f"train/{FISH}/images", "train"),
        (f"train/{FISH}/{FISH}_boxes.txt", "train"),
        ("val/images", "val"),
        ("val/val_annotations.txt", "val"),
    ],
)
def test_a_missing_part_is_named_with_what_to_do(folder, part, split):
    path = folder / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(str(path))) as caught:
        tiny_imagenet(folder, split)
    assert "Unpack the whole of tiny-imagenet-200.zip" in str(caught.value)


def test_an_unknown_split_raises(folder):
    with pytest.raises(ValueError, match=r"`split` should be .* Received: split='test'"):
        tiny_imagenet(folder, "test")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "should have a line for every image .* none for 'val_0.JPEG' and 0 more"),
        (f"val_0.JPEG\t{FISH}\t1\t2\t3\n", ":2: a line should be name, WordNet id, xmin"),
        (f"val_0.JPEG {FISH} 1 2 3 4\n", ":2: a line should be name, WordNet id, xmin"),
        ("val_0.JPEG\tn09999999\t1\t2\t3\t4\n", ":2: the class should be one of wnids.txt"),
        (f"val_0.JPEG\t{FISH}\t1\t2\tx\t4\n", ":2: the corners of a box should be four numbers"),
        (f"val_0.JPEG\t{FISH}\t9\t2\t7\t4\n", ":2: .* inverted or empty"),
        (f"val_0.JPEG\t{FISH}\t64\t2\t70\t4\n", ":2: a box should overlap its image of 64 x 64"),
        (f"val_7.JPEG\t{FISH}\t1\t2\t3\t4\n", ":2: .* no such image for 'val_7.JPEG'"),
        (f"val_1.JPEG\t{FISH}\t1\t2\t3\t4\n", ":2: .* a second line for 'val_1.JPEG'"),
    ],
)
def test_annotations_that_do_not_fit_are_named(folder, write_text, line, message):
    write_text(folder / "val" / "val_annotations.txt", f"val_1.JPEG\t{KOALA}\t5\t6\t5\t6\n{line}")
    with pytest.raises(ValueError, match="val_annotations.txt ?" + message):
        tiny_imagenet(folder, "val")


def test_boxes_beyond_the_image_are_clipped(folder, write_text):
    lines = f"val_1.JPEG\t{KOALA}\t-5\t6\t80\t63\nval_0.JPEG\t{FISH}\t1\t2\t3\t64\n"
    write_text(folder / "val" / "val_annotations.txt", lines)
    boxes = tiny_imagenet(folder, "val")["boxes"]
    assert boxes[1].tolist() == [[0, 6, 64, 64]]
    assert boxes[0].tolist() == [[1, 2, 4, 64]]


@pytest.mark.parametrize("line", ["goldfish", f"{KOALA} koala", KOALA, "../../etc"])
def test_a_line_of_wnids_that_is_no_new_id_is_named(folder, write_text, line):
    write_text(folder / "wnids.txt", f"{KOALA}\n{line}\n")
    with pytest.raises(ValueError, match=r"wnids\.txt:2: a line should be one WordNet id"):
        tiny_imagenet(folder)


def test_empty_wnids_raise(folder, write_text):
    write_text(folder / "wnids.txt", "\n")
    with pytest.raises(ValueError, match=r"wnids\.txt should list the classes"):
        tiny_imagenet(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.text(max_size=40).filter(lambda text: not re.search(r"[\ud800-\udfff]", text)))
def test_random_lines_raise_with_the_file_and_never_otherwise(folder, write_text, noise):
    line = f"val_1.JPEG\t{KOALA}\t5\t6\t5\t6\n"
    path = write_text(folder / "val" / "val_annotations.txt", line + noise)
    with pytest.raises(ValueError) as caught:
        tiny_imagenet(folder, "val")
    assert str(path) in str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.tuples(st.integers(0, 63), st.integers(0, 63)),
    st.tuples(st.integers(0, 63), st.integers(0, 63)),
)
def test_any_pixels_in_order_are_read_back(folder, write_text, x, y):
    (x0, x1), (y0, y1) = sorted(x), sorted(y)
    box = f"{x0}\t{y0}\t{x1}\t{y1}\n"
    path = folder / "val" / "val_annotations.txt"
    write_text(path, f"val_0.JPEG\t{FISH}\t{box}val_1.JPEG\t{KOALA}\t{box}")
    boxes = np.concatenate(tiny_imagenet(folder, "val")["boxes"])
    assert boxes.tolist() == [[x0, y0, x1 + 1, y1 + 1]] * 2


def test_the_real_classes_have_their_counts(tiny_imagenet_dir):
    train, val = (tiny_imagenet(tiny_imagenet_dir, split) for split in ("train", "val"))
    assert (len(train), len(val)) == (10_000, 1_000)
    assert len(train.class_names) == len(set(train.class_names)) == 20
    assert train.class_names == val.class_names
    assert "golden retriever" in train.class_names
    assert np.bincount(train["label"]).tolist() == [500] * 20
    assert np.bincount(val["label"]).tolist() == [50] * 20
    assert train.padded_boxes().shape == (10_000, 1, 4)


def test_the_real_full_image_box_is_right_for_the_share_in_the_readme(tiny_imagenet_dir):
    val = tiny_imagenet(tiny_imagenet_dir, "val")
    for side, percent in ((1, 60.8), (0.75, 66.7), (0.5, 8.4)):
        iou = box_iou(centred_boxes(val["image_size"], side), val.padded_boxes()[:, 0])
        assert 100 * np.mean(iou >= 0.5) == pytest.approx(percent, abs=0.05)


def test_the_real_images_are_sound_and_97_of_them_grey(tiny_imagenet_dir):
    grey = 0
    for split in ("train", "val"):
        dataset = tiny_imagenet(tiny_imagenet_dir, split)
        assert find_bad_images(dataset) == []
        paths = dataset.source.paths
        one_channel = [jpeg_channels(path) == 1 for path in paths]
        images = dataset.select(one_channel).in_memory().source.pixels
        assert (images == images[..., :1]).all()
        grey += len(images)
    assert grey == 97


def jpeg_channels(path):
    with open(path, "rb") as file:  # noqa: PTH123 (eleven thousand times)
        content = file.read(1000)
    frame = re.search(rb"\xff[\xc0\xc2]\x00.{6}(.)", content, re.DOTALL)
    return frame[1][0]
