"""The report of a run that classifies images: its figures are the run's, and it is one page."""

import html
import json
import shutil
import types

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has import data  # noqa: E402
from trainers.engine.run_error import RunError  # noqa: E402
from trainers.engine.training import train_recipe  # noqa: E402
from trainers.reports import breakdowns, plots  # noqa: E402
from trainers.reports.classification_run import ClassificationRun  # noqa: E402
from trainers.reports.confusions import confusion_matrix, frequent_confusions  # noqa: E402
from trainers.reports.page import render_macro  # noqa: E402
from trainers.reports.run_report import write_report  # noqa: E402
from trainers.tasks.registry import find_recipe  # noqa: E402

NASTY = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def run_dirs(tmp_path_factory, write_cifar):
    """Two finished runs, without and with hiding."""
    folder = tmp_path_factory.mktemp("runs")
    images = write_cifar(folder / "images", (NASTY, "cat"))
    for name in ("full", "has"):
        recipe = find_recipe(f"cifar10_small_{name}").override(epochs=3, batch_size=20)
        train_recipe(recipe, folder / name, images)
    return folder


@pytest.fixture(scope="module")
def report(run_dirs):
    """The report of the run with hiding beside that without."""
    return write_report(run_dirs / "has", run_dirs / "full", images=8)


def test_the_figures_of_the_page_are_those_of_the_runs(report, page_of, results_of):
    page = page_of(report)
    results = [results_of(name) for name in ("full", "has")]
    rows = {
        "top1_clas": "Top-1 Clas, last epoch",
        "best_top1_clas": "Top-1 Clas, best epoch",
        "most_frequent_class": "Most frequent training class",
    }
    for key, title in rows.items():
        values = [100 * one[key] for one in results]
        expected = [*(f"{value:.1f}" for value in values), f"{values[1] - values[0]:+.1f}"]
        assert page.row(title) == expected, key
    assert page.row("Best epoch")[:2] == [str(one["best_epoch"]) for one in results]
    assert page.row("Loss, last epoch")[:2] == [f"{one['loss']:.3f}" for one in results]
    assert page.row("Recipe: patch_size")[:2] == ["(0,)", "(0, 4, 8)"]
    assert "slightly different figures" not in "".join(page.text)
    assert "20 test images of cifar10/test, 2 classes" in "".join(page.text)


def test_outcomes_are_those_of_the_exported_model(run_dirs):
    run = ClassificationRun(run_dirs / "has")
    model = tf.saved_model.load(str(run_dirs / "has" / "saved_model"))
    test = data.cifar10(run_dirs / "images", "test")
    found = model.signatures["serving_default"](images=tf.constant(test.source.pixels))
    predicted, labels = found["class_index"].numpy(), test["label"]
    np.testing.assert_array_equal(run.outcomes["predicted_class"], predicted)
    np.testing.assert_array_equal(run.outcomes["is_top1"], predicted == labels)
    expected = [[((labels == i) & (predicted == j)).sum() for j in (0, 1)] for i in (0, 1)]
    assert run.confusions.tolist() == expected
    pixels = run.pixels([3, 1])
    np.testing.assert_array_equal(pixels[3], test.source.pixels[3])
    np.testing.assert_array_equal(pixels[1], test.source.pixels[1])


def test_the_page_shows_confusions_and_accuracies_of_every_class(report, run_dirs, page_of):
    page, run = page_of(report), ClassificationRun(run_dirs / "has")
    assert [page.row(name) for name in run.split.class_names] == [
        [str(count) for count in row] for row in run.confusions
    ]
    totals = run.confusions.sum(axis=1)
    assert np.trace(run.confusions) == round(20 * run.results["top1_clas"])
    shares = {f"{share:.1f}" for share in 100 * np.diag(run.confusions) / totals}
    assert shares <= {text.strip() for text in page.text}


def test_curves_images_and_mistakes_are_on_the_page(report, run_dirs, page_of):
    page = page_of(report)
    labels = [picture["aria-label"] for picture in page.of_tag("svg")]
    assert labels[:2] == [
        "loss (cross-entropy) over the epochs",
        "Top-1 Clas (% of images) over the epochs",
    ]
    assert sum(label.startswith("Training image of class ") for label in labels) == 2 * 4
    assert sum(label.startswith("The same image as ") for label in labels) == 4
    run = ClassificationRun(run_dirs / "has")
    wrong = np.flatnonzero(~run.outcomes["is_top1"])
    assert len(wrong) > 0
    confidence = run.outcomes["probability"]
    worst = max(wrong, key=lambda row: confidence[row])
    first = next(label for label in labels if label.startswith("Image "))
    assert first.startswith(f"Image {run.split.ids[worst]} of class ")
    text = "".join(page.text)
    taken_for = run.split.class_names[run.outcomes["predicted_class"][worst]]
    assert f"cifar10_small_has: {taken_for} ({confidence[worst]:.0%}, wrong)" in text


