"""The frames of videos in TFRecord files, as a stream like those of a video file."""

import os
from collections.abc import Iterator

import numpy as np

from keras_has.data.records.sequence_records import RecordPlace, read_frames, video_places
from keras_has.data.video.video_frames import VideoError


class RecordFrames:
    """Iterates over the frames of one video that `write_sequence_records` stored with `frames`.

    Args:
        place: Where the record lies, see `record_videos`.
        frames_per_second: At what rate the frames were stored.

    Attributes:
        path: The file of the record.
        num_bytes: Size of the record.
        num_frames: Number of frames, known after the iteration.
        duration: Seconds, known after the iteration.
        frame_rate: `frames_per_second`.
        listed_frames: 0: a record does not list its frames.
        odd_times: 0: frames in records are evenly spaced.
        pauses: Empty, likewise.

    Raises:
        VideoError: While iterating, if the record has no frame or one cannot be decoded.
    """

    def __init__(self, place: RecordPlace, frames_per_second: float) -> None:
        self.place = place
        self.path = place.path
        self.num_bytes = place.length
        self.frame_rate = frames_per_second
        self.num_frames = 0
        self.duration = 0.0
        self.listed_frames = 0
        self.odd_times = 0
        self.pauses: list[tuple[float, float]] = []

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yields seconds and frame, uint8 (height, width, 3), blue first."""
        import cv2

        self.num_frames = 0
        for encoded in read_frames(self.place):
            try:
                frame = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
            except cv2.error:  # Nothing to decode, or too many pixels.
                frame = None
            if frame is None:
                raise VideoError(self.path, f"frame {self.num_frames} cannot be decoded")
            self.num_frames += 1
            yield (self.num_frames - 1) / self.frame_rate, frame
        if not self.num_frames:
            raise VideoError(self.path, "the record has no frames")
        self.duration = self.num_frames / self.frame_rate


def record_videos(data_dir: str | os.PathLike[str]) -> dict[str, RecordFrames]:
    """Returns the videos of all splits of a folder that was written with frames, by their ids.

    Args:
        data_dir: A folder written by `python -m trainers.prepare --dataset=videos`.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the folder has no frames, their rate is unknown, or it is damaged.
    """
    places, settings = video_places(data_dir)
    rate = settings.get("frames_per_second") if isinstance(settings, dict) else None
    if not isinstance(rate, int | float) or not rate > 0:
        raise ValueError(
            f"{os.fspath(data_dir)} should give the `frames_per_second` of its frames. Received: "
            f"frame_settings={settings!r}"
        )
    return {video_id: RecordFrames(place, float(rate)) for video_id, place in places.items()}
