import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_has.data import (
    ArrayImages,
    Dataset,
    FeatureArrays,
    FileImages,
    ImageDataset,
    TemporalDataset,
)
from keras_has.data.bad_images import BadImageError


def in_memory_dataset(num_images=4, columns=None, **fields):
    pixels = np.arange(num_images, dtype="uint8")[:, None, None, None] * np.ones(
        (1, 5, 7, 3), "uint8"
    )
    arguments = {
        "name": "grey",
        "ids": [f"id_{index}" for index in range(num_images)],
        "source": ArrayImages(pixels),
        "class_names": ("even", "odd"),
    }
    labels_and_boxes = {
        "label": np.arange(num_images) % 2,
        "boxes": [[[0, 0, 1 + index, 2]] * index for index in range(num_images)],
    }
    return Dataset(**{**arguments, **fields}, columns={**labels_and_boxes, **(columns or {})})


@pytest.fixture
def file_dataset(tmp_path, write_image):
    paths = [write_image(tmp_path / f"{i}.png", (5, 7), 10 * i) for i in range(5)]
    return Dataset(
        name="files",
        ids=[path.name for path in paths],
        columns={
            "label": [0, 1, 0, 1, 1],
            "boxes": [[], [[0, 0, 7, 5]], [], [[1, 1, 2, 2], [0, 0, 3, 3]], []],
        },
        source=FileImages([str(path) for path in paths]),
        class_names=("a", "b"),
    )


def test_columns_have_their_documented_types():
    dataset = in_memory_dataset(columns={"mask_paths": [["a"], ["b", "c"], [], ["d"]], "age": None})
    assert dataset.class_names == ("even", "odd")
    assert dataset.ids.dtype.kind == "U"
    assert dataset["label"].dtype == np.int64
    assert [boxes.shape for boxes in dataset["boxes"]] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert all(boxes.dtype == np.float32 for boxes in dataset["boxes"])
    assert dataset["image_size"].tolist() == [[5, 7]] * 4
    assert dataset["mask_paths"].tolist() == [("a",), ("b", "c"), (), ("d",)]
    assert "age" not in dataset
    assert "array" not in repr(dataset)


def test_any_column_is_selected_with_the_others():
    dataset = in_memory_dataset(columns={"age": [7, 20, 33, 64]}).select([2, 0])
    assert dataset["age"].tolist() == [33, 7]
    example = next(dataset.examples(columns=("age",)).as_numpy_iterator())
    assert sorted(example) == ["age", "image", "image_id"]
    assert example["age"] == 33


@pytest.mark.parametrize("name", ["image", "image_id", "size", "hiding_seed"])
def test_columns_cannot_take_the_names_of_other_parts_of_an_example(name):
    with pytest.raises(ValueError, match=f"`columns`.*'{name}'"):
        in_memory_dataset(columns={name: [1, 2, 3, 4]})


@pytest.mark.parametrize("values", [1, [[1], [2, 3], [], []], (n for n in range(4))])
def test_a_column_that_is_not_an_array_is_named(values):
    with pytest.raises(ValueError, match="`age` of 'grey'"):
        in_memory_dataset(columns={"age": values})


def test_a_list_of_paths_is_not_a_path():
    with pytest.raises(ValueError, match=r"`mask_paths`.*'m1\.png'"):
        in_memory_dataset(columns={"mask_paths": ["m1.png", "m2.png", "m3.png", "m4.png"]})


@pytest.mark.parametrize("columns", ["label", ["labl"]])
def test_examples_refuse_columns_that_do_not_exist(columns):
    with pytest.raises((KeyError, ValueError), match="labl|columns='label'"):
        in_memory_dataset().examples(columns=columns)


def test_a_missing_column_is_named_with_the_existing_ones():
    with pytest.raises(KeyError, match="grey.*identity.*boxes.*image_size.*label"):
        in_memory_dataset()["identity"]


