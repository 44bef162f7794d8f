"""Evaluating score maps from files: what is read, what is named, what comes out."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.plain_protocol import plain_hits
from keras_has.data.readers.localization_truth import (
    read_localization_metadata,
)
from keras_has.data.readers.score_maps import find_score_maps
from keras_has.evaluation.score_maps import evaluate_score_maps_on_masks

ROOT = Path(__file__).resolve().parents[2]
STEPS = np.arange(0, 1, 0.001)


def evaluate(*arguments):
    return subprocess.run(  # noqa: S603 (our own module)
        [sys.executable, "-m", "trainers.evaluate", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path):
    """Metadata of five images, one without a box, and their score maps in one subfolder."""
    random = np.random.default_rng(3)
    ids, rows, sizes = [], [], []
    (tmp_path / "maps" / "val").mkdir(parents=True)
    for number in range(5):
        image = f"val/image.{number}.JPEG"
        ids.append(image)
        sizes.append(f"{image},{80 + number},60")
        if number < 4:
            rows.append(f"{image},{5 + number},10,60,{40 + number}")
        y, x = np.mgrid[:7, :7]
        score_map = np.exp(-((y - 3) ** 2 + (x - 3) ** 2) / (3 + number))
        score_map = score_map + random.normal(0, 0.05, (7, 7))
        name = f"image.{number}.npy" if number % 2 else f"image.{number}.JPEG.npy"
        np.save(tmp_path / "maps" / "val" / name, score_map)
    rows.append(f"{ids[1]},0,0,20,20")
    for name, lines in (("image_ids", ids), ("localization", rows), ("image_sizes", sizes)):
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_command_prints_and_writes_what_the_protocol_gives(folder):
    out = folder / "out" / "figures.json"
    done = evaluate(f"--score_maps={folder / 'maps'}", f"--metadata={folder}", f"--out={out}")
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(out.read_text())
    truth = read_localization_metadata(folder)
    found = find_score_maps(folder / "maps", truth.image_ids)
    expected = {False: 0, True: 0}
    for image in truth.boxes:
        for all_contours in expected:
            expected[all_contours] = expected[all_contours] + plain_hits(
                np.load(found.files[image]),
                truth.boxes[image] - [0, 0, 1, 1],
                truth.sizes[image],
                STEPS,
                (0.3, 0.5, 0.7),
                all_contours,
            )
    assert figures["curves"]["max_box_acc"] == (expected[False][1] / 4).tolist()
    for row, iou in enumerate(("0.3", "0.5", "0.7")):
        curve = figures["curves"][f"max_box_acc_v2_iou_{iou}"]
        assert curve == (expected[True][row] / 4).tolist()
    assert figures["max_box_acc"] == expected[False][1].max() / 4
    assert figures["images"] == 4
    assert figures["images_without_boxes"] == 1
    for text in (
        "4 images with boxes",
        "1 images without boxes left out",
        "MaxBoxAccV2",
        "at IoU 0.7",
        "at 20% of the maximum, set beforehand",
        "the best here",
    ):
        assert text in done.stdout


def test_missing_surplus_and_unusable_maps_are_named_and_stop_the_command(folder):
    maps = folder / "maps"
    (maps / "val" / "image.1.npy").unlink()
    np.save(maps / "other.npy", np.zeros((2, 2)))
    np.save(maps / "val" / "image.0.JPEG.npy", np.zeros((2, 2, 1)))
    np.save(maps / "val" / "image.3.npy", np.array([[None]]))  # NumPy can only write it as a pickle
    arguments = [f"--score_maps={maps}", f"--metadata={folder}"]
    stopped = evaluate(*arguments)
    assert stopped.returncode == 1
    assert "Traceback" not in stopped.stderr
    assert "--on_missing=skip" in stopped.stderr
    out = folder / "curves.csv"
    skipped = evaluate(*arguments, "--on_missing=skip", f"--out={out}")
    assert skipped.returncode == 0, skipped.stderr[-3000:]
    for done in (stopped, skipped):
        assert "1 images have no score map:\n  val/image.1.JPEG" in done.stdout
        assert "2 score maps cannot be used:" in done.stdout
        assert "should be of rank 2, received shape (2, 2, 1)" in done.stdout
        assert "1 score maps belong to no image" in done.stdout
    assert "1 images with boxes" in skipped.stdout
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len(rows) == 1000
    assert float(rows[250]["threshold"]) == 0.25


def test_masks_with_an_ignored_region_give_pxap(tmp_path):
    (tmp_path / "masks" / "a").mkdir(parents=True)
    (tmp_path / "maps" / "a").mkdir(parents=True)
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 255
    ignore = np.zeros((64, 64), np.uint8)
    ignore[:, 48:] = 255
    cv2.imwrite(str(tmp_path / "masks" / "a" / "one.png"), mask)
    cv2.imwrite(str(tmp_path / "masks" / "a" / "one_ignore.png"), ignore)
    score_map = np.kron(mask[::16, ::16] / 255, np.ones((56, 56)))
    score_map[:, 168:] = 1
    np.save(tmp_path / "maps" / "a" / "one.npy", score_map)
    done = evaluate(f"--score_maps={tmp_path / 'maps'}", f"--masks={tmp_path / 'masks'}")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "PxAP                        100.00%" in done.stdout
    (tmp_path / "image_ids.txt").write_text("a/one.jpg\n")
    (tmp_path / "localization.txt").write_text("a/one.jpg,a/one.png,a/one_ignore.png\n")
    truth = read_localization_metadata(tmp_path, tmp_path / "masks")
    found = find_score_maps(tmp_path / "maps", truth.image_ids)
    figures = evaluate_score_maps_on_masks(truth, found.files)
    assert figures["pxap"] == 1.0
    assert figures["ignored_pixels"] == 224 * 56
    with pytest.raises(ValueError, match="--masks should be their folder"):
        read_localization_metadata(tmp_path)


@pytest.mark.parametrize(
    "arguments", [[], ["--boxes=a", "--metadata=b"], ["--boxes=a", "--out=a.txt"], ["--boxes=a"]]
)
def test_mistakes_are_named_without_a_traceback(arguments, tmp_path):
    done = evaluate(f"--score_maps={tmp_path}", *arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "should" in done.stdout + done.stderr or "a is missing" in done.stderr
