"""Several networks evaluated together."""

import json

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from trainers import ensemble
from trainers.engine.run_error import RunError
from trainers.engine.training import train_recipe


@pytest.fixture
def two_runs(few_parts, tiny_recipe, tmp_path):
    for seed in (0, 1):
        train_recipe(tiny_recipe(epochs=1, seed=seed), tmp_path / f"run{seed}")
    return [str(tmp_path / f"run{seed}") for seed in (0, 1)]


def test_an_ensemble_of_one_network_is_that_network(two_runs, tmp_path, capsys):
    alone = json.loads((tmp_path / "run0" / "results.json").read_text())
    twice = ensemble.evaluate_ensemble([two_runs[0]] * 2, [two_runs[0]], tmp_path / "twice")
    for key in ("gt_known_loc", "top1_loc", "top1_clas", "max_box_acc_v2", "centred_box"):
        assert twice[key] == pytest.approx(alone[key]), key
    both = ensemble.evaluate_ensemble(two_runs, two_runs, tmp_path / "both")
    assert both["loss"] < max(
        json.loads((tmp_path / f"run{seed}" / "results.json").read_text())["loss"]
        for seed in (0, 1)
    )
    assert np.isfinite(both["gt_known_loc"])
    assert (tmp_path / "both" / "panel.png").is_file()
    # A second time it is only read; with other members it is refused.
    assert ensemble.evaluate_ensemble(two_runs, two_runs, tmp_path / "both") == both
    assert "finished already" in capsys.readouterr().out
    with pytest.raises(RunError, match="contains another ensemble"):
        ensemble.evaluate_ensemble(two_runs[:1], two_runs[:1], tmp_path / "both")


def test_what_does_not_fit_together_is_named(two_runs, tiny_recipe, tmp_path):
    with pytest.raises(RunError, match="There is no folder"):
        ensemble.evaluate_ensemble([str(tmp_path / "nowhere")], two_runs, tmp_path / "a")
    train_recipe(tiny_recipe(epochs=1, cam_threshold=0.4), tmp_path / "other")
    with pytest.raises(RunError, match=r"share cam_threshold.*0\.2.*0\.4"):
        ensemble.evaluate_ensemble([two_runs[0], str(tmp_path / "other")], two_runs, tmp_path / "b")


def test_networks_trained_on_other_data_are_refused(two_runs, tmp_path):
    (tmp_path / "run1" / "source.json").write_text(json.dumps({"data_dir": "elsewhere"}))
    with pytest.raises(RunError, match=r"share their data.*elsewhere"):
        ensemble.evaluate_ensemble(two_runs, two_runs, tmp_path / "both")
