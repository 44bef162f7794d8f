"""Emotion, age and gender, end to end on generated images."""

import json
import re

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has import data, layers  # noqa: E402
from trainers.engine.run_directory import RunDirectory, best_epoch  # noqa: E402
from trainers.engine.run_error import RunError  # noqa: E402
from trainers.engine.training import load_network, train_recipe  # noqa: E402
from trainers.recipes.faces import RECIPES, recipe_name  # noqa: E402
from trainers.recipes.faces_recipe import FacesRecipe  # noqa: E402
from trainers.tasks.faces import Faces  # noqa: E402
from trainers.tasks.networks import build_network  # noqa: E402
from trainers.tasks.registry import find_recipe  # noqa: E402

EMOTIONS = ("anger", "happy", "surprise")


def write_image(path, brightness, random):
    pixels = random.integers(0, 60, (24, 24, 1)) + brightness
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(pixels.astype("uint8")).numpy())


def tiny(name="ck_plus_small_lab", **fields):
    small = {"epochs": 3, "batch_size": 20, "widths": (4, 4, 8), "image_size": 24, "padding": 1}
    return find_recipe(name).override(**{**small, "resize_size": 24, **fields})


@pytest.fixture(scope="module")
def emotions(tmp_path_factory):
    """30 subjects with two emotions each, of different brightness."""
    root, random = tmp_path_factory.mktemp("faces"), np.random.default_rng(0)
    for subject in range(30):
        for label in {subject % 3, (subject + 1) % 3}:
            path = root / EMOTIONS[label] / f"S{subject:03d}_00{label}_00000001.png"
            write_image(path, 80 * label, random)
    write_image(root / "anger" / "nobody.png", 0, random)
    return root


@pytest.fixture(scope="module")
def ages(tmp_path_factory):
    root, random = tmp_path_factory.mktemp("ages"), np.random.default_rng(0)
    for number in range(60):
        age = 3 * number % 100
        # A PNG under the name of a JPEG: the content decides.
        write_image(root / f"{age}_{number % 2}_0_2017{number:04d}.jpg.chip.jpg", age, random)
    return root


@pytest.fixture(scope="module")
def run(emotions, tmp_path_factory):
    """A finished run: its folder and its results."""
    folder = tmp_path_factory.mktemp("run") / "run"
    return folder, train_recipe(tiny(), folder, emotions)


def test_a_run_trains_on_eight_folds_and_reports_the_class_set(emotions, run, capsys):
    folder, results = run
    assert results == json.loads((folder / "results.json").read_text())
    assert (results["images"], results["fold"]) == (6, 0)
    class_set = "3 classes: anger, happy, surprise"
    assert results["class_set"] == class_set
    assert train_recipe(tiny(), folder, emotions) == results
    text = capsys.readouterr().out
    assert "finished" in text
    assert f"6 test images of fold 0, {class_set}" in text
    accuracy, epoch = f"{100 * results['top1_clas']:.1f}", results["best_epoch"]
    assert re.search(rf"Top-1 Clas +{accuracy}  epoch {epoch}", text)
    assert class_set in Faces.table_notes([results, results])
    assert "folds 0" in Faces.table_notes([results])


def test_the_exported_model_classifies_the_test_images_without_keras(emotions, run):
    folder, results = run
    model = tf.saved_model.load(str(folder / "saved_model"))
    test = data.ck_plus(emotions, "test")
    images = np.stack([test.source.decode(path).numpy() for path in test.source.paths])
    found = model.signatures["serving_default"](images=tf.constant(images))
    accuracy = np.mean(found["class_index"].numpy() == test["label"])
    assert accuracy == pytest.approx(results["top1_clas"])


def test_the_network_of_the_best_validation_epoch_is_evaluated(emotions, run):
    folder, results = run
    history = RunDirectory(folder).read_history()
    accuracies = [logs["val_top1_clas"] for logs in history]
    assert results["best_epoch"] == 1 + accuracies.index(max(accuracies))
    assert results["val_top1_clas"] == max(accuracies)
    assert len(list(folder.glob("best_*.weights.h5"))) <= 2
    task = Faces(tiny(), emotions)
    task.load()
    model = load_network(task, RunDirectory(folder))
    callback = task.evaluation_callback(None)
    callback.set_model(model)
    assert callback.evaluate()["val_top1_clas"] == pytest.approx(results["top1_clas"])
    assert task.evaluated_split.ids.tolist() == data.ck_plus(emotions, "test").ids.tolist()


