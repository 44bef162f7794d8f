"""Collects the problems of a dataset's files, so that one error reports all of them."""

from collections.abc import Sequence

_MAX_LISTED = 10


class Problems:
    """Collects problems found in the files of a dataset: lists the first ten and counts all.

    Args:
        what: The subject of the message, such as the dataset's name.

    Example:

    >>> problems = Problems("The boxes")
    >>> problems.add("boxes.txt:3: no such image. Received: '7'")
    >>> try:
    ...     problems.raise_if_any()
    ... except ValueError as error:
    ...     print(error)
    The boxes should be sound. Received: 1 problem.
    boxes.txt:3: no such image. Received: '7'
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.count = 0
        self._listed: list[str] = []

    def add(self, problem: object) -> None:
        """Adds a problem: a sentence that names the file and line, or an error whose text does."""
        self.count += 1
        if len(self._listed) < _MAX_LISTED:
            self._listed.append(str(problem))

    def raise_if_any(self) -> None:
        """Raises a `ValueError` that describes the problems, if there are any."""
        if not self.count:
            return
        lines = [f"{self.what} should be sound. Received: {self.count} problem"]
        lines[0] += "." if self.count == 1 else "s."
        lines += self._listed
        if self.count > len(self._listed):
            lines.append(f"... and {self.count - len(self._listed)} more.")
        raise ValueError("\n".join(lines))


def name_some(names: Sequence[str]) -> str:
    """Returns how many names there are, and the first ten of them.

    Example:

    >>> name_some(["a.jpg", "b.jpg"])
    "2: 'a.jpg', 'b.jpg'"
    """
    listed = ", ".join(repr(name) for name in names[:_MAX_LISTED])
    rest = len(names) - _MAX_LISTED
    return f"{len(names)}: {listed}" + (f" and {rest} more" if rest > 0 else "")
