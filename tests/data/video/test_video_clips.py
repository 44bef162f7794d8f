"""Frames, times and clips of videos that the tests encode themselves."""

import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_has.data.video.video_clips import VideoClips, frame_preparation
from keras_has.data.video.video_frames import VideoError, VideoFrames

cv2 = pytest.importorskip("cv2")


def write_video(path, num_frames, rate, codec="MJPG", size=(32, 16)):
    """Encodes frames whose grey level is 4 times their number, up to 63 frames."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, size)
    if not writer.isOpened():
        pytest.skip(f"OpenCV has no encoder for {codec} here")
    for number in range(num_frames):
        writer.write(np.full((size[1], size[0], 3), 4 * number, np.uint8))
    writer.release()
    return path


def frame_numbers(clips):
    """Reads the number of each frame of each clip off its grey level."""
    return [np.rint(clip.mean(axis=(1, 2, 3)) / 4).astype(int).tolist() for clip in clips]


def expected_numbers(times, duration, clip_length, rate):
    """The definition, over all frames at once."""
    numbers = []
    edges = np.append(times, duration)
    count = sum((t + 0.5) / rate < duration for t in range(math.ceil(duration * rate) + 2))
    for t in range(count):
        place = np.interp((t + 0.5) / rate, edges, np.arange(len(edges)))
        start = math.floor(place - clip_length / 2 + 0.5)
        rows = range(start, start + clip_length)
        numbers.append([min(max(row, 0), len(times) - 1) for row in rows])
    return numbers


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [("a.avi", "MJPG", 25.0), ("b.mp4", "mp4v", 29.97), ("c.avi", "MJPG", 7.3)],
)
def test_frames_come_with_their_times_at_odd_rates_too(tmp_path, name, codec, rate):
    frames = VideoFrames(write_video(tmp_path / name, 12, rate, codec))
    times, levels = zip(*((seconds, frame.mean() / 4) for seconds, frame in frames), strict=True)
    np.testing.assert_allclose(times, np.arange(12) / rate, atol=2e-3)
    assert (np.diff(levels) > 0.2).all()  # Each frame once, in order; codecs blur the levels.
    assert frames.num_frames == 12
    assert frames.duration == pytest.approx(12 / rate, abs=2e-3)
    assert frames.frame_rate == pytest.approx(rate, rel=1e-3)
    assert frames.odd_times == 0


@pytest.mark.parametrize("rate", [25.0, 7.3])
@pytest.mark.parametrize("clip_length", [1, 3, 16])
def test_clips_lie_around_the_middle_of_each_features_time(tmp_path, rate, clip_length):
    path = write_video(tmp_path / "a.avi", 30, rate)
    clips = VideoClips(path, clip_length, 10)
    got = frame_numbers(clips)
    assert got == expected_numbers(np.arange(30) / rate, 30 / rate, clip_length, 10)
    assert len(got) == round(30 / rate * 10)
    if clip_length == 1:  # The frame that is shown at that moment.
        assert got == [[int((t + 0.5) / 10 * rate)] for t in range(len(got))]


def test_a_clip_of_sixteen_frames_at_thirty_a_second(tmp_path):
    clips = VideoClips(write_video(tmp_path / "a.avi", 60, 30), 16, 10)
    got = frame_numbers(clips)
    assert len(got) == 20
    # Feature 10 stands for 1.0 to 1.1 s; its middle is 31.5 frames from the start.
    assert got[10] == list(range(24, 40))
    assert got[0] == [0] * 6 + list(range(10))
    assert got[19] == [*range(51, 60), *[59] * 7]


class FramesAt:
    """Stands in for a file: frames at given times."""

    def __init__(self, times, duration):
        self.times, self.duration, self.num_frames = times, duration, len(times)

    def __iter__(self):
        for number, seconds in enumerate(self.times):
            yield seconds, np.full((1, 1, 3), number, np.int64)


@settings(max_examples=60)
@given(
    steps=st.lists(st.floats(0.001, 0.9), max_size=40),
    last=st.floats(0.001, 0.5),
    clip_length=st.integers(1, 17),
    rate=st.sampled_from([0.7, 3.0, 10.0, 25.0]),
)
def test_the_stream_gives_what_the_whole_video_would(steps, last, clip_length, rate):
    times = np.concatenate([[0.0], np.cumsum(steps)])
    clips = VideoClips("none", clip_length, rate)
    clips.frames = FramesAt(times.tolist(), float(times[-1]) + last)
    got = [clip[:, 0, 0, 0].tolist() for clip in clips]
    expected = expected_numbers(times, times[-1] + last, clip_length, rate)
    if not expected:
        assert len(got) == 1
        return
    # Interpolation may round the other way at a half.
    assert len(got) == len(expected)
    difference = np.abs(np.array(got) - np.array(expected))
    assert difference.max() <= 1
    assert (difference.max(axis=1) > 0).mean() <= 0.1 or len(got) < 10


def test_only_about_one_clip_is_held(tmp_path):
    alive = []

    class Frame(np.ndarray):
        pass

    import weakref

    def prepare(frame):
        kept = frame.copy().view(Frame)
        alive.append(weakref.ref(kept))
        return kept

    clips = VideoClips(write_video(tmp_path / "a.avi", 60, 25), 4, 10, prepare)
    most = max(sum(ref() is not None for ref in alive) for _ in clips)
    assert most <= 8


def test_a_video_shorter_than_a_feature_has_one(tmp_path):
    clips = VideoClips(write_video(tmp_path / "a.avi", 1, 50), 16, 10)
    assert frame_numbers(clips) == [[0] * 16]
    assert clips.frames.duration == pytest.approx(1 / 50)


class Capture:
    """Stands in for OpenCV's capture, with given time stamps in seconds."""

    def __init__(self, stamps, rate):
        self.stamps, self.rate, self.number = stamps, rate, -1

    def isOpened(self):
        return True

    def release(self):
        pass

    def read(self):
        self.number += 1
        return self.number < len(self.stamps), np.zeros((2, 2, 3), np.uint8)

    def get(self, asked):
        return {
            cv2.CAP_PROP_FPS: self.rate,
            cv2.CAP_PROP_FRAME_COUNT: -9.2e18,
            cv2.CAP_PROP_POS_MSEC: 1000 * self.stamps[min(self.number, len(self.stamps) - 1)],
        }[asked]


