"""A run on sequences, from start to end, continued, and by its command."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras_has.data  # noqa: E402
from keras_has.export import read_temporal_metadata  # noqa: E402
from trainers.engine.run_error import RunError  # noqa: E402
from trainers.engine.training import train_recipe  # noqa: E402
from trainers.tasks.registry import find_recipe  # noqa: E402
from trainers.tasks.temporal_localization import (  # noqa: E402
    TemporalLocalization,
    whole_sequence,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def few_phases(monkeypatch):
    """Makes `phases` a set of 24 sequences a split."""
    whole = keras_has.data.generated_phases
    monkeypatch.setattr(
        keras_has.data, "generated_phases", lambda split: whole(split, num_videos=24)
    )


def tiny(name="phases_has", **fields):
    return find_recipe(name).override(**{"epochs": 3, "batch_size": 8, "widths": (8,), **fields})


def test_a_run_leaves_everything_a_person_needs(few_phases, tmp_path, capsys):
    results = train_recipe(tiny(num_features=50), tmp_path / "run")
    out = capsys.readouterr().out
    assert "epoch 3/3" in out
    for text in ("temporal IoU", "whole sequence of a known class", "tensorboard --logdir"):
        assert text in out
    run_dir = tmp_path / "run"
    assert json.loads((run_dir / "results.json").read_text()) == results
    assert results["videos"] == 24
    assert (run_dir / "panel.png").is_file()
    precisions = results["average_precision"]
    mean = np.mean(
        [precisions[name]["0.1"] for name in precisions if precisions[name]["0.1"] is not None]
    )
    assert mean == pytest.approx(results["temporal_map_at_0.1"])
    metadata = read_temporal_metadata(run_dir / "saved_model")
    assert (metadata.num_features, metadata.threshold) == (50, 0.3)
    model = tf.saved_model.load(str(run_dir / "saved_model"))
    found = model.signatures["serving_default"](
        features=tf.zeros((1, 50, 24)), step_seconds=tf.constant([1.0])
    )
    assert found["cam"].shape == (1, 50, 8)
    train_recipe(tiny(num_features=50), tmp_path / "run")
    assert "is finished already" in capsys.readouterr().out


@pytest.mark.parametrize("fields", [{}, {"dropout_rate": 0.5, "optimizer": "adam"}])
def test_a_run_interrupted_and_continued_equals_one_that_was_not(
    few_phases, weights_of, tmp_path, monkeypatch, fields
):
    recipe = tiny(**fields)
    whole = train_recipe(recipe, tmp_path / "whole")

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 5:
                raise KeyboardInterrupt

    plain_fit = keras.Model.fit
    with monkeypatch.context() as patch:
        patch.setattr(
            keras.Model,
            "fit",
            lambda self, *args, callbacks, **kwargs: plain_fit(
                self, *args, callbacks=[*callbacks, Interrupt()], **kwargs
            ),
        )
        with pytest.raises(RunError, match=r"after epoch 1 of 3"):
            train_recipe(recipe, tmp_path / "cut")
    assert train_recipe(recipe, tmp_path / "cut") == whole
    expected, got = weights_of(tmp_path / "whole"), weights_of(tmp_path / "cut")
    assert expected.keys() == got.keys()
    for path, array in expected.items():
        np.testing.assert_array_equal(got[path], array, err_msg=path)


def test_every_setting_of_a_recipe_reaches_the_network(few_phases):
    recipe = tiny(
        segment_length=7,
        num_segments=0,
        hide_probability=0.25,
        fill_value=(2.0,),
        widths=(8, 4),
        pooling="avg",
        activation="softmax",
        dropout_rate=0.5,
        seed=9,
    )
    task = TemporalLocalization(recipe)
    task.load()
    model = task.build_model()
    hiding = next(each for each in model.layers if type(each).__name__ == "TemporalHideAndSeek")
    assert (hiding.segment_length, hiding.hide_probability, hiding.seed) == (7, 0.25, 9)
    assert hiding.fill_value == 2.0
    assert model.get_layer("pooling").pooling == "avg"
    assert model.get_layer("predictions").activation is keras.activations.softmax
    assert model.get_layer("pooling_dropout").rate == 0.5
    assert model.get_layer("cam_features").output.shape[-1] == 4
    # Standardised by the training sequences, so that 0 is their mean feature.
    steps = np.concatenate(task.train_split.source.features).astype("float64")
    scaling = next(each for each in model.layers if type(each).__name__ == "Normalization")
    np.testing.assert_allclose(np.asarray(scaling.mean).ravel(), steps.mean(0), atol=1e-4)
    np.testing.assert_allclose(np.asarray(scaling.variance).ravel(), steps.var(0), rtol=1e-3)


def test_whole_sequences_are_a_baseline_that_can_be_worked_out_by_hand():
    """One of two videos is half an action: IoU 0.5 exceeds 0.4 and does not exceed 0.5."""
    dataset = keras_has.data.Dataset(
        name="two",
        ids=["x", "y"],
        columns={
            "labels": [[True], [True]],
            "duration": [10.0, 10.0],
            "segments": [[[0.0, 10.0]], [[0.0, 5.0]]],
            "segment_labels": [[0], [0]],
        },
        source=keras_has.data.FeatureArrays([np.zeros((10, 2))] * 2),
        class_names=("a",),
    )
    figures = whole_sequence(dataset, tiny(iou_thresholds=(0.4, 0.5)))
    assert figures["temporal_map_at_0.4"] == 1.0
    assert figures["temporal_map_at_0.5"] == 0.5


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(RunError, match="needs --data_dir"):
        train_recipe(tiny("features_has"), tmp_path / "a")
    for name in ("features_has", "watch_has", "video_has"):
        with pytest.raises(RunError, match="nowhere"):
            train_recipe(tiny(name), tmp_path / "b", tmp_path / "nowhere")


def test_the_command_runs_and_names_mistakes(tmp_path):
    def command(*arguments):
        return subprocess.run(  # noqa: S603 (our own module)
            [sys.executable, "-m", "trainers.thumos", *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    done = command(f"--run_dir={tmp_path / 'run'}", "--epochs=1", "--widths=4")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "phases_has, seed 0: 200 videos, mAP" in done.stdout
    for arguments, message in (
        (["--num_segments=2", "--segment_length=3"], "should not be given together"),
        (["--recipe=nothing"], "recipe"),
        (["--dataset=feature_folder"], "needs --data_dir"),
    ):
        done = command(*arguments, f"--run_dir={tmp_path / 'other'}")
        assert done.returncode != 0
        assert message in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_real_signals_train_and_are_evaluated(shared_data, tmp_path):
    import tarfile

    with tarfile.open(shared_data / "watch-untrimmed.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    recipe = tiny("watch_full", epochs=2)
    results = train_recipe(recipe, tmp_path / "run", tmp_path / "watch-untrimmed")
    assert results["videos"] == 80
    # Published with the data, on another matching: 14.1 at 0.1 and nothing above.
    assert results["whole_sequence_at_0.3"] < 0.02


def test_records_are_read_where_the_folder_holds_them(few_phases, tmp_path):
    splits = {split: keras_has.data.generated_phases(split) for split in ("train", "val")}
    keras_has.data.write_sequence_records(splits, tmp_path / "records")
    fresh = train_recipe(tiny(epochs=1), tmp_path / "fresh")
    records = train_recipe(tiny(epochs=1), tmp_path / "run", tmp_path / "records")
    assert records == fresh
    with pytest.raises(RunError, match="phases is generated"):
        train_recipe(tiny(epochs=1), tmp_path / "other", tmp_path)


def write_own(folder, database, taxonomy=("jump", "run"), width=3):
    """Writes features and annotations of videos in a folder of one's own."""
    (folder / "features").mkdir(parents=True)
    random = np.random.default_rng(0)
    for video_id in database:
        np.save(folder / "features" / f"{video_id}.npy", random.normal(size=(20, width)))
    content = {"taxonomy": [{"nodeName": name} for name in taxonomy], "database": database}
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


