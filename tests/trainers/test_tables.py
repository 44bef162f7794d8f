"""The tables of the paper on a small data set, end to end."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow")

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--", "--epochs=1", "--steps_per_epoch=1", "--batch_size=8", "--widths=4,4"]


def tables(*arguments):
    return subprocess.run(  # noqa: S603 (our own module)
        [sys.executable, "-m", "trainers.tables", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def results(**figures):
    """What a run leaves behind, in fractions."""
    same = {
        "images": 1000,
        "cam_threshold": 0.2,
        "centred_box": 0.25,
        "gt_known_loc_cross_fitted": 0.5,
        "gt_known_loc_best": 0.5,
        "gt_known_loc_best_threshold": 0.2,
        "max_box_acc": 0.5,
        "max_box_acc_v2": 0.5,
    }
    return {**same, **figures}


def write_run(folder, recipe, seed, **figures):
    run_dir = folder / recipe / f"seed_{seed}"
    run_dir.mkdir(parents=True)
    (run_dir / "results.json").write_text(json.dumps(results(**figures)))


def test_table_8_labels_the_last_and_the_best_epoch_and_its_peers(tmp_path):
    """Figures by hand: two seeds of two rows at small scale, and one run of the paper's network."""
    runs = {
        "cifar10_small_full": [(0.70, 0.71), (0.72, 0.75)],
        "cifar10_small_has": [(0.66, 0.66), (0.66, 0.69)],
        "resnet44_has": [(0.94, 0.95)],
    }
    for recipe, figures in runs.items():
        for seed, (last, best) in enumerate(figures):
            run_dir = tmp_path / recipe / f"seed_{seed}"
            run_dir.mkdir(parents=True)
            content = {"top1_clas": last, "best_top1_clas": best, "best_epoch": 7, "images": 2000}
            content |= {"top5_clas": 0.98, "most_frequent_class": 0.1}
            (run_dir / "results.json").write_text(json.dumps(content))
    done = tables(f"--runs={tmp_path}", "--table=8", "--scale=small", "--norun", "--seeds=2")
    assert done.returncode == 0, done.stderr[-2000:]
    lines = (tmp_path / "table_8_cifar10.md").read_text().splitlines()
    assert lines[0].split(" | ")[1:4] == [
        "Top-1 Clas, best epoch",
        "published",
        "Top-1 Clas, last epoch",
    ]
    assert lines[2] == "| nothing hidden | 73.0 ± 2.8 | - | 71.0 ± 1.4 | 2 |"
    assert "| HaS, mixed | 67.5 ± 2.1 | - | 66.0 ± 0.0 | 2 |" in lines
    assert any(line.startswith("| most frequent class, no network | 10.0 |") for line in lines)
    # 66 - 71 and 69 - 75: mean -5.5; 66 - 70 and 66 - 72: mean -5.
    assert "| HaS, mixed - nothing hidden | -5.5 ± 0.7 | - | -5.0 ± 1.4 | 2 |" in lines
    done = tables(f"--runs={tmp_path}", "--table=8", "--seeds=1")
    assert done.returncode == 0, done.stderr[-2000:]
    lines = (tmp_path / "table_8.md").read_text().splitlines()
    (row,) = [line for line in lines if line.startswith("| CIFAR-10, ResNet-44, HaS |")]
    assert row == "| CIFAR-10, ResNet-44, HaS | 95.0 | 94.97 | 94.0 | 1 |"


def test_measured_figures_stand_beside_published_ones_with_paired_differences(tmp_path):
    """Two seeds of two rows; every number below is worked out by hand."""
    for seed, (gap, has) in enumerate([(0.50, 0.56), (0.54, 0.58)]):
        write_run(tmp_path, "alexnet_gap", seed, gt_known_loc=gap, top1_loc=0.3, top1_clas=0.6)
        write_run(tmp_path, "alexnet_max_has", seed, gt_known_loc=has, top1_loc=0.3, top1_clas=0.6)
        write_run(tmp_path, "alexnet_gmp", seed, gt_known_loc=0.5, top1_loc=0.3, top1_clas=0.6)
    done = tables(f"--runs={tmp_path}", "--table=4", "--seeds=2")
    assert done.returncode == 0, done.stderr[-2000:]
    lines = (tmp_path / "table_4.md").read_text().splitlines()
    assert lines[2].startswith("| AlexNet-GAP | 52.0 ± 2.8 | 54.90 | 30.0 ± 0.0 | 36.25 |")
    assert lines[3].startswith("| AlexNet-Avg-HaS | - | 58.43 | - | 37.34 |")  # no run is there
    assert lines[3].endswith("| 0 |")
    # 56 - 50 and 58 - 50: mean 7, standard deviation 1.41; published 59.27 - 50.40.
    difference = next(line for line in lines if "Max-HaS - AlexNet-GMP" in line)
    assert difference.startswith("| AlexNet-Max-HaS - AlexNet-GMP | +7.0 ± 1.4 | +8.87 |")
    rows = list(csv.DictReader((tmp_path / "table_4.csv").read_text().splitlines()))
    assert len(rows) == 6
    assert rows[0]["published_gt_known_loc"] == str(54.90 / 100)
    assert "Table 4: Global average" in done.stdout