@pytest.mark.parametrize(
    ("stamps", "rate", "times", "odd"),
    [
        ([5.0, 5.5, 7.5, 7.6], 10, [0, 0.5, 2.5, 2.6], 0),  # variable, not from 0
        ([0, 0, 0], 20, [0, 0.05, 0.1], 2),  # no time stamps
        ([0, 0, 0], 0, [0, 0.04, 0.08], 2),  # nor a rate
        ([0, 0.1, 99999.0, 99999.1], 10, [0, 0.1, 0.2, 0.3], 1),  # a broken one
        ([1.0, 1.1, 0.2, 0.3], 10, [0, 0.1, 0.2, 0.3], 1),  # started again
        # A pause that too few frames confirm, one that goes back, and one of more than a day.
        ([0, 0.1, 90.1, 90.2], 10, [0, 0.1, 0.2, 0.3], 1),
        ([0, 90, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], 10, [n / 10 for n in range(8)], 2),
        ([0, *(9e4 + n for n in range(7))], 10, [0, *(0.1 + n for n in range(7))], 1),
        ([0, 90, 900, 9000, 9e4, 9e5, 9e6], 10, [n / 10 for n in range(7)], 6),
    ],
)
def test_unsound_time_stamps_are_replaced_and_counted(
    tmp_path, monkeypatch, stamps, rate, times, odd
):
    (tmp_path / "a.avi").write_bytes(b"video")
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: Capture(stamps, rate))
    frames = VideoFrames(tmp_path / "a.avi")
    np.testing.assert_allclose([seconds for seconds, _ in frames], times, atol=1e-9)
    assert frames.odd_times == odd
    assert frames.listed_frames == 0


