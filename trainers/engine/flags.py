"""A flag for every field of a recipe, which overrides it."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from absl import flags

from trainers.engine.choices import define_choice
from trainers.recipes.recipe import Recipe

RecipeType = TypeVar("RecipeType", bound=Recipe)
flags.disclaim_key_flags()  # --help shows them as flags of the command that defines them

_REGIMES = tuple[tuple[int, float, float], ...]
_recipe_flags: set[str] = set()


def define_recipe_flags(*recipe_classes: type[Recipe]) -> None:
    """Defines a flag for each field of some recipes; its help is the help of the field.

    Args:
        *recipe_classes: The classes of the recipes. A field of several of them has one flag.
    """
    datasets = dict.fromkeys(name for kind in recipe_classes for name in kind.DATASETS)
    all_fields = {field.name: field for kind in recipe_classes for field in _flag_fields(kind)}
    _recipe_flags.update(all_fields)
    for field in all_fields.values():
        text = f"{field.metadata['help']} Default: the recipe's."
        if field.name == "dataset":
            define_choice("dataset", list(datasets), text)
        elif field.type is bool:
            flags.DEFINE_boolean(field.name, None, text)
        elif field.type is int:
            flags.DEFINE_integer(field.name, None, text)
        elif field.type is float:
            flags.DEFINE_float(field.name, None, text)
        elif field.type is str:
            flags.DEFINE_string(field.name, None, text)
        else:
            flags.DEFINE_list(field.name, None, text)
            form = "FIRST:RATE:DECAY" if field.type == _REGIMES else "numbers"
            flags.register_validator(
                field.name,
                lambda values, field=field: _is_valid(values, field),
                f"--{field.name} should be {form}, separated by commas.",
            )


def recipe_from_flags(recipe: RecipeType) -> RecipeType:
    """Returns a recipe with the fields that the flags override.

    Raises:
        ValueError: If a value is out of range, or a flag is a field of other recipes only.
    """
    values = flags.FLAGS.flag_values_dict()
    names = {field.name for field in dataclasses.fields(recipe)}
    for name in _recipe_flags - names:
        if values.get(name) is not None:
            raise ValueError(
                f"--{name} is not a setting of the recipe {recipe.name}, which is for the task "
                f"{recipe.TASK}. Received: --{name}={values[name]}"
            )
    overrides = {
        field.name: _parse(values[field.name], field)
        for field in _flag_fields(type(recipe))
        if values.get(field.name) is not None
    }
    return recipe.override(**overrides)


def _flag_fields(recipe_class: type[Recipe]) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(recipe_class) if field.metadata["is_flag"]]


def _parse(value: Any, field: dataclasses.Field[Any]) -> Any:
    parsers: dict[Any, Callable[[str], Any]] = {
        tuple[int, ...]: int,
        tuple[float, ...]: _parse_number,
        _REGIMES: _parse_regime,
    }
    if field.type not in parsers:
        return value
    return tuple(parsers[field.type](text) for text in value if text.strip())


def _parse_number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _parse_regime(text: str) -> tuple[int, float, float]:
    first, rate, decay = text.split(":")
    return int(first), float(rate), float(decay)


def _is_valid(values: Sequence[str] | None, field: dataclasses.Field[Any]) -> bool:
    try:
        _parse(values or (), field)
    except ValueError:
        return False
    return True