def test_what_the_reader_left_out_is_among_the_problems_of_the_task(emotions):
    task = Faces(tiny(), emotions)
    task.load()
    assert sum("nobody.png" in problem for problem in task.problems) == 1


def test_a_kill_between_the_best_weights_and_the_checkpoint_changes_nothing(
    emotions, run, tmp_path, monkeypatch
):
    _, results = run
    save = RunDirectory.save_checkpoint

    def killed(directory, model, history):
        if len(history) == 2:
            raise KeyboardInterrupt
        save(directory, model, history)

    monkeypatch.setattr(RunDirectory, "save_checkpoint", killed)
    with pytest.raises(RunError):
        train_recipe(tiny(), tmp_path / "run", emotions)
    monkeypatch.undo()
    again = train_recipe(tiny(), tmp_path / "run", emotions)
    assert again == pytest.approx(results, abs=1e-5)


@pytest.mark.parametrize(
    "values, expected",
    [((0.2, 0.5, 0.5), 2), ((np.nan, 0.1), 2), ((), None), ((np.nan,), None)],
)
def test_the_best_epoch_is_the_first_with_the_highest_figure(values, expected):
    history = [{"val_top1_clas": value} for value in values]
    assert best_epoch(history, "val_top1_clas") == expected
    assert best_epoch([{}, *history], "val_top1_clas") == (expected and expected + 1)


def test_the_report_shows_the_test_images(run):
    pytest.importorskip("matplotlib")
    from trainers.reports.run_report import write_report

    folder, _ = run
    page = write_report(folder, images=4).read_text()
    for part in ("ck_plus/test, fold 0", "chosen epoch", *EMOTIONS):
        assert part in page


def test_age_is_reported_as_group_one_off_and_years_beside_the_median(ages, tmp_path, capsys):
    recipe = tiny("utkface_age_small_has", epochs=2, padding=0, widths=(4, 4))
    results = train_recipe(recipe, tmp_path / "run", ages)
    train, test = data.utkface(ages, "train"), data.utkface(ages, "test")
    most_frequent = np.bincount(train["label"]).argmax()
    off = np.abs(test["label"] - most_frequent)
    assert results["most_frequent_class"] == pytest.approx(np.mean(off == 0))
    assert results["most_frequent_class_one_off"] == pytest.approx(np.mean(off <= 1))
    error = np.abs(test["age"] - np.median(train["age"])).mean()
    assert results["median_age_error"] == pytest.approx(error)
    assert results["top1_clas"] <= results["one_off"] <= 1
    assert 0 < results["mean_absolute_error"] < 100
    text = capsys.readouterr().out
    error = f"{results['mean_absolute_error']:.1f}"
    assert re.search(f"Mean absolute error, years +{error}", text)
    assert "9 classes: 0-9, 10-19" in text
    notes = Faces.table_notes([results])
    assert f"utkface_age_small_has {error}" in notes


def test_training_images_alone_determine_mean_and_deviation(emotions):
    task = Faces(tiny(), emotions)
    task.load()
    images = [task.train_split.source.decode(p).numpy() for p in task.train_split.source.paths]
    pixels = np.stack(images).astype("float64")
    layer = task.scaling()
    scaled = np.asarray(layer(pixels.astype("float32")))
    np.testing.assert_allclose(scaled.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std((0, 1, 2)), 1, atol=1e-4)


def test_the_labs_hiding_has_relative_sizes_and_a_probability_for_each_image(emotions):
    task = Faces(tiny(), emotions)
    task.load()
    (hiding,) = [x for x in task.build_model().layers if isinstance(x, layers.HideAndSeek)]
    assert hiding.patch_size == (0, 1 / 9, 1 / 7, 1 / 5, 1 / 3)
    assert hiding.hide_probability == (0.1, 0.2, 0.3, 0.4, 0.5)


