"""The report of a run on images: its figures are the run's, and it is one safe page."""

import dataclasses
import html
import json
import re
import shutil
import sys

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras_has.data  # noqa: E402
from keras_has.ops.boxes import box_iou, boxes_from_maps  # noqa: E402
from trainers.engine.run_error import RunError  # noqa: E402
from trainers.engine.training import train_recipe  # noqa: E402
from trainers.reports import localization_breakdowns, localization_report, localization_run  # noqa: E402
from trainers.reports.box_failures import KINDS  # noqa: E402
from trainers.reports.run_report import write_report  # noqa: E402
from trainers.reports.tiles import restore_map  # noqa: E402
from trainers.tasks.registry import find_recipe  # noqa: E402

NASTY = "</script><img src=x onerror=alert(1)>"
IMAGES = 40


@pytest.fixture(scope="module", autouse=True)
def few_images():
    """Makes `parts` a small set; some images lose their box, others get a second one."""
    module = sys.modules[keras_has.data.generated_parts.__module__]
    draw = module._draw
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SPLITS", {"train": 64, "val": IMAGES})
        original = keras_has.data.generated_parts

        def parts(*arguments, **settings):
            dataset = original(*arguments, **settings)
            boxes = list(dataset["boxes"])
            boxes[3] = np.zeros((0, 4), "float32")
            boxes[4] = np.concatenate([boxes[4], [[0, 0, 9, 9]]]).astype("float32")
            names = (NASTY, *dataset.class_names[1:])
            return dataclasses.replace(dataset.replace_columns(boxes=boxes), class_names=names)

        patch.setattr(keras_has.data, "generated_parts", parts)
        assert module._draw is draw
        yield


@pytest.fixture(scope="module")
def run_dirs(tmp_path_factory):
    """Two finished runs, without and with hiding."""
    folder = tmp_path_factory.mktemp("runs")
    for name, patch_size in (("parts_gap", (0,)), ("parts_has", (0, 8))):
        recipe = find_recipe(name).override(
            epochs=1, batch_size=32, widths=(8, 16), patch_size=patch_size, resize_size=80
        )
        train_recipe(recipe, folder / name)
    return folder


@pytest.fixture(scope="module")
def report(run_dirs):
    """The report of the run with hiding beside that without."""
    return write_report(run_dirs / "parts_has", run_dirs / "parts_gap", images=8)


def data_of(file):
    found = re.search(r'id="threshold-data">(.*?)</script>', file.read_text(encoding="utf-8"))
    return json.loads(found[1])


def test_the_figures_of_the_page_are_those_of_the_runs(report, page_of, results_of):
    page = page_of(report)
    results = [results_of(name) for name in ("parts_gap", "parts_has")]
    for key, title in localization_report.FIGURES.items():
        values = [100 * each[key] for each in results]
        shown = page.row(title)
        assert shown[:2] == [f"{value:.1f}" for value in values], key
        assert shown[2] == f"{values[1] - values[0]:+.1f}", key
    assert "slightly different figures" not in "".join(page.text)


def test_judged_again_each_run_gives_its_own_figures(run_dirs, results_of):
    run = localization_run.LocalizationRun(run_dirs / "parts_has")
    assert run.differences() == []
    found = localization_run.figures_of(run.images)
    results = results_of("parts_has")
    for key in ("top1_clas", "gt_known_loc", "top1_loc"):
        assert found[key] == pytest.approx(results[key], abs=1e-6)
    assert len(run.images) == IMAGES
    assert run.images[3].iou is None
    assert run.images[0].map.size == 0  # what would fill the memory is let go


def test_kinds_of_failures_add_up_to_all_boxed_images_and_to_the_figures(
    report, page_of, results_of
):
    page = page_of(report)
    counts = np.array(
        [
            [int(cell.split()[0]) if cell[0].isdigit() else 0 for cell in page.row(kind.title)]
            for kind in KINDS
        ]
    )
    boxed = IMAGES - 1
    assert counts.sum(axis=0).tolist() == [boxed] * 4
    right = counts[[kind.key for kind in KINDS].index("right")] / boxed
    results = [results_of(name) for name in ("parts_gap", "parts_has")]
    expected = [each["top1_loc"] for each in results] + [each["gt_known_loc"] for each in results]
    np.testing.assert_allclose(right, expected, atol=1e-6)


def test_nothing_covered_is_top1_clas_of_the_same_images(report, run_dirs, page_of):
    page = page_of(report)
    run = localization_run.LocalizationRun(run_dirs / "parts_has")
    of_boxed = np.mean(
        [localization_run.class_is_right(image) for image in run.images if image.iou is not None]
    )
    assert page.row("0%")[1] == f"{100 * of_boxed:.1f}"
    assert f"the same {IMAGES - 1} images" in "".join(page.text)


def test_the_page_needs_nothing_else(report, page_of):
    page_of(report).check_self_contained()
    assert report.stat().st_size < 8e6


def test_what_comes_from_the_data_is_text(report):
    text = report.read_text(encoding="utf-8")
    assert NASTY not in text
    assert html.escape(NASTY) in text
    scripts = re.findall(r"<script[^>]*>", text)
    assert scripts == ['<script type="application/json" id="threshold-data">', "<script>"]


def test_the_page_can_be_read_without_seeing_it(report, page_of):
    page = page_of(report)
    page.check_readable()
    assert len(page.of_tag("svg")) > 20
    assert page.of_tag("a")


