"""The generated default dataset: objects with one discriminative part and a less telling body."""

from collections.abc import Callable

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.sources import ArrayImages
from keras_has.ops.opencv import opencv

NUM_CLASSES = 10
SPLITS = {"train": 4000, "val": 1000}

# Half of the classes show their pattern fine, half coarse; as shares of the image's side.
_PERIODS = (5.0 / 64, 9.0 / 64)


def generated_parts(
    split: str = "train",
    num_images: int | None = None,
    image_size: int = 64,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Generates images of objects with one small, highly discriminative part.

    Every object has a head and a body. The head is a small disc whose strong colour determines the
    class. The body is ten times as large and only weakly discriminative: its pale colour is often
    close to that of a neighbouring class, and its pattern depends on the class, too. Position, size
    and orientation are random, and so is the textured background. A network that is trained to
    classify learns the heads and nothing else; to find the whole object, it has to look at the
    bodies, which is what Hide-and-Seek is for. The box around head and body is exact.

    Args:
        split: "train" (4,000 images by default) or "val" (1,000).
        num_images: Number of images, or `None` (default) for the split's own number.
        image_size: Side of the square images in pixels, 64 to 96.
        seed: Integer. Image i of a split depends on the seed, the split and i alone.
        progress: Called with the number of images done and of all, or `None` (default).

    Returns:
        A `Dataset` in memory; classes alternate.

    Raises:
        ValueError: If `split`, `image_size` or `num_images` is invalid.

    Example:

    >>> dataset = generated_parts("val", num_images=20)
    >>> dataset.source.pixels.shape
    (20, 64, 64, 3)
    """
    if split not in SPLITS:
        raise ValueError(f'`split` should be "train" or "val". Received: split={split}')
    if not 64 <= image_size <= 96:
        raise ValueError(f"`image_size` should be in [64, 96]. Received: image_size={image_size}")
    count = SPLITS[split] if num_images is None else num_images
    if count < 1:
        raise ValueError(f"`num_images` should be at least 1. Received: num_images={num_images}")
    images = np.empty((count, image_size, image_size, 3), "uint8")
    boxes = []
    numbers = np.arange(count, dtype="int64")
    # Classes in turn, shifted by one each round: no class has only even or only odd numbers.
    labels = (numbers + numbers // NUM_CLASSES) % NUM_CLASSES
    for index in range(count):
        # One generator an image: the first images do not depend on how many follow.
        random = np.random.default_rng((seed, sorted(SPLITS).index(split), index))
        images[index], box = _draw(random, int(labels[index]), image_size)
        boxes.append(box)
        if progress is not None:
            progress(index + 1, count)
    return Dataset(
        name="parts",
        ids=np.array([f"parts_{split}_{index:06d}" for index in range(count)]),
        columns={
            "label": labels,
            "boxes": tuple(boxes),
            "image_size": np.full((count, 2), image_size, "int64"),
        },
        source=ArrayImages(images),
        class_names=tuple(f"part_{label}" for label in range(NUM_CLASSES)),
    )


def _draw(random: np.random.Generator, label: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws one image; returns it with its one box, (1, 4) float32."""
    cv2 = opencv()
    # All lengths are shares of the image's side, so that every size shows the same scene.
    length = random.uniform(0.36, 0.62) * size
    thickness = length * random.uniform(0.5, 0.75)
    head_radius = random.uniform(0.055, 0.075) * size
    turn = random.uniform(0, 2 * np.pi)
    axis = np.array([np.cos(turn), np.sin(turn)])
    margin = length / 2 + head_radius * 0.5
    centre = random.uniform(margin, size - margin, 2)
    head_centre = centre + axis * (length / 2 - head_radius * 0.5)
    body = np.zeros((size, size), "uint8")
    ellipse = (tuple(centre.tolist()), (length, thickness), float(np.rad2deg(turn)))
    cv2.ellipse(body, ellipse, 255, -1)
    head = np.zeros((size, size), "uint8")
    place = np.rint(head_centre * 8).astype(int).tolist()
    cv2.circle(head, place, round(head_radius * 8), 255, -1, shift=3)

    image = _texture(random, size)
    contrast = random.uniform(18, 30) * random.choice([-1, 1])
    colour = _hsv(label + random.normal(0, 0.8), random.uniform(50, 90), random.uniform(110, 200))
    pattern = _pattern(random, label, size)[..., None] * contrast
    image[body > 0] = (colour + pattern + random.normal(0, 10, (size, size, 3)))[body > 0]
    image[head > 0] = _hsv(
        label + random.uniform(-0.2, 0.2), random.uniform(200, 255), random.uniform(215, 255)
    )
    rows, columns = np.nonzero(body | head)
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return np.clip(image, 0, 255).astype("uint8"), np.array([box], "float32")


def _hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """Returns the RGB colour of a hue counted in classes round the colour circle."""
    cv2 = opencv()
    pixel = np.array([[[hue * 180 / NUM_CLASSES % 180, saturation, value]]], "uint8")
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].astype("float64")


def _pattern(random: np.random.Generator, label: int, size: int) -> np.ndarray:
    """Draws the body's pattern, (size, size) in about [-1, 1], at a random turn and phase."""
    period = _PERIODS[label // 5] * size * random.uniform(0.9, 1.1)
    turn, u_phase, v_phase = random.uniform(0, 2 * np.pi, 3)
    rows, columns = np.mgrid[:size, :size] * (2 * np.pi / period)
    u = columns * np.cos(turn) + rows * np.sin(turn) + u_phase
    v = rows * np.cos(turn) - columns * np.sin(turn) + v_phase
    if label % 5 == 0:  # stripes
        return np.sin(u)
    if label % 5 == 1:  # checks
        return np.sign(np.sin(u) * np.sin(v))
    if label % 5 == 2:  # dots
        return np.where(np.sin(u) + np.sin(v) > 0.9, 1.5, -0.5)
    if label % 5 == 3:  # waves
        return np.sin(u + 1.8 * np.sin(v * 0.7))
    return np.where(np.maximum(np.sin(u), np.sin(v)) > 0.85, 1.2, -0.6)  # mesh


def _texture(random: np.random.Generator, size: int) -> np.ndarray:
    """Draws a background: noise of several scales, mostly of brightness, a little of colour."""
    cv2 = opencv()
    image = np.zeros((size, size, 3)) + random.uniform(70, 180) + random.normal(0, 15, 3)
    for cells, amplitude in ((3, 30), (8, 20), (20, 14)):
        grey = random.normal(0, amplitude, (cells, cells, 1))
        noise = grey + random.normal(0, amplitude / 3, (cells, cells, 3))
        image += cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return image + random.normal(0, 8, (size, size, 3))
