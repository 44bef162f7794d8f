"""Collecting what is wrong with a data set's files, so that all of it is told at once."""

_SHOWN = 10


class Problems:
    """What is wrong with the files of a data set: the first ten in words, all of them counted.

    Args:
        what: The data set, to begin the message with.

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
        self._shown: list[str] = []

    def add(self, problem: object) -> None:
        """Notes one problem: a sentence that names file and line, or the error that does."""
        self.count += 1
        if len(self._shown) < _SHOWN:
            self._shown.append(str(problem))

    def raise_if_any(self) -> None:
        """Raises `ValueError` with all that was noted; does nothing where that is nothing."""
        if not self.count:
            return
        lines = [f"{self.what} should be sound. Received: {self.count} problem"]
        lines[0] += "." if self.count == 1 else "s."
        lines += self._shown
        if self.count > len(self._shown):
            lines.append(f"... and {self.count - len(self._shown)} more.")
        raise ValueError("\n".join(lines))