def test_maps_and_boxes_of_the_page_are_those_of_the_run(report, run_dirs, page_of, results_of):
    data = data_of(report)
    page = page_of(report)
    assert len(data["tiles"]) == 8
    run = localization_run.LocalizationRun(run_dirs / "parts_has")
    ids = {image.image_id: image for image in run.images}
    shown = [
        next(each for each in ids if f"Image {each} " in attributes["aria-label"])
        for tag, attributes in page.elements
        if tag == "svg"
        and "with its true box" in attributes.get("aria-label", "")
        and "predicted" not in attributes["aria-label"]
    ]
    assert len(shown) == len(set(shown)) == 8
    for name, of_script in zip(shown, data["tiles"], strict=True):
        np.testing.assert_allclose(of_script["true_boxes"], ids[name].true_boxes, atol=1e-3)
        box = ids[name].box
        if np.isfinite(box).all():
            restored = restore_map(of_script["maps"]["run"])
            found = boxes_from_maps(restored[None], run.threshold, run.map_size)[0]
            assert box_iou(found, box) > 0.8
    assert data["runs"][1]["curve"] == results_of("parts_has")["curve"]["gt_known_loc"]


def test_the_slider_moves_boxes_and_score(report, state_of_page):
    def state(fragment):
        return state_of_page(report, fragment)[0]

    data = data_of(report)
    low, high = state("threshold=0.2"), state("threshold=0.7")
    assert state("") == low
    for found, threshold in ((low, 0.2), (high, 0.7)):
        for run in data["runs"]:
            hits = 0
            for tile, box in zip(data["tiles"], found["boxes"][run["key"]], strict=True):
                expected = np.full(4, np.nan)
                if tile["maps"][run["key"]] is not None:
                    restored = restore_map(tile["maps"][run["key"]])
                    expected = boxes_from_maps(restored[None], threshold, run["size"])[0]
                if box is None:
                    assert not np.isfinite(expected).any()
                    continue
                np.testing.assert_allclose(box, expected, atol=2)
                hits += (
                    bool(len(tile["true_boxes"])) and box_iou(tile["true_boxes"], box).max() > 0.5
                )
            assert found["hits"][run["key"]] == hits
    assert low["boxes"] != high["boxes"]


def test_a_run_alone_has_a_report_of_its_own(run_dirs, tmp_path, page_of, results_of):
    out = tmp_path / "deeper" / "one.html"
    assert write_report(run_dirs / "parts_gap", out=out, images=4, covered_images=0) == out
    page = page_of(out)
    assert page.row("Top-1 Clas") == [f"{100 * results_of('parts_gap')['top1_clas']:.1f}"]
    text = "".join(page.text)
    assert "Worst" in text
    assert "Partly covered" not in text
    assert len(data_of(out)["runs"]) == 1


def test_what_does_not_fit_is_left_out_and_said(run_dirs, tmp_path, monkeypatch):
    monkeypatch.setattr(localization_report, "_MOST_BYTES", 150_000)
    monkeypatch.setattr(localization_breakdowns, "_EXAMPLES", 1)
    out = write_report(
        run_dirs / "parts_gap", out=tmp_path / "small.html", images=30, covered_images=0
    )
    left_out = re.search(r"(\d+) of (\d+) images were left out", out.read_text(encoding="utf-8"))
    assert len(data_of(out)["tiles"]) == int(left_out[2]) - int(left_out[1]) > 0


def test_what_cannot_be_reported_on_is_said(run_dirs, tmp_path, results_of):
    with pytest.raises(RunError, match="no folder"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"no recipe\.json"):
        write_report(tmp_path)
    begun = tmp_path / "begun"
    shutil.copytree(run_dirs / "parts_gap", begun)
    (begun / "results.json").unlink()
    with pytest.raises(RunError, match="no finished run"):
        write_report(begun)
    with pytest.raises(RunError, match="--out"):
        write_report(run_dirs / "parts_gap", out=tmp_path)
    results = results_of("parts_gap")
    (begun / "results.json").write_text(json.dumps({**results, "top1_loc": 0.77}))
    with pytest.raises(RunError, match=r"top1_loc = 0\.7700 in results\.json"):
        write_report(begun, out=tmp_path / "never.html")
    assert not (tmp_path / "never.html").exists()


def test_runs_on_other_images_are_not_laid_side_by_side(run_dirs, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run_dirs / "parts_gap", other)
    recipe = json.loads((other / "recipe.json").read_text())
    (other / "recipe.json").write_text(json.dumps({**recipe, "tuning_share": 0.3}))
    with pytest.raises(RunError, match="on the same images"):
        write_report(run_dirs / "parts_has", other)


def test_ten_crops_are_judged_on_the_larger_image(run_dirs, tmp_path, page_of):
    recipe = localization_run.LocalizationRun(run_dirs / "parts_gap").recipe.override(crops=10)
    train_recipe(recipe, tmp_path / "run", network_from=run_dirs / "parts_gap")
    out = write_report(tmp_path / "run", run_dirs / "parts_gap", images=4, covered_images=8)
    baseline, run = data_of(out)["runs"]
    assert (baseline["size"], run["size"]) == ([64, 64], [80, 80])
    maps = data_of(out)["tiles"][0]["maps"]
    assert (maps["run"]["height"], maps["baseline"]["height"]) == (64, 16)
    text = "".join(page_of(out).text)
    assert "ten crops" in text
    assert "the same 8 images" in text
    # Two runs of one recipe and seed are told apart.
    assert "parts_gap, seed 0 (this run)" in text
