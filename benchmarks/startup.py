"""What importing the package adds to importing Keras; and how long the demo takes.

  python -m benchmarks.startup          (imports, half a minute)
  python -m benchmarks.startup --demo   (the demo as well: about two minutes)

Each import is timed in a process of its own. `import keras_has` loads its parts when they are first
asked for, so that the import of all of them is timed as well.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

from benchmarks.results import print_machine, record
from benchmarks.timing import interleaved

IMPORTS = {
    "import keras": "import keras",
    "import keras, keras_has": "import keras, keras_has",
    "the same, and its layers": "import keras, keras_has.layers",
    "the same, and all the rest": "import keras, keras_has.layers, keras_has.models, "
    "keras_has.data, keras_has.metrics, keras_has.callbacks",
}
SECONDS_ADDED = 0.3
SECONDS_OF_DEMO = 180.0


def run(*arguments: str) -> None:
    """Runs Python and waits; what it prints is shown only where it fails."""
    done = subprocess.run(  # noqa: S603 (Python itself, with arguments of this file)
        [sys.executable, *arguments],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"python {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")


def imports() -> None:
    """Times fresh processes that import Keras, and Keras with this package."""
    seconds = interleaved(
        {name: lambda number, code=code: run("-c", code) for name, code in IMPORTS.items()},
        repeats=5,
        warm_up=1,
    )
    alone = seconds["import keras"].seconds
    added = {name: each.seconds - alone for name, each in seconds.items()}
    del added["import keras"]
    allowed = f"what may be added: {SECONDS_ADDED} s"
    record("startup", "import", seconds, base="import keras")
    record(
        "startup",
        "seconds added to `import keras`",
        {allowed: np.full(5, SECONDS_ADDED), **added},
        base=allowed,
        aims=dict.fromkeys(added, 1.0),
        unit="s",
    )


def demo() -> None:
    """Times `make demo`'s command, to its final table."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run("-m", "trainers.imagenet", f"--run_dir={folder}/demo")
        seconds = time.perf_counter() - began
    allowed = f"what it may take: {SECONDS_OF_DEMO:.0f} s"
    record(
        "startup",
        "the demo",
        {allowed: np.array([SECONDS_OF_DEMO]), "python -m trainers.imagenet": np.array([seconds])},
        base=allowed,
        aims={"python -m trainers.imagenet": 1.0},
        unit="s",
    )


def main() -> None:
    """Runs what the flags say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", action="store_true", help="time the demo, too")
    flags = parser.parse_args()
    print_machine()
    imports()
    if flags.demo:
        demo()


if __name__ == "__main__":
    main()
