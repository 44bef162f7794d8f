"""Tests of the check of HDF5 files of weights."""

import h5py
import numpy as np
import pytest

from keras_has.hdf5_check import check_hdf5


def write(path, **arrays):
    with h5py.File(path, "w") as file:
        file.attrs["text"] = "words"
        for name, array in arrays.items():
            file[f"group/{name}"] = array


def test_a_sound_file_is_accepted(tmp_path):
    write(tmp_path / "a.h5", kernel=np.ones((3, 4)))
    check_hdf5(tmp_path / "a.h5")


@pytest.mark.parametrize("end", [0, 100, -100])
def test_a_truncated_file_is_named_with_its_size(tmp_path, end):
    path = tmp_path / "a.h5"
    write(path, kernel=np.ones((300, 4)))
    content = path.read_bytes()[:end]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.h5 \({len(content)} bytes\) cannot be read"):
        check_hdf5(path)


def test_a_small_file_of_huge_arrays_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("kernel", (2**20, 2**12), "f4")
    with pytest.raises(ValueError, match=r"a\.h5: its content takes 16\.0 GiB"):
        check_hdf5(path)


def test_a_file_from_which_hdf5_never_returns_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    write(path)
    monkeypatch.setattr("keras_has.hdf5_check._SECONDS", 1)
    monkeypatch.setattr("keras_has.hdf5_check._VISIT", "while True: pass")
    with pytest.raises(ValueError, match=r"a\.h5 .*within 1 s"):
        check_hdf5(path)
