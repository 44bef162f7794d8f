"""The commands as a person types them."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

tf = pytest.importorskip("tensorflow")

from keras_has import drawing  # noqa: E402
from keras_has.data.readers.localization_truth import read_boxes  # noqa: E402
from trainers import compare  # noqa: E402
from trainers.tasks.registry import TASKS  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--epochs=2", "--steps_per_epoch=3", "--batch_size=16", "--widths=8,8"]


def command(module, *arguments, **settings):
    return subprocess.run(  # noqa: S603 (our own module)
        [sys.executable, "-m", f"trainers.{module}", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        **settings,
    )


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """One finished run of the default command, made small."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = command("imagenet", f"--run_dir={folder}", *SMALL)
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "printed.txt").write_text(done.stdout)
    return folder


def test_the_default_command_ends_with_a_table_and_where_everything_is(run_dir):
    printed = (run_dir / "printed.txt").read_text()
    assert "parts_has, seed 0: 1000 validation images" in printed
    for line in ("Top-1 Clas", "GT-known Loc at 20% of the maximum", "Top-1 Loc", "Centred box"):
        assert line in printed
    assert f"TensorBoard: tensorboard --logdir {run_dir / 'logs'}" in printed
    assert f"Model:       {run_dir / 'saved_model'}" in printed
    assert json.loads((run_dir / "recipe.json").read_text())["widths"] == [8, 8]


