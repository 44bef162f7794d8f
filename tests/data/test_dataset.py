import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_has.data import ImageDataset
from keras_has.data.bad_images import BadImageError


def in_memory_dataset(num_images=4):
    images = np.arange(num_images, dtype="uint8")[:, None, None, None] * np.ones(
        (1, 5, 7, 3), "uint8"
    )
    return ImageDataset(
        name="grey",
        class_names=("even", "odd"),
        image_ids=[f"id_{index}" for index in range(num_images)],
        labels=np.arange(num_images) % 2,
        boxes=[[[0, 0, 1 + index, 2]] * index for index in range(num_images)],
        images=images,
    )


@pytest.fixture
def file_dataset(tmp_path, write_image):
    paths = [write_image(tmp_path / f"{i}.png", (5, 7), 10 * i) for i in range(5)]
    return ImageDataset(
        name="files",
        class_names=("a", "b"),
        image_ids=[path.name for path in paths],
        labels=[0, 1, 0, 1, 1],
        boxes=[[], [[0, 0, 7, 5]], [], [[1, 1, 2, 2], [0, 0, 3, 3]], []],
        image_paths=[str(path) for path in paths],
    )


def test_parts_take_their_documented_types():
    dataset = in_memory_dataset()
    assert dataset.class_names == ("even", "odd")
    assert dataset.image_ids.dtype.kind == "U"
    assert dataset.labels.dtype == np.int64
    assert [boxes.shape for boxes in dataset.boxes] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert all(boxes.dtype == np.float32 for boxes in dataset.boxes)
    assert dataset.image_sizes.tolist() == [[5, 7]] * 4
    assert "array" not in repr(dataset)


