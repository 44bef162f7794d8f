"""Flags of recipes: every field has one, with the help of the field."""

import dataclasses

import pytest
from absl import flags

from trainers.engine.flags import define_recipe_flags, recipe_from_flags
from trainers.tasks.registry import TASKS, find_recipe


@pytest.fixture
def parse(monkeypatch):
    """Returns a function from tasks and arguments to the parsed flags, apart from all others."""

    def parse(tasks, *arguments):
        values = flags.FlagValues()
        for kind in ("enum", "boolean", "integer", "float", "string", "list"):
            define = getattr(flags, f"DEFINE_{kind}")

            def define_here(*args, define=define, **kwargs):
                return define(*args, flag_values=values, **kwargs)

            monkeypatch.setattr(flags, f"DEFINE_{kind}", define_here)
        register = flags.register_validator
        monkeypatch.setattr(
            flags,
            "register_validator",
            lambda *args: register(*args, flag_values=values),
        )
        monkeypatch.setattr(flags, "FLAGS", values)
        define_recipe_flags(*(TASKS[task].recipe_class for task in tasks.split()))
        values(["command", *arguments])
        return values

    return parse


@pytest.mark.parametrize("task", sorted(TASKS))
def test_every_field_that_can_be_overridden_is_a_flag_with_its_help(task, parse):
    values = parse(task)
    fields = dataclasses.fields(TASKS[task].recipe_class)
    without_flag = {field.name for field in fields} - set(values)
    assert without_flag == {field.name for field in fields if not field.metadata["is_flag"]}
    assert without_flag >= {"name", "description", "published", "choices", "overridden"}
    for field in fields:
        assert field.metadata["help"]
        if field.metadata["is_flag"]:
            assert field.metadata["help"] in values[field.name].help


def test_flags_override_the_recipe(parse):
    parse(
        "image_localization",
        "--patch_size=0,8",
        "--nonesterov",
        "--hide_probability=0.25",
        "--schedule=regimes",
        "--regimes=0:0.1:5e-4,2:0.01:0",
    )
    recipe = recipe_from_flags(find_recipe("parts_has"))
    assert recipe.patch_size == (0, 8)
    assert recipe.nesterov is False
    assert recipe.hide_probability == 0.25
    assert recipe.regimes == ((0, 0.1, 5e-4), (2, 0.01, 0.0))
    assert recipe.widths == find_recipe("parts_has").widths


@pytest.mark.parametrize("argument", ["--patch_size=big", "--regimes=0:0.1", "--epochs=few"])
def test_values_that_cannot_be_parsed_are_refused_by_name(argument, parse):
    name = argument[2:].split("=")[0]
    with pytest.raises(flags.Error, match=name):
        parse("image_localization", argument)


@pytest.mark.parametrize(
    ("argument", "recipe", "task"),
    [
        ("--padding=4", "parts_has", "image_localization"),
        ("--augmentation=cutmix", "tiny_imagenet_has", "image_localization"),
        ("--crops=10", "resnet50_has", "classification"),
        ("--cam=grad_cam", "cifar10_small_has", "classification"),
        ("--nonested", "cifar10_small_has", "classification"),
    ],
)
def test_a_flag_of_another_task_of_the_command_is_refused_with_its_value(
    argument, recipe, task, parse
):
    parse("image_localization classification", argument)
    name, _, value = argument.removeprefix("--").removeprefix("no").partition("=")
    with pytest.raises(ValueError, match=f"--{name} .*{recipe}.*{task}.*--{name}={value or False}"):
        recipe_from_flags(find_recipe(recipe))


@pytest.mark.parametrize("recipe", ["cifar10_small_full", "parts_has"])
def test_a_flag_of_both_tasks_of_the_command_overrides_either(recipe, parse):
    parse("image_localization classification", "--patch_size=4")
    assert recipe_from_flags(find_recipe(recipe)).patch_size == (4,)


def test_sizes_may_be_pixels_or_fractions_and_probabilities_several(parse):
    parse("image_localization", "--patch_size=0,16,0.25", "--hide_probabilities=0.1,1")
    recipe = recipe_from_flags(find_recipe("parts_has"))
    assert recipe.patch_size == (0, 16, 0.25)
    assert [type(size) for size in recipe.patch_size] == [int, int, float]
    assert recipe.hide_probabilities == (0.1, 1)
