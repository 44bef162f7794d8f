"""Old names that keep working for a while and say what to use instead."""

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any

REMOVAL_VERSION = "0.4"


def warn_renamed(old: str, new: str, stacklevel: int = 3) -> None:
    """Warns that a name has changed.

    Args:
        old: The name that was used, as users write it.
        new: What to use instead.
        stacklevel: Which caller the warning points at, see `warnings.warn`.

    Example:

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_renamed("keras_has.data.parts", "keras_has.data.generated_parts")
    >>> print(caught[0].message)
    `keras_has.data.parts` is deprecated and will be removed in version 0.4. Use
    `keras_has.data.generated_parts` instead.
    """
    warnings.warn(
        f"`{old}` is deprecated and will be removed in version {REMOVAL_VERSION}. "
        f"Use `{new}` instead.",
        DeprecationWarning,
        stacklevel=stacklevel,
    )


def warn_argument(argument: str, advice: str, stacklevel: int = 3) -> None:
    """Warns that the value given for an argument will no longer be supported.

    Args:
        argument: The argument as users write it, such as `Ensemble(normalise=True)`.
        advice: What to do instead, a sentence.
        stacklevel: Which caller the warning points at, see `warnings.warn`.

    Example:

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_argument("resize(antialias=True)", "Resize with Pillow before.")
    >>> print(caught[0].message)
    `resize(antialias=True)` is deprecated and will be removed in version 0.4. Resize with Pillow
    before.
    """
    warnings.warn(
        f"`{argument}` is deprecated and will be removed in version {REMOVAL_VERSION}. {advice}",
        DeprecationWarning,
        stacklevel=stacklevel,
    )


def renamed_attributes(module: str, new_names: Mapping[str, str]) -> Callable[[str], Any]:
    """Returns a module's `__getattr__` that resolves old names and warns about them.

    Args:
        module: The module's `__name__`.
        new_names: From an old name to the full path of what replaces it, such as
            `{"parts": "keras_has.data.generated_parts"}`.
    """

    def resolve(name: str) -> Any:
        if name not in new_names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        new = new_names[name]
        warn_renamed(f"{module}.{name}", new)
        package, _, attribute = new.rpartition(".")
        return getattr(importlib.import_module(package), attribute)

    return resolve
