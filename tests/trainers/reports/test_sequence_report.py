"""The report of a run on sequences: its figures are the run's, and it is one safe page."""

import dataclasses
import html
import json
import re
import shutil
import tarfile

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras_has.data  # noqa: E402
from trainers.engine.run_error import RunError  # noqa: E402
from trainers.engine.training import train_recipe  # noqa: E402
from trainers.recipes import ImageRecipe, VideoRecipe  # noqa: E402
from trainers.reports import sequence_report  # noqa: E402
from trainers.reports.run_report import recipe_kind, write_report  # noqa: E402
from trainers.reports.segment_failures import DETECTION_KINDS, TRUTH_KINDS  # noqa: E402
from trainers.reports.sequence_run import THRESHOLDS, SequenceRun  # noqa: E402
from trainers.tasks.registry import find_recipe  # noqa: E402

NASTY = "</script><img src=x onerror=alert(1)>"
VIDEOS = 24


@pytest.fixture(scope="module", autouse=True)
def few_phases():
    """Makes `phases` a set of 24 sequences a split, with doubtful time and nasty names."""
    whole = keras_has.data.generated_phases

    def phases(split):
        dataset = whole(split, num_videos=VIDEOS)
        return dataclasses.replace(
            dataset.replace_columns(ambiguous=([[0.0, 3.0]], *((),) * (VIDEOS - 1))),
            class_names=(NASTY, *dataset.class_names[1:]),
            ids=np.array([NASTY, *dataset.ids[1:]]),
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras_has.data, "generated_phases", phases)
        yield


