"""Files of features: what damaged, misleading and huge ones do."""

import zipfile

import h5py
import numpy as np
import pytest

from keras_has.data.array_files import open_npy
from keras_has.data.feature_files import (
    features_shape,
    find_features,
    read_features,
    sample_uniformly,
    unannotated_features,
)
from keras_has.data.readers.score_maps import load_score_map

FEATURES = np.arange(600, dtype="float32").reshape(100, 6)


def npy(header):
    """Returns a .npy file with a header of one's own."""
    header = header.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def saved(path):
    if path.suffix == ".npy":
        np.save(path, FEATURES)
    elif path.suffix == ".npz":
        np.savez_compressed(path, c3d=FEATURES)
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("c3d", data=FEATURES, chunks=(10, 6), compression="gzip")
    return path


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5"])
def test_the_shape_is_read_from_the_header_and_the_values_are_the_same(tmp_path, name):
    path = saved(tmp_path / name)
    assert features_shape(path) == (100, 6)
    np.testing.assert_array_equal(read_features(path)[0], FEATURES)
    np.testing.assert_array_equal(read_features(path, num_features=2)[0], FEATURES[[25, 75]])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00\x10\x00",
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}"),  # too little data
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 2)}"),
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2)}"),
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': ("),  # a TokenError in NumPy
        npy(b"(" * 110),
        npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (3, 2)}"),
        b"PK\x03\x04",
        b"PK\x05\x06" + bytes(18),  # an empty archive
    ],
)
def test_every_damaged_npy_is_a_value_error_with_its_path(tmp_path, content):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    for read in (read_features, features_shape):
        with pytest.raises(ValueError, match=r"a\.npy.*cannot be read"):
            read(path)
    with pytest.raises(ValueError, match="cannot be read"):
        load_score_map(path)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5"])
def test_mutated_files_are_read_or_refused_by_name(tmp_path, name):
    whole = saved(tmp_path / name).read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for number in range(150):
        content = bytearray(whole)
        for place in random.integers(0, min(len(whole), 3000), 1 + number % 8):
            content[place] = random.integers(256)
        if number % 5 == 0:
            content = content[: random.integers(len(content))]
        path = tmp_path / f"mutated{number}{name[1:]}"
        path.write_bytes(content)
        for num_features in (None, 3):
            try:
                features, _ = read_features(path, num_features=num_features)
            except ValueError as error:
                assert str(path) in str(error)
                refused += 1
            else:
                assert features.ndim == 2
    assert refused > 20


def test_an_encrypted_or_unknown_compression_is_named(tmp_path):
    whole = saved(tmp_path / "a.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        directory = archive.start_dir
    for place, value in ((6, 1), (8, 99)):
        content = bytearray(whole)
        content[place] = content[directory + place + 2] = value
        (tmp_path / "b.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"b\.npz: cannot be read"):
            read_features(tmp_path / "b.npz")


def test_a_small_archive_that_fills_the_memory_is_refused_before_it_does(tmp_path):
    path = tmp_path / "bomb.npz"
    shape = (300_000, 1000)  # 1.1 GiB of float32
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy(header.encode()) + bytes(4_000_000))
        # As if it held them all; what it really holds takes seconds to write.
        archive.filelist[0].file_size = 128 + 1_200_000_000
    assert features_shape(path) == shape
    for num_features in (None, 5):
        with pytest.raises(ValueError, match=r"bomb\.npz.*1\.1 GiB.*allow_large_features"):
            read_features(path, num_features=num_features)


def test_a_header_that_declares_more_than_the_archive_holds_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000, 100000)}"
        archive.writestr("x.npy", npy(header) + bytes(100))
    with pytest.raises(ValueError, match=r"a\.npz.*40000000000 bytes"):
        read_features(tmp_path / "a.npz")


def test_a_second_array_in_a_file_is_never_lost(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        np.save(file, FEATURES)
        np.save(file, FEATURES)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.write(tmp_path / "a.npy", "x.npy")
    for name, received in (("a.npy", "2528 bytes"), ("a.npz", "declares 2400 bytes.*are 4928")):
        for read in (features_shape, read_features):
            with pytest.raises(ValueError, match=rf"{name}.*{received}"):
                read(tmp_path / name)
    with pytest.raises(ValueError, match="2528 bytes"):
        load_score_map(tmp_path / "a.npy")


def test_numbers_beyond_float32_and_counts_below_1_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([[1e300], [1.0]]))
    with pytest.raises(ValueError, match=r"a\.npy: .*float32"):
        read_features(path)
    for count in (0, -1):
        with pytest.raises(ValueError, match=f"num_features={count}"):
            read_features(path, num_features=count)
        with pytest.raises(ValueError, match=f"count={count}"):
            sample_uniformly(2, count)


def test_hdf5_that_declares_what_it_does_not_hold_is_refused_unless_a_part_is_small(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (10**9, 100), "float32", chunks=(10, 100))  # nothing is stored
    assert features_shape(path) == (10**9, 100)
    with pytest.raises(ValueError, match=r"a\.h5.*372\.5 GiB.*allow_large_features"):
        read_features(path)
    features, length = read_features(path, num_features=4)
    assert (features.tolist(), length) == ([[0.0] * 100] * 4, 10**9)


def test_large_features_can_be_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_has.expansion.MAX_BYTES", 1000)
    monkeypatch.setattr("keras_has.expansion.MAX_EXPANSION", 2)
    path = tmp_path / "a.npz"
    np.savez_compressed(path, np.zeros((1000, 4), "float32"))
    with pytest.raises(ValueError, match="allow_large_features"):
        read_features(path)
    assert read_features(path, allow_large_features=True)[0].shape == (1000, 4)
    # Not compressed: as large as the file.
    np.savez(path, np.zeros((1000, 4), "float32"))
    assert read_features(path)[0].shape == (1000, 4)


def test_a_damaged_file_of_all_features_is_named(tmp_path):
    path = tmp_path / "all.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match=r"all\.h5: cannot be read as HDF5"):
        find_features(path, ["a"])


def test_files_of_no_video_are_found(tmp_path):
    for name in ("a.npy", "v_b.npz", "c.h5", ".d.npy", "features.json"):
        (tmp_path / name).touch()
    assert unannotated_features(tmp_path, ["a", "b"]) == [str(tmp_path / "c.h5")]


def test_an_npy_is_mapped_and_not_read(tmp_path):
    np.save(tmp_path / "a.npy", FEATURES)
    assert isinstance(open_npy(tmp_path / "a.npy"), np.memmap)