def test_fields_cannot_be_reassigned():
    with pytest.raises(dataclasses.FrozenInstanceError):
        in_memory_dataset().ids = np.zeros(4, "int64")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("label", [0, 1, 0], "`label`.* 4 ids of 'grey'. Received: 3"),
        ("boxes", [[]] * 5, "`boxes`.* 4 ids of 'grey'. Received: 5"),
        ("age", [1, 2], "`age`.* 4 ids of 'grey'. Received: 2"),
        ("mask_paths", [["m"]] * 3, "`mask_paths`.* 4 ids of 'grey'. Received: 3"),
        ("image_size", [[5, 7]] * 2, "`image_size`.* 4 ids of 'grey'. Received: 2"),
        ("image_size", [[5, 7, 3]] * 4, r"`image_size`.*\(N, 2\).*Received: shape \(4, 3\)"),
        ("image_size", [[5, 7], [5, 7], [0, 7], [5, 7]], r"`image_size`.*\[0, 7\].*'id_2'"),
        ("label", [0, 1, 2, 0], "`label`.*2 classes. Received: 2 for id 'id_2'"),
        ("label", [0, 1, 0, -1], "`label`.* Received: -1 for id 'id_3'"),
        ("label", [0.0, 1.0, 0.0, 1.0], "`label`.* integers.*float64"),
        ("boxes", [[], [], [[1, 2, 3]], []], r"`boxes`.*rows, 4\).*\(1, 3\) at position 2"),
        ("boxes", [[], [], [1, 2, 3, 4], []], r"`boxes`.*rows, 4\).*\(4,\) at position 2"),
        ("boxes", [[], [], [[3, 0, 1, 2]], []], "`boxes`.*x0 < x1 and y0 < y1.*'id_2'"),
        ("boxes", [[], [], [[0, 0, 1, 1], [0, 2, 1, 2]], []], r"\[0.0, 2.0, 1.0, 2.0\].*'id_2'"),
        ("boxes", [[], [], [], [[0, 0, np.nan, 2]]], "`boxes`.*nan.*'id_3'"),
        ("boxes", [[], [], [], [[0, 0, np.inf, 2]]], "`boxes`.*inf.*'id_3'"),
    ],
)
def test_an_invalid_column_raises(column, value, message):
    with pytest.raises(ValueError, match=message):
        in_memory_dataset(columns={column: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": [1, 2, 3, 4]}, "`ids`.*int64"),
        ({"ids": ["a", "b", "c", "d\udce9"]}, "`ids`.*udce9"),
        ({"class_ids": ["n1"]}, "`class_ids`.* 2 class names. Received: 1"),
        (
            {
                "source": ArrayImages(np.zeros((3, 5, 7, 3), "uint8")),
                "columns": {"image_size": [[5, 7]] * 4},
            },
            "`source`.* 4 ids of 'grey'. Received: 3",
        ),
    ],
)
def test_parts_that_do_not_fit_raise(change, message):
    with pytest.raises(ValueError, match=message):
        in_memory_dataset(**change)


def sequences(**columns):
    values = {
        "duration": [4.0, 2.0],
        "labels": [[True, False], [True, True]],
        "segments": [[[1.0, 2.5]], [[0.0, 1.0], [1.0, 2.0]]],
        "segment_labels": [[0], [0, 1]],
    }
    return Dataset(
        name="signals",
        ids=["a", "b"],
        columns={**values, **columns},
        source=FeatureArrays([np.zeros((8, 3)), np.ones((4, 3))]),
        class_names=("jump", "run"),
    )


def test_sequences_know_their_truth_and_their_time_per_feature():
    dataset = sequences()
    example = dataset.example(1, num_features=2)
    assert example["features"].tolist() == [[1, 1, 1]] * 2
    assert example["step_seconds"] == 1.0
    assert example["labels"].tolist() == [1, 1]
    assert dataset.truth(0)["segments"].tolist() == [[1.0, 2.5]]
    assert dataset.truth(0)["ambiguous"].shape == (0, 2)
    assert dataset.lengths().tolist() == [8, 4]
    assert dataset.select([1]).lengths().tolist() == [4]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("duration", [4.0, 0.0], "`duration`.*0.0 for id 'b'"),
        ("segments", [[[1.0, 2.5]], [[0.0, 1.0], [2.0, 2.0]]], r"`segments`.*\[2.0, 2.0\].*'b'"),
        ("segments", [[[np.nan, 2.5]], [[0.0, 1.0], [1.0, 2.0]]], "`segments`.*nan.*'a'"),
        ("segment_labels", [[0], [0]], "`segment_labels`.*1 for id 'b'"),
        ("segment_labels", [[0.7], [0, 1]], r"`segment_labels`.*\[0.7\] at position 0"),
        ("segment_labels", None, "`segment_labels`"),
        ("ambiguous", [[[5, 1]], []], r"`ambiguous`.*\[5.0, 1.0\].*'a'"),
        ("ambiguous", [[], [[np.nan, 1]]], "`ambiguous`.*nan.*'b'"),
        ("labels", [[1, 0, 0], [0, 1, 1]], r"`labels`.*\(N, 2\).*\(2, 3\)"),
        ("labels", [[0.3, 0], [0, 1]], r"`labels`.*0 and 1"),
        ("labels", [["0", "1"], ["1", "0"]], "`labels`.*<U1"),
        ("segment_labels", [[0], [0, 2]], "`segment_labels`.*2 classes. Received: 2 for id 'b'"),
    ],
)
def test_invalid_segments_raise(column, value, message):
    with pytest.raises(ValueError, match=message):
        sequences(**{column: value})


