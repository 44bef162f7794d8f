"""Classification while a growing share of the object is covered.

The paper argues that a network trained with hiding recognizes objects that are partly visible. To
measure this, a rectangle of one colour is drawn at a random position in each true box.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

SHARES = (0.0, 0.1, 0.25, 0.5, 0.75)


def cover_boxes(boxes: ArrayLike, share: float, places: ArrayLike) -> NDArray[np.float64]:
    """Returns a cover for each box: inside it, of its shape, with a share of its area.

    At the same position a larger cover contains the smaller ones, so that nothing becomes visible
    again as the share grows.

    Args:
        boxes: (..., 4) "xyxy".
        share: Share of the area, in [0, 1].
        places: (..., 2) in [0, 1]: relative position, from left to right and from top to bottom.

    Returns:
        (..., 4) "xyxy" float64.

    Example:

    >>> cover_boxes([0, 0, 40, 20], 0.25, [1, 0]).tolist()
    [20.0, 0.0, 40.0, 10.0]
    """
    boxes = np.asarray(boxes, "float64")
    sides = boxes[..., 2:] - boxes[..., :2]
    covered = sides * np.sqrt(share)
    corner = boxes[..., :2] + np.asarray(places, "float64") * (sides - covered)
    return np.concatenate([corner, corner + covered], axis=-1)


def random_places(number: int, boxes: int, seed: int) -> NDArray[np.float64]:
    """Returns (boxes, 2) random positions, which depend on the seed and the image's index only."""
    return np.random.default_rng((seed, number)).uniform(size=(boxes, 2))


def cover_image(
    image: ArrayLike, boxes: ArrayLike, share: float, places: ArrayLike, colour: ArrayLike
) -> NDArray[Any]:
    """Covers a share of each box in a copy of an image.

    Args:
        image: (H, W, C).
        boxes: (N, 4) "xyxy" relative to the image: 0 is its left or top edge, 1 its right or
            bottom edge.
        share: Share of each box's area.
        places: (N, 2), see `cover_boxes`.
        colour: (C,) colour of the cover.

    Returns:
        (H, W, C) with the dtype of the image. Covers have edges at whole pixels.
    """
    covered = np.array(image)
    height, width = covered.shape[:2]
    for cover in cover_boxes(boxes, share, places):
        left, top, right, bottom = np.rint(cover * [width, height, width, height]).astype(int)
        covered[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = colour
    return covered


def accuracy_under_covers(
    probabilities: Callable[[np.ndarray], ArrayLike],
    batches: Any,
    colour: ArrayLike,
    seed: int,
    shares: Sequence[float] = SHARES,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.bool_]:
    """Returns which images are classified right while shares of their objects are covered.

    The cover of an image depends only on the seed and the position of the image in the data, so
    that every network sees the same covers.

    Args:
        probabilities: Function from uint8 images (B, H, W, 3) to probabilities (B, classes).
        batches: Dicts of arrays, as from `keras_has.data.evaluation_batches`. All images must have
            a box.
        colour: (3,) colour of the covers.
        seed: Seed of the positions.
        shares: Shares of the boxes to cover.
        progress: Called after each batch with the number of images done, twice; or None.

    Returns:
        (images, shares) booleans.
    """
    is_right: list[NDArray[np.bool_]] = []
    count = 0
    shade = np.rint(np.clip(colour, 0, 255)).astype("uint8")
    for batch in batches:
        images, labels = np.asarray(batch["image"]), np.asarray(batch["label"])
        boxes = np.asarray(batch["boxes"]) / np.asarray(batch["size"])[:, None, [1, 0, 1, 0]]
        is_box = boxes[..., 0] < boxes[..., 2]
        of_shares = []
        for share in shares:
            covered = images
            if share > 0:
                covered = np.stack(
                    [
                        cover_image(
                            image,
                            boxes[row][is_box[row]],
                            share,
                            random_places(count + row, int(is_box[row].sum()), seed),
                            shade,
                        )
                        for row, image in enumerate(images)
                    ]
                )
            of_shares.append(np.asarray(probabilities(covered)).argmax(axis=1) == labels)
        is_right.append(np.stack(of_shares, axis=1))
        count += len(images)
        if progress is not None:
            progress(count, count)
    return np.concatenate(is_right)
