"""Shares as text, and how sure they are."""

import math

NOTHING = "\u2013"  # what a cell shows that has no number


def wilson_interval(hits: int, count: int, deviations: float = 1.96) -> tuple[float, float]:
    """Returns the interval that Wilson's score test gives for a share.

    Args:
        hits: How many were right.
        count: Of how many.
        deviations: Half width in standard deviations; 1.96 for 95 %.

    Returns:
        Lower and upper end, in [0, 1]; (0, 1) where there is nothing to count.

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
    # The share itself lies inside, also after rounding.
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def per_cent(value: float | None, signed: bool = False) -> str:
    """Returns a fraction as per cent with one digit; a dash for None and what is not finite.

    Example:

    >>> per_cent(0.1234), per_cent(0.05, signed=True), per_cent(math.nan) == NOTHING
    ('12.3', '+5.0', True)
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"
