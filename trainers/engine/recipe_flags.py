"""Every field of a recipe as a flag that overrides it."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from absl import flags

from trainers.recipes import Recipe

RecipeType = TypeVar("RecipeType", bound=Recipe)
flags.disclaim_key_flags()  # --help shows them as those of the command that defines them here

_NOT_FLAGS = ("name", "description", "published", "choices")
_REGIMES = tuple[tuple[int, float, float], ...]


def define_recipe_flags(kind: type[Recipe]) -> None:
    """Defines a flag for each field that decides something.

    Args:
        kind: The class of the recipe.
    """
    texts = _help_of_fields(kind)
    for field in dataclasses.fields(kind):
        if field.name in _NOT_FLAGS:
            continue
        text = texts[field.name] + " Default: the recipe's."
        if field.name == "dataset":
            flags.DEFINE_enum("dataset", None, kind.DATASETS, text)
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
            flags.register_validator(
                field.name,
                lambda values, of=field: _is_readable(values, of),
                f"--{field.name} should be "
                + (
                    "FIRST:RATE:DECAY, with commas between them."
                    if field.type == _REGIMES
                    else "numbers with commas between them."
                ),
            )


def recipe_from_flags(recipe: RecipeType) -> RecipeType:
    """Returns a recipe with what the flags override.

    Raises:
        ValueError: If a value is outside its range.
    """
    values = flags.FLAGS.flag_values_dict()
    overrides = {
        field.name: _parsed(values[field.name], field)
        for field in dataclasses.fields(recipe)
        if field.name not in _NOT_FLAGS and values.get(field.name) is not None
    }
    return recipe.override(**overrides)


def _parsed(value: Any, field: dataclasses.Field[Any]) -> Any:
    numbers: dict[Any, Callable[[str], Any]] = {
        tuple[int, ...]: int,
        tuple[float, ...]: float,
        _REGIMES: _regime,
    }
    if field.type not in numbers:
        return value
    return tuple(numbers[field.type](each) for each in value if each.strip())


def _regime(text: str) -> tuple[int, float, float]:
    first, rate, decay = text.split(":")
    return int(first), float(rate), float(decay)


def _is_readable(values: Sequence[str] | None, field: dataclasses.Field[Any]) -> bool:
    try:
        _parsed(values or (), field)
    except ValueError:
        return False
    return True


def _help_of_fields(kind: type[Recipe]) -> dict[str, str]:
    """Returns what the docstrings of a class of recipes, and of its bases, say of each field."""
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        name = ""
        for line in (base.__doc__ or "").split("Args:")[1].splitlines():
            if line.startswith(" " * 8) and not line.startswith(" " * 9):
                name, texts_of_line = line.strip().split(": ", 1)
                texts[name] = texts_of_line
            elif line.strip():
                texts[name] += " " + line.strip()
    return texts
