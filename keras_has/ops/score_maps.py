"""Score maps as the protocol of Choe et al. has them: resized, spread over [0, 1]."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_has.ops.opencv import opencv

RESIZE = (224, 224)


def normalized_score_map(
    score_map: ArrayLike, size: tuple[int, int] | None = RESIZE
) -> NDArray[np.float64]:
    """Resizes a score map and spreads its values over `[0, 1]`.

    The map is resized in double precision with OpenCV's bicubic interpolation; then its minimum is
    subtracted and what is left divided by its maximum. Where nothing can be spread, all is 0: a
    constant map, one with a NaN. So is one with an infinite value, at which the authors' code
    stops. Whether the map is constant is asked after resizing, as there: a constant such as 0.3 can
    come out with differences of rounding, and these are spread. See `shows_nothing`.

    Args:
        score_map: Array of shape `(height, width)`, of any numbers.
        size: Height and width wanted. Defaults to `(224, 224)`. `None`: as it is.

    Returns:
        A float64 array. It holds 0 and 1, or 0 alone for a map that shows nothing.

    Raises:
        ValueError: If `score_map` is not of rank 2 with at least one pixel, or not of numbers.

    Example:

    >>> normalized_score_map([[1.0, 2.0], [3.0, 5.0]], size=None).tolist()
    [[0.0, 0.25], [0.5, 1.0]]
    >>> normalized_score_map([[1.0, float("nan")]], size=None).tolist()
    [[0.0, 0.0]]

    Reference:
        Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020,
        and their code, https://github.com/clovaai/wsolevaluation.
    """
    scores, low, span = resized_score_map(score_map, size)
    if not span:
        return np.zeros_like(scores)
    scores -= low
    scores /= span
    return scores


def resized_score_map(
    score_map: ArrayLike, size: tuple[int, int] | None = RESIZE
) -> tuple[NDArray[np.float64], float, float]:
    """Resizes a score map and says what spreads its values over `[0, 1]`.

    Args:
        score_map: As of `normalized_score_map`.
        size: As of `normalized_score_map`.

    Returns:
        The resized map, a new float64 array; its minimum; and the range of its values, which is 0
        where nothing can be spread. `(scores - minimum) / range` is the normalised map.

    Raises:
        ValueError: If `score_map` is not of rank 2 with at least one pixel, or not of numbers.

    Example:

    >>> resized_score_map([[1.0, 2.0], [3.0, 5.0]], size=None)[1:]
    (1.0, 4.0)
    """
    scores = np.asarray(score_map)
    if scores.ndim != 2 or not scores.size or scores.dtype.kind not in "fiub":
        raise ValueError(
            "`score_map` should be an array of real numbers, of shape (height, width) with at "
            f"least one pixel. Received: shape={scores.shape}, dtype={scores.dtype}"
        )
    scores = np.array(scores, dtype=np.float64, order="C")
    with np.errstate(over="ignore", invalid="ignore"):
        if size is not None and np.isfinite(scores).all():
            height, width = size
            scores = opencv().resize(scores, (width, height), interpolation=opencv().INTER_CUBIC)
        elif size is not None:
            return np.zeros(size), 0.0, 0.0
        low, high = float(scores.min()), float(scores.max())
        span = high - low  # The maximum of the differences: rounding keeps their order.
        return scores, low, span if np.isfinite(span) else 0.0


def shows_nothing(score_map: ArrayLike) -> bool:
    """Whether a score map, before any resizing, is constant or holds what is not finite.

    Args:
        score_map: Array of numbers.

    Returns:
        A boolean.

    Example:

    >>> shows_nothing([[0.3, 0.3]]), shows_nothing([[0.3, 0.4]])
    (True, False)
    """
    scores = np.asarray(score_map)
    return not np.isfinite(scores).all() or bool(scores.min() == scores.max())
