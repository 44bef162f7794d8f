"""The command that writes the report of a run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_has.drawing import write_png
from trainers.tasks.registry import find_recipe


def command(*arguments, **environment):
    return subprocess.run(  # noqa: S603 - this project's own
        [sys.executable, "-m", "trainers.report", *arguments],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", **environment},
    )


def test_the_command_finds_the_data_of_the_run_and_writes_the_report_into_it(tmp_path):
    pytest.importorskip("tensorflow")
    from trainers.engine.training import train_recipe

    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            for number in range(4):
                image = random.integers(0, 256, (40, 60, 3), dtype="uint8")
                write_png(tmp_path / "data" / split / name / f"{number}.png", image)
    recipe = find_recipe("folder_gap").override(
        model="small_gap",
        weights="",
        map_stride=4,
        epochs=1,
        batch_size=4,
        widths=(8, 16),
        image_size=32,
        mean=(127.0,) * 3,
        std=(60.0,) * 3,
    )
    train_recipe(recipe, tmp_path / "run", tmp_path / "data")
    done = command(f"--run_dir={tmp_path / 'run'}", "--images=4")
    assert done.returncode == 0, done.stderr[-3000:]
    file = tmp_path / "run" / "report.html"
    assert f"written to {file}" in done.stdout
    text = file.read_text(encoding="utf-8")
    # Images of a folder have no boxes: what needs them is left out, and said.
    assert "No image has a true box" in text
    assert "Why boxes are wrong" not in text
    assert text.count('data-box="run-') == 4
    assert 'viewBox="0 0 60 40"' in text  # the aspect that the images had


def test_the_command_names_a_missing_folder_without_a_traceback(tmp_path):
    done = command(f"--run_dir={tmp_path / 'nowhere'}")
    assert done.returncode == 1
    assert "error: There is no folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_matplotlib_the_command_names_the_extra_to_install(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not installed')")
    done = command(f"--run_dir={tmp_path}", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "pip install keras-has[plots]" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_same_command_reports_on_a_run_on_your_own_sequences(tmp_path):
    pytest.importorskip("tensorflow")
    from trainers.engine.training import train_recipe

    random = np.random.default_rng(0)
    (tmp_path / "data" / "features").mkdir(parents=True)
    database = {}
    for split in ("train", "test"):
        for number in range(4):
            name, start = f"{split}_{number}", 2.0 + number
            features = random.normal(size=(20, 3))
            features[2 * (2 + number) : 2 * (5 + number), number % 2] += 5
            np.save(tmp_path / "data" / "features" / f"{name}.npy", features.astype("float32"))
            action = {"segment": [start, start + 3], "label": ("wave", "nod")[number % 2]}
            database[name] = {"subset": split, "duration": 10.0, "annotations": [action]}
    taxonomy = [{"nodeName": "wave"}, {"nodeName": "nod"}]
    (tmp_path / "data" / "annotations.json").write_text(
        json.dumps({"taxonomy": taxonomy, "database": database})
    )
    recipe = find_recipe("features_has").override(
        epochs=1, batch_size=4, widths=(4,), num_segments=5
    )
    train_recipe(recipe, tmp_path / "run", tmp_path / "data")
    done = command(f"--run_dir={tmp_path / 'run'}", "--images=3")
    assert done.returncode == 0, done.stderr[-3000:]
    text = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "4 sequences of feature_folder/test with 4 true segments, 2 classes" in text
    assert "semi-synthetic" not in text
    assert text.count('role="img"') == 3 + 3 + 2 + 4
    done = command(f"--run_dir={tmp_path / 'run'}", "--covered_images=5")
    assert done.returncode == 1
    assert "error: --covered_images" in done.stderr
