"""Names that a user chooses from: flags, and messages that suggest the closest name."""

import difflib
from collections.abc import Collection

from absl import flags

flags.disclaim_key_flags()  # --help shows them as flags of the command that defines them

_LISTED = 12


def unknown_name(kind: str, name: str, names: Collection[str]) -> str:
    """Returns the message for a name that does not exist, with the closest ones.

    Args:
        kind: What is named, such as "recipe".
        name: What was given.
        names: What exists.

    Example:

    >>> unknown_name("recipe", "part_has", ["parts_has", "parts_gap"])
    "There is no recipe 'part_has'. Did you mean 'parts_has' or 'parts_gap'?"
    >>> unknown_name("split", "x", ["train", "val"])
    "There is no split 'x': it should be train or val."
    """
    by_lower_case = {one.lower(): one for one in names}
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=3, cutoff=0.7)
    if close:
        suggested = " or ".join(repr(by_lower_case[one]) for one in close)
        return f"There is no {kind} {name!r}. Did you mean {suggested}?"
    if len(names) <= _LISTED:
        *others, last = names
        listed = f"{', '.join(others)} or {last}" if others else last
        return f"There is no {kind} {name!r}: it should be {listed}."
    return f"There is no {kind} {name!r}. Choose one of: {', '.join(sorted(names))}."


def define_choice(
    name: str, names: Collection[str], help: str, required: bool = False
) -> flags.FlagHolder[str]:
    """Defines a flag for one of several names; an unknown one is answered with the closest.

    Args:
        name: The name of the flag.
        names: The values that it may have.
        help: Its help, to which the names are added.
        required: Whether it has to be given.
    """

    def check(value: str | None) -> bool:
        if value is None or value in names:
            return True
        raise flags.ValidationError(unknown_name(name, value, names))

    holder = flags.DEFINE_string(
        name, None, f"{help} One of: {', '.join(names)}.", required=required
    )
    flags.register_validator(name, check)
    return holder
