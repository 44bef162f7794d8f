"""A run from start to end, interrupted and resumed, and on two replicas."""

import contextlib
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from trainers.engine.run_directory import RunDirectory  # noqa: E402
from trainers.engine.run_error import RunError  # noqa: E402
from trainers.engine.training import load_network, train, train_recipe  # noqa: E402
from trainers.tasks.image_localization import ImageLocalization  # noqa: E402


def test_tensorboard_holds_the_recipe_the_scalars_and_the_panel(few_parts, tiny_recipe, tmp_path):
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    train_recipe(tiny_recipe(epochs=2), tmp_path / "run")
    events = EventMultiplexer().AddRunsFromDirectory(str(tmp_path / "run" / "logs")).Reload()
    tags = {(run, tag) for run, kinds in events.Runs().items() for tag in kinds["tensors"]}
    assert {("recipe", "recipe"), ("recipe", "training examples")} <= tags
    assert ("localization", "localization/gt_known_loc") in tags
    assert ("localization", "localization/centred_box") in tags
    assert ("localization", "class activation maps") in tags
    assert ("train", "epoch_loss") in tags
    assert len(events.Tensors("localization", "localization/gt_known_loc")) == 2


@pytest.fixture
def fit_with(monkeypatch):
    """Returns a context in which every `fit` gets one more callback."""
    plain_fit = keras.Model.fit

    @contextlib.contextmanager
    def context(callback):
        def fit(self, *args, callbacks, **kwargs):
            return plain_fit(self, *args, callbacks=[*callbacks, callback], **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(keras.Model, "fit", fit)
            yield

    return context


@pytest.mark.parametrize("kind", ["cosine", "regimes with dropout"])
def test_a_run_interrupted_and_continued_equals_one_that_was_not(
    few_parts, weights_of, tiny_recipe, tmp_path, fit_with, kind
):
    fields = {}
    if kind != "cosine":
        regimes = ((0, 0.01, 5e-4), (1, 0.02, 0.0), (2, 0.01, 5e-4))
        # Keras keeps no random state of dropout in files of weights.
        fields = {"schedule": "regimes", "regimes": regimes, "input_dropout": 0.3}
    recipe = tiny_recipe(**fields)
    whole = train_recipe(recipe, tmp_path / "whole")

    class Interrupt(keras.callbacks.Callback):
        """Stands in for Ctrl-C in the middle of the second epoch."""

        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 5:
                raise KeyboardInterrupt

    with (
        fit_with(Interrupt()),
        pytest.raises(RunError, match=r"after epoch 1 of 3.*resumes the run"),
    ):
        train_recipe(recipe, tmp_path / "cut")
    assert not (tmp_path / "cut" / "results.json").exists()
    continued = train_recipe(recipe, tmp_path / "cut")
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


def test_tensorboard_shows_each_epoch_once_after_a_kill_between_its_log_and_its_checkpoint(
    few_parts, tiny_recipe, tmp_path
):
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    def save(directory, model, history):
        if len(history) == 2:
            raise KeyboardInterrupt
        plain_save(directory, model, history)

    plain_save = RunDirectory.save_checkpoint
    with pytest.MonkeyPatch.context() as patch, pytest.raises(RunError, match="after epoch"):
        patch.setattr(RunDirectory, "save_checkpoint", save)
        train_recipe(tiny_recipe(), tmp_path / "run")
    assert len(json.loads((tmp_path / "run" / "checkpoint.json").read_text())["history"]) == 1
    train_recipe(tiny_recipe(), tmp_path / "run")
    events = EventMultiplexer().AddRunsFromDirectory(str(tmp_path / "run" / "logs")).Reload()
    for run, tag in (("train", "epoch_loss"), ("localization", "localization/gt_known_loc")):
        assert [event.step for event in events.Tensors(run, tag)] == [0, 1, 2]


DETERMINISTIC_RUNS = """
import sys
import keras, numpy as np, tensorflow as tf
import keras_has.data
from trainers.engine.run_error import RunError
from trainers.engine.training import train_recipe
from trainers.tasks.registry import find_recipe

sys.modules[keras_has.data.generated_parts.__module__].SPLITS = {"train": 96, "val": 40}
runs, cifar = sys.argv[1:]
settings = {"epochs": 2, "deterministic": True}
recipes = {
    "parts": (find_recipe("parts_has").override(batch_size=32, widths=(8, 16), **settings), None),
    "erased": (
        find_recipe("cifar10_small_has").override(
            batch_size=20, augmentation="random_erasing", **settings
        ),
        cifar,
    ),
    "mixed": (find_recipe("cifar10_small_cutmix").override(batch_size=20, **settings), cifar),
}
plain_fit = keras.Model.fit

class Interrupt(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 5:
            raise KeyboardInterrupt

def fit_with_interrupt(self, *args, callbacks, **options):
    return plain_fit(self, *args, callbacks=[*callbacks, Interrupt()], **options)

for name, (recipe, folder) in recipes.items():
    train_recipe(recipe, f"{runs}/{name}/whole", folder)
    keras.Model.fit = fit_with_interrupt
    try:
        train_recipe(recipe, f"{runs}/{name}/cut", folder)
    except RunError:
        keras.Model.fit = plain_fit
        train_recipe(recipe, f"{runs}/{name}/cut", folder)
assert tf.config.threading.get_inter_op_parallelism_threads() == 1
"""


def test_deterministic_runs_fix_the_threads_and_resume_bit_for_bit(weights_of, cifar, tmp_path):
    """In a process of its own, because TensorFlow cannot undo either setting."""
    done = subprocess.run(  # noqa: S603 (Python itself)
        [sys.executable, "-c", DETERMINISTIC_RUNS, str(tmp_path), str(cifar)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("resuming after epoch 1") == 3
    for name in ("parts", "erased", "mixed"):
        whole, cut = tmp_path / name / "whole", tmp_path / name / "cut"
        expected, got = weights_of(whole), weights_of(cut)
        assert expected.keys() == got.keys()
        for path, array in expected.items():
            np.testing.assert_array_equal(got[path], array, err_msg=f"{name}: {path}")
        results = [json.loads((run / "results.json").read_text()) for run in (whole, cut)]
        assert results[0] == results[1]


def test_a_deterministic_run_needs_a_new_process(tiny_recipe, tmp_path, monkeypatch):
    tf.constant(0) + 1  # After which the number of threads cannot be set.
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)
    with pytest.raises(RunError, match="in a new process"):
        train_recipe(tiny_recipe(deterministic=True), tmp_path / "run")


def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    few_parts, tiny_recipe, tmp_path
):
    first = train_recipe(tiny_recipe(epochs=1), tmp_path / "a")
    assert train_recipe(tiny_recipe(epochs=1), tmp_path / "b") == first
    other = train_recipe(tiny_recipe(epochs=1, seed=1), tmp_path / "c")
    assert other["loss"] != first["loss"]


def test_a_finished_run_is_not_done_again(few_parts, tiny_recipe, tmp_path, capsys):
    first = train_recipe(tiny_recipe(epochs=1), tmp_path / "run")
    stamp = (tmp_path / "run" / "results.json").stat().st_mtime_ns
    assert train_recipe(tiny_recipe(epochs=1), tmp_path / "run") == first
    assert (tmp_path / "run" / "results.json").stat().st_mtime_ns == stamp
    assert "finished already" in capsys.readouterr().out


@pytest.mark.parametrize("mixed_precision", ["", "mixed_bfloat16", "mixed_float16"])
def test_two_replicas_and_mixed_precision_train_and_export(
    few_parts, tiny_recipe, tmp_path, mixed_precision, two_replicas
):
    strategy = two_replicas
    recipe = tiny_recipe(epochs=2, mixed_precision=mixed_precision)
    results = train_recipe(recipe, tmp_path / "run", strategy=strategy)
    assert results["images"] == 40
    assert np.isfinite(results["loss"])
    assert keras.config.dtype_policy().name == "float32"
    # A finished epoch can be continued from, under the strategy too.
    (tmp_path / "run" / "results.json").unlink()
    assert train_recipe(recipe, tmp_path / "run", strategy=strategy) == results


def test_a_network_can_be_evaluated_another_way_without_training(
    few_parts, tiny_recipe, tmp_path, capsys
):
    first = train_recipe(tiny_recipe(epochs=1), tmp_path / "first")
    capsys.readouterr()
    other = train_recipe(
        tiny_recipe(epochs=1, cam="grad_cam", cam_threshold=0.4),
        tmp_path / "second",
        network_from=tmp_path / "first",
    )
    assert "epoch 1/" not in capsys.readouterr().out
    assert other["loss"] == first["loss"]
    assert other["top1_clas"] == first["top1_clas"]
    assert other["cam_threshold"] == 0.4
    with pytest.raises(RunError, match=r"trained differently \(hide_probability: 0.5 there"):
        train_recipe(
            tiny_recipe(epochs=1, hide_probability=0.25),
            tmp_path / "third",
            network_from=tmp_path / "first",
        )
    assert not list((tmp_path / "third").iterdir())


def test_evaluation_every_few_epochs_and_after_the_last(few_parts, tiny_recipe, tmp_path):
    train_recipe(tiny_recipe(epochs=3, evaluate_every=2), tmp_path / "run")
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
        task = ImageLocalization(tiny_recipe(epochs=2, input_dropout=0.3, **fields))
        train(task, tmp_path / name)
        directory = RunDirectory(tmp_path / name)
        model = load_network(task, directory)
        trained.append([np.asarray(each.value) for each in model.trainable_variables])
    for other in trained[1:]:
        for expected, got in zip(trained[0], other, strict=True):
            np.testing.assert_array_equal(got, expected)


def test_a_network_trained_on_other_data_is_not_taken_over(own_recipe, folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "copy")
    recipe = own_recipe().override(epochs=1)
    train_recipe(recipe, tmp_path / "run", folder)
    with pytest.raises(RunError, match="trained on other data"):
        train_recipe(recipe, tmp_path / "other", tmp_path / "copy", network_from=tmp_path / "run")


def test_an_interrupted_first_epoch_leaves_nothing_that_blocks_another_run(
    few_parts, tiny_recipe, tmp_path, fit_with
):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    with fit_with(Interrupt()), pytest.raises(RunError, match="first epoch.*starts the run again"):
        train_recipe(tiny_recipe(), tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


class Poison(keras.callbacks.Callback):
    """Stands in for a network that diverges: sets the weights at the start of one epoch."""

    def __init__(self, epoch, value):
        super().__init__()
        self.epoch = epoch
        self.value = value

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            for variable in self.model.trainable_variables:
                variable.assign(np.full(variable.shape, self.value))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(
    few_parts, tiny_recipe, tmp_path, fit_with, value
):
    recipe = tiny_recipe()
    whole = train_recipe(recipe, tmp_path / "whole")
    directory = RunDirectory(tmp_path / "run")
    with (
        fit_with(Poison(1, value)),
        pytest.raises(RunError, match=r"loss=(nan|inf) in epoch 2, step \d+.*epoch 1 is kept"),
    ):
        train_recipe(recipe, directory.path)
    assert directory.read_results() is None
    assert len(directory.read_json("checkpoint.json")["history"]) == 1
    assert train_recipe(recipe, directory.path) == whole


def test_a_run_that_stops_in_its_first_epoch_leaves_nothing_that_blocks_another(
    few_parts, tiny_recipe, tmp_path, fit_with
):
    with (
        fit_with(Poison(0, np.nan)),
        pytest.raises(RunError, match=r"in epoch 1, step 1\b.*no checkpoint"),
    ):
        train_recipe(tiny_recipe(), tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())
    train_recipe(tiny_recipe(epochs=1, hide_probability=0.25), tmp_path / "run")


def test_what_the_readers_left_out_is_printed_with_its_count(own_recipe, folder, tmp_path, capsys):
    (folder / "train" / "red" / "notes.txt").touch()
    (folder / "val" / "blue" / "raw.psd").touch()
    train_recipe(own_recipe(epochs=1), tmp_path / "run", folder)
    printed = capsys.readouterr().out
    assert "2 problems in the data:" in printed
    assert "(.txt), such as 'notes.txt'" in printed
    assert "(.psd), such as 'raw.psd'" in printed
