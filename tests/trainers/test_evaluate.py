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
from trainers import score_map_files

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
    truth = score_map_files.read_metadata(folder)
    found = score_map_files.find_score_maps(folder / "maps", truth.image_ids)
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
    truth = score_map_files.read_metadata(tmp_path, tmp_path / "masks")
    found = score_map_files.find_score_maps(tmp_path / "maps", truth.image_ids)
    figures = score_map_files.evaluate_masks(truth, found.files)
    assert figures["pxap"] == 1.0
    assert figures["ignored_pixels"] == 224 * 56
    with pytest.raises(ValueError, match="--masks should be the folder"):
        score_map_files.read_metadata(tmp_path)


def test_boxes_of_a_table_are_read_with_heading_sizes_and_both_kinds_of_corners(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("image_id,x0,y0,x1,y1,width,height\na,1,2,3,4,50,40\na,0,0,9.5,9,50,40\n")
    inclusive = score_map_files.read_boxes(path)
    assert inclusive.boxes["a"].tolist() == [[1, 2, 4, 5], [0, 0, 10.5, 10]]
    assert inclusive.sizes["a"] == (40, 50)
    assert score_map_files.read_boxes(path, half_open=True).boxes["a"][0].tolist() == [1, 2, 3, 4]
    path.write_text("a,1,2,3,4\n")
    assert score_map_files.read_boxes(path, {"a": (7, 8)}).sizes["a"] == (7, 8)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,1,2,3", r"boxes.csv:2: a line should hold image_id,x0,y0,x1,y1"),
        ("a,1,2,3,x", r"boxes.csv:2: a line should hold"),
        ("a,1,2,3,nan", r"boxes.csv:2: a line should hold"),
        ("a,5,2,3,4,50,40", r"boxes.csv:2: a box should be"),
        ("a,-1,2,3,4,50,40", r"boxes.csv:2: a box should be"),
        ("b,1,2,3,4", r"boxes.csv:2: the size of 'b' should be known"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path, line, message):
    path = tmp_path / "boxes.csv"
    path.write_text(f"a,0,0,1,1,50,40\n{line}\n")
    with pytest.raises(ValueError, match=message):
        score_map_files.read_boxes(path)


@pytest.mark.parametrize(
    "arguments", [[], ["--boxes=a", "--metadata=b"], ["--boxes=a", "--out=a.txt"], ["--boxes=a"]]
)
def test_mistakes_are_named_without_a_traceback(arguments, tmp_path):
    done = evaluate(f"--score_maps={tmp_path}", *arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "should" in done.stdout + done.stderr or "a is missing" in done.stderr


def test_names_that_could_be_taken_for_others_are_sorted_out(tmp_path):
    """Headings, masks and maps named as documented, two images of one short name, repeated ids."""
    from trainers import score_map_files as files

    table = tmp_path / "boxes.csv"
    table.write_text("a.jpg,.5,1,50,60,100,100\nb.jpg,1,1,2,2,100,100\n")
    assert files.read_boxes(table).image_ids == ["a.jpg", "b.jpg"]
    table.write_text("image,x0,y0,x1,y1,width,height\nb.jpg,1,1,2,2,100,100\n")
    assert files.read_boxes(table).image_ids == ["b.jpg"]
    table.write_text("image,width,height\nb.jpg,100,50\n")
    assert files.read_image_sizes(table) == {"b.jpg": (50.0, 100.0)}
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    np.save(tmp_path / "c.jpg.npy", np.zeros((2, 2)))
    assert files.find_score_maps(tmp_path, ["c"]).missing == []
    with pytest.raises(ValueError, match=r"named by two images; one of them is a\.png"):
        files.find_score_maps(tmp_path, ["a.jpg", "a.png"])
    (tmp_path / "localization.txt").write_text("x.jpg,1,1,2,2\n")
    (tmp_path / "image_sizes.txt").write_text("x.jpg,9,9\n")
    for ids, message in (("y.jpg\n", "should be one of image_ids"), ("x.jpg\nx.jpg\n", "once")):
        (tmp_path / "image_ids.txt").write_text(ids)
        with pytest.raises(ValueError, match=message):
            files.read_metadata(tmp_path)
