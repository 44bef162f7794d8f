"""A run from start to end, killed and continued, and on two replicas."""

import dataclasses
import json

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from trainers.engine import runs  # noqa: E402
from trainers.tasks import image_localization  # noqa: E402


def test_a_run_leaves_everything_a_person_needs(few_parts, tiny_recipe, tmp_path, capsys):
    recipe = tiny_recipe()
    results = image_localization.train(recipe, tmp_path / "run")
    out = capsys.readouterr().out
    assert "epoch 3/3" in out
    for title in ("Top-1 Clas", "GT-known Loc", "Top-1 Loc", "Centred box", "tensorboard --logdir"):
        assert title in out
    run_dir = tmp_path / "run"
    assert json.loads((run_dir / "results.json").read_text()) == results
    assert image_localization.ImageRecipe.from_json((run_dir / "recipe.json").read_text()) == recipe
    assert (run_dir / "panel.png").is_file()
    assert len(list(run_dir.glob("*.weights.h5"))) == 1
    assert not list(run_dir.glob("*.tmp"))
    assert 0 <= results["gt_known_loc"] <= results["gt_known_loc_best"] <= 1
    assert results["images"] == 40
    model = tf.saved_model.load(str(run_dir / "saved_model"))
    images = np.zeros((1, 50, 70, 3), "uint8")
    assert model.signatures["serving_default"](images=tf.constant(images))["box"].shape == (1, 4)


def test_tensorboard_holds_the_recipe_the_scalars_and_the_panel(few_parts, tiny_recipe, tmp_path):
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    image_localization.train(tiny_recipe(epochs=2), tmp_path / "run")
    events = EventMultiplexer().AddRunsFromDirectory(str(tmp_path / "run" / "logs")).Reload()
    tags = {(run, tag) for run, kinds in events.Runs().items() for tag in kinds["tensors"]}
    assert ("recipe", "recipe") in tags
    assert ("localization", "localization/gt_known_loc") in tags
    assert ("localization", "localization/centred_box") in tags
    assert ("localization", "class activation maps") in tags
    assert ("train", "epoch_loss") in tags
    assert len(events.Tensors("localization", "localization/gt_known_loc")) == 2


@pytest.mark.parametrize("kind", ["cosine", "regimes with dropout"])
def test_a_run_interrupted_and_continued_equals_one_that_was_not(
    few_parts, weights_of, tiny_recipe, tmp_path, monkeypatch, kind
):
    fields = {}
    if kind != "cosine":
        regimes = ((0, 0.01, 5e-4), (1, 0.02, 0.0), (2, 0.01, 5e-4))
        # Keras keeps no random state of dropout in files of weights.
        fields = {"schedule": "regimes", "regimes": regimes, "input_dropout": 0.3}
    recipe = tiny_recipe(**fields)
    whole = image_localization.train(recipe, tmp_path / "whole")

    class Interrupt(keras.callbacks.Callback):
        """Stands in for Ctrl-C in the middle of the second epoch."""

        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 5:
                raise KeyboardInterrupt

    plain_fit = keras.Model.fit

    def interrupted_fit(self, *args, callbacks, **kwargs):
        return plain_fit(self, *args, callbacks=[*callbacks, Interrupt()], **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "fit", interrupted_fit)
        with pytest.raises(runs.RunError, match=r"after epoch 1 of 3.*goes on from there"):
            image_localization.train(recipe, tmp_path / "cut")
    assert not (tmp_path / "cut" / "results.json").exists()
    continued = image_localization.train(recipe, tmp_path / "cut")
    expected, got = weights_of(tmp_path / "whole"), weights_of(tmp_path / "cut")
    assert expected.keys() == got.keys()
    assert any("seed_generator_state" in path for path in got)
    for path, array in expected.items():
        np.testing.assert_array_equal(got[path], array, err_msg=path)
    assert continued == whole
    if kind != "cosine":
        states = [
            json.loads((tmp_path / d / "checkpoint.json").read_text())["random"]
            for d in ("whole", "cut")
        ]
        assert len(states[0]) >= 2
        assert states[0] == states[1]


