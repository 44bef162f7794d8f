"""Settings of every test: quiet TensorFlow, two logical CPU devices, a fixed seed."""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("default")

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    # Two logical CPU devices stand in for two GPUs under MirroredStrategy.
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


@pytest.fixture(autouse=True)
def fixed_seed():
    keras.utils.set_random_seed(20170404)


@pytest.fixture(scope="session")
def skip_unless_required():
    """Returns a function that skips a test, or fails it if KERAS_HAS_NO_SKIPS lists its need.

    The variable holds words such as `browser,data`, so that tests cannot be skipped unnoticed.
    """

    def skip(need, reason):
        if need in os.environ.get("KERAS_HAS_NO_SKIPS", "").split(","):
            pytest.fail(f"{reason}, but KERAS_HAS_NO_SKIPS requires: {need}")
        pytest.skip(reason)

    return skip


@pytest.fixture
def shared_data(skip_unless_required):
    """The folder with the small real datasets.

    The environment variable KERAS_HAS_DATA names it; without it, `../shared/data` beside the
    checkout is used. Tests that need it are skipped if it does not exist.
    """
    folder = Path(
        os.environ.get("KERAS_HAS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    )
    if not folder.is_dir():
        skip_unless_required("data", f"the real datasets are not in {folder}")
    return folder


@pytest.fixture
def without_numba():
    """Makes the import of Numba fail, as without an installation, until the test calls `undo()`."""
    from keras_has.ops.contour_boxes import compiled_loops

    name = "keras_has.ops.contour_sweep"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "numba", None)
        patch.setitem(sys.modules, name, None)
        del sys.modules[name]  # It is imported anew, and the one before comes back at the end.
        compiled_loops.cache_clear()
        yield patch
    compiled_loops.cache_clear()


@pytest.fixture(scope="session")
def two_replicas():
    """MirroredStrategy on two logical CPUs. One for all tests: TensorFlow 2.16 mixes up several."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("strategies are TensorFlow's")
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
