"""Fields of recipes: what each one means, whether it is a flag, and what it decides."""

import dataclasses
from typing import Any, Literal

Role = Literal["training", "evaluation", "description"]


def field(
    default: Any = dataclasses.MISSING,
    *,
    help: str,
    default_factory: Any = dataclasses.MISSING,
    role: Role = "training",
    is_flag: bool = True,
) -> Any:
    """Declares a field of a recipe together with its help text.

    Args:
        default: Its default; leave it out if every recipe has to give a value.
        help: What the field means, with its unit: the help of its flag.
        default_factory: A function that returns the default, for mutable values.
        role: "training" if it affects the trained weights, "evaluation" if it only affects how a
            trained network is evaluated, "description" if it does not affect the results.
        is_flag: Whether the commands have a flag of the same name that overrides it.

    Returns:
        A `dataclasses.field` with this as its metadata.

    Example:

    >>> import dataclasses
    >>> @dataclasses.dataclass(kw_only=True)
    ... class Settings:
    ...     epochs: int = field(12, help="Number of epochs.")
    >>> dataclasses.fields(Settings)[0].metadata["help"]
    'Number of epochs.'
    """
    metadata = {"help": help, "role": role, "is_flag": is_flag}
    if default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=default_factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
