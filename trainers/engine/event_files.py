"""Event files of TensorBoard: removes what a resumed run is about to log again."""

from pathlib import Path

import tensorflow as tf

from keras_has.atomic_files import atomic_path


def purge_events(logs: Path, first_step: int) -> int:
    """Removes the events of a step and later, so that no epoch appears twice after a kill.

    TensorBoard shows every event of a step that was logged again after a restart. Only files with
    such events are rewritten.

    Args:
        logs: The folder of the event files, which is searched recursively.
        first_step: The first step to remove: the number of finished epochs.

    Returns:
        The number of events removed.
    """
    return sum(_purge(file, first_step) for file in sorted(logs.rglob("*tfevents*")))


def _purge(file: Path, first_step: int) -> int:
    kept, removed = [], 0
    try:
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            if event.WhichOneof("what") == "summary" and event.step >= first_step:
                removed += 1
            else:
                kept.append(record)
    except tf.errors.DataLossError:
        pass  # A kill in the middle of a record; TensorBoard also reads up to it.
    if removed:
        with atomic_path(file) as partial, tf.io.TFRecordWriter(str(partial)) as writer:
            for record in kept:
                writer.write(record)
    return removed