def test_a_dataset_without_pixels_or_features_says_so():
    annotations = dataclasses.replace(sequences(), source=None)
    with pytest.raises(ValueError, match="'signals'.*annotations only"):
        annotations.read(0)
    with pytest.raises(ValueError, match="'signals'.*no images"):
        annotations.examples()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((4, 5, 7, 3))}, "`images`.*float64"),
        ({"images": np.zeros((4, 5, 7, 1), "uint8")}, r"`images`.*\(4, 5, 7, 1\)"),
        ({"images": None}, "`image_paths`, `images` and `records`.*none for 'grey'"),
        ({"image_paths": ["x"] * 4}, "Received image_paths and images"),
        ({"mask_paths": [["m"]] * 4}, "`mask_paths` and `ignore_paths`"),
    ],
)
def test_the_former_constructor_of_images_checks_its_arguments(change, message):
    arguments = {
        "name": "grey",
        "class_names": ("even", "odd"),
        "image_ids": ["a", "b", "c", "d"],
        "labels": [0, 1, 0, 1],
        "boxes": [[]] * 4,
        "images": np.zeros((4, 5, 7, 3), "uint8"),
    }
    with (
        pytest.warns(DeprecationWarning, match="keras_has.data.Dataset"),
        pytest.raises(ValueError, match=message),
    ):
        ImageDataset(**{**arguments, **change})


def test_former_constructors_and_attributes_warn_and_give_the_same_dataset():
    images = in_memory_dataset()
    with pytest.warns(DeprecationWarning, match="ImageDataset.*keras_has.data.Dataset"):
        former = ImageDataset(
            "grey",
            images.class_names,
            images.ids,
            images["label"],
            images["boxes"],
            images=images.source.pixels,
        )
    assert of_former(former, "image_ids", "dataset.ids").tolist() == images.ids.tolist()
    labels = of_former(former, "labels", r'dataset\["label"\]')
    assert labels.tolist() == images["label"].tolist()
    assert of_former(former, "boxes", r'dataset\["boxes"\]') is former["boxes"]
    sizes = of_former(former, "image_sizes", r'dataset\["image_size"\]')
    assert sizes.tolist() == [[5, 7]] * 4
    assert of_former(former, "images", "dataset.source.pixels") is former.source.pixels
    for name in ("image_paths", "records", "mask_paths", "ignore_paths"):
        assert of_former(former, name, "dataset") is None
    videos = sequences()
    with pytest.warns(DeprecationWarning, match="TemporalDataset.*keras_has.data.Dataset"):
        former = TemporalDataset(
            "signals",
            videos.class_names,
            videos.ids,
            videos["duration"],
            videos["labels"],
            videos["segments"],
            videos["segment_labels"],
            features=videos.source.features,
        )
    assert of_former(former, "video_ids", "dataset.ids").tolist() == ["a", "b"]
    assert of_former(former, "durations", "duration").tolist() == [4.0, 2.0]
    assert of_former(former, "labels", "labels").tolist() == videos["labels"].tolist()
    for name in ("segments", "segment_labels", "ambiguous"):
        assert of_former(former, name, f'dataset\\["{name}"') is former[name]
    features = of_former(former, "features", "dataset.source.features")
    assert features[1].tolist() == np.ones((4, 3)).tolist()
    assert of_former(former, "feature_paths", "dataset.source.paths") is None
    assert of_former(former, "feature_keys", "dataset.source.keys") is None
    with (
        pytest.warns(DeprecationWarning, match="keras_has.data.Dataset"),
        pytest.raises(ValueError, match="`features` and `feature_paths`"),
    ):
        TemporalDataset("x", ("a",), [], [], [], [], [], features=[], feature_paths=[])
    with pytest.raises(AttributeError, match="nothing"):
        former.nothing  # noqa: B018


