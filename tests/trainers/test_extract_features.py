"""`python -m trainers.extract_features`: from video files to files of features."""

import json
import math
import re
import subprocess
import sys
import threading

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import cv2
import keras

from keras_has import data
from trainers import extract_features as command
from trainers.extract_features import (
    decoded_clips,
    extract_features,
    find_videos,
    load_network,
    timing_problems,
)

RATE = 25.0


def write_video(path, num_frames, rate=RATE, size=(32, 16), seed=0):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, size)
    if not writer.isOpened():
        pytest.skip("OpenCV has no encoder for MJPG here")
    random = np.random.default_rng(seed)
    for _ in range(num_frames):
        small = random.integers(0, 256, (2, 4, 3), np.uint8)
        writer.write(cv2.resize(small, size, interpolation=cv2.INTER_NEAREST))
    writer.release()


def all_frames(path, size=(8, 8)):
    """Every frame, resized to cover and cut as a frame model of 8 x 8 gets it, red first."""
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frame = cv2.resize(read[1], (16, 8), interpolation=cv2.INTER_AREA)[:, 4:12, ::-1]
        frames.append(frame.astype(np.float64))
    return np.array(frames)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    (folder / "more").mkdir()
    write_video(folder / "a.avi", 30)
    write_video(folder / "more" / "b.avi", 20, 12.5, seed=1)
    (folder / "broken.mp4").write_bytes(b"no video" * 20)
    (folder / "empty.avi").touch()
    (folder / "notes.txt").write_text("not a video")
    return folder


@pytest.fixture(scope="module")
def clip_model(tmp_path_factory):
    """Two numbers a clip: the mean red of its first frame, the mean of all its pixels."""
    clips = keras.Input((4, 8, 8, 3))
    red = keras.layers.Cropping3D(((0, 3), (0, 0), (0, 0)))(clips)
    red = keras.layers.GlobalAveragePooling3D(name="first_frame")(red)
    every = keras.layers.GlobalAveragePooling3D()(clips)
    x = keras.layers.Concatenate()([red, every])
    dense = keras.layers.Dense(2, use_bias=False, name="features")
    model = keras.Model(clips, dense(x))
    dense.set_weights([np.array([[1, 0], [0, 0], [0, 0]] + [[0, 1 / 3]] * 3, "float32")])
    path = tmp_path_factory.mktemp("model") / "clips.keras"
    model.save(path)
    return path


def expected(path, rate, clip_length=4):
    frames = all_frames(path)
    count = sum((t + 0.5) / 10 < len(frames) / rate for t in range(99))
    rows = []
    for t in range(count):
        start = math.floor((t + 0.5) / 10 * rate - clip_length / 2 + 0.5)
        clip = frames[np.clip(np.arange(start, start + clip_length), 0, len(frames) - 1)]
        rows.append((clip[0, ..., 0].mean(), clip.mean()))
    return np.array(rows)


def test_videos_become_features_of_the_same_decoded_frames(videos, clip_model, tmp_path):
    lines = extract_features(videos, tmp_path / "out", str(clip_model), batch_size=5)
    for video_id, path, rate in (("a", "a.avi", RATE), ("b", "more/b.avi", 12.5)):
        got = np.load(tmp_path / "out" / f"{video_id}.npy", allow_pickle=False)
        assert got.dtype == np.float32
        assert len(got) == {"a": 12, "b": 16}[video_id]
        np.testing.assert_allclose(got, expected(videos / path, rate), rtol=1e-4)
    assert len(list((tmp_path / "out").iterdir())) == 3
    told = json.loads((tmp_path / "out" / "features.json").read_text())
    assert told["clip_length"] == 4
    assert told["seconds_per_feature"] == 0.1
    assert told["feature_length"] == 2
    assert told["model"]["file"] == "clips.keras"
    assert told["videos"]["b"]["features"] == 16
    assert told["videos"]["b"]["duration"] == pytest.approx(1.6)
    assert told["videos"]["b"]["fps"] == pytest.approx(12.5)
    assert list(told["videos"]) == ["a", "b"]
    assert (
        lines[:2]
        == [
            f"left out: {videos}/broken.mp4: cannot be opened as a video",
            f"left out: {videos}/empty.avi: empty file",
        ]
        or sorted(lines[:2]) == lines[1::-1]
    )
    assert lines[2] == "1 files are not videos and were not read: 1 with .txt"
    assert lines[3].startswith("2 videos, 28 features of 2 (0 videos were done before); 2 videos")