def test_a_small_table_runs_end_to_end_and_is_not_done_twice(tmp_path):
    """Table 3: two rows are trained; the third evaluates the network of the second differently."""
    arguments = ["--scale=small", "--table=3", "--seeds=1", f"--runs={tmp_path}", *SMALL]
    done = tables(*arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("epoch 1/1") == 2
    rows = list(csv.DictReader((tmp_path / "table_3_parts.csv").read_text().splitlines()))
    assert [row["row"] for row in rows] == [
        "AlexNet-HaS-Mixed",
        "AlexNet-dropout-trainonly",
        "AlexNet-dropout-traintest",
    ]
    assert all(0 <= float(row["max_box_acc_v2"]) <= 1 for row in rows)
    again = tables(*arguments)
    assert again.returncode == 0
    assert "done:" not in again.stdout
    other = tables("--scale=small", "--table=3", f"--runs={tmp_path}")
    assert other.returncode != 0
    assert "contains runs made with" in other.stderr
    assert "Traceback" not in other.stderr


def test_the_runs_of_table_2_are_planned_once_each(tmp_path, monkeypatch):
    """Five networks of GAP for one ensemble, four of HaS for each seed of the other."""
    from trainers import tables as module
    from trainers.recipes.tables import TABLES

    phases = []
    monkeypatch.setattr(module.TableExperiment, "run", lambda _, jobs: phases.append(jobs))
    module.TableExperiment(TABLES[2], tmp_path, range(2), "parts").run_missing()
    training, evaluation, ensembles = phases
    titles = [job.title for job in training]
    assert len(set(titles)) == len(titles)
    # GAP with seeds 0 to 4; mixed, 16, 32, 44 and 56, and two rows of GoogLeNet, with two seeds.
    assert len(titles) == 5 + 2 * 5 + 2 * 2
    assert len(evaluation) == 2 * 2
    assert [job.title for job in ensembles] == [
        "AlexNet-GAP-ensemble, seed 0",
        "AlexNet-HaS-ensemble, seed 0",
        "AlexNet-HaS-ensemble, seed 1",
    ]
    maps, probabilities = ensembles[2].arguments[:2]
    assert maps.count("seed_1") == 4
    assert probabilities.count("seed_1") == 5
    assert "parts_gap" in probabilities
    assert "parts_gap" not in maps


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--table=9"], "table"),
        (["--table=1", "--scale=small", "--dataset=phases"], "should be one of parts"),
        (["--scale=small", "--", "--seed=3"], "cannot be passed on"),
        (["--table=1", "stray"], "unknown arguments"),
        (["--table=1", "--dataset=parts"], "requires --scale=small"),
        (["--table=1", "--scale=small", "--norun", "--", "--crops=10"], "have no effect"),
    ],
)
def test_mistakes_are_named(arguments, message, tmp_path):
    done = tables(f"--runs={tmp_path}", *arguments)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_table_7_shows_sequences_and_the_baseline_without_a_network(tmp_path):
    for recipe, value in (("phases_full", 0.25), ("phases_has", 0.5)):
        run_dir = tmp_path / recipe / "seed_0"
        run_dir.mkdir(parents=True)
        figures = {f"temporal_map_at_{iou}": value for iou in (0.1, 0.2, 0.3, 0.4, 0.5)}
        baseline = {f"whole_sequence_at_{iou}": 0.125 for iou in (0.1, 0.2, 0.3, 0.4, 0.5)}
        others = {"videos": 200, "protocol": "thumos14", "known_classes": True, "top1_clas": 1.0}
        content = {**figures, **baseline, **others, "cam_threshold": 0.3}
        (run_dir / "results.json").write_text(json.dumps(content))
    done = tables(f"--runs={tmp_path}", "--table=7", "--scale=small", "--norun", "--seeds=1")
    assert done.returncode == 0, done.stderr[-2000:]
    lines = (tmp_path / "table_7_phases.md").read_text().splitlines()
    assert lines[2].startswith("| Video-full | 25.0 | 34.23 | 25.0 | 25.68 |")
    assert lines[4].startswith("| whole sequence, no network | 12.5 | - | 12.5 |")
    assert lines[5].startswith("| Video-HaS - Video-full | +25.0 | +2.21 |")