def of_former(dataset, name, replacement):
    with pytest.warns(DeprecationWarning, match=f"`dataset.{name}`.*Use `.*{replacement}"):
        return getattr(dataset, name)


def test_select_takes_positions_and_booleans_in_order():
    dataset = in_memory_dataset()
    some = dataset.select([3, 1, 1])
    assert some.ids.tolist() == ["id_3", "id_1", "id_1"]
    assert some["label"].tolist() == [1, 1, 1]
    assert [len(boxes) for boxes in some["boxes"]] == [3, 1, 1]
    assert some.source.pixels[:, 0, 0, 0].tolist() == [3, 1, 1]
    assert some["image_size"].shape == (3, 2)
    assert dataset.select(dataset["label"] == 1).ids.tolist() == ["id_1", "id_3"]
    assert len(dataset.select([])) == 0


@pytest.mark.parametrize("indices", [[4], [-1], [0, 7]])
def test_select_beyond_the_images_raises(indices):
    with pytest.raises(IndexError, match="`indices`.*0 and 3.*'grey'"):
        in_memory_dataset().select(indices)


@pytest.mark.parametrize("indices", [[0.5], [[0]], [True, False]])
def test_select_with_what_is_no_list_of_positions_raises(indices):
    with pytest.raises(ValueError, match="`indices`.*4 booleans"):
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
                assert example["label"] == dataset["label"][row]
                np.testing.assert_array_equal(example["boxes"], dataset["boxes"][row])
                assert example["image_id"].decode() == dataset.ids[row]


def test_examples_beyond_the_images_raise(file_dataset):
    with pytest.raises(IndexError, match="between 0 and 4"):
        file_dataset.examples([5])


def test_in_memory_reports_progress_and_keeps_the_rest(file_dataset):
    calls = []
    kept = file_dataset.in_memory(lambda done, total: calls.append((done, total)))
    assert calls[-1] == (5, 5)
    assert kept.source.pixels.dtype == np.uint8
    assert kept["image_size"].tolist() == [[5, 7]] * 5
    assert kept["label"].tolist() == file_dataset["label"].tolist()
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
    with pytest.raises(ValueError, match="none in 'files'"):
        file_dataset.select([]).in_memory()


def test_padded_boxes_fill_up_with_minus_one():
    padded = in_memory_dataset().padded_boxes()
    assert padded.shape == (4, 3, 4)
    assert padded.dtype == np.float32
    assert padded[0].tolist() == [[-1] * 4] * 3
    assert padded[2].tolist() == [[0, 0, 3, 2], [0, 0, 3, 2], [-1] * 4]


def test_padded_boxes_have_one_row_where_no_image_has_a_box():
    dataset = in_memory_dataset(columns={"boxes": [[]] * 4})
    assert dataset.padded_boxes().tolist() == [[[-1] * 4]] * 4
    assert dataset.select([]).padded_boxes().shape == (0, 1, 4)


@settings(max_examples=10)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_padded_boxes_and_examples_hold_the_same_boxes(counts):
    boxes = [[[j, i, j + 1, i + 2] for j in range(count)] for i, count in enumerate(counts)]
    dataset = Dataset(
        name="boxes",
        ids=[str(index) for index in range(len(counts))],
        columns={"label": [0] * len(counts), "boxes": boxes},
        source=ArrayImages(np.zeros((len(counts), 2, 2, 3), "uint8")),
        class_names=("thing",),
    )
    examples = dataset.examples().as_numpy_iterator()
    for row, example, wanted in zip(dataset.padded_boxes(), examples, boxes, strict=True):
        assert example["boxes"].tolist() == wanted
        assert row[(row != -1).any(axis=1)].tolist() == wanted