@pytest.mark.parametrize(
    ("stamps", "pauses"),
    [
        # A pause of 90 s after 3 s.
        ([*(n / 10 for n in range(31)), *(93 + n / 10 for n in range(31))], [(3.0, 93.0)]),
        # A picture every 90 s, and pauses between single frames.
        ([90.0 * n for n in range(10)], [(90.0 * n, 90.0 * (n + 1)) for n in range(9)]),
        ([0, 70, 71, 72, 500, 501, 502, 503, 504, 505], [(0, 70), (72, 500)]),
        ([7.0 + n for n in range(5)], []),
    ],
)
def test_a_long_pause_is_kept_if_the_following_times_confirm_it(
    tmp_path, monkeypatch, stamps, pauses
):
    (tmp_path / "a.avi").write_bytes(b"video")
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: Capture(stamps, 10))
    frames = VideoFrames(tmp_path / "a.avi")
    times = [seconds for seconds, _ in frames]
    assert frames.num_frames == len(times) == len(stamps)
    np.testing.assert_allclose(frames.pauses, pauses)
    np.testing.assert_allclose(times, np.subtract(stamps, stamps[0]))
    assert frames.odd_times == 0


def test_clips_cover_a_pause(tmp_path, monkeypatch):
    """As many as its duration says: 96.1 s."""
    (tmp_path / "a.avi").write_bytes(b"video")
    stamps = [*(n / 10 for n in range(31)), *(93 + n / 10 for n in range(31))]
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: Capture(stamps, 10))
    clips = VideoClips(tmp_path / "a.avi", 1, 2)
    count = len(list(clips))
    assert clips.frames.duration == pytest.approx(96.1)
    assert count == 192


def test_a_pipe_is_named_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoError, match=r"pipe\.mp4: not a regular file"):
        list(VideoFrames(tmp_path / "pipe.mp4"))


def test_files_that_are_no_videos_are_named(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video" * 99)
    (tmp_path / "folder.mp4").mkdir()
    for name, reason in (
        ("none.mp4", "missing"),
        ("empty.mp4", "empty file"),
        ("text.mp4", "cannot be opened as a video"),
        ("folder.mp4", "cannot be read"),
    ):
        with pytest.raises(VideoError, match=rf"{name}: {reason}.*leave its video out"):
            list(VideoFrames(tmp_path / name))


def test_a_file_that_was_cut_off_ends_where_decoding_does(tmp_path):
    path = write_video(tmp_path / "a.mkv", 40, 25, size=(64, 64))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = VideoFrames(path)
    count = len(list(frames))
    assert 0 < count < 40
    assert frames.num_frames == count
    assert frames.duration == pytest.approx(count / 25, rel=0.05)


def test_names_that_are_not_utf8_or_look_like_patterns_are_read(tmp_path):
    source = write_video(tmp_path / "a.avi", 3, 25)
    for name in (b"caf\xe9.avi", b"50%d.avi", "été 3.avi".encode()):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        shutil.copy(source, path)
        assert len(list(VideoFrames(path))) == 3
    with pytest.raises(VideoError, match=r"caf\\xe9\.mp4: missing"):
        list(VideoFrames(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))))


def test_frames_are_warped_as_c3d_wants_them():
    frame = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    got = frame_preparation((112, 112), (128, 171), blue_first=True)(frame)
    whole = cv2.resize(frame, (171, 128))
    np.testing.assert_array_equal(got, whole[8:120, 29:141])


def test_frames_keep_their_aspect_otherwise_and_red_comes_first():
    frame = np.zeros((20, 60, 3), np.uint8)
    frame[:, 20:40] = (10, 20, 30)
    got = frame_preparation((10, 10))(frame)
    assert got.shape == (10, 10, 3)
    assert (got == (30, 20, 10)).all()
    assert frame_preparation((7, 33))(frame).shape == (7, 33, 3)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="`clip_length` should be at least 1"):
        VideoClips("a", 0)
    for rate in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="`features_per_second` should be greater than 0"):
            VideoClips("a", 16, rate)
    with pytest.raises(ValueError, match="`crop` should be positive, and `resize` not smaller"):
        frame_preparation((112, 112), (100, 171))