@pytest.mark.parametrize("module", ["imagenet", "compare", "localize"])
def test_help_explains_itself(module):
    done = command(module, "--help")
    text = done.stdout + done.stderr
    assert "python -m trainers." + module in text
    if module == "imagenet":
        for flag in ("--recipe", "--data_dir", "--run_dir", "--[no]nesterov", "--patch_size"):
            assert flag in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe=resnet"], "recipe"),
        (["--epochs=0"], "`epochs` should be at least 1"),
        (["--patch_size=big"], "--patch_size should be numbers"),
        (["--dataset=tiny_imagenet"], "needs --data_dir"),
        (["--dataset=folder", "--data_dir=nowhere"], "nowhere"),
        (["--mixed_precision=float8"], "`mixed_precision` should be one of"),
        (["stray"], "unknown arguments: stray"),
        (["--padding=4"], "error: --padding is not a setting of the recipe parts_has"),
        (["--dataset=cifar10"], "error: --dataset=cifar10 needs --data_dir"),
    ],
)
def test_mistakes_are_named_without_a_traceback(arguments, message, tmp_path):
    done = command("imagenet", *arguments, f"--run_dir={tmp_path / 'run'}")
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_killed_at_any_moment_goes_on_from_its_last_epoch(tmp_path):
    arguments = [f"--run_dir={tmp_path / 'run'}", "--epochs=40", *SMALL[1:]]
    process = subprocess.Popen(  # noqa: S603 (our own module)
        [sys.executable, "-m", "trainers.imagenet", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    checkpoint = tmp_path / "run" / "checkpoint.json"
    until = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "run" / "results.json").exists()
    epochs = len(json.loads(checkpoint.read_text())["history"])
    assert 1 <= epochs < 40
    again = command("imagenet", *arguments)
    assert again.returncode == 0, again.stderr[-3000:]
    assert f"resuming after epoch {epochs}" in again.stdout
    assert f"epoch {epochs + 1:>2}/40" in again.stdout
    assert f"epoch {epochs:>2}/40" not in again.stdout


def test_compare_runs_each_pair_once_and_lays_them_side_by_side(tmp_path):
    out = tmp_path / "compare"
    arguments = ["--recipes=parts_gap,parts_has", f"--out={out}", "--", *SMALL]
    first = command("compare", "--seeds=1", *arguments)
    assert first.returncode == 0, first.stderr[-3000:]
    stamp = (out / "parts_gap" / "seed_0" / "results.json").stat().st_mtime_ns
    second = command("compare", "--seeds=2", *arguments)
    assert second.returncode == 0, second.stderr[-3000:]
    assert (out / "parts_gap" / "seed_0" / "results.json").stat().st_mtime_ns == stamp
    rows = list(csv.DictReader((out / "comparison.csv").read_text().splitlines()))
    assert [(row["recipe"], row["seed"]) for row in rows] == [
        ("parts_gap", "0"),
        ("parts_gap", "1"),
        ("parts_has", "0"),
        ("parts_has", "1"),
    ]
    table = (out / "comparison.md").read_text()
    assert table in second.stdout
    values = [100 * float(row["gt_known_loc"]) for row in rows]
    assert f"{np.mean(values[:2]):.1f} ± {np.std(values[:2], ddof=1):.1f}" in table
    differences = np.subtract(values[2:], values[:2])
    assert f"{differences.mean():+.1f} ± {differences.std(ddof=1):.1f}" in table
    for name in ("maps.png", "curves.png"):
        assert (out / name).stat().st_size > 5000


def test_compare_names_a_run_that_fails(tmp_path):
    done = command("compare", "--seeds=1", f"--out={tmp_path}", "--jobs=2", "--", "--epochs=0")
    assert done.returncode != 0
    assert "parts_gap, seed 0 failed" in done.stderr
    assert "`epochs` should be at least 1" in done.stderr
    mixed = command("compare", "--recipes=parts_gap,tiny_imagenet_gap", f"--out={tmp_path}")
    assert "should be of one dataset" in mixed.stdout + mixed.stderr


def test_differences_are_paired_by_seed():
    entry = TASKS["image_localization"]

    def result(value):
        keys = [key for key, _ in entry.task_class().columns]
        return {
            **dict.fromkeys(keys, value),
            "images": 5,
            "cam_threshold": 0.2,
            "gt_known_loc_best_threshold": 0.3,
        }

    table = compare.markdown_table(
        {
            "a": {0: result(0.1), 1: result(0.5)},
            "b": {0: result(0.2), 1: result(0.6)},
        },
        entry,
    )
    assert "| b - a | +10.0 ± 0.0 |" in table
    assert "| a | 30.0 ± 28.3 |" in table


def test_localize_draws_every_image_and_lists_the_boxes(run_dir, tmp_path):
    images = tmp_path / "images"
    (images / "deeper").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("a.png", "deeper/b.png"):
        drawing.write_png(images / name, random.integers(0, 256, (50, 80, 3), dtype="uint8"))
    turned = Image.fromarray(random.integers(0, 256, (80, 50, 3), dtype="uint8"))
    exif = turned.getexif()
    exif[0x0112] = 6  # a photo that the camera stored turned
    turned.save(images / "turned.jpg", exif=exif)
    (images / "broken.jpg").write_bytes(b"no picture")
    (images / "notes.txt").write_text("not an image")
    out = tmp_path / "out"
    done = command(
        "localize", f"--model={run_dir / 'saved_model'}", f"--images={images}", f"--out={out}"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "3 pictures and boxes.csv written" in done.stdout
    assert "1 files could not be read" in done.stdout
    assert "broken.jpg" in done.stdout
    assert "1 (.txt), such as 'notes.txt'" in done.stdout
    truth = read_boxes(out / "boxes.csv")  # as `evaluate` does
    assert truth.sizes == dict.fromkeys(("a.png", "deeper/b.png", "turned.jpg"), (50, 80))
    rows = list(csv.DictReader((out / "boxes.csv").read_text().splitlines()))
    assert [row["image"] for row in rows] == ["a.png", "deeper/b.png", "turned.jpg"]
    model = tf.saved_model.load(str(run_dir / "saved_model"))
    for row in rows:
        content = (images / row["image"]).read_bytes()
        found = model.signatures["encoded"](encoded=tf.constant([content]))
        box = [float(row[key]) for key in ("x0", "y0", "x1", "y1")]
        np.testing.assert_allclose(box, found["box"][0], atol=0.06)
        assert row["class"] == f"part_{int(found['class_index'][0])}"
        assert (out / f"{row['image']}.boxes.png").is_file()


def test_localize_says_what_is_missing(run_dir, tmp_path):
    no_model = command(
        "localize", f"--model={tmp_path}", f"--images={tmp_path}", f"--out={tmp_path / 'out'}"
    )
    assert "keras_has.json is missing" in no_model.stderr
    no_images = command(
        "localize",
        f"--model={run_dir / 'saved_model'}",
        f"--images={tmp_path}",
        f"--out={tmp_path / 'out'}",
    )
    assert str(tmp_path) in no_images.stderr.splitlines()[-1]
    assert "a folder of images" in no_images.stderr
    videos = tmp_path / "videos"  # an exported model for sequences
    videos.mkdir()
    (videos / "keras_has.json").write_text(json.dumps({"kind": "temporal", "class_names": ["a"]}))
    wrong_model = command(
        "localize", f"--model={videos}", f"--images={tmp_path}", f"--out={tmp_path / 'out'}"
    )
    assert "export_localizer" in wrong_model.stderr
    for done in (no_model, no_images, wrong_model):
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
