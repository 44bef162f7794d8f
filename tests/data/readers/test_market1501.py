import tarfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_has import data
from keras_has.data.mat_files import read_mat_integers

TRAIN = ("0002_c1s1_000451_03.jpg", "0002_c2s1_000301_01.jpg", "0010_c6s4_002427_02.jpg")
QUERY = ("0001_c1s1_001051_00.jpg", "0003_c3s3_071344_00.jpg.jpg")
GALLERY = (
    *("-1_c1s1_000401_03.jpg", "0000_c2s1_000451_04.jpg", "0001_c1s1_002301_02.jpg"),
    *("0001_c2s1_000301_00.jpg", "0003_c1s6_023021_00.jpg"),
)


@pytest.fixture
def folder(tmp_path):
    for name, files in (
        ("bounding_box_train", TRAIN),
        ("query", QUERY),
        ("bounding_box_test", GALLERY),
    ):
        (tmp_path / name).mkdir()
        for file in files:
            write_image(tmp_path / name / file)
    return tmp_path


def write_image(path):
    Image.fromarray(np.full((8, 4, 3), 99, "uint8")).save(path, "JPEG")


def write_lists(folder, lists):
    savemat = pytest.importorskip("scipy.io").savemat
    (folder / "gt_query").mkdir()
    for name, (good, junk) in lists.items():
        for kind, numbers in (("good", good), ("junk", junk)):
            path = folder / "gt_query" / f"{name}_{kind}.mat"
            savemat(path, {f"{kind}_index": np.array(numbers, float)}, do_compression=len(good) > 1)


def test_identity_and_camera_come_from_the_file_names(folder):
    train = data.market1501(folder)
    assert train.name == "market1501/train"
    assert train.class_names == ("0002", "0010")
    assert train["label"].tolist() == [0, 0, 1]
    assert train["identity"].tolist() == [2, 2, 10]
    assert train["camera"].tolist() == [1, 2, 6]
    assert train.ids.tolist() == [f"bounding_box_train/{name}" for name in TRAIN]
    assert train.problems == ()
    gallery = data.market1501(folder, "gallery")
    assert gallery["identity"].tolist() == [-1, 0, 1, 1, 3]
    assert gallery.class_names == ("-1", "0000", "0001", "0003")


def test_the_test_split_is_the_queries_followed_by_the_gallery(folder):
    test = data.market1501(folder, "test")
    assert test["is_query"].tolist() == [True] * 2 + [False] * 5
    assert test["identity"].tolist() == [1, 3, -1, 0, 1, 1, 3]
    assert test["camera"].tolist() == [1, 3, 1, 2, 1, 2, 1]
    assert [test.class_names[label] for label in test["label"]] == [
        *("0001", "0003", "-1", "0000", "0001", "0001", "0003")
    ]
    assert [example["image"].shape for example in test.examples()] == [(8, 4, 3)] * 7
    assert "matches" not in test


def test_everything_left_out_is_named(folder):
    (folder / "bounding_box_test" / "Thumbs.db").write_bytes(b"x")
    for name in ("0003.jpg", "003_c1s1_000001_00.jpg", "0003_c1_f0000001.jpg"):
        write_image(folder / "bounding_box_test" / name)
    write_image(folder / "query" / "-1_c1s1_000401_03.jpg")
    write_image(folder / "query" / "0000_c1s1_000401_03.jpg")
    test = data.market1501(folder, "test")
    assert len(test) == 7
    junk, distractor, thumbs, *names = test.problems
    assert "query/-1_c1s1_000401_03.jpg" in junk
    assert "query/0000_c1s1_000401_03.jpg" in distractor
    assert "1 (.db)" in thumbs and "Thumbs.db" in thumbs
    assert len(names) == 3
    for name, problem in zip(
        ("0003.jpg", "0003_c1_f0000001.jpg", "003_c1s1_000001_00.jpg"), names, strict=True
    ):
        assert f"bounding_box_test/{name}: " in problem


def test_dukemtmc_reid_has_names_of_its_own(tmp_path):
    for name in ("bounding_box_train", "query", "bounding_box_test"):
        (tmp_path / name).mkdir()
        write_image(tmp_path / name / "0123_c8_f0046182.jpg")
        write_image(tmp_path / name / "0123_c1s1_000001_00.jpg")
    for split, count in (("train", 1), ("test", 2)):
        dataset = data.dukemtmc_reid(tmp_path, split)
        assert dataset.name == f"dukemtmc_reid/{split}"
        assert dataset["identity"].tolist() == [123] * count
        assert dataset["camera"].tolist() == [8] * count
        assert len(dataset.problems) == count


