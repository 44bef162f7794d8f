"""The generated default set of sequences: actions of one telling phase and several that hint."""

import numpy as np

from keras_has.data.dataset import Dataset
from keras_has.data.sources import FeatureArrays

NUM_CLASSES = 8
NUM_FEATURES = 24
SPLITS = {"train": 400, "val": 200, "test": 200}
SECONDS_PER_FEATURE = 0.2

_PHASES = 5
_LENGTHS = (40, 81)  # steps of an action
_STRONG, _WEAK = (3.0, 3.6), (2.4, 3.2)
_SLOW_NOISE, _FAST_NOISE = 0.35, 0.15
_SLOW_STEPS = 9


def generated_phases(split: str = "train", num_videos: int | None = None, seed: int = 0) -> Dataset:
    """Generates sequences of actions with one short, highly discriminative phase.

    A sequence lasts 40 to 80 s, with five features of 24 numbers per second, and contains one or
    two of eight actions, once each. An action lasts 8 to 16 s and has five phases. One of them,
    neither the first nor the last, has a strong pattern that occurs in this class only. The others
    alternate between two weaker patterns, which they share with other classes. The actions are
    surrounded by background with activities that occur with every class. A network that is trained
    to classify sequences learns the discriminative phases and nothing else; to find the whole
    action, it has to look at the other phases, which is what Hide-and-Seek is for. The times are
    exact.

    Args:
        split: "train" (400 sequences by default), "val" (200) or "test" (200).
        num_videos: Number of sequences, or `None` (default) for the split's own number.
        seed: Integer. Sequence i of a split depends on the seed, the split and i alone; the
            patterns are fixed.

    Returns:
        A `Dataset` in memory.

    Raises:
        ValueError: If `split` or `num_videos` is invalid.

    Example:

    >>> dataset = generated_phases("val", num_videos=10)
    >>> dataset.source.width(0), len(dataset["segments"][0]) > 0
    (24, True)
    """
    if split not in SPLITS:
        raise ValueError(f"`split` should be one of {tuple(SPLITS)}. Received: split={split}")
    count = SPLITS[split] if num_videos is None else num_videos
    if count < 1:
        raise ValueError(f"`num_videos` should be at least 1. Received: num_videos={num_videos}")
    strong, weak, ordinary = _signs()
    sequences, segments, labels = [], [], []
    for index in range(count):
        # One generator a sequence: the first ones do not depend on how many follow.
        random = np.random.default_rng((seed, sorted(SPLITS).index(split), index))
        sequence, ends, classes = _draw(random, strong, weak, ordinary)
        sequences.append(sequence)
        segments.append(ends)
        labels.append(classes)
    multi_hot = np.zeros((count, NUM_CLASSES), bool)
    for index, classes in enumerate(labels):
        multi_hot[index, classes] = True
    return Dataset(
        name=f"phases/{split}",
        ids=np.array([f"phases_{split}_{index:06d}" for index in range(count)]),
        columns={
            "labels": multi_hot,
            "duration": np.array([len(each) * SECONDS_PER_FEATURE for each in sequences]),
            "segments": tuple(segments),
            "segment_labels": tuple(labels),
        },
        source=FeatureArrays(tuple(sequences)),
        class_names=tuple(f"action_{label}" for label in range(NUM_CLASSES)),
    )


def _signs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns unit vectors: (classes, D) strong, (classes, D) weak, (4, D) ordinary signs."""
    random = np.random.default_rng(1704)
    signs = random.normal(size=(2 * NUM_CLASSES + 4, NUM_FEATURES))
    signs /= np.linalg.norm(signs, axis=1, keepdims=True)
    return signs[:NUM_CLASSES], signs[NUM_CLASSES:-4], signs[-4:]


def _draw(
    random: np.random.Generator, strong: np.ndarray, weak: np.ndarray, ordinary: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws a sequence; returns it, (T, D), its segments in seconds, (n, 2), and their classes."""
    steps = int(random.integers(200, 401))
    sequence = np.zeros((steps, NUM_FEATURES))
    for _ in range(3):  # Ordinary activities, anywhere.
        start, length = random.integers(0, steps - 20), random.integers(15, 60)
        sign = ordinary[random.integers(len(ordinary))]
        sequence[start : start + length] += random.uniform(1.5, 3.0) * sign
    labels = random.choice(NUM_CLASSES, random.integers(1, 3), replace=False)
    lengths = random.integers(*_LENGTHS, len(labels))
    # What is left is dealt out as background before, between and after, at least 2 s each.
    free = steps - lengths.sum() - 10 * (len(lengths) + 1)
    gaps = 10 + np.diff([0, *np.sort(random.integers(0, free + 1, len(lengths)))])
    starts = np.cumsum(gaps) + np.cumsum(lengths) - lengths
    for start, length, label in zip(starts, lengths, labels, strict=True):
        telling = random.integers(1, _PHASES - 1)  # Neither the first nor the last.
        shares = random.uniform(0.7, 1.3, _PHASES)
        ends = start + np.rint(np.cumsum(shares) / shares.sum() * length).astype(int)
        turn = random.integers(2)
        for place, (first, last) in enumerate(zip([start, *ends[:-1]], ends, strict=True)):
            if place == telling:
                sequence[first:last] += random.uniform(*_STRONG) * strong[label]
            else:
                sign = weak[(label + (place + turn) % 2) % NUM_CLASSES]
                sequence[first:last] += random.uniform(*_WEAK) * sign
    slow = random.normal(0, _SLOW_NOISE, (steps + _SLOW_STEPS - 1, NUM_FEATURES))
    sums = np.cumsum(np.pad(slow, ((1, 0), (0, 0))), axis=0)
    sequence += (sums[_SLOW_STEPS:] - sums[:-_SLOW_STEPS]) / np.sqrt(_SLOW_STEPS)
    sequence += random.normal(0, _FAST_NOISE, sequence.shape)
    segments = np.stack([starts, starts + lengths], axis=1) * SECONDS_PER_FEATURE
    return sequence.astype(np.float32), segments, labels