def own_video(*labels, subset="train"):
    annotations = [{"label": label, "segment": [1.0, 2.0]} for label in labels]
    return {"subset": subset, "duration": 4.0, "annotations": annotations}


def test_what_is_left_out_of_own_videos_is_printed_and_counted(tmp_path, capsys):
    """And videos without actions are evaluated, but not trained on."""
    database = {f"v{number}": own_video(["jump", "run"][number % 2]) for number in range(4)}
    database["v4"] = own_video("jmup")
    database["t0"] = own_video("run", subset="test")
    database["t1"] = own_video(subset="test")
    folder = write_own(tmp_path / "own", database)
    recipe = tiny("features_has", epochs=1, batch_size=4, known_classes=False, cam_threshold=0.1)
    task = TemporalLocalization(recipe, folder)
    task.load()
    assert task.train_split.ids.tolist() == ["v0", "v1", "v2", "v3"]
    assert task.val_split.ids.tolist() == ["t0", "t1"]
    results = train_recipe(recipe, tmp_path / "run", folder)
    out = capsys.readouterr().out
    assert "4 problems in the data:" in out
    assert "1 of 2 evaluated videos show no action, such as 't1'" in out
    assert "video 'v4': 1 segments of 'jmup'" in out
    assert "v4 shows none of the classes; not trained on" in out
    assert "4 training videos, 2 validation videos with 1 segments" in out
    assert "semi-synthetic" not in out
    assert "semi_synthetic" not in results
    assert results["videos"] == 2
    assert results["top1_clas"] in (0.0, 1.0)  # of the one video that shows a class
    final = task.localization()
    model = task.build_model()
    final.set_model(model)
    final.evaluate()
    in_t1 = final.metric.state_arrays()["detections"][:, 0] == 1
    assert in_t1.any()  # false detections


