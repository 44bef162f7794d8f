import os
import pickle

import numpy as np
import pytest

from keras_has.data.restricted_pickle import read_plain_pickle


class Malicious:
    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_plain_data_comes_back_in_every_protocol(tmp_path, protocol):
    path = tmp_path / "batch"
    data = {
        b"data": np.arange(12, dtype="uint8").reshape(3, 4),
        b"labels": [1, 2, 3],
        "names": ("a", 1.5, None, True),
    }
    path.write_bytes(pickle.dumps(data, protocol=protocol))
    found = read_plain_pickle(path)
    np.testing.assert_array_equal(found[b"data"], data[b"data"])
    assert found[b"data"].dtype == np.uint8
    assert found[b"labels"] == [1, 2, 3]
    assert found["names"] == ("a", 1.5, None, True)


def test_a_batch_of_python_2_comes_back_with_bytes_as_keys(tmp_path):
    # {"labels": [7], "data": array([[5]], uint8)}, pickled by Python 2.
    path = tmp_path / "batch"
    path.write_bytes(
        b"\x80\x02}(U\x06labels]K\x07aU\x04data"
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x01K\x01\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x01\x05tbu."
    )
    found = read_plain_pickle(path)
    assert found[b"labels"] == [7]
    np.testing.assert_array_equal(found[b"data"], np.array([[5]], "uint8"))


@pytest.mark.parametrize(
    "function, arguments",
    [
        (os.system, "touch {marker}"),
        (eval, "open({marker!r}, 'w')"),
        (open, "{marker}"),
        (np.load, "{marker}"),
    ],
)
def test_no_function_of_a_pickle_is_called(tmp_path, function, arguments):
    marker = tmp_path / "marker"
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps(Malicious(function, arguments.format(marker=str(marker)))))
    with pytest.raises(ValueError, match="batch"):
        read_plain_pickle(path)
    assert not marker.exists()


def test_a_pickle_cannot_allocate_an_array_of_any_size(tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps(Malicious(np.ndarray, (10**12,), "u1")))
    with pytest.raises(ValueError, match="batch"):
        read_plain_pickle(path)


@pytest.mark.parametrize("length", range(0, 120, 7))
def test_a_truncated_pickle_is_named(tmp_path, length):
    path = tmp_path / "batch"
    content = pickle.dumps({b"data": np.zeros((4, 4), "uint8"), b"labels": [0, 1, 2, 3]})
    path.write_bytes(content[: min(length, len(content) - 1)])
    with pytest.raises(ValueError, match="batch"):
        read_plain_pickle(path)