def test_what_is_written_can_be_annotated_and_read(videos, clip_model, tmp_path):
    extract_features(videos, tmp_path / "features", str(clip_model))
    told = json.loads((tmp_path / "features" / "features.json").read_text())["videos"]
    database = {
        video_id: {
            "subset": "train",
            "duration": told[video_id]["duration"],
            "annotations": [{"label": "jump", "segment": [0.2, 0.9]}],
        }
        for video_id in told
    }
    (tmp_path / "annotations.json").write_text(json.dumps({"database": database}))
    dataset = data.feature_folder(tmp_path, "train")
    features, seconds = dataset.read(1)
    assert features.shape == (16, 2)
    assert seconds == pytest.approx(0.1)


def test_one_frame_a_feature_for_models_of_frames(videos, tmp_path):
    frames = keras.Input((8, 8, 3))
    x = keras.layers.AveragePooling2D(8, name="mean")(frames)
    keras.Model(frames, keras.layers.Rescaling(9.0)(x)).save(tmp_path / "frames.keras")
    lines = extract_features(
        videos / "a.avi", tmp_path / "out", str(tmp_path / "frames.keras"), feature_layer="mean"
    )
    assert lines[-1].startswith("1 videos, 12 features of 3")
    got = np.load(tmp_path / "out" / "a.npy")
    shown = [int((t + 0.5) / 10 * RATE) for t in range(12)]
    wanted = all_frames(videos / "a.avi")[shown].mean(axis=(1, 2))
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_frames_in_records_give_the_features_of_the_same_frames(videos, clip_model, tmp_path):
    """The frames at half the rate, stored as lossless PNG, read back at that rate."""
    files = {"a": videos / "a.avi", "b": videos / "more" / "b.avi"}

    def frames(_, video_id):
        capture, encoded = cv2.VideoCapture(str(files[video_id])), []
        while (read := capture.read())[0]:
            encoded.append(cv2.imencode(".png", read[1])[1].tobytes())
        return encoded[::2]

    dataset = data.Dataset(
        name="videos/train",
        ids=["a", "b"],
        columns={
            "duration": [1.2, 1.6],
            "labels": [[True], [True]],
            "segments": [[], []],
            "segment_labels": [[], []],
        },
        class_names=("jump",),
    )
    settings = {"frames_per_second": RATE / 2}
    data.write_sequence_records({"train": dataset}, tmp_path / "records", 1, frames, settings)
    lines = extract_features(tmp_path / "records", tmp_path / "out", str(clip_model))
    assert lines[-1].startswith("2 videos, 20 features of 2")
    kept = all_frames(videos / "a.avi")[::2]
    got = np.load(tmp_path / "out" / "a.npy")
    assert len(got) == 12  # of 15 frames at 12.5 frames per second: 1.2 s
    first = [math.floor((t + 0.5) / 10 * RATE / 2 - 1.5) for t in range(12)]
    clips = [kept[np.arange(start, start + 4).clip(0, 14)] for start in first]
    np.testing.assert_allclose(got[:, 1], [clip.mean() for clip in clips], rtol=1e-5)
    np.testing.assert_allclose(got[:, 0], [clip[0, ..., 0].mean() for clip in clips], rtol=1e-5)
    again = extract_features(tmp_path / "records", tmp_path / "out", str(clip_model))
    assert "2 videos were done before" in again[-1]
    with pytest.raises(ValueError, match=r"records2.*frames_per_second.*None"):
        data.write_sequence_records({"train": dataset}, tmp_path / "records2", 1, frames)
        data.record_videos(tmp_path / "records2")
    evil = dataset.select([0])
    evil = data.Dataset("evil", ["../../a"], dict(evil.columns), evil.source, evil.class_names)
    files["../../a"] = files["a"]
    data.write_sequence_records({"train": evil}, tmp_path / "evil", 1, frames, settings)
    with pytest.raises(ValueError, match=r"'\.\./\.\./a\.npy'"):
        extract_features(tmp_path / "evil", tmp_path / "deep" / "out", str(clip_model))
    assert not list(tmp_path.glob("*.npy*"))
    features = data.generated_phases("val", num_videos=2)
    data.write_sequence_records({"val": features}, tmp_path / "features")
    with pytest.raises(ValueError, match="frames of 'val'"):
        data.record_videos(tmp_path / "features")