def test_official_lists_are_read_as_positions_in_the_gallery(folder):
    # The second query has no matches and, as 13 official lists, number 0 in place of an image.
    write_lists(folder, {QUERY[0][:-4]: ([4, 5], [3]), QUERY[1][:-8]: ([], [0])})
    (folder / "bounding_box_test" / "Thumbs.db").write_bytes(b"x")
    test = data.market1501(folder, "test")
    assert [rows.tolist() for rows in test["matches"]] == [[3, 4], [], *[[]] * 5]
    assert [rows.tolist() for rows in test["same_camera"]] == [[2], [], *[[]] * 5]
    assert test["gallery_position"].tolist() == [-1, -1, 0, 1, 2, 3, 4]
    assert f"{QUERY[1][:-8]}_junk.mat" in test.problems[-1] and "[0]" in test.problems[-1]


def test_names_left_out_do_not_move_the_official_lists(folder):
    write_image(folder / "bounding_box_test" / "0000.jpg")  # sorts before 0000_c2s1_000451_04.jpg
    lists = {QUERY[0][:-4]: ([5, 6], [4]), QUERY[1][:-4]: ([7], [2])}
    with pytest.raises(ValueError, match=r"_good.mat lists image 7.*contains 6"):
        write_lists(folder, lists)
        data.market1501(folder, "test")
    write_image(folder / "bounding_box_test" / "0009_c1s1_000001_01.jpg")
    test = data.market1501(folder, "test")
    assert [rows.tolist() for rows in test["matches"][:2]] == [[3, 4], [5]]
    assert [rows.tolist() for rows in test["same_camera"][:2]] == [[2], []]


def test_missing_lists_and_folders_are_named(folder):
    write_lists(folder, {QUERY[0][:-4]: ([4], [3])})
    with pytest.raises(FileNotFoundError, match=r"gt_query/0003_c3s3_071344_00_good\.mat"):
        data.market1501(folder, "test")
    with pytest.raises(FileNotFoundError, match="bounding_box_train"):
        data.market1501(folder / "query")
    with pytest.raises(ValueError, match="split='val'"):
        data.market1501(folder, "val")


@pytest.mark.parametrize("change", ["cut", "text", "name", "fraction", "kind"])
def test_damaged_lists_are_refused_by_name(folder, change):
    write_lists(folder, {"a": ([4, 5, 6], [3.5])})
    path = folder / "gt_query" / ("a_junk.mat" if change == "fraction" else "a_good.mat")
    content, name = path.read_bytes(), "good_index"
    if change == "cut":
        path.write_bytes(content[:-9])
    elif change == "text":
        path.write_bytes(b"good_index")
    elif change == "kind":
        path.write_bytes(content[:128] + b"\xff" * 64)
    else:
        name = "junk_index" if change == "fraction" else "other"
    with pytest.raises(ValueError, match=str(path)):
        read_mat_integers(path, name)


def test_the_small_real_dataset_has_its_published_numbers(shared_data, tmp_path):
    root = tmp_path / "market1501-small"
    for name in ("bounding_box_train", "query", "bounding_box_test"):
        (root / name).mkdir(parents=True)
    with tarfile.open(shared_data / "market1501-small.tar") as archive:
        for member in archive.getmembers():
            if member.isfile():  # only names are read
                (tmp_path / member.name).touch()
    train, query, gallery = (data.market1501(root, s) for s in ("train", "query", "gallery"))
    assert (len(train), len(query), len(gallery)) == (4268, 672, 3568)
    assert (len(train.class_names), len(query.class_names)) == (250, 150)
    assert (gallery["identity"] == -1).sum() == 500
    assert (gallery["identity"] == 0).sum() == 400
    assert set(train["camera"].tolist()) == {1, 2, 3, 4, 5, 6}
    assert sum(name.endswith(".jpg.jpg") for name in query.ids.tolist()) == 6
    assert train.problems == query.problems == gallery.problems == ()


@given(data=st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_are_read_or_refused_with_the_name_of_the_file(tmp_path, data):
    savemat = pytest.importorskip("scipy.io").savemat
    path = tmp_path / "a_good.mat"
    savemat(path, {"good_index": np.array([4.0, 5, 6])}, do_compression=data.draw(st.booleans()))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(126, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        assert read_mat_integers(path, "good_index").dtype == np.int64
    except ValueError as error:
        assert str(path) in str(error)
