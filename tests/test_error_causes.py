"""Tests of the one line that says what went wrong."""

import pytest
import tensorflow as tf

from keras_has.data.image_decoding import decode_image
from keras_has.error_causes import cause_of


def eagerly():
    decode_image(tf.constant(b"\x89PNG\r\n\x1a\nxxx"))


def in_a_dataset():
    list(tf.data.Dataset.from_tensors(b"\x89PNG\r\n\x1a\nxxx").map(decode_image))


def in_a_function():
    tf.function(decode_image)(tf.constant(b"\x89PNG\r\n\x1a\nxxx"))


def in_a_saved_model(folder):
    module = tf.Module()
    spec = tf.TensorSpec((), tf.string)
    module.decode = tf.function(decode_image, input_signature=[spec])
    tf.saved_model.save(module, folder)
    tf.saved_model.load(folder).decode(tf.constant(b"\x89PNG\r\n\x1a\nxxx"))


@pytest.mark.parametrize("fail", [eagerly, in_a_dataset, in_a_function, in_a_saved_model])
def test_the_cause_of_a_tensorflow_error_comes_without_its_graph(fail, tmp_path):
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        fail(*[str(tmp_path)] * (fail is in_a_saved_model))
    assert cause_of(raised.value) == "Invalid PNG. Failed to initialize decoder."


def test_errors_without_a_text_are_named_by_their_kind():
    assert cause_of(EOFError()) == "EOFError"
    assert cause_of(ValueError(" \n ")) == "ValueError"
    assert cause_of(OSError(2, "No such file", "a.npy")) == "[Errno 2] No such file: 'a.npy'"
