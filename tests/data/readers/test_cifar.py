import pickle

import numpy as np
import pytest

from keras_has.data import cifar10, cifar100

NAMES = ["airplane", "cat"]


def pixels_and_labels(count, seed):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return images, random.integers(0, len(NAMES), count)


def write(folder, layout):
    """Writes two training batches of 3 and 2 images and a test batch of 4."""
    folder.mkdir()
    batches = {"data_batch_1": 3, "data_batch_2": 2, "test_batch": 4}
    for seed, (name, count) in enumerate(batches.items()):
        images, labels = pixels_and_labels(count, seed)
        planes = images.transpose(0, 3, 1, 2).reshape(count, -1)
        if layout == "bin":
            records = np.concatenate([labels[:, None].astype("uint8"), planes], axis=1)
            (folder / f"{name}.bin").write_bytes(records.tobytes())
        else:
            batch = {b"data": planes, b"labels": labels.tolist(), b"batch_label": b"one of two"}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    if layout == "bin":
        (folder / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    else:
        meta = {b"label_names": [name.encode() for name in NAMES], b"num_vis": 3072}
        (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))
    return folder


@pytest.fixture(params=["bin", "py"])
def folder(request, tmp_path):
    return write(tmp_path / f"cifar-10-batches-{request.param}", request.param)


def test_both_layouts_give_the_same_images_in_the_same_order(folder):
    train = cifar10(folder)
    assert train.name == "cifar10/train"
    assert train.class_names == ("airplane", "cat")
    assert train.ids.tolist() == [
        *(f"data_batch_1/{row}" for row in range(3)),
        *(f"data_batch_2/{row}" for row in range(2)),
    ]
    (one, first), (two, second) = pixels_and_labels(3, 0), pixels_and_labels(2, 1)
    np.testing.assert_array_equal(train.source.pixels, np.concatenate([one, two]))
    np.testing.assert_array_equal(train["label"], np.concatenate([first, second]))
    np.testing.assert_array_equal(cifar10(folder, "test").source.pixels, pixels_and_labels(4, 2)[0])


def test_the_folder_above_is_accepted(folder):
    assert cifar10(folder.parent, "test")["label"].tolist() == pixels_and_labels(4, 2)[1].tolist()


@pytest.mark.parametrize("length", [0, 3072, 3073 * 3 - 1])
def test_a_truncated_binary_batch_is_named(tmp_path, length):
    folder = write(tmp_path / "bin", "bin")
    content = (folder / "data_batch_1.bin").read_bytes()
    (folder / "data_batch_1.bin").write_bytes(content[:length])
    with pytest.raises(ValueError, match=f"data_batch_1.bin.*3073.*Received: {length} bytes"):
        cifar10(folder)


def test_a_label_beyond_the_classes_is_named(tmp_path):
    folder = write(tmp_path / "bin", "bin")
    (folder / "test_batch.bin").write_bytes(b"\x02" + bytes(3072))
    with pytest.raises(ValueError, match="test_batch.bin.*0 to 1.*from 2 to 2"):
        cifar10(folder, "test")


@pytest.mark.parametrize(
    "batch",
    [
        [1, 2],
        {b"labels": [0]},
        {b"data": [[0] * 3072], b"labels": [0]},
        {b"data": np.zeros((1, 3071), "uint8"), b"labels": [0]},
        {b"data": np.zeros((1, 3072), "int64"), b"labels": [0]},
        {b"data": np.zeros((1, 3072), "uint8"), b"labels": [0, 1]},
        {b"data": np.zeros((1, 3072), "uint8"), b"labels": ["cat"]},
        {b"data": np.zeros((0, 3072), "uint8"), b"labels": []},
    ],
)
def test_a_python_batch_of_another_content_is_named(tmp_path, batch):
    folder = write(tmp_path / "py", "py")
    (folder / "test_batch").write_bytes(pickle.dumps(batch))
    with pytest.raises(ValueError, match="test_batch"):
        cifar10(folder, "test")


@pytest.mark.parametrize("name", [b"\xff", b"", "", None, 3])
def test_a_class_name_of_a_python_file_that_is_no_text_is_named(tmp_path, name):
    folder = write(tmp_path / "py", "py")
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"cat", name]}))
    with pytest.raises(ValueError, match=r"batches\.meta"):
        cifar10(folder, "test")


def test_missing_files_and_splits_are_named(folder, tmp_path):
    with pytest.raises(ValueError, match="`split`.*split='val'"):
        cifar10(folder, "val")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        cifar10(tmp_path / "nowhere")
    for path in folder.glob("test_batch*"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="test split"):
        cifar10(folder, "test")


@pytest.mark.parametrize("layout", ["binary", "python"])
def test_cifar100_is_read_with_its_fine_labels_in_both_layouts(tmp_path, layout):
    folder = tmp_path / f"cifar-100-{layout}"
    folder.mkdir()
    fine_names, coarse_names = ["apple", "bear", "clock"], ["fruit", "animal"]
    coarse, fine = [1, 0, 1, 1], [1, 0, 2, 1]
    images, _ = pixels_and_labels(4, 5)
    planes = images.transpose(0, 3, 1, 2).reshape(4, -1)
    if layout == "binary":
        (folder / "fine_label_names.txt").write_text("\n".join(fine_names) + "\n")
        (folder / "coarse_label_names.txt").write_text("\n".join(coarse_names) + "\n")
        records = np.concatenate([np.array([coarse, fine], "uint8").T, planes], axis=1)
        (folder / "train.bin").write_bytes(records.tobytes())
    else:
        meta = {b"fine_label_names": [name.encode() for name in fine_names]}
        batch = {b"data": planes, b"fine_labels": fine, b"coarse_labels": coarse}
        (folder / "meta").write_bytes(pickle.dumps(meta, protocol=2))
        (folder / "train").write_bytes(pickle.dumps(batch, protocol=2))
    for data_dir in (folder, tmp_path):
        train = cifar100(data_dir)
        assert train.name == "cifar100/train"
        assert train.class_names == ("apple", "bear", "clock")
        assert train.ids.tolist() == ["train/0", "train/1", "train/2", "train/3"]
        assert train["label"].tolist() == fine
        np.testing.assert_array_equal(train.source.pixels, images)
    with pytest.raises(FileNotFoundError, match="test split"):
        cifar100(folder, "test")
    with pytest.raises(FileNotFoundError, match=r"batches\.meta.*cifar100"):
        cifar10(folder)


def test_the_real_part_has_its_counts(shared_data):
    train, test = (cifar10(shared_data / "cifar-10-10k", split) for split in ("train", "test"))
    assert np.bincount(train["label"]).tolist() == [1000] * 10
    assert np.bincount(test["label"]).tolist() == [200] * 10
    assert train.class_names[3] == "cat"
