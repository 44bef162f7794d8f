"""Detections in one's own features, by the command."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.export import export_temporal_localizer  # noqa: E402
from keras_has.models import TemporalGAP  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def detect(*arguments):
    return subprocess.run(  # noqa: S603 (our own module)
        [sys.executable, "-m", "trainers.detect", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def model(tmp_path):
    """A network of one class whose map is the first feature."""
    network = TemporalGAP(1, (None, 2), widths=(1,), activation="sigmoid", is_masked=True)
    network.get_layer("conv1").set_weights([np.array([[1.0], [0.0]]), np.zeros(1)])
    network.get_layer("predictions").set_weights([np.ones((1, 1)), np.zeros(1)])
    export_temporal_localizer(network, tmp_path / "model", ["jump"])
    return tmp_path / "model"


def test_every_video_gets_its_detections_and_a_timeline(model, tmp_path):
    folder = tmp_path / "features"
    folder.mkdir()
    features = np.zeros((10, 2), "float32")
    features[2:5, 0] = 4.0  # above half of the maximum from 2 x 0.5 s to 5 x 0.5 s
    features[8, 0] = 3.0
    np.save(folder / "a.npy", features)
    np.save(folder / "wide.npy", np.zeros((4, 3), "float32"))
    (folder / "broken.npy").write_bytes(b"nothing")
    for name in ("._a.npy", "notes.mat"):
        (folder / name).touch()
    (folder / "features.json").write_text(json.dumps({"seconds_per_feature": 0.5}))
    done = detect(f"--model={model}", f"--features={folder}", f"--out={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "out" / "detections.json").read_text())["results"]
    assert found == {
        "a": [
            {"label": "jump", "score": 4.0, "segment": [1.0, 2.5]},
            {"label": "jump", "score": 3.0, "segment": [4.0, 4.5]},
        ]
    }
    assert (tmp_path / "out" / "a.npy.timeline.png").is_file()
    assert "2 detections in 1 videos" in done.stdout
    assert "2 files could not be read" in done.stdout
    assert done.stdout.count("broken.npy") == 1
    assert "2 files are not features" in done.stdout
    assert "notes.mat" in done.stdout
    assert "wide.npy: features of 3 numbers; the model takes 2" in done.stdout


def test_what_is_missing_is_said(model, tmp_path):
    for folder in ("empty", "twice"):
        (tmp_path / folder).mkdir()
    for ending in ("npy", "npz"):
        (tmp_path / "twice" / f"a.{ending}").touch()
    np.save(tmp_path / "a.npy", np.zeros((4, 2), "float32"))
    images = tmp_path / "images"  # an exported model for images
    images.mkdir()
    (images / "keras_has.json").write_text(json.dumps({"class_names": ["cat"]}))
    for arguments, message in (
        ((f"--model={tmp_path}", f"--features={tmp_path}"), "is missing"),
        (
            (f"--model={images}", f"--features={tmp_path / 'a.npy'}"),
            "trainers.localize",
        ),
        ((f"--model={model}", f"--features={tmp_path / 'empty'}"), "contains no features"),
        (
            (f"--model={model}", f"--features={tmp_path / 'twice'}"),
            "features per video",
        ),
        ((f"--model={model}", f"--features={tmp_path / 'a.npy'}"), "give --seconds_per_feature"),
    ):
        done = detect(*arguments, f"--out={tmp_path / 'out'}")
        assert done.returncode != 0
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_transposed_features_are_named_as_such():
    from trainers import detect as module

    module.check_size(np.zeros((5, 2)), 2)
    with pytest.raises(ValueError, match="features of 5 numbers; the model takes 2; .*transposed"):
        module.check_size(np.zeros((2, 5)), 2)


def test_features_are_sampled_as_in_training():
    from trainers import detect as module

    given = {}

    def signature(features, step_seconds):
        given.update(rows=features.numpy()[0, :, 0].tolist(), step=float(step_seconds[0]))
        return {"cam": tf.zeros((1, 20, 1))}

    features = np.arange(100, dtype="float32")[:, None]
    found = module.detect(signature, features, 0.5, 20)
    assert given == {"rows": [5.0 * n + 2 for n in range(20)], "step": 2.5}
    assert found["step_seconds"] == 2.5
