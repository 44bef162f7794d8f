"""The frames of a video file with their times, as a stream."""

import itertools
import math
import os
import stat
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from keras_has.data.folders import printable

VIDEO_EXTENSIONS = (
    *(".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"),
)
# Used if a file gives no valid frame rate, for frames whose time stamps are invalid too.
_ASSUMED_RATE = 25.0
# A longer pause between two frames is doubtful: is it a pause, or an invalid time stamp?
_LONG_PAUSE = 60.0
# It is a pause if as many time stamps continue from there, and it is no longer than a day.
_CONFIRMING_FRAMES = 5
_LONGEST_PAUSE = 24 * 60 * 60.0


class VideoError(ValueError):
    """A video file cannot be read.

    Args:
        path: The file.
        reason: What is wrong with it.

    Example:

    >>> print(VideoError("v1.mp4", "empty file"))
    v1.mp4: empty file. Restore the file, or leave its video out.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{printable(self.path)}: {self.reason}. Restore the file, or leave its video out."


class VideoFrames:
    """Iterates over the frames of a video file and the times at which they are shown.

    OpenCV decodes one frame after the other; none is kept, none is skipped. The number of frames
    that the container lists is not trusted: the video ends where decoding ends. Times are the
    container's time stamps relative to the first one, so variable frame rates are correct. A time
    stamp that does not increase is replaced by the previous time plus the duration of one frame,
    and counted. So is one that increases by more than a minute, unless the following ones confirm
    the pause: at least five more frames follow, whose times increase, most of them by at most twice
    the pause. A pause of more than a day is never accepted.

    Args:
        path: A file of any format that OpenCV reads. Its name may be any bytes.

    Attributes:
        num_frames: Frames decoded so far; all of them after the iteration.
        duration: Seconds, known after the iteration: the time of the last frame plus the mean time
            between two frames, without pauses of more than a minute.
        frame_rate: The mean number of frames per second, without these pauses.
        listed_frames: Number of frames according to the container, 0 if it does not say.
        odd_times: Number of time stamps that were replaced.
        pauses: Start and end in seconds of each pause of more than a minute.

    Raises:
        VideoError: While iterating, if the file cannot be read or has no frame.

    Example:

    >>> import cv2
    >>> writer = cv2.VideoWriter("v1.avi", cv2.VideoWriter_fourcc(*"MJPG"), 12.5, (32, 16))
    >>> for level in (0, 100, 200):
    ...     _ = writer.write(np.full((16, 32, 3), level, np.uint8))
    >>> writer.release()
    >>> frames = VideoFrames("v1.avi")
    >>> [(round(seconds, 3), frame.shape) for seconds, frame in frames]
    [(0.0, (16, 32, 3)), (0.08, (16, 32, 3)), (0.16, (16, 32, 3))]
    >>> round(frames.duration, 3)
    0.24
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self.num_frames = 0
        self.duration = 0.0
        self.frame_rate = 0.0
        self.listed_frames = 0
        self.odd_times = 0
        self.pauses: list[tuple[float, float]] = []

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yields seconds and frame, uint8 (height, width, 3), blue first."""
        import cv2

        self.num_frames = self.odd_times = 0
        self.pauses = []
        with _opened(self.path) as capture:
            rate = capture.get(cv2.CAP_PROP_FPS)
            is_sound = math.isfinite(rate) and 0 < rate <= 1000
            frame_time = 1 / (rate if is_sound else _ASSUMED_RATE)
            listed = capture.get(cv2.CAP_PROP_FRAME_COUNT)
            self.listed_frames = max(0, int(listed)) if math.isfinite(listed) else 0
            seconds = shift = 0.0
            frames = _decoded(capture)
            ahead: deque[tuple[float, np.ndarray]] = deque()
            while ahead or (ahead := deque(itertools.islice(frames, 1))):
                stamp, frame = ahead.popleft()
                if not self.num_frames:
                    shift = -stamp
                elif stamp + shift > seconds + _LONG_PAUSE:
                    ahead.extend(itertools.islice(frames, _CONFIRMING_FRAMES - len(ahead)))
                    longest = max((end - start for start, end in self.pauses), default=0.0)
                    stamps = [stamp, *(later for later, _ in ahead)]
                    if _is_pause(stamp + shift - seconds, longest, stamps):
                        self.pauses.append((seconds, stamp + shift))
                    else:
                        shift = seconds + frame_time - stamp
                        self.odd_times += 1
                elif not seconds < stamp + shift:
                    shift = seconds + frame_time - stamp
                    self.odd_times += 1
                seconds = stamp + shift
                self.num_frames += 1
                yield seconds, frame
        if not self.num_frames:
            raise VideoError(self.path, "no frame can be decoded")
        pause = sum(end - start for start, end in self.pauses)
        steps = self.num_frames - 1
        if steps > len(self.pauses):
            frame_time = (seconds - pause) / (steps - len(self.pauses))
        elif steps:
            frame_time = seconds / steps
        self.duration = seconds + frame_time
        self.frame_rate = 1 / frame_time


def _decoded(capture: Any) -> Iterator[tuple[float, np.ndarray]]:
    """Yields the time stamp in seconds and the pixels of each frame."""
    import cv2

    while True:
        # OpenCV does not say how a stream ends: a broken frame looks like the end.
        is_decoded, frame = capture.read()
        if not is_decoded:
            return
        yield capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, frame


def _is_pause(pause: float, longest_before: float, stamps: Sequence[float]) -> bool:
    """Returns whether the time stamps from a jump on confirm it: they continue from there.

    Args:
        pause: Length of the jump.
        longest_before: Length of the longest pause that was confirmed before, or 0.
        stamps: The first time stamp after the jump, and the following ones.
    """
    is_usual = pause <= 2 * longest_before  # As in a series of pictures, up to its last one.
    if pause > _LONGEST_PAUSE or (len(stamps) <= _CONFIRMING_FRAMES and not is_usual):
        return False
    steps = np.diff(stamps)
    return bool((steps > 0).all() and (not len(steps) or np.median(steps) <= 2 * pause))


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    import cv2

    file = Path(path)
    try:
        status = file.stat()
        size = status.st_size
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise VideoError(path, "not a regular file")  # Opening a pipe would wait forever.
        with file.open("rb"):
            pass
    except FileNotFoundError as error:
        raise VideoError(path, "missing") from error
    except OSError as error:
        raise VideoError(path, f"cannot be read ({error.strerror})") from error
    if not size:
        raise VideoError(path, "empty file")
    with tempfile.TemporaryDirectory() as folder:
        # OpenCV 5 crashes on names that are not UTF-8, and reads "%" in names as a pattern.
        link = Path(folder, "video" + (file.suffix if file.suffix.isascii() else ""))
        link.symlink_to(file.absolute())
        capture = None
        for backend in cv2.videoio_registry.getStreamBackends():
            if backend == cv2.CAP_IMAGES:
                continue
            capture = cv2.VideoCapture(str(link), backend)
            if capture.isOpened():
                break
            capture.release()
            capture = None
        if capture is None:
            raise VideoError(path, "cannot be opened as a video")
        try:
            yield capture
        finally:
            capture.release()