def test_own_videos_read_by_the_old_name_are_not_called_semi_synthetic(tmp_path, capsys):
    database = {f"v{number}": own_video(["jump", "run"][number % 2]) for number in range(4)}
    database["t0"] = own_video("run", subset="test")
    folder = write_own(tmp_path / "own", database)
    results = train_recipe(tiny("watch_has", epochs=1, batch_size=4), tmp_path / "run", folder)
    out = capsys.readouterr().out
    assert "--dataset=feature_folder" in out
    assert "semi-synthetic" not in out.lower()
    assert results["semi_synthetic"] is False
    assert "jump has no video in feature_folder/test" in out


def test_videos_with_labels_alone_are_reported_where_others_have_segments(tmp_path):
    database = {f"v{number}": own_video(["jump", "run"][number % 2]) for number in range(4)}
    labels_only = {"subset": "train", "duration": 4.0, "video_labels": ["run"]}
    folder = write_own(tmp_path / "own", {**database, "v4": labels_only})
    task = TemporalLocalization(tiny("features_has", val_split="train"), folder)
    task.load()
    (problem,) = task.problems
    assert "v4 has labels but no segments" in problem


def test_a_split_of_which_no_video_shows_a_class_is_refused(tmp_path):
    database = {"v0": own_video("runn"), "t0": own_video("run", subset="test")}
    folder = write_own(tmp_path / "own", database)
    with pytest.raises(RunError, match="None of the 1 videos.*jump, run"):
        TemporalLocalization(tiny("features_has"), folder).load()


def test_features_that_contradict_the_durations_are_reported(tmp_path):
    database = {f"v{number}": own_video("run") for number in range(4)}
    database["t0"] = own_video("jump", subset="test")
    folder = write_own(tmp_path / "own", database)
    stated = folder / "features" / "features.json"
    count = len(np.load(folder / "features" / "v0.npy"))
    for seconds, is_reported in ((4 / count, False), (2 / count, True)):
        stated.write_text(json.dumps({"seconds_per_feature": seconds}))
        task = TemporalLocalization(tiny("features_has"), folder)
        task.load()
        found = [problem for problem in task.problems if str(stated) in problem]
        assert len(found) == 2 * is_reported
    assert "4 of 4 videos" in found[0]
    assert "is 2 s, the duration 4 s; used: the duration" in found[0]
    assert task.train_split.read(0)[1] == pytest.approx(4 / count)


def test_a_single_class_is_reported(tmp_path):
    database = {f"v{number}": own_video("run") for number in range(4)}
    database["t0"] = own_video("run", subset="test")
    task = TemporalLocalization(
        tiny("features_has"), write_own(tmp_path / "own", database, ("run",))
    )
    task.load()
    (problem,) = task.problems
    assert "only one class, 'run'" in problem


def test_features_that_are_turned_or_damaged_are_all_named_or_left_out(tmp_path):
    database = {f"v{number}": own_video("run") for number in range(6)}
    database["t0"] = own_video("run", subset="test")
    folder = write_own(tmp_path / "own", database, ("run",))
    features = folder / "features"
    np.save(features / "v1.npy", np.ones((3, 20)))
    (features / "v2.npy").write_bytes(b"no features")
    np.save(features / "t0.npy", np.ones((20, 5)))
    task = TemporalLocalization(tiny("features_has"), folder)
    with pytest.raises(RunError) as caught:
        task.load()
    message = str(caught.value)
    assert message.startswith("3 files")
    assert "v1.npy: features should be of shape (T, 3)" in message
    assert "v2.npy: cannot be read" in message
    assert "Received: (20, 5)" in message
    assert "--missing_features=skip" in message
    np.save(features / "t0.npy", np.ones((20, 3)))
    task = TemporalLocalization(tiny("features_has", missing_features="skip"), folder)
    task.load()
    assert task.train_split.ids.tolist() == ["v0", "v3", "v4", "v5"]
    assert sum("Left out." in problem for problem in task.problems) == 2
    (features / "v0.npy").unlink()
    with pytest.raises(RunError, match="--missing_features=skip"):
        TemporalLocalization(tiny("features_has"), folder).load()
    task.load()
    assert task.train_split.ids.tolist() == ["v3", "v4", "v5"]


