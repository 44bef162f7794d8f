"""The inference loop: replicas, padding, threads and several evaluators."""

import threading

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from keras_has.evaluation import Inference  # noqa: E402
from keras_has.evaluation.inference import decode_text  # noqa: E402


def numbers(count, batch_size=4):
    examples = {
        "x": np.arange(count, dtype="float32"),
        "boxes": np.ones((count, 2, 4), "float32"),
        "name": np.array([f"image {number}" for number in range(count)]),
    }
    return tf.data.Dataset.from_tensor_slices(examples).batch(batch_size)


@pytest.mark.parametrize("count", [8, 9, 11])
@pytest.mark.parametrize("replicas", [1, 2])
def test_outputs_come_in_order_without_padding(count, replicas, two_replicas):
    strategy = two_replicas if replicas == 2 else None
    inference = Inference(
        numbers(count), lambda batch: {"y": 3 * batch["x"]}, strategy, {"boxes": -1}
    )
    batches = list(inference.map(lambda batch: dict(batch)))
    assert [len(batch["x"]) for batch in batches] == [min(4, count - n) for n in range(0, count, 4)]
    x = np.concatenate([batch["x"] for batch in batches])
    y = np.concatenate([batch["y"] for batch in batches])
    np.testing.assert_array_equal(x, np.arange(count))
    np.testing.assert_array_equal(y, 3 * x)
    assert all((batch["boxes"] == 1).all() for batch in batches)
    names = [decode_text(row) for batch in batches for row in batch["name"]]
    assert names == [f"image {number}" for number in range(count)]


def test_padding_gets_the_values_asked_for(two_replicas):
    def forward(batch):
        return {"sum": tf.fill(tf.shape(batch["x"]), tf.reduce_sum(batch["boxes"]))}

    inference = Inference(numbers(1), forward, two_replicas, {"boxes": -1})
    sums = []
    run = inference.forward
    inference.forward = lambda batch: sums.append(run(batch)) or sums[-1]
    assert [batch.tolist() for batch in inference.map(lambda batch: batch["sum"])] == [[8.0]]
    second = two_replicas.experimental_local_results(sums[0]["sum"])[1]
    assert second.numpy().tolist() == [-8.0]


def test_one_thread_computes_from_a_batch_while_the_network_works_on_the_next():
    threads, waited = set(), []
    second_started = threading.Event()
    inference = Inference(numbers(16), lambda batch: {})
    run, calls = inference.forward, []

    def forward(batch):
        calls.append(batch)
        if len(calls) == 2:
            second_started.set()
        return run(batch)

    def compute(batch):
        threads.add(threading.get_ident())
        waited.append(second_started.wait(timeout=60))
        return batch.num_examples

    inference.forward = forward
    assert list(inference.map(compute)) == [4, 4, 4, 4]
    assert all(waited)
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_only_a_few_batches_are_in_memory():
    inference = Inference(numbers(40, 1), lambda batch: {})
    started = []
    run = inference.forward
    inference.forward = lambda batch: started.append(1) or run(batch)
    results = inference.map(lambda batch: batch.num_examples)
    next(results)
    assert len(started) <= 2
    results.close()


def test_an_error_in_the_thread_is_raised():
    def fail(batch):
        raise RuntimeError("no box")

    with pytest.raises(RuntimeError, match="no box"):
        list(Inference(numbers(4), lambda batch: {}).map(fail))


def test_one_pass_feeds_several_evaluators():
    class Total:
        def __init__(self, name):
            self.name = name

        def reset(self):
            self.total = 0.0

        def process(self, batch):
            self.total += float(batch[self.name].sum())

        def result(self):
            return {self.name: self.total}

    inference = Inference(numbers(5), lambda batch: {"y": 2 * batch["x"]})
    assert inference.run([Total("x"), Total("y")]) == {"x": 10.0, "y": 20.0}
    assert inference.run([Total("x")]) == {"x": 10.0}  # A second pass starts from the beginning.
