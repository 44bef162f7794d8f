r"""Extracts features from videos, for the datasets of sequences.

  python -m trainers.extract_features --videos=DIR --out=DIR/features --model=c3d --weights=C3D.h5
  python -m trainers.extract_features --videos=DIR --out=DIR/features --model=mine.keras
  python -m trainers.extract_features --videos=DIR --out=DIR/features --model=ResNet50 \
      --weights=imagenet --clip_length=1

Writes ID.npy (T, D) for each video ID.mp4, by default 10 features per second, each computed from 16
frames, and features.json, which describes them. The same command resumes an interrupted extraction.
In place of a folder of video files, --videos may be a folder of frames that was written by
`python -m trainers.prepare --dataset=videos`. What to do with the features: docs/video.md.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # Broken files are reported by this command.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import numpy as np
from absl import app, flags, logging

from keras_has.atomic_files import SUFFIX, write_atomically
from keras_has.error_causes import cause_of
from keras_has.hdf5_check import check_hdf5
from keras_has.json_files import read_json
from trainers.engine.command import exit_on_error, refuse_arguments
from trainers.engine.console import progress

if TYPE_CHECKING:
    import keras

    from keras_has.data import RecordFrames, VideoClips

    Video = Path | RecordFrames

FORMAT = "keras_has.features"
VERSION = 1
FEATURES_FILE = "features.json"

# Subtracted for C3D if the mean of Sports-1M is not given: blue, green, red.
C3D_MEAN = (90.0, 98.0, 102.0)


@dataclasses.dataclass(frozen=True)
class Network:
    """A network from clips to features.

    Args:
        model: From (B, clip_length, H, W, 3), or (B, H, W, 3) for single frames, uint8, to (B, D).
        prepare: From a decoded frame to the (H, W, 3) that the model takes.
        clip_length: Frames per clip.
        takes_clips: Whether the input has a time axis.
        settings: What distinguishes it from others, for features.json.
    """

    model: keras.Model
    prepare: Callable[[np.ndarray], np.ndarray]
    clip_length: int
    takes_clips: bool
    settings: dict[str, Any]


def find_videos(folder: Path, out: Path | None = None) -> dict[str, Path]:
    """Returns the video files below a folder by their ids, the names without extension.

    Args:
        folder: The folder, or one video file.
        out: A folder below it that is not searched, or `None`.

    Raises:
        FileNotFoundError: If there is no video.
        ValueError: If two videos have the same id.
    """
    from keras_has.data.folders import printable
    from keras_has.data.video.video_frames import VIDEO_EXTENSIONS

    found: dict[str, Path] = {}
    files = [folder] if folder.is_file() else sorted(folder.rglob("*"), key=os.fsencode)
    for file in files:
        is_video = file.suffix.lower() in VIDEO_EXTENSIONS and not file.name.startswith(".")
        if (not is_video and file != folder) or file.is_dir():
            continue
        if out is not None and file.resolve().is_relative_to(out.resolve()):
            continue
        video_id = printable(file.stem)
        if video_id in found:
            raise ValueError(
                "Videos should have different names, because the features are named after them. "
                f"Received: {printable(found[video_id])} and {printable(file)}. Rename one of them."
            )
        found[video_id] = file
    if not found:
        raise FileNotFoundError(
            f"--videos should be a video, or a folder of videos ({', '.join(VIDEO_EXTENSIONS)}) or "
            f"of records with frames. Received: {printable(folder)}"
        )
    return found


def other_files(folder: Path, out: Path | None = None) -> list[str]:
    """Returns how many files below a folder are not videos, by extension, if there are any."""
    from keras_has.data.folders import printable
    from keras_has.data.video.video_frames import VIDEO_EXTENSIONS

    if not folder.is_dir():
        return []
    counts = Counter(
        printable(file.suffix.lower()) or "no extension"
        for file in folder.rglob("*")
        if not file.is_dir()
        and (file.suffix.lower() not in VIDEO_EXTENSIONS or file.name.startswith("."))
        and not (out is not None and file.resolve().is_relative_to(out.resolve()))
    )
    if not counts:
        return []
    kinds = ", ".join(f"{count} with {suffix}" for suffix, count in sorted(counts.items()))
    return [f"{sum(counts.values())} files are not videos and were not read: {kinds}"]


def load_network(
    model: str,
    weights: str | None = None,
    mean: str | None = None,
    feature_layer: str | None = None,
    clip_length: int | None = None,
    frame_size: Sequence[int] | None = None,
) -> Network:
    """Builds or loads a network; the arguments are the flags of the same names.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If flags do not fit each other or the model.
    """
    if mean is not None and model != "c3d":
        raise ValueError("--mean requires --model=c3d.")
    if weights == "random":
        import keras

        keras.utils.set_random_seed(0)  # A resumed extraction uses the same network.
    if model == "c3d":
        return _c3d(weights, mean, feature_layer or "fc7", clip_length or 16, frame_size)
    if model.endswith((".keras", ".h5")):
        if weights is not None:
            raise ValueError("--weights has no effect on a saved model, which has its own.")
        return _saved_model(Path(model), feature_layer, clip_length, frame_size)
    return _application(model, weights, feature_layer, clip_length, frame_size)


def _c3d(
    weights: str | None,
    mean: str | None,
    feature_layer: str,
    clip_length: int,
    frame_size: Sequence[int] | None,
) -> Network:
    import keras

    from keras_has.data import frame_preparation
    from keras_has.models import C3D

    if weights is None:
        raise ValueError(
            "--model=c3d needs --weights=PATH, a Keras weights file of C3D; none is downloaded. "
            "--weights=random gives meaningless features, for trying the command."
        )
    height, width = frame_size or (112, 112)
    network = C3D(
        None if weights == "random" else weights,
        feature_layer,
        input_shape=(clip_length, height, width, 3),
    )
    resize = (128, 171)
    if (height, width) != (112, 112):
        resize = (round(height * 128 / 112), round(width * 171 / 112))
    clips = keras.Input(network.input_shape[1:], dtype="uint8", name="frames")
    subtracted = _mean(mean, resize, (clip_length, height, width))
    x = keras.layers.Rescaling(1.0, offset=-subtracted, name="mean")(clips)
    return Network(
        keras.Model(clips, _one_row(network(x), "c3d")),
        frame_preparation((height, width), resize, blue_first=True),
        clip_length,
        True,
        {
            "model": "c3d",
            "weights": _identity(weights) if weights != "random" else "random",
            "mean": list(C3D_MEAN) if mean is None else _identity(mean),
            "feature_layer": feature_layer,
            "frame_size": [height, width],
            "resize": list(resize),
            "channels": "blue, green, red",
        },
    )


def _mean(path: str | None, resize: tuple[int, int], shape: tuple[int, int, int]) -> np.ndarray:
    """Returns the mean to subtract, which broadcasts over (frames, height, width, 3)."""
    if path is None:
        return np.array(C3D_MEAN, np.float32)
    frames, height, width = shape
    from keras_has.data.array_files import open_npy

    try:
        mean = open_npy(path).astype(np.float32)
    except ValueError as error:
        raise ValueError(f"{path} should be a .npy file of numbers: {error}") from error
    mean = mean.reshape(mean.shape[1:]) if mean.ndim == 5 and len(mean) == 1 else mean
    if mean.ndim == 4 and mean.shape[0] == 3 and mean.shape[-1] != 3:
        mean = mean.transpose(1, 2, 3, 0)  # Caffe's order: channels first.
    if mean.shape == (frames, *resize, 3):
        top, left = (resize[0] - height) // 2, (resize[1] - width) // 2
        mean = mean[:, top : top + height, left : left + width]
    if mean.shape not in ((3,), (frames, height, width, 3)):
        raise ValueError(
            f"{path} should be the mean of clips, of shape {(frames, *resize, 3)}, "
            f"{(3, frames, *resize)}, {(frames, height, width, 3)} or (3,). "
            f"Received: {mean.shape}"
        )
    return mean


def _saved_model(
    path: Path,
    feature_layer: str | None,
    clip_length: int | None,
    frame_size: Sequence[int] | None,
) -> Network:
    from keras_has.models.keras_files import load_keras_model

    model = load_keras_model(path)
    settings = {"model": _identity(path), "feature_layer": feature_layer}
    return _of_model(model, str(path), feature_layer, clip_length, frame_size, settings)


def _application(
    name: str,
    weights: str | None,
    feature_layer: str | None,
    clip_length: int | None,
    frame_size: Sequence[int] | None,
) -> Network:
    import keras

    from keras_has.models import pixel_scaling

    build = getattr(keras.applications, name, None)
    if not name[:1].isupper() or not callable(build):
        raise ValueError(
            "--model should be c3d, the path of a .keras file, or a model of keras.applications "
            f"such as ResNet50. Received: --model={name}"
        )
    if weights is None:
        raise ValueError(
            f"--model={name} needs --weights: imagenet, which Keras downloads; the path of a "
            "weights file without the top; or random, for trying the command."
        )
    if weights not in ("imagenet", "random") and not Path(weights).is_file():
        raise FileNotFoundError(f"There is no weights file at {weights}. Check --weights.")
    size = tuple(frame_size or (224, 224))
    is_file = weights not in ("imagenet", "random")
    try:
        if is_file:
            check_hdf5(weights)
        model = build(
            include_top=False,
            pooling="avg",
            weights=None if weights == "random" else weights,
            input_shape=(*size, 3),
        )
    except Exception as error:  # Keras and HDF5 raise nearly everything for damaged files.
        if not is_file:
            raise
        raise ValueError(
            f"{weights} cannot be loaded as weights of {name}: {cause_of(error)} Check --weights."
        ) from error
    frames = keras.Input((*size, 3), dtype="uint8", name="frames")
    settings = {
        "model": f"keras.applications.{name}",
        "weights": _identity(weights) if is_file else weights,
        "feature_layer": feature_layer,
    }
    if feature_layer is not None:
        model = _cut(model, feature_layer)
    model = keras.Model(frames, model(pixel_scaling(name)(frames)))
    return _of_model(model, name, None, clip_length, size, settings)


def _of_model(
    model: keras.Model,
    name: str,
    feature_layer: str | None,
    clip_length: int | None,
    frame_size: Sequence[int] | None,
    settings: dict[str, Any],
) -> Network:
    import keras

    from keras_has.data import frame_preparation

    if feature_layer is not None:
        model = _cut(model, feature_layer)
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) not in (4, 5) or shape[-1] != 3:
        raise ValueError(
            f"{name} should take frames (batch, height, width, 3) or clips (batch, frames, height, "
            f"width, 3). Received: an input of shape {shape}"
        )
    takes_clips = len(shape) == 5
    size = tuple(frame_size or shape[-3:-1])
    if None in size or any(
        of not in (None, side) for of, side in zip(shape[-3:-1], size, strict=True)
    ):
        raise ValueError(
            f"{name} takes frames of {shape[-3]} x {shape[-2]} (height x width). Received: "
            f"--frame_size={','.join(map(str, frame_size)) if frame_size else None}"
        )
    length = clip_length or ((shape[1] or 16) if takes_clips else 1)
    if (takes_clips and shape[1] not in (None, length)) or (not takes_clips and length != 1):
        raise ValueError(
            f"{name} takes {f'clips of {shape[1]} frames' if takes_clips else 'single frames'}. "
            f"Received: --clip_length={clip_length}"
        )
    output_shape = model.output_shape
    if not isinstance(output_shape, tuple) or len(output_shape) < 2 or None in output_shape[1:]:
        raise ValueError(
            f"{name} should give features of a fixed size. Received: {output_shape}. Choose a "
            "layer with --feature_layer."
        )
    clip = (length, *size, 3) if takes_clips else (*size, 3)
    frames = keras.Input(clip, dtype="uint8", name="frames")
    settings = {
        **settings,
        "frame_size": list(size),
        "resize": "to cover, aspect kept, centre cut out",
        "channels": "red, green, blue",
    }
    dtype = model.inputs[0].dtype
    x = frames if dtype == "uint8" else keras.ops.cast(frames, dtype)
    return Network(
        keras.Model(frames, _one_row(model(x), name)),
        frame_preparation(size),
        length,
        takes_clips,
        settings,
    )


def _cut(model: keras.Model, feature_layer: str) -> keras.Model:
    import keras

    names = [layer.name for layer in model.layers]
    if feature_layer not in names:
        raise ValueError(
            f"--feature_layer should be a layer of the model: {', '.join(names[-8:])} ... "
            f"Received: {feature_layer}"
        )
    return keras.Model(model.input, model.get_layer(feature_layer).output)


def _one_row(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Averages over space and time, so that one row of features remains."""
    import keras

    if len(x.shape) > 2:
        x = keras.ops.mean(x, axis=tuple(range(1, len(x.shape) - 1)))
    return keras.ops.cast(x, "float32")


