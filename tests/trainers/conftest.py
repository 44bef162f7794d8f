"""Runs small enough for a test."""

import dataclasses
import json
import sys

import pytest

pytest.importorskip("tensorflow")

import keras_has.data
from trainers.tasks.registry import find_recipe


@pytest.fixture
def few_parts(monkeypatch):
    """Makes `parts` a set of 96 training and 40 validation images."""
    module = sys.modules[keras_has.data.generated_parts.__module__]
    monkeypatch.setattr(module, "SPLITS", {"train": 96, "val": 40})


@pytest.fixture
def tiny_recipe():
    """Returns a recipe that trains for seconds."""

    def recipe(name="parts_has", **fields):
        small = {"epochs": 3, "batch_size": 32, "widths": (8, 16), "patch_size": (0, 8), **fields}
        return find_recipe(name).override(**small)

    return recipe


@pytest.fixture
def weights_of():
    """Returns a function from a run directory to all arrays of its last checkpoint, by path.

    Optimizer and random state are among them.
    """
    import h5py
    import numpy as np

    def read(run_dir):
        name = json.loads((run_dir / "checkpoint.json").read_text())["weights"]
        arrays = {}
        with h5py.File(run_dir / name) as file:
            file.visititems(
                lambda path, item: (
                    arrays.update({path: np.array(item)})
                    if isinstance(item, h5py.Dataset)
                    else None
                )
            )
        return arrays

    return read


@pytest.fixture
def write_ilsvrc():
    """Returns a function that writes two classes in the layout of ILSVRC 2012."""
    import numpy as np
    import tensorflow as tf

    def write(root):
        random = np.random.default_rng(0)
        for split, count in (("train", 3), ("val", 2)):
            for wnid in ("n01440764", "n01443537"):
                for number in range(count):
                    name = f"{wnid}_{number}"
                    (root / split / wnid).mkdir(parents=True, exist_ok=True)
                    image = random.integers(0, 256, (60, 80, 3), dtype="uint8")
                    encoded = tf.io.encode_jpeg(image)
                    tf.io.write_file(str(root / split / wnid / f"{name}.JPEG"), encoded)
                    if split == "val" and name != "n01443537_1":
                        folder = root / "Annotations" / "CLS-LOC" / "val"
                        folder.mkdir(parents=True, exist_ok=True)
                        (folder / f"{name}.xml").write_text(
                            "<annotation><size><width>80</width><height>60</height>"
                            f"<depth>3</depth></size><object><name>{wnid}</name><bndbox>"
                            "<xmin>10</xmin><ymin>5</ymin><xmax>60</xmax><ymax>50</ymax>"
                            "</bndbox></object></annotation>"
                        )
        return root

    return write


@pytest.fixture
def folder(tmp_path):
    """One's own images: two colours in a folder each, one file broken, boxes for some."""
    import numpy as np
    import tensorflow as tf

    root = tmp_path / "own"
    random = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 5)):
        for label, name in enumerate(("red", "blue")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                image = random.integers(0, 80, (40, 60, 3), dtype="uint8")
                image[10:30, 20:45, 2 * label] = 250
                path = root / split / name / f"{number}.png"
                tf.io.write_file(str(path), tf.io.encode_png(image))
    lines = ["image,x0,y0,x1,y1"]
    lines += [f"val/{name}/{n}.png,20,10,45,30" for name in ("red", "blue") for n in range(3)]
    (root / "boxes.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def own_recipe(tiny_recipe):
    """Returns a function from fields to a recipe for `folder`."""

    def recipe(**fields):
        return dataclasses.replace(
            tiny_recipe(batch_size=8, epochs=2),
            name="own",
            dataset="folder",
            image_size=32,
            resize_size=36,
            mean=(60.0, 60.0, 60.0),
            std=(50.0, 50.0, 50.0),
            **fields,
        )

    return recipe


@pytest.fixture(scope="session")
def write_cifar():
    """Returns a function that writes images in the layout of CIFAR-10 and returns their folder."""
    return _write_cifar


@pytest.fixture
def cifar(tmp_path):
    """60 training and 20 test images: bright cats and dark dogs, two test images swapped."""
    return _write_cifar(tmp_path / "cifar")


def _write_cifar(folder, class_names=("dog", "cat")):
    import numpy as np

    folder.mkdir()
    random = np.random.default_rng(0)
    for name, count in (("data_batch_1", 60), ("test_batch", 20)):
        labels = np.arange(count)[:, None] % 3 > 0
        pixels = random.integers(0, 120, (count, 3072)) + 120 * labels
        if name == "test_batch":
            pixels[[0, 1]] = pixels[[1, 0]]
        records = np.concatenate([labels, pixels], axis=1).astype("uint8")
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    (folder / "batches.meta.txt").write_text("".join(f"{name}\n" for name in class_names))
    return folder
