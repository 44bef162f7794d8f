"""Localization in images, from start to end."""

import json

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras_has.data  # noqa: E402
from trainers.engine.run_error import RunError  # noqa: E402
from trainers.engine.training import train_recipe  # noqa: E402
from trainers.recipes import ImageRecipe  # noqa: E402
from trainers.tasks.image_localization import ImageLocalization  # noqa: E402
from trainers.tasks.networks import build_network  # noqa: E402


def test_a_run_leaves_everything_a_person_needs(few_parts, tiny_recipe, tmp_path, capsys):
    recipe = tiny_recipe()
    results = train_recipe(recipe, tmp_path / "run")
    out = capsys.readouterr().out
    assert "epoch 3/3" in out
    for title in ("Top-1 Clas", "GT-known Loc", "Top-1 Loc", "Centred box", "tensorboard --logdir"):
        assert title in out
    run_dir = tmp_path / "run"
    assert json.loads((run_dir / "results.json").read_text()) == results
    assert ImageRecipe.from_json((run_dir / "recipe.json").read_text()) == recipe
    assert (run_dir / "panel.png").is_file()
    assert len(list(run_dir.glob("*.weights.h5"))) == 1
    assert not list(run_dir.glob("*.tmp"))
    assert 0 <= results["gt_known_loc"] <= results["gt_known_loc_best"] <= 1
    assert results["images"] == 40
    model = tf.saved_model.load(str(run_dir / "saved_model"))
    images = np.zeros((1, 50, 70, 3), "uint8")
    assert model.signatures["serving_default"](images=tf.constant(images))["box"].shape == (1, 4)


def test_ones_own_folder_trains_and_unboxed_images_are_counted_out(
    own_recipe, folder, tmp_path, capsys
):
    results = train_recipe(own_recipe(), tmp_path / "run", folder)
    assert "10 validation images (4 without a box" in capsys.readouterr().out
    assert results["images"] == 10
    # Boxes are 25 x 20 of 60 x 40 pixels; the training images have none: side 0.8 by default.
    assert results["centred_side"] == 0.8
    assert results["centred_box"] == 0


def test_a_broken_file_is_named_or_skipped_and_listed(own_recipe, folder, tmp_path, capsys):
    broken = folder / "train" / "red" / "7.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(RunError, match=r"(?s)7\.png.*on_bad_image"):
        train_recipe(own_recipe(), tmp_path / "stops", folder)
    results = train_recipe(own_recipe(), tmp_path / "goes", folder, on_bad_image="skip")
    assert results["bad_images"] == 1
    out = capsys.readouterr().out
    assert "1 files could not be decoded and were left out" in out
    assert "7.png" in out
    assert "23 training images" in out


def test_what_is_missing_is_said(tiny_recipe, own_recipe, tmp_path):
    with pytest.raises(RunError, match="--data_dir"):
        train_recipe(own_recipe(), tmp_path / "a")
    with pytest.raises(RunError, match="nowhere"):
        train_recipe(own_recipe(), tmp_path / "b", tmp_path / "nowhere")
    with pytest.raises(RunError, match="no model 'big'"):
        build_network(tiny_recipe(model="big"), 2, keras.layers.Identity())


def test_ten_crops_are_evaluated_at_the_end(own_recipe, folder, tmp_path):
    recipe = own_recipe(crops=10)
    results = train_recipe(recipe.override(epochs=1), tmp_path / "run", folder)
    assert np.isfinite(results["loss"])
    one = train_recipe(
        recipe.override(epochs=1, crops=1), tmp_path / "one", folder, network_from=tmp_path / "run"
    )
    assert one["loss"] != results["loss"]


def test_a_run_without_any_box_says_so_and_writes_json(own_recipe, folder, tmp_path, capsys):
    (folder / "boxes.csv").unlink()
    train_recipe(own_recipe().override(epochs=1), tmp_path / "run", folder)
    assert "No image has a box: localization is not measured" in capsys.readouterr().out

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    for name in ("results.json", "checkpoint.json"):
        json.loads((tmp_path / "run" / name).read_text(), parse_constant=refuse)
    # Again, from what was written.
    train_recipe(own_recipe().override(epochs=1), tmp_path / "run", folder)
    assert "No image has a box" in capsys.readouterr().out


def test_fresh_statistics_are_used_in_evaluation_and_refused_with_dropout(
    few_parts, tiny_recipe, tmp_path
):
    plain = train_recipe(tiny_recipe(epochs=1), tmp_path / "plain")
    fresh = train_recipe(
        tiny_recipe(epochs=1, batch_norm_refresh=2),
        tmp_path / "fresh",
        network_from=tmp_path / "plain",
    )
    assert fresh["loss"] != plain["loss"]
    with pytest.raises(RunError, match="dropout") as caught:
        train_recipe(
            tiny_recipe(epochs=1, batch_norm_refresh=2, input_dropout=0.3), tmp_path / "refused"
        )
    assert "input_dropout" in str(caught.value)
    assert not list((tmp_path / "refused").iterdir())  # said before anything was trained


def test_every_setting_of_a_recipe_reaches_the_optimizer_and_the_batches(
    few_parts, tiny_recipe, monkeypatch
):
    recipe = tiny_recipe(
        momentum=0.7,
        nesterov=False,
        weight_decay=0.125,
        learning_rate=0.5,
        horizontal_flip=False,
        class_balanced=True,
        resize_size=70,
        seed=3,
    )
    task = ImageLocalization(recipe)
    task.load()
    optimizer = task.optimizer()
    assert (optimizer.momentum, optimizer.nesterov) == (0.7, False)
    assert optimizer.initial_decay_rate == 0.125
    assert float(optimizer.learning_rate) == 0.5
    given = {}
    names = ["dataset", "batch_size", "image_size", "resize_size", "flip", "balanced"]
    monkeypatch.setattr(
        keras_has.data,
        "training_batches",
        lambda *args, **kwargs: given.update(zip(names, args, strict=True), **kwargs),
    )
    task.batches(20)
    assert given == {
        "dataset": task.train_split,
        "batch_size": 32,
        "image_size": 64,
        "resize_size": 70,
        "flip": False,
        "balanced": True,
        "seed": 3,
        "first_step": 20,
    }