def test_fields_cannot_be_reassigned():
    with pytest.raises(dataclasses.FrozenInstanceError):
        in_memory_dataset().labels = np.zeros(4, "int64")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 1, 0]}, "`labels` should have one entry for each of the 4 image ids"),
        ({"boxes": [[]] * 5}, "`boxes` should have one entry .* Received: 5 entries"),
        ({"images": np.zeros((3, 5, 7, 3), "uint8")}, "`images` should have one entry"),
        ({"image_sizes": [[5, 7]] * 2}, "`image_sizes` should have one entry"),
        ({"image_sizes": [[5, 7, 3]] * 4}, r"`image_sizes` should have shape \(N, 2\)"),
        ({"image_sizes": [[5, 7], [5, 7], [0, 7], [5, 7]]}, "at least 1 x 1.*'id_2'"),
        ({"labels": [0, 1, 2, 0]}, "indices of the 2 classes of 'grey'. Received: label 2.*'id_2'"),
        ({"labels": [0, 1, 0, -1]}, "Received: label -1 for image id 'id_3'"),
        ({"labels": [0.0, 1.0, 0.0, 1.0]}, "`labels` should be integers"),
        ({"image_ids": [1, 2, 3, 4]}, "`image_ids` should be a list of strings"),
        ({"images": np.zeros((4, 5, 7, 3))}, "uint8 array of shape"),
        ({"images": np.zeros((4, 5, 7, 1), "uint8")}, "uint8 array of shape"),
        ({"images": None}, "Exactly one of .* Received none for 'grey'"),
        ({"image_paths": ["x"] * 4}, "Exactly one of .* Received image_paths and images"),
        ({"class_ids": ["n1"]}, "`class_ids` should have one entry for each of the 2 class names"),
        ({"mask_paths": [["m"]] * 4}, "`mask_paths` and `ignore_paths` should be given together"),
        ({"mask_paths": [["m"]] * 3, "ignore_paths": [""] * 4}, "`mask_paths` should have one"),
        ({"image_ids": ["a", "b", "c", "d\udce9"]}, "`image_ids` should be texts .*udce9"),
        ({"boxes": [[], [], [[1, 2, 3]], []]}, "shape \\(number of boxes, 4\\).*position 2"),
        ({"boxes": [[], [], [1, 2, 3, 4], []]}, "shape \\(number of boxes, 4\\).*position 2"),
        ({"boxes": [[], [], [[3, 0, 1, 2]], []]}, "x0 < x1 and y0 < y1.*'id_2'"),
        ({"boxes": [[], [], [[0, 0, 1, 1], [0, 2, 1, 2]], []]}, r"\[0.0, 2.0, 1.0, 2.0\].*'id_2'"),
        ({"boxes": [[], [], [], [[0, 0, np.nan, 2]]]}, "finite.*'id_3'"),
        ({"boxes": [[], [], [], [[0, 0, np.inf, 2]]]}, "finite.*'id_3'"),
    ],
)
def test_parts_that_do_not_fit_raise(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(in_memory_dataset(), **change)


def test_select_takes_positions_and_booleans_in_order():
    dataset = in_memory_dataset()
    some = dataset.select([3, 1, 1])
    assert some.image_ids.tolist() == ["id_3", "id_1", "id_1"]
    assert some.labels.tolist() == [1, 1, 1]
    assert [len(boxes) for boxes in some.boxes] == [3, 1, 1]
    assert some.images[:, 0, 0, 0].tolist() == [3, 1, 1]
    assert some.image_sizes.shape == (3, 2)
    assert dataset.select(dataset.labels == 1).image_ids.tolist() == ["id_1", "id_3"]
    assert len(dataset.select([])) == 0


@pytest.mark.parametrize("indices", [[4], [-1], [0, 7]])
def test_select_beyond_the_images_raises(indices):
    with pytest.raises(IndexError, match="between 0 and 3, the last image of 'grey'"):
        in_memory_dataset().select(indices)


@pytest.mark.parametrize("indices", [[0.5], [[0]], [True, False]])
def test_select_with_what_is_no_list_of_positions_raises(indices):
    with pytest.raises(ValueError, match="`indices` should be a list of integers, or 4 booleans"):
        in_memory_dataset().select(indices)


def test_examples_have_the_house_schema():
    spec = in_memory_dataset().examples().element_spec
    assert spec == {
        "image": tf.TensorSpec((5, 7, 3), tf.uint8),
        "label": tf.TensorSpec((), tf.int64),
        "boxes": tf.TensorSpec((None, 4), tf.float32),
        "image_id": tf.TensorSpec((), tf.string),
    }


def test_examples_of_files_have_the_house_schema(file_dataset):
    spec = file_dataset.examples().element_spec
    assert spec["image"] == tf.TensorSpec((None, None, 3), tf.uint8)
    assert spec["boxes"] == tf.TensorSpec((None, 4), tf.float32)
    assert file_dataset.examples().cardinality() == 5


@pytest.mark.parametrize("indices", [None, [3, 0, 3], []])
def test_examples_from_memory_and_from_files_agree_with_the_index(file_dataset, indices):
    rows = range(5) if indices is None else indices
    for dataset in (file_dataset, file_dataset.in_memory()):
        for _ in range(2):  # The same each time.
            examples = list(dataset.examples(indices).as_numpy_iterator())
            assert len(examples) == len(rows)
            for row, example in zip(rows, examples, strict=True):
                np.testing.assert_array_equal(example["image"], np.full((5, 7, 3), 10 * row))
                assert example["label"] == dataset.labels[row]
                np.testing.assert_array_equal(example["boxes"], dataset.boxes[row])
                assert example["image_id"].decode() == dataset.image_ids[row]


def test_examples_beyond_the_images_raise(file_dataset):
    with pytest.raises(IndexError, match="between 0 and 4"):
        file_dataset.examples([5])


def test_in_memory_reports_progress_and_keeps_the_rest(file_dataset):
    calls = []
    kept = file_dataset.in_memory(lambda done, total: calls.append((done, total)))
    assert calls[-1] == (5, 5)
    assert kept.image_paths is None
    assert kept.images.dtype == np.uint8
    assert kept.image_sizes.tolist() == [[5, 7]] * 5
    assert kept.labels.tolist() == file_dataset.labels.tolist()
    assert kept.in_memory() is kept


def test_in_memory_with_images_of_two_sizes_names_both(file_dataset, tmp_path, write_image):
    write_image(tmp_path / "3.png", (7, 5))
    with pytest.raises(ValueError, match=r"5 x 7 .* id '0.png', but 7 x 5 .* id '3.png'"):
        file_dataset.in_memory()


@pytest.mark.parametrize("position", [0, 3])
def test_in_memory_with_a_bad_file_names_it(file_dataset, tmp_path, position):
    (tmp_path / f"{position}.png").write_bytes(b"")
    with pytest.raises(BadImageError, match=f"{position}.png.*empty file"):
        file_dataset.in_memory()


def test_in_memory_without_images_raises(file_dataset):
    with pytest.raises(ValueError, match="should have an image"):
        file_dataset.select([]).in_memory()


def test_padded_boxes_fill_up_with_minus_one():
    padded = in_memory_dataset().padded_boxes()
    assert padded.shape == (4, 3, 4)
    assert padded.dtype == np.float32
    assert padded[0].tolist() == [[-1] * 4] * 3
    assert padded[2].tolist() == [[0, 0, 3, 2], [0, 0, 3, 2], [-1] * 4]


def test_padded_boxes_have_one_row_where_no_image_has_a_box():
    dataset = dataclasses.replace(in_memory_dataset(), boxes=[[]] * 4)
    assert dataset.padded_boxes().tolist() == [[[-1] * 4]] * 4
    assert dataset.select([]).padded_boxes().shape == (0, 1, 4)


@settings(max_examples=10)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_padded_boxes_and_examples_hold_the_same_boxes(counts):
    boxes = [[[j, i, j + 1, i + 2] for j in range(count)] for i, count in enumerate(counts)]
    dataset = ImageDataset(
        name="boxes",
        class_names=("thing",),
        image_ids=[str(index) for index in range(len(counts))],
        labels=[0] * len(counts),
        boxes=boxes,
        images=np.zeros((len(counts), 2, 2, 3), "uint8"),
    )
    examples = dataset.examples().as_numpy_iterator()
    for row, example, wanted in zip(dataset.padded_boxes(), examples, boxes, strict=True):
        assert example["boxes"].tolist() == wanted
        assert row[(row != -1).any(axis=1)].tolist() == wanted
