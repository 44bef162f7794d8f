"""What a resumed run is about to log again is removed from the event files."""

import pytest

tf = pytest.importorskip("tensorflow")

from trainers.engine.event_files import purge_events  # noqa: E402


def write_steps(logs, steps):
    with tf.summary.create_file_writer(str(logs)).as_default():
        for step in steps:
            tf.summary.scalar("loss", 10.0 + step, step=step)
    return max(logs.glob("*tfevents*"))


def read(file):
    """Returns (step, value) of every scalar, read as TensorBoard does."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    events = [event for event in EventFileLoader(str(file)).Load() if event.HasField("summary")]
    return [
        (event.step, tf.make_ndarray(value.tensor).item())
        for event in events
        for value in event.summary.value
    ]


def test_events_of_the_step_and_later_are_removed_and_others_kept(tmp_path):
    first = write_steps(tmp_path / "train", [0, 1, 2, 3])
    second = write_steps(tmp_path / "validation", [0, 1])
    untouched = second.read_bytes()
    assert purge_events(tmp_path, 2) == 2
    assert read(first) == [(0, 10.0), (1, 11.0)]
    assert second.read_bytes() == untouched
    assert purge_events(tmp_path, 2) == 0


def test_a_file_that_a_kill_cut_off_is_read_up_to_there(tmp_path):
    file = write_steps(tmp_path, [0, 1, 2])
    file.write_bytes(file.read_bytes()[:-5])  # In the middle of the last event.
    assert purge_events(tmp_path, 1) == 1
    assert read(file) == [(0, 10.0)]


def test_a_folder_without_events_is_left_as_it_is(tmp_path):
    assert purge_events(tmp_path / "none", 0) == 0
