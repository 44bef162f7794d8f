"""A full disk is recognized in the error of every library that writes files."""

import errno

import pytest

tf = pytest.importorskip("tensorflow")

from trainers.engine.command import exit_on_error  # noqa: E402
from trainers.engine.disk_full import is_disk_full  # noqa: E402

# What h5py and TensorFlow raised on a full file system.
HDF5 = OSError(
    "[Errno 28] Can't synchronously write data (file write failed: errno = 28, error message = "
    "'No space left on device')"
)
TENSORFLOW = tf.errors.ResourceExhaustedError(
    None, None, "runs/logs/events; No space left on device"
)


def caused_by(cause):
    error = ValueError("the file could not be saved")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "full"), OSError(errno.EDQUOT, "quota"), HDF5, TENSORFLOW],
)
def test_the_error_and_what_it_caused_are_recognized(error):
    assert is_disk_full(error)
    assert is_disk_full(caused_by(error))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EACCES, "permission denied"),
        ValueError("28"),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating a tensor"),
    ],
)
def test_other_errors_are_not(error):
    assert not is_disk_full(error)
    assert not is_disk_full(caused_by(error))


def test_a_command_ends_with_one_line_and_status_1():
    with pytest.raises(SystemExit) as stop, exit_on_error(interrupted="Again."):
        raise caused_by(OSError(errno.ENOSPC, "No space left on device"))
    message = str(stop.value)  # Python prints it and exits with status 1.
    assert message.startswith("error: the disk is full")
    assert message.endswith("Again.")
    assert "\n" not in message


def test_other_errors_of_a_command_are_not_caught():
    with pytest.raises(ValueError, match="mistake"), exit_on_error():
        raise ValueError("mistake")
