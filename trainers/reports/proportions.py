"""Proportions as text, and their confidence intervals."""

import math

NO_VALUE = "\u2013"  # an en dash, for a cell without a number


def wilson_interval(hits: int, count: int, deviations: float = 1.96) -> tuple[float, float]:
    """Returns the Wilson score interval of a proportion.

    Args:
        hits: Number of successes.
        count: Number of trials.
        deviations: Half width in standard deviations; 1.96 for 95%.

    Returns:
        Lower and upper end, in [0, 1]; (0, 1) if `count` is 0.

    Example:

    >>> [round(end, 3) for end in wilson_interval(8, 10)]
    [0.49, 0.943]

    Reference:
        Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    if count == 0:
        return 0.0, 1.0
    share, square = hits / count, deviations**2
    centre = share + square / (2 * count)
    half = deviations * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    low, high = ((centre + sign * half) / (1 + square / count) for sign in (-1, 1))
    # Rounding must not move the proportion itself out of the interval.
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def percent(value: float | None, signed: bool = False) -> str:
    """Returns a fraction in percent with one decimal; a dash for None and non-finite values.

    Example:

    >>> percent(0.1234), percent(0.05, signed=True), percent(math.nan) == NO_VALUE
    ('12.3', '+5.0', True)
    """
    if value is None or not math.isfinite(value):
        return NO_VALUE
    return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"


def count_and_share(count: int, total: int) -> str:
    """Returns a count with its share of the total; the count alone if the total is 0.

    Example:

    >>> count_and_share(1, 8), count_and_share(0, 0)
    ('1 (12.5%)', '0')
    """
    return f"{count} ({100 * count / total:.1f}%)" if total else str(count)