def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    few_parts, tiny_recipe, tmp_path
):
    first = image_localization.train(tiny_recipe(epochs=1), tmp_path / "a")
    assert image_localization.train(tiny_recipe(epochs=1), tmp_path / "b") == first
    other = image_localization.train(tiny_recipe(epochs=1, seed=1), tmp_path / "c")
    assert other["loss"] != first["loss"]


def test_a_finished_run_is_not_done_again(few_parts, tiny_recipe, tmp_path, capsys):
    first = image_localization.train(tiny_recipe(epochs=1), tmp_path / "run")
    stamp = (tmp_path / "run" / "results.json").stat().st_mtime_ns
    assert image_localization.train(tiny_recipe(epochs=1), tmp_path / "run") == first
    assert (tmp_path / "run" / "results.json").stat().st_mtime_ns == stamp
    assert "finished already" in capsys.readouterr().out


def test_a_folder_of_another_run_or_of_something_else_is_refused(few_parts, tiny_recipe, tmp_path):
    runs.RunDirectory(tmp_path / "run").claim(tiny_recipe(), {"data_dir": None})
    with pytest.raises(runs.RunError, match=r"hide_probability: 0.5 there, 0.25 asked for"):
        image_localization.train(tiny_recipe(hide_probability=0.25), tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(runs.RunError, match="holds no run"):
        image_localization.train(tiny_recipe(), tmp_path / "other")
    assert [file.name for file in (tmp_path / "other").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("mixed_precision", ["", "mixed_bfloat16", "mixed_float16"])
def test_two_replicas_and_mixed_precision_train_and_export(
    few_parts, tiny_recipe, tmp_path, mixed_precision, two_replicas
):
    strategy = two_replicas
    recipe = tiny_recipe(epochs=2, mixed_precision=mixed_precision)
    results = image_localization.train(recipe, tmp_path / "run", strategy=strategy)
    assert results["images"] == 40
    assert np.isfinite(results["loss"])
    assert keras.config.dtype_policy().name == "float32"
    # A finished epoch can be continued from, under the strategy too.
    (tmp_path / "run" / "results.json").unlink()
    assert image_localization.train(recipe, tmp_path / "run", strategy=strategy) == results


def test_regimes_set_rate_and_decay_and_restart_the_momentum():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = runs.CoupledSGD(1.0, decay_rate=1.0, momentum=0.9)
    model.compile(optimizer, "mse")
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            momentum = sum(float(np.abs(np.asarray(m)).sum()) for m in optimizer.momentums)
            rate = float(optimizer.learning_rate)
            seen.append((round(rate, 6), round(float(optimizer.decay_rate), 6), momentum > 0))

    regimes = runs.Regimes([(0, 0.1, 0.01), (2, 0.05, 0.0)])
    x, y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
    model.fit(x, y, epochs=4, verbose=0, callbacks=[regimes, Look()])
    assert seen == [
        (0.1, 0.01, False),
        (0.1, 0.01, True),
        (0.05, 0.0, False),
        (0.05, 0.0, True),
    ]


def test_weight_decay_goes_through_the_momentum_as_in_torch():
    """Three steps by hand: v = m v + g + decay w; w = w - rate v."""
    variable = keras.Variable(np.array([2.0, -1.0], "float32"))
    optimizer = runs.CoupledSGD(0.1, decay_rate=0.5, momentum=0.9)
    optimizer.build([variable])
    weights, velocity = np.array([2.0, -1.0]), np.zeros(2)
    for gradient in ([1.0, 0.0], [0.5, 0.5], [0.0, -1.0]):
        optimizer.apply([keras.ops.convert_to_tensor(np.float32(gradient))], [variable])
        velocity = 0.9 * velocity + np.array(gradient) + 0.5 * weights
        weights = weights - 0.1 * velocity
        np.testing.assert_allclose(np.asarray(variable.value), weights, rtol=1e-6)


@pytest.fixture
def folder(tmp_path):
    """One's own images: two colours in a folder each, one file broken, boxes for some."""
    root = tmp_path / "own"
    random = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 5)):
        for label, name in enumerate(("red", "blue")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                image = random.integers(0, 80, (40, 60, 3), dtype="uint8")
                image[10:30, 20:45, 2 * label] = 250
                path = root / split / name / f"{number}.png"
                tf.io.write_file(str(path), tf.io.encode_png(image))
    lines = ["image,x0,y0,x1,y1"]
    lines += [f"val/{name}/{n}.png,20,10,45,30" for name in ("red", "blue") for n in range(3)]
    (root / "boxes.csv").write_text("\n".join(lines) + "\n")
    return root


def own_recipe(tiny_recipe, **fields):
    return dataclasses.replace(
        tiny_recipe(batch_size=8, epochs=2),
        name="own",
        dataset="folder",
        image_size=32,
        resize_size=36,
        mean=(60.0, 60.0, 60.0),
        std=(50.0, 50.0, 50.0),
        **fields,
    )


def test_ones_own_folder_trains_and_unboxed_images_are_counted_out(
    tiny_recipe, folder, tmp_path, capsys
):
    results = image_localization.train(own_recipe(tiny_recipe), tmp_path / "run", folder)
    assert "10 validation images (4 without a box" in capsys.readouterr().out
    assert results["images"] == 10
    # Boxes are 25 x 20 of 60 x 40 pixels; the training images have none: side 0.8 by default.
    assert results["centred_side"] == 0.8
    assert results["centred_box"] == 0


def test_a_broken_file_is_named_or_skipped_and_listed(tiny_recipe, folder, tmp_path, capsys):
    broken = folder / "train" / "red" / "7.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(runs.RunError, match=r"(?s)7\.png.*on_bad_image"):
        image_localization.train(own_recipe(tiny_recipe), tmp_path / "stops", folder)
    results = image_localization.train(own_recipe(tiny_recipe), tmp_path / "goes", folder, "skip")
    assert results["bad_images"] == 1
    out = capsys.readouterr().out
    assert "1 files could not be decoded and were left out" in out
    assert "7.png" in out
    assert "23 training images" in out


def test_what_is_missing_is_said(tiny_recipe, tmp_path):
    with pytest.raises(runs.RunError, match="--data_dir"):
        image_localization.train(own_recipe(tiny_recipe), tmp_path / "a")
    with pytest.raises(runs.RunError, match="nowhere"):
        image_localization.train(own_recipe(tiny_recipe), tmp_path / "b", tmp_path / "nowhere")
    with pytest.raises(runs.RunError, match="no model 'big'"):
        image_localization.build_model(tiny_recipe(model="big"), 2, keras.layers.Identity())


def test_a_run_on_other_data_is_refused(tiny_recipe, folder, tmp_path):
    image_localization.train(own_recipe(tiny_recipe), tmp_path / "run", folder)
    with pytest.raises(runs.RunError, match=r"data_dir: .*own there, .*other asked for"):
        image_localization.train(own_recipe(tiny_recipe), tmp_path / "run", tmp_path / "other")


def test_a_start_that_fails_leaves_the_run_directory_free(few_parts, tiny_recipe, tmp_path):
    with pytest.raises(runs.RunError, match="no model 'big'"):
        image_localization.train(tiny_recipe(model="big"), tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())
    image_localization.train(tiny_recipe(epochs=1), tmp_path / "run")


def test_damaged_files_of_a_run_are_named_with_a_remedy(few_parts, tiny_recipe, tmp_path):
    run_dir = tmp_path / "run"
    image_localization.train(tiny_recipe(epochs=1), run_dir)
    weights = next(run_dir.glob("*.weights.h5")).name
    contents = {file.name: file.read_bytes() for file in run_dir.iterdir() if file.is_file()}
    for name in ("recipe.json", "results.json", "checkpoint.json", weights):
        for other, content in contents.items():
            (run_dir / other).write_bytes(content)
        if name in ("checkpoint.json", weights):
            (run_dir / "results.json").unlink()
        (run_dir / name).write_bytes(contents[name][: len(contents[name]) // 2])
        with pytest.raises(runs.RunError, match=rf"{name} cannot be read.*begin that run anew"):
            image_localization.train(tiny_recipe(epochs=1), run_dir)
    (tmp_path / "file").touch()
    with pytest.raises(runs.RunError, match="is a file"):
        image_localization.train(tiny_recipe(epochs=1), tmp_path / "file")


def test_a_network_can_be_judged_another_way_without_training(
    few_parts, tiny_recipe, tmp_path, capsys
):
    first = image_localization.train(tiny_recipe(epochs=1), tmp_path / "first")
    capsys.readouterr()
    other = image_localization.train(
        tiny_recipe(epochs=1, cam="grad_cam", cam_threshold=0.4),
        tmp_path / "second",
        network_from=tmp_path / "first",
    )
    assert "epoch" not in capsys.readouterr().out.replace("steps an epoch", "")
    assert other["loss"] == first["loss"]
    assert other["top1_clas"] == first["top1_clas"]
    assert other["cam_threshold"] == 0.4
    with pytest.raises(runs.RunError, match=r"trained otherwise \(hide_probability: 0.5 there"):
        image_localization.train(
            tiny_recipe(epochs=1, hide_probability=0.25),
            tmp_path / "third",
            network_from=tmp_path / "first",
        )
    assert not list((tmp_path / "third").iterdir())


def test_ten_crops_are_judged_at_the_end(tiny_recipe, folder, tmp_path):
    recipe = own_recipe(tiny_recipe, crops=10)
    results = image_localization.train(recipe.override(epochs=1), tmp_path / "run", folder)
    assert np.isfinite(results["loss"])
    one = image_localization.train(
        recipe.override(epochs=1, crops=1), tmp_path / "one", folder, network_from=tmp_path / "run"
    )
    assert one["loss"] != results["loss"]


def test_a_tuning_split_is_of_training_images_alike_in_each_class(few_parts, tiny_recipe, tmp_path):
    task = image_localization.ImageTask(tiny_recipe(tuning_share=0.25))
    task.load()
    train, tuning = task.train_split, task.val_split
    assert not set(train.image_ids) & set(tuning.image_ids)
    whole = image_localization.ImageTask(tiny_recipe())
    whole.load()
    assert set(train.image_ids) | set(tuning.image_ids) == set(whole.train_split.image_ids)
    counts = np.bincount(whole.train_split.labels)
    np.testing.assert_array_equal(np.bincount(tuning.labels), np.ceil(counts / 4))
    again = image_localization.ImageTask(tiny_recipe(tuning_share=0.25, seed=5))
    again.load()
    assert list(again.val_split.image_ids) == list(tuning.image_ids)
    results = image_localization.train(tiny_recipe(epochs=1, tuning_share=0.25), tmp_path / "run")
    assert results["images"] == len(tuning)


def test_a_run_without_any_box_says_so_and_writes_json(tiny_recipe, folder, tmp_path, capsys):
    (folder / "boxes.csv").unlink()
    image_localization.train(own_recipe(tiny_recipe).override(epochs=1), tmp_path / "run", folder)
    assert "No image has a box: localization is not measured" in capsys.readouterr().out

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    for name in ("results.json", "checkpoint.json"):
        json.loads((tmp_path / "run" / name).read_text(), parse_constant=refuse)
    # Again, from what was written.
    image_localization.train(own_recipe(tiny_recipe).override(epochs=1), tmp_path / "run", folder)
    assert "No image has a box" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": "nowhere.h5", "model": "efficientnet_lite0"}, "no weights file nowhere.h5"),
        ({"weights": "imagenet"}, "--weights are for"),
        ({"weights": "imagenet", "model": "efficientnet_lite0"}, "--weights=PATH"),
        ({"weights": "", "model": "efficientnet_lite0"}, "--weights=random"),
        ({"model": "resnet50"}, "no model 'resnet50'"),
        ({"conv1_patch_size": (3,), "model": "googlenet_gap"}, "--conv1_patch_size is for"),
    ],
)
def test_settings_that_do_not_go_together_are_named(tiny_recipe, fields, message):
    with pytest.raises(runs.RunError, match=message):
        image_localization.build_model(tiny_recipe(**fields), 2, keras.layers.Identity())


def test_every_setting_of_a_recipe_reaches_the_network(tiny_recipe):
    recipe = tiny_recipe(
        patch_size=(0, 8),
        hide_probability=0.25,
        fill_value=(1.0, 2.0, 3.0),
        conv1_patch_size=(3,),
        input_dropout=0.5,
        input_dropout_at_test=True,
        seed=7,
    )
    recipe = recipe.override(mean=(9.0, 9.0, 9.0), std=(2.0, 2.0, 2.0))
    model = image_localization.build_model(recipe, 4, image_localization.pixel_layer(recipe, None))
    names = [type(layer).__name__ for layer in model.layers]
    # Normalised, then dropped, then hidden, last of all before the first convolution.
    assert names[1:4] == ["Normalization", "InputDropout", "HideAndSeek"]
    normalised = model.layers[1](np.full((1, 2, 2, 3), 13.0, "float32"))
    np.testing.assert_allclose(np.asarray(normalised), 2.0)
    dropout, hiding = model.layers[2:4]
    assert (dropout.rate, dropout.at_test, dropout.seed) == (0.5, True, 7)
    assert (hiding.patch_size, hiding.hide_probability, hiding.seed) == ((0, 8), 0.25, 7)
    assert hiding.fill_value == (1.0, 2.0, 3.0)
    inner = [layer for layer in model.layers[4:] if type(layer).__name__ == "HideAndSeek"]
    assert [layer.patch_size for layer in inner] == [(3,)]
    assert inner[0].fill_value == 0


def test_pretrained_networks_get_the_pixels_they_were_made_with(tiny_recipe):
    """ResNet50 takes blue first, less the mean, not divided; hidden pixels are the mean colour."""
    recipe = tiny_recipe("folder_has", model="ResNet50", widths=(), weights="", image_size=32)
    scaling = image_localization.pixel_layer(recipe, None)
    model = image_localization.build_model(recipe, 3, scaling)
    scaled = scaling(np.array([[[[103.68, 116.779, 113.939]]]], "float32"))
    np.testing.assert_allclose(np.asarray(scaled)[0, 0, 0], [10, 0, -20], atol=1e-4)
    hiding = next(layer for layer in model.layers if type(layer).__name__ == "HideAndSeek")
    assert hiding.fill_value == pytest.approx(scaling.mean_colour)
    assert np.abs(hiding.fill_value).max() < 1


def test_records_are_read_where_the_folder_holds_them(tiny_recipe, folder, tmp_path):
    from keras_has import data

    own = own_recipe(tiny_recipe).override(epochs=1)
    files = image_localization.train(own, tmp_path / "files", folder)
    records = tmp_path / "records"
    splits = {split: data.image_folder(folder, split) for split in ("train", "val")}
    data.write_tfrecords(splits, records)
    assert image_localization.train(own, tmp_path / "run", records) == files


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
    task = image_localization.ImageTask(recipe)
    task.load()
    optimizer = task.optimizer()
    assert (optimizer.momentum, optimizer.nesterov) == (0.7, False)
    assert optimizer.initial_decay_rate == 0.125
    assert float(optimizer.learning_rate) == 0.5
    given = {}
    names = ["dataset", "batch_size", "image_size", "resize_size", "flip", "balanced"]
    monkeypatch.setattr(
        image_localization.data,
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


def test_mean_and_deviation_are_those_of_the_training_pixels(few_parts, tiny_recipe):
    task = image_localization.ImageTask(tiny_recipe())
    task.load()
    mean, std = image_localization.mean_and_std(task.recipe, task.train_split)
    pixels = task.train_split.images.reshape(-1, 3).astype("float64")
    np.testing.assert_allclose(mean, pixels.mean(0), rtol=1e-6)
    np.testing.assert_allclose(std, pixels.std(0), rtol=1e-6)
    side = image_localization.centred_side(task.train_split)
    assert side == image_localization.best_centred_side(
        task.train_split.boxes, task.train_split.image_sizes
    )


def test_evaluation_every_few_epochs_and_after_the_last(few_parts, tiny_recipe, tmp_path):
    image_localization.train(tiny_recipe(epochs=3, evaluate_every=2), tmp_path / "run")
    history = json.loads((tmp_path / "run" / "checkpoint.json").read_text())["history"]
    assert ["val_gt_known_loc" in epoch for epoch in history] == [False, True, True]


def test_testing_more_often_or_with_dropout_does_not_change_the_training(
    few_parts, tiny_recipe, tmp_path
):
    """Draws at test come from a generator of their own."""
    kinds = {
        "plain": {},
        "at test": {"input_dropout_at_test": True},
        "at test, seldom": {"input_dropout_at_test": True, "evaluate_every": 3},
    }
    trained = []
    for name, fields in kinds.items():
        task = image_localization.ImageTask(tiny_recipe(epochs=2, input_dropout=0.3, **fields))
        runs.train(task, tmp_path / name)
        directory = runs.RunDirectory(tmp_path / name)
        model = runs.load_network(task, directory)
        trained.append([np.asarray(each.value) for each in model.trainable_variables])
    for other in trained[1:]:
        for expected, got in zip(trained[0], other, strict=True):
            np.testing.assert_array_equal(got, expected)


def test_fresh_statistics_are_used_in_judging_and_refused_with_dropout(
    few_parts, tiny_recipe, tmp_path
):
    plain = image_localization.train(tiny_recipe(epochs=1), tmp_path / "plain")
    fresh = image_localization.train(
        tiny_recipe(epochs=1, batch_norm_refresh=2),
        tmp_path / "fresh",
        network_from=tmp_path / "plain",
    )
    assert fresh["loss"] != plain["loss"]
    with pytest.raises(runs.RunError, match="dropout") as caught:
        image_localization.train(
            tiny_recipe(epochs=1, batch_norm_refresh=2, input_dropout=0.3), tmp_path / "refused"
        )
    assert "input_dropout" in str(caught.value)
    assert not list((tmp_path / "refused").iterdir())  # said before anything was trained


def test_how_a_run_is_judged_may_change_until_it_is_judged(few_parts, tiny_recipe, tmp_path):
    image_localization.train(tiny_recipe(epochs=1), tmp_path / "run")
    with pytest.raises(runs.RunError, match="cam_threshold"):
        image_localization.train(tiny_recipe(epochs=1, cam_threshold=0.4), tmp_path / "run")
    (tmp_path / "run" / "results.json").unlink()
    results = image_localization.train(tiny_recipe(epochs=1, cam_threshold=0.4), tmp_path / "run")
    assert results["cam_threshold"] == 0.4
    recipe = runs.RunDirectory(tmp_path / "run").read_recipe(image_localization.ImageRecipe)
    assert recipe.cam_threshold == 0.4


def test_a_network_trained_on_other_data_is_not_taken_over(tiny_recipe, folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "copy")
    recipe = own_recipe(tiny_recipe).override(epochs=1)
    image_localization.train(recipe, tmp_path / "run", folder)
    with pytest.raises(runs.RunError, match="trained on other data"):
        image_localization.train(
            recipe, tmp_path / "other", tmp_path / "copy", network_from=tmp_path / "run"
        )


def test_records_of_another_data_set_are_refused(tiny_recipe, tmp_path):
    from keras_has import data

    splits = {split: data.parts(split, num_images=8) for split in ("train", "val")}
    data.write_tfrecords(splits, tmp_path / "records")
    with pytest.raises(runs.RunError, match=r"records of parts, and --dataset=cub"):
        image_localization.read_split(tiny_recipe(dataset="cub"), tmp_path / "records", "train")
    split = image_localization.read_split(tiny_recipe(), tmp_path / "records", "val")
    assert split.records is not None
    with pytest.raises(runs.RunError, match="parts are generated"):
        image_localization.read_split(tiny_recipe(), tmp_path, "val")


def test_a_tuning_split_of_ilsvrc_has_boxes_where_there_are_any(monkeypatch, tiny_recipe):
    asked = {}
    monkeypatch.setitem(
        image_localization._READERS, "imagenet", lambda *args: asked.update(plain=args)
    )
    monkeypatch.setattr(
        image_localization.data, "imagenet", lambda *args, **kwargs: asked.update(kwargs=kwargs)
    )
    image_localization.read_split(tiny_recipe(dataset="imagenet"), "nowhere", "train")
    assert "kwargs" not in asked
    recipe = tiny_recipe(dataset="imagenet", tuning_share=0.2)
    image_localization.read_split(recipe, "nowhere", "train")
    assert asked["kwargs"] == {"read_boxes": True}
