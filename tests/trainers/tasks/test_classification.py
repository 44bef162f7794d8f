import json

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has import data  # noqa: E402
from trainers.engine.run_directory import RunDirectory  # noqa: E402
from trainers.engine.training import train_recipe  # noqa: E402
from trainers.recipes.cifar import RECIPES  # noqa: E402
from trainers.tasks.classification import Classification  # noqa: E402


def tiny(number=1, **fields):
    return RECIPES[number].override(**{"epochs": 2, "batch_size": 20, **fields})


def test_a_run_trains_resumes_and_leaves_results_and_a_model(cifar, tmp_path, capsys):
    results = train_recipe(tiny(), tmp_path / "run", cifar)
    assert results == json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["images"] == 20
    assert results["most_frequent_class"] == 13 / 20
    assert 0 <= results["top1_clas"] <= 1
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["task"] == "classification"
    text = capsys.readouterr().out
    assert "60 training images, 20 test images, 2 classes" in text
    assert "60 of the 50000 training images of cifar10" in text
    assert f"Top-1 Clas, last epoch{100 * results['top1_clas']:30.1f}" in text
    model = tf.saved_model.load(str(tmp_path / "run" / "saved_model"))
    test = data.cifar10(cifar, "test")
    found = model.signatures["serving_default"](images=tf.constant(test.source.pixels))
    accuracy = np.mean(found["class_index"].numpy() == test["label"])
    assert accuracy == pytest.approx(results["top1_clas"])
    assert train_recipe(tiny(), tmp_path / "run", cifar) == results
    assert "finished" in capsys.readouterr().out


def test_pictures_of_training_and_of_mistakes_are_in_tensorboard_and_in_the_run(
    cifar, tmp_path, capsys
):
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    results = train_recipe(tiny(), tmp_path / "run", cifar)
    assert results["top1_clas"] < 1
    events = EventMultiplexer().AddRunsFromDirectory(str(tmp_path / "run" / "logs")).Reload()
    assert len(events.Tensors("recipe", "training examples")) == 1
    assert len(events.Tensors("classification", "most confident mistakes")) == 2
    assert (tmp_path / "run" / "panel.png").stat().st_size > 1000
    assert f"Pictures:    {tmp_path / 'run' / 'panel.png'}" in capsys.readouterr().out


def test_hiding_happens_in_training_alone(cifar):
    task = Classification(tiny(patch_size=(32,), hide_probability=1.0), cifar)
    task.load()
    model = task.build_model()
    images, _ = next(iter(task.batches(0)))
    hidden = np.asarray(model(images, training=True))
    assert np.ptp(hidden, axis=0).max() < 1e-6  # every image is one grey square
    assert np.ptp(np.asarray(model(images)), axis=0).max() > 1e-6


def test_batches_are_padded_and_cropped_images_of_the_training_split(cifar):
    task = Classification(tiny(horizontal_flip=False), cifar)
    task.load()
    images, labels = next(iter(task.batches(0)))
    assert images.shape == (20, 32, 32, 3)
    originals = np.pad(task.train_split.source.pixels, ((0, 0), (4, 4), (4, 4), (0, 0)))
    windows = {
        originals[row, y : y + 32, x : x + 32].tobytes(): task.train_split["label"][row]
        for row in range(60)
        for y in range(9)
        for x in range(9)
    }
    assert [windows[image.tobytes()] for image in images.numpy()] == labels.numpy().tolist()


@pytest.mark.parametrize(
    ("name", "share", "images"),
    [("random_erasing", (0.02, 0.41), (0.3, 0.7)), ("cutout", (0.24, 0.26), (1, 1))],
)
def test_erased_rectangles_have_the_area_of_the_recipe(cifar, name, share, images):
    task = Classification(tiny(0, augmentation=name, batch_size=60), cifar)
    task.load()
    (layer,) = task.augmentation()
    erased = np.asarray(layer(np.ones((400, 32, 32, 3), "float32"), training=True)) == 0
    areas = erased.mean(axis=(1, 2, 3))
    assert images[0] <= (areas > 0).mean() <= images[1]
    assert share[0] - 0.01 <= areas[areas > 0].min()
    assert areas.max() <= share[1]
    whole = layer(np.ones((1, 32, 32, 3), "float32"), training=False)
    np.testing.assert_array_equal(whole, 1)


@pytest.mark.parametrize("name", ["random_erasing", "cutout", "cutmix"])
def test_every_augmentation_trains_and_is_absent_from_the_evaluated_network(cifar, tmp_path, name):
    results = train_recipe(
        tiny(0, augmentation=name, epochs=1, batch_size=30), tmp_path / "run", cifar
    )
    model = tf.saved_model.load(str(tmp_path / "run" / "saved_model"))
    test = data.cifar10(cifar, "test")
    found = model.signatures["serving_default"](images=tf.constant(test.source.pixels))
    accuracy = np.mean(found["class_index"].numpy() == test["label"])
    assert accuracy == pytest.approx(results["top1_clas"])


def test_the_best_epoch_is_the_first_of_the_evaluated_epochs_with_the_highest_accuracy(
    cifar, tmp_path
):
    results = train_recipe(tiny(epochs=3), tmp_path / "run", cifar)
    accuracies = [logs["val_top1_clas"] for logs in RunDirectory(tmp_path / "run").read_history()]
    assert results["best_top1_clas"] == max(accuracies)
    assert results["best_epoch"] == 1 + accuracies.index(max(accuracies))
    assert results["top1_clas"] == pytest.approx(accuracies[-1])


def test_a_tuning_split_is_held_out_of_the_training_images(cifar):
    task = Classification(tiny(tuning_share=0.25), cifar)
    task.load()
    assert (len(task.train_split), len(task.val_split)) == (45, 15)
    assert "tuning images" in task.describe(task.build_model())
    assert all(name.startswith("data_batch_1/") for name in task.val_split.ids)


def test_another_recipe_does_not_resume_the_run(cifar, tmp_path):
    directory = RunDirectory(tmp_path / "run")
    train_recipe(tiny(0, epochs=1), directory.path, cifar)
    with pytest.raises(Exception, match="patch_size"):
        train_recipe(tiny(1, epochs=1), directory.path, cifar)


@pytest.mark.parametrize(
    "name, value",
    [("padding", -1), ("image_size", 24), ("resize_size", 40), ("depth", 9), ("block", "x")],
)
def test_settings_that_would_have_no_or_another_effect_are_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}`.*{name}="):
        tiny(**{name: value})


def test_the_notes_of_a_comparison_say_what_was_evaluated_on(cifar):
    notes = Classification.table_notes([{"images": 196, "evaluated_examples": "tuning images"}])
    assert "196 tuning images" in notes
