"""Experiments: jobs, their folders and flags, and what they leave behind."""

import json
import math
from pathlib import Path

import pytest

from trainers.engine.experiments import Experiment, Job
from trainers.engine.run_error import RunError


def test_a_job_is_the_command_of_its_recipe_with_its_own_folder_and_all_flags(tmp_path):
    experiment = Experiment(tmp_path, (0, 3), run_flags=["--epochs=2"])
    job = experiment.training_job("phases_has", 3)
    assert job.command == "thumos"
    assert job.folder == tmp_path / "phases_has" / "seed_3"
    assert job.arguments == (
        "--recipe=phases_has",
        "--seed=3",
        f"--run_dir={job.folder}",
        "--epochs=2",
    )
    again = experiment.training_job("parts_alexnet_backprop", 0, network_from="parts_gap")
    assert again.command == "imagenet"
    assert again.arguments[-1] == f"--network_from={tmp_path / 'parts_gap' / 'seed_0'}"


def test_an_ensemble_is_a_job_over_the_folders_of_its_members(tmp_path):
    experiment = Experiment(tmp_path, (0,))
    job = experiment.ensemble_job("Both", "both", 0, [("a", 0), ("b", 1)], [("a", 0)])
    assert (job.title, job.command) == ("Both, seed 0", "ensemble")
    assert job.arguments[0] == f"--map_runs={tmp_path / 'a/seed_0'},{tmp_path / 'b/seed_1'}"
    assert job.arguments[1] == f"--probability_runs={tmp_path / 'a/seed_0'}"


@pytest.mark.parametrize("flag", ["--seed=1", "-run_dir=x", "--recipe", "--network_from=x"])
def test_flags_that_are_set_for_each_run_are_refused(flag, tmp_path):
    with pytest.raises(ValueError, match="run_dir"):
        Experiment(tmp_path, (0,), run_flags=["--epochs=2", flag])


@pytest.mark.parametrize(
    ("run_flags", "data_dir"),
    [
        (["--data_dir=/a b"], "/a b"),
        (["-data_dir=/x", "--epochs=2"], "/x"),
        (["--epochs=2", "--data_dir", "/x"], "/x"),
        (["--my_data_dir=/x"], None),
        ([], None),
    ],
)
def test_the_folder_of_the_data_is_found_among_the_flags(run_flags, data_dir):
    assert Experiment(Path("out"), (0,), run_flags=run_flags).data_dir == data_dir


def test_results_are_read_by_seed_and_damaged_ones_are_named(tmp_path):
    experiment = Experiment(tmp_path, (0, 1))
    folder = experiment.run_dir("parts_gap", 1)
    folder.mkdir(parents=True)
    job = Job("", "imagenet", (), folder)
    assert not job.is_done
    (folder / "results.json").write_text(json.dumps({"top1_clas": 0.5, "loss": None}))
    assert job.is_done
    results = experiment.results("parts_gap")
    assert list(results) == [1]
    assert results[1]["top1_clas"] == 0.5
    assert math.isnan(results[1]["loss"])
    (folder / "results.json").write_text("{")
    with pytest.raises(RunError, match=r"seed_1.results\.json cannot be read"):
        experiment.results("parts_gap")
