"""Names that a user mistypes are answered with the closest name."""

import pytest
from absl import flags

from trainers.engine.choices import define_choice, unknown_name
from trainers.tasks.registry import find_recipe


@pytest.mark.parametrize(
    ("name", "names", "suggested"),
    [
        ("mobilenetv2", ["MobileNetV2", "ResNet50"], "'MobileNetV2'"),
        ("ResNet5", ["MobileNetV2", "ResNet50", "ResNet50V2"], "'ResNet50'"),
        ("quite_another", ["a", "b", "c"], "a, b or c"),
        ("quite_another", ["only"], "be only."),
        ("quite_another", [f"r{n:02d}" for n in range(20)], "r00, r01, .*r19"),
    ],
)
def test_the_closest_names_come_first_and_otherwise_all(name, names, suggested):
    with pytest.raises(AssertionError, match=suggested):
        raise AssertionError(unknown_name("model", name, names))


def test_a_misspelt_recipe_gets_a_suggestion_instead_of_all_names():
    with pytest.raises(ValueError, match="'parts_has'") as caught:
        find_recipe("part_has")
    assert len(str(caught.value)) < 120


def test_a_flag_accepts_its_names_and_suggests_one_for_others(monkeypatch):
    values = flags.FlagValues()
    monkeypatch.setattr(flags, "DEFINE_string", _defining(flags.DEFINE_string, values))
    monkeypatch.setattr(flags, "register_validator", _defining(flags.register_validator, values))
    define_choice("dataset", ["folder", "parts"], "The dataset.")
    values(["command", "--dataset=parts"])
    assert values["dataset"].value == "parts"
    assert "folder, parts" in values["dataset"].help
    with pytest.raises(flags.IllegalFlagValueError, match="'folder'"):
        values(["command", "--dataset=foler"])


def _defining(function, values):
    return lambda *args, **kwargs: function(*args, **kwargs, flag_values=values)
