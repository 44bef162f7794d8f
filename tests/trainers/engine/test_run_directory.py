"""Run directories: claimed, refused, damaged."""

import json

import pytest

tf = pytest.importorskip("tensorflow")

from trainers.engine.run_directory import RunDirectory  # noqa: E402
from trainers.engine.run_error import RunError  # noqa: E402
from trainers.engine.training import train_recipe  # noqa: E402
from trainers.recipes import ImageRecipe  # noqa: E402


def test_a_folder_of_another_run_or_of_something_else_is_refused(few_parts, tiny_recipe, tmp_path):
    RunDirectory(tmp_path / "run").claim(tiny_recipe(), {"data_dir": None})
    (tmp_path / "run" / "checkpoint.json").write_text("{}")
    with pytest.raises(RunError, match=r"hide_probability: 0.5 there, 0.25 requested"):
        train_recipe(tiny_recipe(hide_probability=0.25), tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(RunError, match="contains no run"):
        train_recipe(tiny_recipe(), tmp_path / "other")
    assert [file.name for file in (tmp_path / "other").iterdir()] == ["thesis.tex"]


def test_a_run_on_other_data_is_refused(own_recipe, folder, tmp_path):
    train_recipe(own_recipe(), tmp_path / "run", folder)
    with pytest.raises(RunError, match=r"data_dir: .*own there, .*other requested"):
        train_recipe(own_recipe(), tmp_path / "run", tmp_path / "other")


def test_a_start_that_fails_leaves_the_run_directory_free(few_parts, tiny_recipe, tmp_path):
    with pytest.raises(RunError, match="no model 'big'"):
        train_recipe(tiny_recipe(model="big"), tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())
    train_recipe(tiny_recipe(epochs=1), tmp_path / "run")


@pytest.mark.parametrize("without", [[], ["recipe.json", "logs"]])
def test_a_folder_in_which_nothing_was_trained_blocks_no_other_recipe(
    tiny_recipe, tmp_path, without
):
    directory = RunDirectory(tmp_path / "run")
    directory.claim(tiny_recipe(), {"data_dir": None})
    if "logs" not in without:
        (directory.logs / "train").mkdir(parents=True)
        (directory.logs / "train" / "events").touch()
        (directory.path / "partial_checkpoint_0001.weights.h5").touch()
    if "recipe.json" in without:  # Killed while the second of the two files was written.
        (directory.path / "recipe.json").rename(directory.path / "recipe.json.partial")
    corrected = tiny_recipe(hide_probability=0.25)
    directory.claim(corrected, {"data_dir": "elsewhere"})
    assert directory.read_recipe(type(corrected)) == corrected
    assert directory.read_json("source.json") == {"data_dir": "elsewhere"}
    assert {file.name for file in directory.path.iterdir()} == {"recipe.json", "source.json"}


@pytest.mark.parametrize("names", [["recipe.json", "notes.txt"], ["source.json", "logs"]])
def test_a_folder_that_may_be_of_someone_else_is_not_emptied(tiny_recipe, tmp_path, names):
    directory = RunDirectory(tmp_path / "run")
    directory.claim(tiny_recipe(), {"data_dir": None})
    for name in {"recipe.json", "source.json"} - set(names):
        (directory.path / name).unlink()
    for name in set(names) - {"recipe.json", "source.json"}:
        (directory.path / name).touch()
    with pytest.raises(RunError, match=r"hide_probability|contains no run"):
        directory.claim(tiny_recipe(hide_probability=0.25), {"data_dir": None})
    assert sorted(file.name for file in directory.path.iterdir()) == sorted(names)


def test_damaged_files_of_a_run_are_named_with_a_remedy(few_parts, tiny_recipe, tmp_path):
    run_dir = tmp_path / "run"
    train_recipe(tiny_recipe(epochs=1), run_dir)
    weights = next(run_dir.glob("*.weights.h5")).name
    contents = {file.name: file.read_bytes() for file in run_dir.iterdir() if file.is_file()}
    for name in ("recipe.json", "results.json", "checkpoint.json", weights):
        for other, content in contents.items():
            (run_dir / other).write_bytes(content)
        if name in ("checkpoint.json", weights):
            (run_dir / "results.json").unlink()
        (run_dir / name).write_bytes(contents[name][: len(contents[name]) // 2])
        with pytest.raises(RunError, match=rf"{name} cannot be read.*start the run again"):
            train_recipe(tiny_recipe(epochs=1), run_dir)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is a file"):
        train_recipe(tiny_recipe(epochs=1), tmp_path / "file")


def test_how_a_run_is_evaluated_may_change_until_it_is_evaluated(few_parts, tiny_recipe, tmp_path):
    train_recipe(tiny_recipe(epochs=1), tmp_path / "run")
    with pytest.raises(RunError, match="cam_threshold"):
        train_recipe(tiny_recipe(epochs=1, cam_threshold=0.4), tmp_path / "run")
    (tmp_path / "run" / "results.json").unlink()
    results = train_recipe(tiny_recipe(epochs=1, cam_threshold=0.4), tmp_path / "run")
    assert results["cam_threshold"] == 0.4
    recipe = RunDirectory(tmp_path / "run").read_recipe(ImageRecipe)
    assert recipe.cam_threshold == 0.4


def test_a_run_of_version_0_1_is_finished_and_keeps_its_task(
    few_parts, tiny_recipe, tmp_path, capsys
):
    """Its recipe.json does not state the task."""
    recipe = tiny_recipe(epochs=1)
    results = train_recipe(recipe, tmp_path / "run")
    file = tmp_path / "run" / "recipe.json"
    fields = json.loads(file.read_text())
    assert fields.pop("task") == "image_localization"
    file.write_text(json.dumps(fields))
    capsys.readouterr()
    assert train_recipe(recipe, tmp_path / "run") == results
    assert "is finished already" in capsys.readouterr().out
    assert RunDirectory(tmp_path / "run").read_task().recipe_class is ImageRecipe
    for content in ("{}", "[]", '{"task": "folding"}'):
        file.write_text(content)
        with pytest.raises(RunError, match=r"recipe\.json cannot be"):
            RunDirectory(tmp_path / "run").read_task()


def test_one_flipped_bit_in_the_weights_is_noticed_and_older_runs_without_checksum_load(
    few_parts, tiny_recipe, tmp_path
):
    results = train_recipe(tiny_recipe(epochs=1), tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoint.json"
    weights = next((tmp_path / "run").glob("*.weights.h5"))
    content = weights.read_bytes()
    (tmp_path / "run" / "results.json").unlink()
    place = len(content) * 2 // 3
    weights.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(RunError, match=rf"{weights.name} cannot be read.*not what was saved"):
        train_recipe(tiny_recipe(epochs=1), tmp_path / "run")
    weights.write_bytes(content)
    fields = json.loads(checkpoint.read_text())
    del fields["sha256"]
    checkpoint.write_text(json.dumps(fields))
    assert train_recipe(tiny_recipe(epochs=1), tmp_path / "run") == results


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("checkpoint.json", []),
        ("checkpoint.json", {}),
        ("checkpoint.json", {"weights": 3, "history": []}),
        ("checkpoint.json", {"weights": "../other.weights.h5", "history": []}),
        ("checkpoint.json", {"weights": "checkpoint_0001.weights.h5", "history": {}}),
        ("checkpoint.json", {"weights": "checkpoint_0001.weights.h5", "history": [3]}),
        ("checkpoint.json", {"weights": "checkpoint_0001.weights.h5", "history": [{"loss": "x"}]}),
        ("source.json", []),
        ("source.json", "text"),
        ("results.json", [1]),
        ("recipe.json", 3),
    ],
)
def test_files_of_a_run_with_values_of_the_wrong_type_are_named(
    file, content, tiny_recipe, tmp_path
):
    directory = RunDirectory(tmp_path / "run")
    directory.claim(tiny_recipe(), {"data_dir": None})
    (directory.path / "checkpoint.json").write_text("{}")
    (directory.path / file).write_text(json.dumps(content))
    with pytest.raises(RunError, match=rf"{file} cannot be read"):
        directory.claim(tiny_recipe(), {"data_dir": None})
        directory.read_results()
        directory.read_history()