def test_features_that_are_not_finite_stop_a_run_by_name(tmp_path):
    database = {f"v{number}": own_video(["jump", "run"][number % 2]) for number in range(4)}
    database["t0"] = own_video("run", subset="test")
    folder = write_own(tmp_path / "own", database)
    np.save(folder / "features" / "t0.npy", np.full((20, 3), np.nan))
    with pytest.raises(RunError, match=r"t0\.npy: features should be finite"):
        train_recipe(tiny("features_has", epochs=1, batch_size=4), tmp_path / "run", folder)


def test_features_that_are_not_finite_are_left_out_by_name(tmp_path):
    database = {f"v{number}": own_video(["jump", "run"][number % 2]) for number in range(4)}
    database["t0"] = own_video("run", subset="test")
    folder = write_own(tmp_path / "own", database)
    np.save(folder / "features" / "v1.npy", np.full((20, 3), np.inf))
    task = TemporalLocalization(tiny("features_has", missing_features="skip"), folder)
    task.load()
    assert task.train_split.ids.tolist() == ["v0", "v2", "v3"]
    (problem,) = [problem for problem in task.problems if "finite" in problem]
    assert "v1.npy" in problem


def test_own_videos_without_any_segment_train_and_are_not_scored(tmp_path, capsys):
    folder = tmp_path / "own"
    (folder / "features").mkdir(parents=True)
    random = np.random.default_rng(0)
    database = {}
    for number in range(8):
        np.save(folder / "features" / f"v{number}.npy", random.normal(size=(20, 3)))
        label = ["jump", "run"][number % 2]
        database[f"v{number}"] = {"subset": "train", "duration": 4.0, "video_labels": [label]}
    taxonomy = [{"nodeName": "jump"}, {"nodeName": "run"}]
    content = json.dumps({"taxonomy": taxonomy, "database": database})
    (folder / "annotations.json").write_text(content)
    recipe = tiny("features_has", epochs=1, batch_size=4, val_split="train")
    results = train_recipe(recipe, tmp_path / "run", folder)
    out = capsys.readouterr().out
    assert "No segment is annotated: detections are not scored" in out
    assert "nan" not in out
    assert np.isnan(results["temporal_map"])
    assert json.loads((tmp_path / "run" / "results.json").read_text())["temporal_map"] is None


def test_the_papers_data_are_all_labelled_videos_evaluated_on_those_with_segments(tmp_path):
    """As JSON; and as the official text files, whose features have to say their time."""
    json_dir, text_dir = tmp_path / "json", tmp_path / "text"
    random = np.random.default_rng(0)
    for folder in (json_dir, text_dir):
        (folder / "features").mkdir(parents=True)
        for number in range(4):
            np.save(
                folder / "features" / f"video_validation_{number}.npy", random.normal(size=(20, 3))
            )
    segments = [{"label": "Diving", "segment": [1.0, 3.0]}]
    entry = {"subset": "validation", "duration": 10.0, "fps": 30.0}
    names = [f"video_validation_{number}" for number in range(4)]
    content = {
        "taxonomy": [{"nodeId": 0, "nodeName": "Diving"}],
        "database": {
            name: {**entry, "video_labels": ["Diving"], "annotations": segments}
            for name in names[:2]
        },
        "video_labels": {
            name: {"subset": "validation", "duration": 10.0, "labels": [label]}
            for name, label in zip(names, ["Diving", "Diving", "Archery", "Diving"], strict=True)
        },
    }
    (json_dir / "annotations.json").write_text(json.dumps(content))
    task = TemporalLocalization(tiny("video_has", num_features=10), json_dir)
    task.load()
    assert len(task.train_split) == 4
    assert len(task.val_split) == 2
    assert task.train_split.class_names == task.val_split.class_names
    assert len(task.train_split.class_names) == 2
    (text_dir / "annotations").mkdir()
    for kind in ("Diving", "Ambiguous"):
        lines = [f"{name} 1.0 3.0" for name in names[:2]] if kind == "Diving" else []
        (text_dir / "annotations" / f"{kind}_val.txt").write_text("".join(f"{x}\n" for x in lines))
    task = TemporalLocalization(tiny("video_has", all_videos=False, num_features=10), text_dir)
    with pytest.raises(RunError, match="seconds_per_feature"):
        task.load()
    (text_dir / "features" / "features.json").write_text(json.dumps({"seconds_per_feature": 0.5}))
    task.load()
    assert len(task.train_split) == 2
    assert task.train_split.seconds_per_feature == 0.5
