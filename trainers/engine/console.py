"""Console output: one progress bar, the line of an epoch, tables in percent, lists of problems."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

_TITLE_WIDTH = 46


def is_terminal() -> bool:
    """Returns whether a person watches: whether standard output is a terminal."""
    return sys.stdout.isatty()


def progress(title: str, unit: str = "example") -> Callable[[int, int], None] | None:
    """Returns a function that shows a progress bar, or `None` if there is no terminal.

    Args:
        title: What is in progress; printed above the bar.
        unit: What is counted, in the singular.

    Returns:
        A function of the number done and the total number, which draws the bar.
    """
    if not is_terminal():
        return None
    bar: Any = None

    def show(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            from keras.utils import Progbar

            print(title, flush=True)
            bar = Progbar(total, unit_name=unit)
        bar.update(done)

    return show


def epoch_line(epoch: int, epochs: int, figures: str, seconds: float) -> str:
    """Returns the summary line of an epoch.

    Args:
        epoch: Its number, from 1.
        epochs: How many there are.
        figures: Its figures, as text.
        seconds: How long it took.
    """
    return f"epoch {epoch:>{len(str(epochs))}}/{epochs}  {figures}  {seconds:.0f} s"


def percent_rows(rows: Iterable[tuple[str, float, str]]) -> list[str]:
    """Returns the lines of a table in percent.

    Args:
        rows: Title, value as a fraction, and remark of each row.

    Example:

    >>> percent_rows([("Top-1 Clas", 0.5, "of 10 images")])
    ['  Top-1 Clas                                      50.0  of 10 images']
    """
    return [
        f"  {title:<{_TITLE_WIDTH}}{100 * value:6.1f}  {remark}".rstrip()
        for title, value, remark in rows
    ]


def print_problems(title: str, problems: Sequence[Any], limit: int | None = 20) -> None:
    """Prints how many problems there are, and the first of them.

    Args:
        title: What they are; the number is put in front.
        problems: One entry for each.
        limit: How many to print; `None` for all. Defaults to `20`.
    """
    if not problems:
        return
    print(f"{len(problems)} {title}:")
    for problem in problems[:limit]:
        print(f"  {problem}")
    if limit is not None and len(problems) > limit:
        print(f"  and {len(problems) - limit} more")