def test_a_folder_of_other_settings_or_of_something_else_is_refused(videos, clip_model, tmp_path):
    settings = {"videos": videos / "a.avi", "model": str(clip_model)}
    out = tmp_path / "out"
    extract_features(**settings, out=out)
    with pytest.raises(FileExistsError, match=r"features_per_second = 10\.0, not 5\.0.*not mixed"):
        extract_features(**settings, out=out, features_per_second=5.0)
    before = (out / "a.npy").read_bytes()
    (out / "a.npy").write_bytes(before[:-4])  # Cut off: made again.
    extract_features(**settings, out=out)
    assert (out / "a.npy").read_bytes() == before
    write_video(tmp_path / "a.avi", 3)
    with pytest.raises(FileExistsError, match=r"a\.avi has changed"):
        extract_features(tmp_path / "a.avi", out, str(clip_model))
    (out / "b.npy").write_bytes(b"somebody's")
    with pytest.raises(FileExistsError, match=r"b\.npy is not listed"):
        extract_features(videos, out, str(clip_model))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(FileExistsError, match=r"should be empty.*'notes\.txt'"):
        extract_features(**settings, out=tmp_path / "other")


def test_an_interrupted_video_leaves_nothing_behind_and_threads_end(
    videos, clip_model, tmp_path, monkeypatch
):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command.Extraction, "finish", interrupt)
    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        extract_features(videos, tmp_path / "out", str(clip_model), batch_size=4, jobs=2)
    assert threading.active_count() <= threads
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["features.json"]


def test_a_bad_video_stops_the_command_where_that_is_asked_for(videos, clip_model, tmp_path):
    with pytest.raises(ValueError, match="leave its video out"):
        extract_features(videos, tmp_path / "out", str(clip_model), on_bad_video="error")
    with pytest.raises(ValueError, match=r"No video could be read\.\nleft out: .*empty\.avi"):
        extract_features(videos / "empty.avi", tmp_path / "none", str(clip_model))


def test_a_killed_run_goes_on_where_it_was(videos, clip_model, tmp_path):
    out = tmp_path / "out"
    program = (
        "import os; from trainers import extract_features as c; finish = c.Extraction.finish; "
        "c.Extraction.finish = lambda *a: (finish(*a), os._exit(9)); "
        f"c.extract_features({str(videos)!r}, {str(out)!r}, {str(clip_model)!r}, jobs=1)"
    )
    killed = subprocess.run([sys.executable, "-c", program], check=False)  # noqa: S603
    assert killed.returncode == 9
    assert [path.name for path in out.glob("*.npy")] == ["a.npy"]
    (out / "b.npy.partial").write_bytes(b"half a file")
    before = (out / "a.npy").stat().st_mtime_ns
    arguments = [f"--videos={videos}", f"--out={out}", f"--model={clip_model}"]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "trainers.extract_features", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "2 videos, 28 features of 2 (1 videos were done before)" in done.stdout
    assert "VIDEOIO" not in done.stderr  # OpenCV's own words on broken files
    assert "broken.mp4: cannot be opened as a video" in done.stdout
    assert (out / "a.npy").stat().st_mtime_ns == before
    np.testing.assert_allclose(
        np.load(out / "b.npy"), expected(videos / "more/b.avi", 12.5), rtol=1e-4
    )
    assert sorted(path.name for path in out.iterdir()) == ["a.npy", "b.npy", "features.json"]