@pytest.fixture(scope="module")
def run_dirs(tmp_path_factory):
    """Two finished runs, without and with hiding."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("phases_full", "phases_has"):
        recipe = find_recipe(name).override(epochs=2, batch_size=8, widths=(8,))
        train_recipe(recipe, folder / name)
    return folder


@pytest.fixture(scope="module")
def report(run_dirs):
    """The report of the run with hiding beside that without, asked for as the command does."""
    return write_report(run_dirs / "phases_has", run_dirs / "phases_full", images=8)


def test_the_figures_of_the_page_are_those_of_the_runs(report, page_of, results_of):
    page = page_of(report)
    results = [results_of(name) for name in ("phases_full", "phases_has")]
    for bound in ("0.1", "0.3", "0.5"):
        values = [100 * each[f"temporal_map_at_{bound}"] for each in results]
        (shown,) = page.all_rows(f"mAP at IoU {bound}")
        assert shown == [
            *(f"{value:.1f}" for value in values),
            f"{values[1] - values[0]:+.1f}",
            f"{100 * results[0][f'whole_sequence_at_{bound}']:.1f}",
        ]
    top1 = [100 * each["top1_clas"] for each in results]
    assert page.all_rows("Top-1 Clas")[0][:2] == [f"{value:.1f}" for value in top1]
    assert page.all_rows("Recipe: num_segments") == [["0", "20"]]
    assert "slightly different figures" not in "".join(page.text)


def test_judged_again_each_run_gives_its_own_figures(run_dirs, results_of):
    run = SequenceRun(run_dirs / "phases_has")
    results = results_of("phases_has")
    assert run.differences() == []
    for key, value in run.figures.items():
        assert value == pytest.approx(results[key], abs=1e-6)
    for label, name in enumerate(run.split.class_names):
        for row, bound in enumerate(run.recipe.iou_thresholds):
            there = results["average_precision"][name][f"{bound:g}"]
            assert run.precisions[row, label] == pytest.approx(
                np.nan if there is None else there, nan_ok=True
            )
    assert sorted(run.curve) == sorted({*THRESHOLDS, run.threshold})


def test_the_curve_over_the_threshold_is_what_runs_at_those_thresholds_give(run_dirs):
    run = SequenceRun(run_dirs / "phases_has")
    other = run.task.__class__(run.recipe.override(cam_threshold=0.6))
    other.train_split, other.val_split = run.task.train_split, run.split
    callback = other.localization()
    callback.set_model(run.model)
    figures = callback.evaluate()
    expected = [figures[f"val_temporal_map_at_{bound:g}"] for bound in run.recipe.iou_thresholds]
    np.testing.assert_allclose(run.curve[0.6], expected, atol=1e-9)


def test_kinds_add_up_to_all_detections_and_to_all_true_segments(report, run_dirs, page_of):
    page = page_of(report)
    shown = [SequenceRun(run_dirs / name) for name in ("phases_full", "phases_has")]
    detections = [sum(len(each.detections["labels"]) for each in run.sequences) for run in shown]
    segments = sum(len(each) for each in shown[0].split["segments"])
    # For each bound a table of all detections, and one of the first.
    total = sum(page.counts(kind.title) for kind in DETECTION_KINDS)
    assert total[[0, 2]].tolist() == [detections] * 2
    assert (total[[1, 3]] <= segments).all()
    assert (page.counts("Ambiguous (not counted)")[[0, 2]].max(axis=0) > 0).all()
    counted = total - page.counts("Ambiguous (not counted)")
    np.testing.assert_array_equal(page.counts("Total counted"), counted)
    truths = sum(page.counts(kind.title) for kind in TRUTH_KINDS)
    assert truths.tolist() == [[segments] * 2] * 2
    np.testing.assert_array_equal(page.counts("Found"), page.counts("Right")[[0, 2]])
    of_lengths = [
        row[0] for row in page.rows if row and re.match(r"Found of the (short|medium|long)", row[0])
    ]
    found = sum(page.counts(title) for title in dict.fromkeys(of_lengths))
    np.testing.assert_array_equal(found, page.counts("Found"))


def test_a_timeline_says_what_it_shows(report, run_dirs, page_of):
    run = SequenceRun(run_dirs / "phases_has")
    titles = [
        attributes["aria-label"]
        for tag, attributes in page_of(report).elements
        if tag == "svg" and " in sequence " in attributes["aria-label"]
    ]
    assert len(titles) == len(set(titles)) == 8
    for title in titles:
        name, video = re.match(r"(.*) in sequence (.*), true from", title).groups()
        label = run.split.class_names.index(name)
        index = run.split.ids.tolist().index(video)
        (segment,) = run.split["segments"][index][run.split["segment_labels"][index] == label]
        assert f"true from {segment[0]:.1f} to {segment[1]:.1f} s." in title
        count = (run.sequences[index].detections["labels"] == label).sum()
        assert f"phases_has: {count} detection" in title


def test_the_page_needs_nothing_else_and_what_comes_from_the_data_is_text(report, page_of):
    page, text = page_of(report), report.read_text(encoding="utf-8")
    page.check_self_contained()
    assert not page.of_tag("script")
    assert NASTY not in text
    assert html.escape(NASTY) in text


def test_the_page_can_be_read_without_seeing_it(report, page_of):
    page = page_of(report)
    page.check_readable()
    assert len(page.of_tag("svg")) == 8 + 3 + 2 + 4
    links = {attributes["href"][1:] for attributes in page.of_tag("a")}
    assert links == {"figures", "timelines", "thresholds", "classes", "failures"}


def test_a_run_alone_has_a_report_of_its_own(run_dirs, tmp_path, page_of):
    out = tmp_path / "deeper" / "one.html"
    assert write_report(run_dirs / "phases_full", out=out, images=4) == out
    page = page_of(out)
    text = "".join(page.text)
    assert "Worst" in text
    assert len(page.all_rows("Top-1 Clas")[0]) == 2
    assert "semi-synthetic" not in text
    assert "left out" not in text


def test_a_run_as_in_the_papers_table_is_reported_on_with_its_figures(tmp_path, page_of):
    recipe = find_recipe("phases_has").override(
        epochs=1,
        widths=(8,),
        num_segments=0,
        segment_length=5,
        num_features=60,
        split="val",
        known_classes=False,
        protocol="thumos14_11point",
        iou_thresholds=(0.5,),
        published={"temporal_map_at_0.5": 6.84},
    )
    train_recipe(recipe, tmp_path / "run")
    page = page_of(write_report(tmp_path / "run", tmp_path / "run", images=4))
    text = "".join(page.text)
    assert "Evaluated on the training sequences" in text
    assert "all classes detected, protocol thumos14_11point" in text
    assert "segments of 5 features, each with probability 0.5" in text
    assert page.all_rows("mAP at IoU 0.5")[0][-1] == "6.84"
    # Two runs of one recipe and seed are told apart.
    assert "phases_has, seed 0 (this run)" in text


def test_what_does_not_fit_is_left_out_and_said(run_dirs, tmp_path, monkeypatch):
    monkeypatch.setattr(sequence_report, "_MOST_BYTES", 30_000)
    out = write_report(run_dirs / "phases_full", out=tmp_path / "one.html", images=12)
    text = out.read_text(encoding="utf-8")
    left_out = int(re.search(r"(\d+) timelines were left out", text)[1])
    assert 0 < left_out == 12 - text.count(" in sequence ") // 2 < 12


def test_what_cannot_be_reported_on_is_said(run_dirs, tmp_path, results_of):
    with pytest.raises(RunError, match="no folder"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"no recipe\.json"):
        write_report(tmp_path)
    changed = tmp_path / "changed"
    shutil.copytree(run_dirs / "phases_full", changed)
    results = results_of("phases_full")
    for key in ("temporal_map_at_0.3", "whole_sequence_at_0.1", "top1_clas"):
        (changed / "results.json").write_text(json.dumps({**results, key: 0.77}))
        with pytest.raises(RunError, match=rf"{key} = 0\.7700 in results\.json"):
            write_report(changed, out=tmp_path / "never.html")
    assert not (tmp_path / "never.html").exists()
    (changed / "results.json").unlink()
    with pytest.raises(RunError, match="no finished run"):
        write_report(changed)
    with pytest.raises(RunError, match="--out"):
        write_report(run_dirs / "phases_full", out=tmp_path)
    with pytest.raises(RunError, match="--covered_images"):
        write_report(run_dirs / "phases_full", covered_images=10)


def test_figures_that_differ_a_little_are_said(run_dirs, tmp_path, page_of, results_of):
    changed = tmp_path / "changed"
    shutil.copytree(run_dirs / "phases_full", changed)
    results = results_of("phases_full")
    before = results["top1_clas"]
    (changed / "results.json").write_text(json.dumps({**results, "top1_clas": before + 0.002}))
    text = "".join(page_of(write_report(changed, images=1)).text)
    assert "slightly different figures: top1_clas is" in text
    assert f"{before + 0.002:.4f} in results.json, {before:.4f} now." in text


def test_two_runs_on_the_same_data_read_them_once(run_dirs):
    baseline, run = SequenceRun.open_with_baseline(
        run_dirs / "phases_has", run_dirs / "phases_full", None
    )
    assert baseline.split is run.split
    assert (baseline.key, baseline.colour, run.key, run.colour) == ("baseline", 0, "run", 1)
    assert (baseline.label, run.label) == ("phases_full", "phases_has")


def test_runs_that_cannot_be_compared_are_not_laid_side_by_side(run_dirs, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run_dirs / "phases_full", other)
    recipe = json.loads((other / "recipe.json").read_text())
    for field, value, message in (
        ("val_split", "test", "on the same sequences"),
        ("protocol", "wtalc", "protocol is thumos14 and wtalc"),
    ):
        (other / "recipe.json").write_text(json.dumps({**recipe, field: value}))
        with pytest.raises(RunError, match=message):
            write_report(run_dirs / "phases_has", other)


def test_the_recipe_tells_what_a_run_is_of(run_dirs, tmp_path):
    assert recipe_kind(run_dirs / "phases_has") is VideoRecipe
    images = tmp_path / "images"
    images.mkdir()
    (images / "recipe.json").write_text(find_recipe("parts_has").to_json())
    assert recipe_kind(images) is ImageRecipe
    with pytest.raises(RunError, match="different tasks"):
        write_report(run_dirs / "phases_has", images)
    for text in ("{}", "[]", '{"patch_size": [1], "num_segments": 2}'):
        (images / "recipe.json").write_text(text)
        with pytest.raises(RunError, match=r"recipe\.json cannot be"):
            recipe_kind(images)


def test_real_signals_are_called_semi_synthetic(shared_data, tmp_path, page_of):
    with tarfile.open(shared_data / "watch-untrimmed.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    recipe = find_recipe("watch_has").override(epochs=1, widths=(8,))
    train_recipe(recipe, tmp_path / "run", tmp_path / "watch-untrimmed")
    out = write_report(tmp_path / "run", images=4)
    assert "are semi-synthetic" in "".join(page_of(out).text)
