"""Clips of consecutive frames around evenly spaced times of a video, as a stream."""

import math
import os
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from keras_has.data.video.record_frames import RecordFrames
from keras_has.data.video.video_frames import VideoFrames


class VideoClips:
    """Iterates over the clips of a video, one for each feature.

    Feature t covers `[t, t + 1) / features_per_second` seconds, as everywhere in this project. Its
    clip consists of `clip_length` consecutive frames of the file, at the file's own rate, around
    the middle of that time, to the nearest half frame; a clip of one frame is the frame shown at
    that moment. At both ends of the video the first or last frame is repeated. The number of
    features is the number of middles within the duration, at least one. The position of clips
    within a feature's time and the repetition at the ends are this project's choice: the paper says
    10 features per second, each over 16 frames.

    Only the frames of about one clip are in memory, whatever the length of the video.

    Args:
        path: A video file, see `VideoFrames`; or a stream of frames with the same attributes, such
            as `RecordFrames`.
        clip_length: Frames per clip. Defaults to `16`.
        features_per_second: Defaults to `10`.
        prepare: Called with every frame, uint8 (height, width, 3), blue first; returns the frame
            of the clip. See `frame_preparation`. Defaults to `None`, which leaves frames unchanged.

    Attributes:
        frames: The stream of frames, with the duration of the video after the iteration.

    Raises:
        VideoError: While iterating, if the file cannot be read.
        ValueError: If `clip_length` is less than 1 or `features_per_second` is not positive.

    Example:

    >>> import cv2
    >>> writer = cv2.VideoWriter("v1.avi", cv2.VideoWriter_fourcc(*"MJPG"), 30, (32, 16))
    >>> for number in range(30):
    ...     _ = writer.write(np.full((16, 32, 3), 8 * number, np.uint8))
    >>> writer.release()
    >>> clips = VideoClips("v1.avi", 16, 10, frame_preparation((16, 16)))
    >>> len([clip.shape for clip in clips])
    10

    Reference:
        [Singh and Lee, 2017](https://arxiv.org/abs/1704.04232), section 4.4.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | RecordFrames,
        clip_length: int = 16,
        features_per_second: float = 10.0,
        prepare: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        if clip_length < 1:
            raise ValueError(
                f"`clip_length` should be at least 1. Received: clip_length={clip_length}"
            )
        if not 0 < features_per_second < math.inf:
            raise ValueError(
                "`features_per_second` should be greater than 0. "
                f"Received: features_per_second={features_per_second}"
            )
        self.frames = path if isinstance(path, RecordFrames) else VideoFrames(path)
        self.clip_length = clip_length
        self.features_per_second = features_per_second
        self.prepare = prepare

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yields clips, (clip_length, height, width, 3) as `prepare` returns the frames."""
        window: deque[np.ndarray] = deque()
        first = 0  # number of the first frame in the window
        starts: deque[int] = deque()  # of clips whose last frame has not been read yet
        placed = 0
        before = 0.0
        number = -1
        for number, (seconds, frame) in enumerate(self.frames):
            window.append(frame if self.prepare is None else self.prepare(frame))
            if number:
                for start in self._starts(placed, before, seconds, number - 1):
                    placed += 1
                    starts.append(start)
                while starts and starts[0] + self.clip_length <= number + 1:
                    yield self._clip(window, first, starts.popleft())
            before = seconds
            # Later clips are centred here or later.
            needed = starts[0] if starts else self._start(number)
            while first < needed:
                window.popleft()
                first += 1
        starts.extend(self._starts(placed, before, self.frames.duration, number))
        if not placed and not starts:
            starts.append(self._start(self.frames.num_frames / 2))
        for start in starts:
            yield self._clip(window, first, start)

    def _starts(self, placed: int, before: float, after: float, number: int) -> Iterator[int]:
        """Yields the starts of the clips whose middle is within the time of one frame."""
        while (middle := (placed + 0.5) / self.features_per_second) < after:
            yield self._start(number + (middle - before) / (after - before))
            placed += 1

    def _start(self, place: float) -> int:
        """Returns the first frame of the clip around a place, counted in frames."""
        return math.floor(place - self.clip_length / 2 + 0.5)

    def _clip(self, window: deque[np.ndarray], first: int, start: int) -> np.ndarray:
        places = np.arange(start, start + self.clip_length) - first
        return np.stack([window[place] for place in places.clip(0, len(window) - 1)])


def frame_preparation(
    crop: tuple[int, int],
    resize: tuple[int, int] | None = None,
    blue_first: bool = False,
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function that crops and resizes frames to the input size of a network.

    Args:
        crop: Height and width of the central crop.
        resize: Height and width to which the frame is resized before, bilinearly and without
            keeping its aspect ratio; `(128, 171)` for C3D. Defaults to `None`: the frame is resized
            to just cover `crop`, keeping its aspect ratio, by area averaging if it shrinks and
            bilinearly if it grows (this project's choice).
        blue_first: If true, the channels stay blue, green, red, as for C3D. If false (default),
            they become red, green, blue.

    Returns:
        A function from uint8 (height, width, 3), blue first, to uint8 (*crop, 3).

    Raises:
        ValueError: If a size is not positive, or `crop` is larger than `resize`.

    Example:

    >>> frame_preparation((112, 112), (128, 171))(np.zeros((240, 320, 3), np.uint8)).shape
    (112, 112, 3)
    """
    if min(crop) < 1 or (resize is not None and (resize[0] < crop[0] or resize[1] < crop[1])):
        raise ValueError(
            "`crop` should be positive, and `resize` not smaller. "
            f"Received: crop={crop}, resize={resize}"
        )

    def prepare(frame: np.ndarray) -> np.ndarray:
        import cv2

        if resize is None:
            factor = max(crop[0] / frame.shape[0], crop[1] / frame.shape[1])
            height = max(crop[0], round(frame.shape[0] * factor))
            width = max(crop[1], round(frame.shape[1] * factor))
            method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        else:
            height, width = resize
            method = cv2.INTER_LINEAR
        if frame.shape[:2] != (height, width):
            frame = cv2.resize(frame, (width, height), interpolation=method)
        top, left = (height - crop[0]) // 2, (width - crop[1]) // 2
        frame = frame[top : top + crop[0], left : left + crop[1]]
        return np.ascontiguousarray(frame if blue_first else frame[..., ::-1])

    return prepare