def test_decoding_is_ahead_by_no_more_than_it_may(videos):
    made = []

    class Endless:
        def __init__(self, path):
            self.path = path

        def __iter__(self):
            while True:
                made.append(self.path)
                yield np.zeros(1)

    source = decoded_clips([("a", "a"), ("b", "b")], Endless, jobs=2, clips_ahead=5)
    taken = [next(source) for _ in range(20)]
    assert len(made) <= len(taken) + 5 + 2
    source.close()
    assert {video_id for video_id, _ in taken} <= {"a", "b"}


def test_features_of_any_number_are_one_file_that_numpy_reads(tmp_path):
    for count, width in ((1, 1), (7, 4096), (1234, 3)):
        rows = np.random.default_rng(0).normal(size=(count, width)).astype("float32")
        written = command.FeatureFile(tmp_path / "a.npy")
        for row in rows:
            written.append(row)
        size = written.close()
        assert size == written.partial.stat().st_size
        np.testing.assert_array_equal(np.load(written.partial, allow_pickle=False), rows)
        assert np.load(written.partial, mmap_mode="r").shape == (count, width)


def test_c3d_gets_warped_frames_blue_first_without_their_mean(monkeypatch):
    network = load_network("c3d", weights="random", feature_layer="pool1")
    assert network.clip_length == 16
    assert network.settings["resize"] == [128, 171]
    frame = np.zeros((60, 80, 3), np.uint8)
    frame[:] = (100, 110, 120)
    prepared = network.prepare(frame)
    assert prepared.shape == (112, 112, 3)
    assert (prepared == frame[0, 0]).all()
    mean = network.model.get_layer("mean")
    np.testing.assert_allclose(np.asarray(mean(prepared[None]))[0, 0, 0], [10, 12, 18])


def test_random_weights_are_the_same_when_a_run_goes_on():
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    features = []
    for _ in range(2):
        network = load_network("MobileNetV3Small", weights="random", frame_size=(32, 32))
        assert (network.clip_length, network.takes_clips) == (1, False)
        assert network.settings["model"] == "keras.applications.MobileNetV3Small"
        features.append(command._features(network, list(frames[:, None]), 4))
    assert features[0].shape == (2, 576)
    np.testing.assert_array_equal(*features)


