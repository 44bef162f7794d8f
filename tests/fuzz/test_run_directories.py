"""Mutated run directories: every file is read or refused by name, as an error the user can fix."""

import pytest

from trainers.engine import data_digest
from trainers.engine.run_directory import RunDirectory, open_finished
from trainers.engine.run_error import RunError
from trainers.tasks.registry import find_recipe

DIGEST = {
    "class_names": ["a", "b"],
    **{
        split: {
            "examples": 3,
            "examples_per_class": [1, 2],
            "sha256": split,
            "sha256_of_truth": split,
        }
        for split in ("train", "val")
    },
}
CHANGED = DIGEST | {
    "val": DIGEST["val"] | {"examples": 2, "examples_per_class": [1, 1], "sha256": "other"}
}
RECIPES = {"images": find_recipe("parts_has"), "videos": find_recipe("phases_has")}


def build_run(recipe):
    def build(folder):
        directory = RunDirectory(folder)
        directory.write("recipe.json", recipe.to_json())
        directory.write_json("source.json", {"data_dir": "data", "other": None})
        directory.write_json("results.json", {"gt_known_loc": 0.5, "curve": [0.1, float("nan")]})
        directory.write_json("data.json", DIGEST)
        history = [{"loss": 0.5, "val_loss": float("nan")}]
        values = {"weights": "checkpoint_0001.weights.h5", "history": history, "random": [[1, 2]]}
        directory.write_json("checkpoint.json", values)

    return build


def load_run(recipe):
    def load(folder):
        directory, found, results = open_finished(folder, type(recipe))
        assert directory.read_task().recipe_class is type(recipe)
        assert not recipe.differences(recipe)
        recipe.differences(found)
        assert isinstance(results, dict)
        directory.read_source()
        directory.read_history()
        data_digest.changes(directory.read_json("data.json"), CHANGED, str(folder))
        # The same command again, on the same data and on others.
        directory.claim(recipe, {"data_dir": "data", "other": None})
        directory.check_data(CHANGED, accept_changes=True)
        directory.write_json("data.json", DIGEST)

    return load


@pytest.mark.parametrize("kind", RECIPES)
def test_damaged_run_directories_are_read_or_refused_by_name(kind, fuzz):
    recipe = RECIPES[kind]
    name = f"run directory of {kind}"
    fuzz(name, build_run(recipe), "*.json", load_run(recipe), 700, errors=(RunError,))
