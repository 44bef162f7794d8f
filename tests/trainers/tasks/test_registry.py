"""The registry: tasks, their recipes, and the task of a run directory."""

import json

import pytest

from trainers.recipes import Recipe
from trainers.tasks.registry import TASKS, find_recipe, find_task, task_of_fields


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_entry_is_complete(name):
    pytest.importorskip("tensorflow")
    from trainers.tasks.task import Task

    entry = find_task(name)
    assert entry.name == name == entry.recipe_class.TASK
    assert issubclass(entry.recipe_class, Recipe)
    task_class = entry.task_class()
    assert issubclass(task_class, Task)
    assert task_class.columns
    # Every dataset can be read and has a default recipe.
    assert set(entry.recipe_class.DATASETS) == set(task_class.readers)
    assert set(entry.recipe_class.DATASETS) == set(entry.default_recipes)
    assert set(entry.default_recipes.values()) <= set(entry.recipes)


def test_names_of_recipes_are_unique():
    names = [name for entry in TASKS.values() for name in entry.recipes]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("recipe", ["parts_has", "phases_has"])
def test_the_task_is_read_from_the_recipe_and_inferred_for_version_0_1(recipe):
    fields = json.loads(find_recipe(recipe).to_json())
    expected = find_task(fields["task"])
    assert task_of_fields(fields) is expected
    del fields["task"]
    assert task_of_fields(fields) is expected
    assert expected.recipe_class.from_json(json.dumps(fields)) == find_recipe(recipe)


def test_what_is_not_a_recipe_of_a_known_task_is_refused():
    with pytest.raises(ValueError, match='"task"'):
        task_of_fields({"epochs": 3})
    with pytest.raises(ValueError, match="'folding'"):
        task_of_fields({"task": "folding"})
    text = find_recipe("parts_has").to_json()
    with pytest.raises(ValueError, match="image_localization"):
        find_task("temporal_localization").recipe_class.from_json(text)
