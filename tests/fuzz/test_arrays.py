"""Mutated arrays in files: features, score maps, masks, CIFAR's batches and pickles."""

import pickle

import h5py
import numpy as np
import pytest
from PIL import Image

from keras_has import data
from keras_has.data.feature_files import features_shape, find_features
from keras_has.data.masks import load_mask
from keras_has.data.readers.score_maps import load_score_map

FEATURES = np.arange(12, dtype=np.float32).reshape(6, 2)


def npy(folder):
    np.save(folder / "v.npy", FEATURES)


def npy_columns(folder):
    np.save(folder / "v.npy", np.asfortranarray(FEATURES, ">f8"))


def npz(folder):
    np.savez_compressed(folder / "v.npz", FEATURES)


def named_npz(folder):
    np.savez(folder / "v.npz", rgb=FEATURES, flow=FEATURES)


def hdf5(folder):
    with h5py.File(folder / "v.h5", "w") as file:
        file["features"] = FEATURES


def chunked_hdf5(folder):
    with h5py.File(folder / "v.h5", "w") as file:
        file.create_dataset("a/b", data=FEATURES, chunks=(2, 2), compression="gzip")


def hdf5_of_videos(folder):
    with h5py.File(folder / "all.h5", "w") as file:
        for name in ("v1", "v_v2"):
            file[f"{name}/rgb"] = FEATURES


def score_map(folder):
    np.save(folder / "a.npy", np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4))


def mask(folder):
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(folder / "a.png")


def cifar10_binary(folder):
    rows = np.arange(2 * 3073, dtype=np.uint8).reshape(2, 3073)
    rows[:, 0] = (0, 1)
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (folder / name).write_bytes(rows.tobytes())
    (folder / "batches.meta.txt").write_text("airplane\nautomobile\n")


def cifar_python(protocol):
    def build(folder):
        pixels = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)
        batch = {b"data": pixels, b"labels": [0, 1], b"filenames": [b"a.png", b"b.png"]}
        names = {b"label_names": [b"airplane", b"automobile"]}
        for name, content in (("data_batch_1", batch), ("batches.meta", names)):
            (folder / name).write_bytes(pickle.dumps(content, protocol))

    return build


def features(name, key=None):
    def load(folder):
        shape = features_shape(folder / name, key)
        for count in (None, 3):
            found, length = data.read_features(folder / name, key, count)
            assert found.dtype == np.float32
            assert np.isfinite(found).all()
            assert (length, found.shape[1]) == shape
            assert len(found) == (count or length)

    return load


def features_of_videos(folder):
    paths, names = find_features(folder / "all.h5", ["v1", "v2"], "rgb")
    for path, name in zip(paths, names, strict=True):
        if path is not None:
            data.read_features(path, name)


def load_named_score_map(folder):
    try:
        found = load_score_map(folder / "a.npy")
    except ValueError as error:  # Its caller names the file.
        raise ValueError(f"{folder}: {error}") from error
    assert found.ndim == 2


def load_masks(folder):
    found, _ = load_mask([folder / "a.png"], image_size=8)
    assert found.shape == (8, 8)


LOADERS = {
    ".npy features": (npy, "*.npy", features("v.npy")),
    ".npy features by column": (npy_columns, "*.npy", features("v.npy")),
    ".npz features": (npz, "*.npz", features("v.npz")),
    "named .npz features": (named_npz, "*.npz", features("v.npz", "flow")),
    "HDF5 features": (hdf5, "*.h5", features("v.h5")),
    "chunked HDF5 features": (chunked_hdf5, "*.h5", features("v.h5", "a/b")),
    "HDF5 file of videos": (hdf5_of_videos, "*.h5", features_of_videos),
    "score maps": (score_map, "*.npy", load_named_score_map),
    "masks": (mask, "*.png", load_masks),
    "CIFAR-10 binary": (cifar10_binary, "*.bin", data.cifar10),
    "CIFAR-10 pickles": (cifar_python(2), ["data_batch_1", "batches.meta"], data.cifar10),
    "newer pickles": (cifar_python(4), ["data_batch_1", "batches.meta"], data.cifar10),
}


@pytest.mark.parametrize("name", LOADERS)
def test_damaged_arrays_are_read_or_refused_by_name(name, fuzz):
    build, patterns, load = LOADERS[name]
    fuzz(name, build, patterns, load, inputs=700)