def test_khorramis_augmentation_keeps_size_and_type_and_changes_every_image(emotions):
    task = Faces(tiny("ck_plus_small_full", augmentation="khorrami", padding=0), emotions)
    task.load()
    images, _ = next(iter(task.batches(0)))
    assert (images.dtype, images.shape) == (tf.uint8, (20, 24, 24, 3))
    originals = {
        task.train_split.source.decode(p).numpy().tobytes() for p in task.train_split.source.paths
    }
    assert not originals & {image.tobytes() for image in images.numpy()}
    moved = np.ones((9, 24, 24, 3), "float32")
    for layer in task.augmentation():
        moved = layer(moved, training=True)
    assert 0 < np.mean(np.asarray(moved) == 0) < 0.6


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_recipe_survives_json_and_says_what_was_chosen(recipe):
    assert FacesRecipe.from_json(recipe.to_json()) == recipe
    assert recipe.choices


@pytest.mark.parametrize(
    "name, classes, parameters",
    [
        ("ck_plus_full", 8, 1_335_508),
        ("ck_plus_lab", 8, 1_335_508),
        ("adience_age_has", 8, 11_415_048),
        ("adience_gender_full", 2, 11_411_970),
    ],
)
def test_full_recipes_build_the_networks_of_the_papers(name, classes, parameters):
    recipe = find_recipe(name)
    model = build_network(recipe, classes, layers.LocalContrastNormalization())
    assert model.count_params() == parameters


def test_full_recipes_follow_the_schedules_of_the_papers():
    emotion, age = find_recipe("ck_plus_full"), find_recipe("adience_age_full")
    assert emotion.epochs * emotion.steps_per_epoch == 31_000
    assert (emotion.batch_size, emotion.image_size, emotion.regimes) == (64, 96, ((0, 0.01, 0.0),))
    assert (age.batch_size, age.image_size, age.resize_size) == (50, 227, 256)
    optimizer = Faces(age, None).optimizer()
    for step, rate in ((0, 1e-3), (9_999, 1e-3), (10_000, 1e-4)):
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(rate)


def test_the_fold_is_the_seed_unless_it_is_given():
    assert [tiny(seed=seed).test_fold for seed in (0, 9, 13)] == [0, 9, 3]
    assert tiny(seed=4, fold=7).test_fold == 7
    assert find_recipe("adience_age_has").override(seed=13).test_fold == 3
    assert find_recipe("utkface_age_small_has").override(seed=13).test_fold == 0


@pytest.mark.parametrize(
    "name, fields",
    [
        ("ck_plus_has", {"fold": 10}),
        ("utkface_age_small_has", {"fold": 1}),
        ("ck_plus_has", {"target": "age"}),
        ("ck_plus_has", {"tuning_share": 0.1}),
        ("fer2013_has", {"neutral": True}),
        ("ck_plus_has", {"normalization": "global"}),
        ("ck_plus_has", {"patch_size": (0, 1.5)}),
        ("ck_plus_has", {"patch_size": (16.0,)}),
        ("ck_plus_lab", {"hide_probabilities": (0.1, 1.1)}),
        ("ck_plus_lab", {"hide_probability": 0.3}),
        ("ck_plus_full", {"hide_probabilities": (0.1, 0.2)}),
    ],
)
def test_bad_settings_are_named(name, fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        find_recipe(name).override(**fields)


@pytest.mark.parametrize(
    "arguments, name",
    [
        (("emotion", None, None), "ck_plus_small_has"),
        (("emotion", "fer2013", None), "fer2013_has"),
        (("age", None, None), "utkface_age_small_has"),
        (("gender", None, None), "utkface_gender_small_has"),
        (("gender", "adience", None), "adience_gender_has"),
        (("age", None, "adience_age_lab"), "adience_age_lab"),
    ],
)
def test_the_task_on_the_command_line_chooses_the_recipe(arguments, name):
    assert recipe_name(*arguments) == name
    assert find_recipe(name).target == arguments[0]


@pytest.mark.parametrize(
    "arguments, match",
    [
        (("age", None, "ck_plus_has"), "--recipe=ck_plus_has .*--task=emotion"),
        (("age", "fer2013", None), "--dataset=fer2013 .*--task=emotion"),
    ],
)
def test_a_recipe_or_dataset_of_another_task_is_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        recipe_name(*arguments)