@pytest.mark.parametrize(
    "stored",
    [lambda mean: mean, lambda mean: mean.transpose(3, 0, 1, 2), lambda mean: mean[None]],
)
def test_the_mean_clip_is_cut_as_the_frames_are(tmp_path, stored):
    mean = np.random.default_rng(0).normal(size=(2, 128, 171, 3)).astype("float32")
    np.save(tmp_path / "mean.npy", stored(mean))
    got = command._mean(str(tmp_path / "mean.npy"), (128, 171), (2, 112, 112))
    np.testing.assert_array_equal(got, mean[:, 8:120, 29:141])
    with pytest.raises(ValueError, match="should be the mean of clips"):
        command._mean(str(tmp_path / "mean.npy"), (128, 171), (16, 112, 112))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "c3d"}, "needs --weights=PATH"),
        ({"model": "ResNet50"}, "needs --weights: imagenet"),
        ({"model": "resnet"}, "should be c3d, the path of a .keras file, or a model"),
        ({"model": "ResNet50", "weights": "none.h5"}, "--weights|none.h5"),
        ({"model": "none.keras"}, "none.keras"),
        ({"model": "none.keras", "weights": "a.h5"}, "--weights.*saved model"),
        ({"model": "ResNet50", "mean": "a.npy"}, "--mean.*--model=c3d"),
    ],
)
def test_flags_that_do_not_fit_are_named(arguments, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_network(**arguments)


def test_a_model_that_does_not_fit_the_flags_is_named(clip_model):
    with pytest.raises(ValueError, match=r"takes clips of 4 frames. Received: --clip_length=16"):
        load_network(str(clip_model), clip_length=16)
    with pytest.raises(ValueError, match=r"frames of 8 x 8 .*--frame_size=9,8"):
        load_network(str(clip_model), frame_size=(9, 8))
    with pytest.raises(ValueError, match=r"should be a layer of the model.*features"):
        load_network(str(clip_model), feature_layer="fc7")


def write_paused_video(path):
    """Writes 5 s at 10 frames a second, of which all after 2 s comes a minute later."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 16))
    if not writer.isOpened():
        pytest.skip("OpenCV has no encoder for MJPG here")
    for number in range(50):
        writer.write(np.full((16, 32, 3), 2 * number, np.uint8))
    writer.release()
    content = bytearray(path.read_bytes())
    # Matroska: a cluster starts with its size and its time in ms, which its frames are relative to.
    clusters = [match.start() for match in re.finditer(rb"\x1f\x43\xb6\x75", bytes(content))]
    for cluster in clusters[1:]:
        place = content.index(b"\xe7\x82", cluster, cluster + 24) + 2
        time = int.from_bytes(content[place : place + 2], "big") + 60_000
        if time >= 2**16:
            pytest.skip("the clusters are not as this test needs them")
        content[place : place + 2] = time.to_bytes(2, "big")
    if len(clusters) < 2:
        pytest.skip("the clusters are not as this test needs them")
    path.write_bytes(content)


def test_a_long_pause_and_what_is_no_video_are_printed(clip_model, tmp_path):
    (tmp_path / "videos").mkdir()
    write_paused_video(tmp_path / "videos" / "a.mkv")
    for name in ("a.txt", "b.TXT", "c.vob", "._a.mkv"):
        (tmp_path / "videos" / name).touch()
    out = tmp_path / "out"
    for _ in range(2):  # The second time, the features are there already.
        lines = extract_features(tmp_path / "videos", out, str(clip_model), features_per_second=2.0)
        assert lines[0].startswith("a: no frame for 60.1 s, from 1.9 to 62.0 s")
        assert lines[1].startswith("4 files are not videos")
        assert lines[1].endswith("1 with .mkv, 2 with .txt, 1 with .vob")
        assert lines[2].startswith("1 videos, 130 features")
    entry = json.loads((out / "features.json").read_text())["videos"]["a"]
    assert entry["duration"] == pytest.approx(65, abs=0.01)
    assert entry["odd_times"] == 0
    assert len(entry["pauses"]) == 1


def test_replaced_times_are_printed():
    entry = {"odd_times": 2, "frames": 9, "duration": 3.25, "features": 32}
    (line,) = timing_problems("a", entry)
    assert line.startswith("a: 2 of 9 time stamps")
    assert "3.2 s" in line
    assert timing_problems("a", {**entry, "odd_times": 0, "pauses": []}) == []


def test_a_damaged_list_of_features_is_refused(videos, clip_model, tmp_path):
    arguments = (videos, tmp_path / "out", str(clip_model))
    extract_features(*arguments)
    path = tmp_path / "out" / "features.json"
    content = json.loads(path.read_text())
    for wrong in ([], {"a": 3}, {"a": {"bytes": "many"}}):
        path.write_text(json.dumps({**content, "videos": wrong}))
        with pytest.raises(FileExistsError, match=r"features\.json"):
            extract_features(*arguments)


def test_videos_of_the_same_name_are_refused(tmp_path):
    (tmp_path / "one").mkdir()
    for name in ("a.mp4", "one/a.avi"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"different names.*a\.mp4 and .*a\.avi"):
        find_videos(tmp_path)
    with pytest.raises(FileNotFoundError, match="--videos.*none"):
        find_videos(tmp_path / "none")
