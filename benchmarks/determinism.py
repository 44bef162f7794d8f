"""What --deterministic costs, and in how many different networks the same command ends without it.

  python -m benchmarks.determinism   (about six minutes on two cores)

Every run trains MobileNetV2 for three epochs on the same 96 generated images, in a process of its
own. The first epoch is not timed: it contains the tracing.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from benchmarks.results import print_machine, record
from trainers.engine.training import train_recipe
from trainers.tasks.registry import find_recipe

PLAIN = "plain"
DETERMINISTIC = "deterministic"


class EpochSeconds(keras.callbacks.Callback):
    """Lists how long the steps of each epoch took."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """Starts the clock."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """Notes the time, which the last step of the epoch decides."""
        self._last = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """Adds the epoch."""
        self.seconds.append(self._last - self._began)


def write_images(root: Path) -> None:
    """Writes two classes of noise with a coloured rectangle."""
    random = np.random.default_rng(0)
    for split, count in (("train", 48), ("val", 8)):
        for channel, name in ((0, "red"), (2, "blue")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                image = random.integers(0, 80, (100, 120, 3), dtype="uint8")
                image[20:80, 30:90, channel] = 250
                path = str(root / split / name / f"{number}.png")
                tf.io.write_file(path, tf.io.encode_png(image))


def train(data_dir: str, run_dir: str, is_deterministic: bool) -> None:
    """Trains one network, and prints its last loss and the seconds of its epochs."""
    recipe = find_recipe("folder_has").override(
        weights="random",
        image_size=96,
        resize_size=112,
        batch_size=16,
        epochs=3,
        deterministic=is_deterministic,
    )
    times = EpochSeconds()
    plain_fit = keras.Model.fit

    def fit(self, *args, callbacks, **options):
        return plain_fit(self, *args, callbacks=[*callbacks, times], **options)

    keras.Model.fit = fit
    with contextlib.redirect_stdout(sys.stderr):
        loss = train_recipe(recipe, run_dir, data_dir)["loss"]
    print(json.dumps({"loss": loss, "seconds": times.seconds[1:]}))


def compare(runs: int) -> None:
    """Runs both in turn, and records their times."""
    seconds: dict[str, list[float]] = {PLAIN: [], DETERMINISTIC: []}
    losses: dict[str, set[float]] = {PLAIN: set(), DETERMINISTIC: set()}
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder) / "images")
        for number in range(runs):
            for name in seconds:
                run_dir = f"{folder}/{name}_{number}"
                arguments = ["--train", f"{folder}/images", run_dir, name]
                done = subprocess.run(  # noqa: S603 (this module)
                    [sys.executable, "-m", "benchmarks.determinism", *arguments],
                    capture_output=True,
                    text=True,
                )
                if done.returncode:
                    raise SystemExit(f"a run failed:\n{done.stderr[-2000:]}")
                result = json.loads(done.stdout.splitlines()[-1])
                seconds[name] += result["seconds"]
                losses[name].add(result["loss"])
    record(
        "determinism",
        "MobileNetV2, 96 px, an epoch of 6 steps",
        {name: np.array(values) for name, values in seconds.items()},
        base=PLAIN,
        unit="s",
    )
    for name, values in losses.items():
        print(f"{name}: {runs} runs ended in {len(values)} different losses")
    if len(losses[DETERMINISTIC]) > 1:
        raise SystemExit("--deterministic does not hold what it promises")


def main() -> None:
    """Runs what the flags say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="number of runs of each kind")
    parser.add_argument("--train", nargs=3, metavar=("IMAGES", "RUN_DIR", "KIND"), help="one run")
    flags = parser.parse_args()
    if flags.train:
        data_dir, run_dir, kind = flags.train
        train(data_dir, run_dir, kind == DETERMINISTIC)
        return
    print_machine()
    compare(flags.runs)


if __name__ == "__main__":
    main()