def test_the_page_needs_nothing_else_and_what_comes_from_the_data_is_text(report, page_of):
    page, text = page_of(report), report.read_text(encoding="utf-8")
    page.check_self_contained()
    page.check_readable()
    assert not page.of_tag("script")
    assert NASTY not in text
    assert html.escape(NASTY) in text


def test_a_run_alone_has_a_report_of_its_own(run_dirs, tmp_path, page_of, results_of):
    out = write_report(run_dirs / "full", out=tmp_path / "one.html", images=4)
    page = page_of(out)
    top1 = 100 * results_of("full")["top1_clas"]
    assert page.row("Top-1 Clas, last epoch") == [f"{top1:.1f}"]
    assert "Largest losses" not in "".join(page.text)
    assert "seen" not in "".join(page.text).split()  # nothing is hidden


def test_what_cannot_be_reported_on_is_said(run_dirs, tmp_path, write_cifar, results_of):
    with pytest.raises(RunError, match="--covered_images=5.*classification"):
        write_report(run_dirs / "has", covered_images=5)
    changed = tmp_path / "changed"
    shutil.copytree(run_dirs / "full", changed)
    (changed / "results.json").write_text(json.dumps({**results_of("full"), "top1_clas": 0.123}))
    with pytest.raises(RunError, match=r"top1_clas = 0\.1230 in results\.json"):
        write_report(changed, out=tmp_path / "never.html")
    assert not (tmp_path / "never.html").exists()
    other = write_cifar(tmp_path / "other", ("dog", "cat"))
    recipe = find_recipe("cifar10_small_full").override(epochs=1, batch_size=20)
    train_recipe(recipe, tmp_path / "run", other)
    with pytest.raises(RunError, match="same classes"):
        write_report(run_dirs / "has", tmp_path / "run")


def test_curves_are_those_of_the_history_and_skip_epochs_without_evaluation(monkeypatch):
    history = [{"loss": 2.0, "top1_clas": 0.25}, {"loss": 1.0, "top1_clas": 0.5, "val_loss": 3.0}]
    drawn = []

    def line_plot(series, *labels, **settings):
        drawn.append({one.name: (list(one.x), list(one.y)) for one in series})
        return plots.line_plot(series, *labels, **settings)

    monkeypatch.setattr(breakdowns, "line_plot", line_plot)
    task = types.SimpleNamespace(evaluated_examples="test images")
    run = types.SimpleNamespace(label="run", colour=1, history=history, task=task)
    breakdowns.training_curves([run], {"loss": "loss", "top1_clas": "Top-1 Clas (%)"})
    assert drawn == [
        {"run, test images": ([2], [3]), "run, training": ([1, 2], [2, 1])},
        {"run, training": ([1, 2], [25, 50])},
    ]
    run.history = []
    assert breakdowns.training_curves([run], {"loss": "loss"}) == []


def run_with(confusions):
    names = [f"c{number}" for number in range(len(confusions))]
    return types.SimpleNamespace(
        name="run", confusions=np.array(confusions), split=types.SimpleNamespace(class_names=names)
    )


def test_shades_of_the_matrix_are_relative_to_the_largest_share_of_right_and_of_wrong_ones():
    matrix = confusion_matrix(run_with([[8, 2, 0], [1, 1, 2], [0, 0, 0]]))
    assert matrix.counts == [[8, 2, 0], [1, 1, 2], [0, 0, 0]]
    assert matrix.shades == [[1, 0.4, 0], [0.5, 0.312, 1], [0, 0, 0]]
    assert confusion_matrix(run_with(np.eye(26, dtype=int))) is None


def test_the_most_frequent_confusions_come_first_and_have_shares_of_the_true_class():
    run, baseline = run_with([[5, 3], [1, 9]]), run_with([[8, 0], [5, 5]])
    assert frequent_confusions([baseline, run]).rows == [
        ["c0 taken for c1", "0 (0.0%)", "3 (37.5%)"],
        ["c1 taken for c0", "5 (50.0%)", "1 (10.0%)"],
    ]
    assert frequent_confusions([run_with(np.eye(3, dtype=int))]).rows == []


@pytest.mark.parametrize("overridden", [(), ("epochs",)])
@pytest.mark.parametrize("published", [{}, {"best_top1_clas": 94.97}])
def test_a_changed_recipe_with_published_figures_is_pointed_out(overridden, published):
    recipe = types.SimpleNamespace(overridden=overridden, published=published)
    text = render_macro("changed_recipe", types.SimpleNamespace(recipe=recipe))
    assert bool(text) == bool(overridden and published)
