"""Score maps in the protocol of Choe et al.: resized and normalized to [0, 1]."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_has.ops.opencv import opencv

RESIZE = (224, 224)
LEVELS = 255  # A quantized map has values from 0 to 255; level `t` is the mask `map > t`.


def normalized_score_map(
    score_map: ArrayLike, size: tuple[int, int] | None = RESIZE
) -> NDArray[np.float64]:
    """Resizes a score map and normalizes its values to `[0, 1]`.

    The map is resized in double precision with OpenCV's bicubic interpolation. Then its minimum is
    subtracted, and the result is divided by its maximum. A map that is constant or contains NaN
    becomes all zeros. So does a map with an infinite value, at which the authors' code stops. As in
    that code, whether the map is constant is tested after resizing: resizing a constant such as 0.3
    can leave rounding differences, which are then normalized. See `shows_nothing`.

    Args:
        score_map: Numeric array of shape `(height, width)`.
        size: Height and width of the result, or `None` to keep the size. Defaults to `(224, 224)`.

    Returns:
        A float64 array with minimum 0 and maximum 1, or all zeros if the map shows nothing.

    Raises:
        ValueError: If `score_map` is not numeric, of rank 2 and with at least one pixel.

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
    """Resizes a score map and returns the numbers that normalize it.

    Args:
        score_map: See `normalized_score_map`.
        size: See `normalized_score_map`.

    Returns:
        The resized map, a new float64 array; its minimum; and the range of its values, which is 0
        if the map cannot be normalized. `(scores - minimum) / range` is the normalized map.

    Raises:
        ValueError: If `score_map` is not numeric, of rank 2 and with at least one pixel.

    Example:

    >>> resized_score_map([[1.0, 2.0], [3.0, 5.0]], size=None)[1:]
    (1.0, 4.0)
    """
    scores = np.asarray(score_map)
    if scores.ndim != 2 or not scores.size or scores.dtype.kind not in "fiub":
        raise ValueError(
            "`score_map` should be an array of real numbers with the shape (height, width) and at "
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
    """Returns whether a score map, before resizing, is constant or has a value that is not finite.

    Args:
        score_map: Numeric array.

    Returns:
        A boolean.

    Example:

    >>> shows_nothing([[0.3, 0.3]]), shows_nothing([[0.3, 0.4]])
    (True, False)
    """
    scores = np.asarray(score_map)
    return not np.isfinite(scores).all() or bool(scores.min() == scores.max())