def _identity(path: str | os.PathLike[str]) -> dict[str, str]:
    """Returns the name and a digest of a file, which distinguishes it from others of that name."""
    from keras_has.data.records.record_layout import sha256

    return {"file": Path(path).name, "sha256": sha256(Path(path))}


class FeatureFile:
    """Writes a .npy file row by row; its length is filled in at the end.

    Args:
        path: The file; until it is complete, its name ends in ".partial".
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(path.name + SUFFIX)
        self.shape = (0, 0)
        self.file: BinaryIO | None = None

    def append(self, row: np.ndarray) -> None:
        """Adds one feature vector."""
        if self.file is None:
            self.shape = (0, len(row))
            self.file = self.partial.open("wb")
            self._write_header()
        self.file.write(row.astype("<f4").tobytes())
        self.shape = (self.shape[0] + 1, len(row))

    def _write_header(self) -> None:
        """Writes the header; NumPy reserves room in it, so that its length does not change."""
        assert self.file is not None  # noqa: S101
        header = {"descr": "<f4", "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(self.file, header)

    def close(self) -> int:
        """Completes the partial file and returns its size."""
        assert self.file is not None  # noqa: S101
        size = self.file.tell()
        self.file.seek(0)
        self._write_header()
        self.file.close()
        return size

    def discard(self) -> None:
        """Deletes the partial file."""
        if self.file is not None:
            self.file.close()
            self.partial.unlink(missing_ok=True)


def decoded_clips(
    videos: Sequence[tuple[str, Video]],
    clips_of: Callable[[Video], VideoClips],
    jobs: int,
    clips_ahead: int,
) -> Iterator[tuple[str, np.ndarray | VideoClips | Exception]]:
    """Decodes several videos at once, in threads, ahead of the consumer.

    Args:
        videos: Ids and videos.
        clips_of: Returns the clips of a video.
        jobs: Number of videos decoded at once.
        clips_ahead: Maximum number of clips that wait.

    Yields:
        The id and a clip. The clips of a video come in order, interleaved with those of others;
        after the last one follow the id and the `VideoClips`, or the id and the error if the video
        is broken.
    """
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(max(1, clips_ahead))
    to_do = iter(videos)
    lock, stop = threading.Lock(), threading.Event()

    def put(video_id: str, item: Any) -> bool:
        while not stop.is_set():
            try:
                waiting.put((video_id, item), timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        while not stop.is_set():
            with lock:
                video = next(to_do, None)
            if video is None:
                return
            video_id, path = video
            try:
                clips = clips_of(path)
                if not all(put(video_id, clip) for clip in clips):
                    return
                put(video_id, clips)
            except Exception as error:  # The consumer raises or counts it.
                put(video_id, error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(jobs, len(videos)))]
    for thread in threads:
        thread.start()
    try:
        ended = 0
        while ended < len(videos):
            video_id, item = waiting.get()
            ended += not isinstance(item, np.ndarray)
            yield video_id, item
    finally:
        stop.set()
        for thread in threads:
            thread.join()


class Extraction:
    """A folder of features: what is done and what remains.

    Args:
        out: The folder.
        settings: How the features are made.

    Raises:
        FileExistsError: If the folder contains something else.
    """

    def __init__(self, out: Path, settings: dict[str, Any]) -> None:
        self.out = out
        self.path = out / FEATURES_FILE
        self.content = {"format": FORMAT, "version": VERSION, **settings, "videos": {}}
        out.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            try:
                found = read_json(self.path)
            except ValueError:
                found = {}
            if found.get("format") != FORMAT or not _are_entries(found.get("videos")):
                raise FileExistsError(
                    f"{self.path} was not written by this command, or is damaged. Write to another "
                    "folder."
                )
            for key, value in json.loads(json.dumps(self.content)).items():
                if key != "videos" and found.get(key) != value:
                    raise FileExistsError(
                        f"{out} contains features with {key} = {found.get(key)!r}, not {value!r}. "
                        "Features made with different settings are not mixed: write to another "
                        "folder."
                    )
            self.content = found
        else:
            names = sorted(os.fsencode(path.name) for path in out.iterdir())
            if names and names != [os.fsencode(FEATURES_FILE + SUFFIX)]:
                raise FileExistsError(
                    f"{out} should be empty, or contain features of this command. Received: "
                    f"{names[0].decode('utf-8', 'backslashreplace')!r} and {len(names) - 1} more."
                )
            self.save()

    def is_done(self, video_id: str, video: Video) -> bool:
        """Returns whether the features of a video exist.

        Raises:
            FileExistsError: If they were made from another file, or not by this command.
        """
        file = self.out / f"{video_id}.npy"
        entry = self.content["videos"].get(video_id)
        if entry is None:
            if file.exists():
                raise FileExistsError(
                    f"{file} is not listed in {FEATURES_FILE}: it was not written by this command. "
                    "Move it away, or write to another folder."
                )
            return False
        if not file.exists() or file.stat().st_size != entry["bytes"]:
            # Interrupted just before it was renamed, or truncated since.
            file.unlink(missing_ok=True)
            del self.content["videos"][video_id]
            return False
        if _num_bytes(video) != entry["video_bytes"]:
            raise FileExistsError(
                f"{_path(video)} has changed since {file} was made from it. Delete {file} to have "
                "it made again, or write to another folder."
            )
        return True

    def finish(self, video_id: str, video: Video, clips: VideoClips, written: FeatureFile) -> None:
        """Lists a video in features.json and renames its features to their final name."""
        size = written.close()
        self.content["videos"][video_id] = {
            "features": written.shape[0],
            "duration": clips.frames.duration,
            "fps": clips.frames.frame_rate,
            "frames": clips.frames.num_frames,
            "listed_frames": clips.frames.listed_frames,
            "odd_times": clips.frames.odd_times,
            "pauses": [list(pause) for pause in clips.frames.pauses],
            "bytes": size,
            "video_bytes": _num_bytes(video),
        }
        # Listed first: a file that is not listed was not written by this command.
        self.save()
        written.partial.replace(written.path)

    def save(self) -> None:
        """Writes features.json."""
        self.content["videos"] = dict(sorted(self.content["videos"].items()))
        text = json.dumps(self.content, indent=1, ensure_ascii=False)
        write_atomically(self.path, text + "\n")


def _are_entries(videos: Any) -> bool:
    """Returns whether the videos of a features.json are as this command writes them."""
    numbers = ("features", "duration", "frames", "listed_frames", "odd_times", "bytes")
    return isinstance(videos, dict) and all(
        isinstance(entry, dict)
        and all(isinstance(entry.get(name), int | float) for name in numbers)
        and "video_bytes" in entry
        for entry in videos.values()
    )


def _num_bytes(video: Video) -> int:
    return video.stat().st_size if isinstance(video, Path) else video.num_bytes


def _path(video: Video) -> Path | str:
    return video if isinstance(video, Path) else video.path


def extract_features(
    videos: str | os.PathLike[str],
    out: str | os.PathLike[str],
    model: str,
    weights: str | None = None,
    mean: str | None = None,
    feature_layer: str | None = None,
    clip_length: int | None = None,
    features_per_second: float = 10.0,
    frame_size: Sequence[int] | None = None,
    batch_size: int = 16,
    jobs: int | None = None,
    on_bad_video: str = "skip",
) -> list[str]:
    """Extracts features; the arguments are the flags of the same names.

    Returns:
        The lines to print at the end.

    Raises:
        OSError: If a file is missing, or the folder contains something else.
        ValueError: If a flag is invalid, no video could be read, or one could not be read and
            `on_bad_video` is "error".
    """
    from keras_has.data import VideoClips, VideoError, is_sequence_records, record_videos
    from keras_has.data.folders import path_inside, printable

    folder = Path(out)
    found: dict[str, Video]
    if is_sequence_records(videos):
        found = dict(record_videos(videos))
    else:
        found = dict(find_videos(Path(videos), folder))
    for video_id in found:  # The ids of records come from a file.
        path_inside(folder, f"{video_id}.npy")
    network = load_network(model, weights, mean, feature_layer, clip_length, frame_size)
    settings = {
        **network.settings,
        "clip_length": network.clip_length,
        "features_per_second": features_per_second,
        "seconds_per_feature": 1 / features_per_second,
        "feature_length": network.model.output_shape[-1],
    }
    extraction = Extraction(folder, settings)
    to_do = [item for item in found.items() if not extraction.is_done(*item)]
    bad: list[str] = []
    files: dict[str, FeatureFile] = {}
    show = progress("extracting features", "video") or (lambda done, total: None)
    num_done = len(found) - len(to_do)
    pending: list[tuple[str, Any]] = []

    def flush() -> None:
        nonlocal num_done
        clips = [item for _, item in pending if isinstance(item, np.ndarray)]
        rows = iter(_features(network, clips, batch_size))
        for video_id, item in pending:
            if isinstance(item, np.ndarray):
                file = files.setdefault(video_id, FeatureFile(folder / f"{video_id}.npy"))
                row = next(rows)
                if not np.isfinite(row).all():
                    raise ValueError(
                        f"Features should be finite. Received: NaN or inf for {video_id}; check "
                        "the weights."
                    )
                file.append(row)
            elif isinstance(item, VideoClips):
                extraction.finish(video_id, found[video_id], item, files[video_id])
                del files[video_id]
                num_done += 1
            else:
                if video_id in files:
                    files.pop(video_id).discard()
                if not isinstance(item, VideoError):
                    raise item
                if on_bad_video == "error":
                    raise item
                bad.append(f"left out: {printable(item.path)}: {item.reason}")
                num_done += 1
        pending.clear()
        show(num_done, len(found))

    def clips_of(video: Video) -> VideoClips:
        return VideoClips(video, network.clip_length, features_per_second, network.prepare)

    jobs = jobs or min(4, os.cpu_count() or 1)
    source = decoded_clips(to_do, clips_of, jobs, 2 * batch_size)
    waiting = 0
    try:
        for video_id, item in source:
            pending.append((video_id, item))
            waiting += isinstance(item, np.ndarray)
            if waiting == batch_size:
                flush()
                waiting = 0
        flush()
    finally:
        source.close()
        for file in files.values():
            file.discard()
    entries = extraction.content["videos"]
    done = [video_id for video_id in found if video_id in entries]
    cut = [
        f"{video_id}: only {entries[video_id]['frames']} of the "
        f"{entries[video_id]['listed_frames']} frames that the file lists could be decoded; its "
        "features end there."
        for video_id in done
        if entries[video_id]["frames"] < 0.95 * entries[video_id]["listed_frames"] - 2
    ]
    timing = [line for video_id in done for line in timing_problems(video_id, entries[video_id])]
    others = other_files(Path(videos), folder) if not is_sequence_records(videos) else []
    if not done:
        raise ValueError("\n".join(["No video could be read.", *bad, *others]))
    features = sum(entries[video_id]["features"] for video_id in done)
    return [
        *cut,
        *timing,
        *bad,
        *others,
        f"{len(done)} videos, {features:,} features of {settings['feature_length']} "
        f"({len(found) - len(to_do)} videos were done before); {len(bad)} videos left out. The "
        f"features are in {folder}.",
    ]


def timing_problems(video_id: str, entry: Mapping[str, Any]) -> list[str]:
    """Returns what is odd about the times of a video, from its entry in features.json."""
    lines = [
        f"{video_id}: no frame for {end - start:.1f} s, from {start:.1f} to {end:.1f} s; the pause "
        "is part of the video."
        for start, end in entry.get("pauses", ())
    ]
    if entry["odd_times"]:
        lines.append(
            f"{video_id}: {entry['odd_times']} of {entry['frames']} time stamps do not increase or "
            "jump, and were replaced; the video lasts "
            f"{entry['duration']:.1f} s by what is left. Check the times of its annotations."
        )
    return lines


def _features(network: Network, clips: list[np.ndarray], batch_size: int) -> np.ndarray:
    """Runs the network on up to `batch_size` clips."""
    if not clips:
        return np.zeros((0, 1), np.float32)
    # Always the same number, so that the network is compiled only once.
    batch = np.stack([*clips, *[clips[-1]] * (batch_size - len(clips))])
    if not network.takes_clips:
        batch = batch[:, 0]
    return np.asarray(network.model.predict_on_batch(batch))[: len(clips)]


def _define_flags() -> None:
    flags.DEFINE_string(
        "videos",
        None,
        "A video, a folder of videos, or a folder of records with frames.",
        required=True,
    )
    flags.DEFINE_string("out", None, "Folder for the features; it is created.", required=True)
    flags.DEFINE_string(
        "model",
        None,
        "c3d; the path of a .keras file that takes frames or clips, red first, 0 to 255; or a "
        "model of keras.applications, such as ResNet50.",
        required=True,
    )
    flags.DEFINE_string(
        "weights",
        None,
        "For c3d and keras.applications: the path of a weights file; imagenet (keras.applications "
        "only, downloaded by Keras); or random, for trying the command.",
    )
    flags.DEFINE_string(
        "mean", None, "For c3d: .npy file of Sports-1M's mean clip. Default: 90, 98, 102 (B, G, R)."
    )
    flags.DEFINE_string(
        "feature_layer",
        None,
        "The layer with the features. Default: fc7 for c3d, otherwise the output.",
    )
    flags.DEFINE_integer(
        "clip_length",
        None,
        "Frames per feature. Default: 16 if the model takes clips, otherwise 1.",
        lower_bound=1,
    )
    flags.DEFINE_float("features_per_second", 10.0, "Features per second.", lower_bound=1e-3)
    flags.DEFINE_list(
        "frame_size", None, "Height,width of the frames, if the model does not fix them."
    )
    flags.DEFINE_integer("batch_size", 16, "Clips per batch.", lower_bound=1)
    flags.DEFINE_integer(
        "jobs",
        None,
        "Videos decoded at once. Default: one per core, at most 4.",
        lower_bound=1,
    )
    flags.DEFINE_enum(
        "on_bad_video",
        "skip",
        ["skip", "error"],
        "What to do about a video that cannot be read: leave it out and list it at the end, or "
        "stop and name it.",
    )


def main(argv: Sequence[str]) -> None:
    """Extracts features."""
    refuse_arguments(argv)
    logging.set_verbosity(logging.WARNING)
    names = inspect.signature(extract_features).parameters
    arguments = {name: flags.FLAGS[name].value for name in names}
    with exit_on_error(OSError, ValueError):
        if arguments["frame_size"] is not None:
            try:
                height, width = map(int, arguments["frame_size"])
            except ValueError:
                raise ValueError("--frame_size should be height,width in pixels.") from None
            arguments["frame_size"] = (height, width)
        print("\n".join(extract_features(**arguments)))


if __name__ == "__main__":
    _define_flags()  # not on import: other commands import this module
    app.run(main)
