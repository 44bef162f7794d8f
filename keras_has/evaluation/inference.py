"""The one inference loop: it knows about replicas, padding and threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import tensorflow as tf

from keras_has.evaluation.batch import Batch
from keras_has.evaluation.evaluator import Evaluator, Tensors

Result = TypeVar("Result")

_IS_EXAMPLE = "is_example"
_TEXT_BYTES = 256


class Inference:
    """Runs a network over a dataset and hands its outputs to any number of evaluators.

    Under a `tf.distribute` strategy each batch is split among the replicas; a last partial batch is
    padded, and the padding is removed again. A thread computes from the outputs of one batch while
    the network works on the next. Only a few batches are in memory at a time. The graph is built
    once and serves every pass.

    Args:
        dataset: A batched `tf.data.Dataset` of dicts of dense tensors. Strings are cut to 256
            bytes, because not every device takes strings; evaluators see them as uint8, see
            `decode_text`.
        forward: From a replica's share of a batch to a dict of outputs, one row per example; see
            `Evaluator.forward`.
        strategy: The model's strategy. Defaults to the current one.
        padding_values: Fill for rows that pad a last batch, by the name of the entry. Defaults to
            0.

    Example:

    >>> dataset = tf.data.Dataset.from_tensor_slices({"x": tf.range(5)}).batch(2)
    >>> inference = keras_has.evaluation.Inference(dataset, lambda batch: {"y": 2 * batch["x"]})
    >>> [batch.tolist() for batch in inference.map(lambda batch: batch["x"] + batch["y"])]
    [[0, 3], [6, 9], [12]]
    """

    def __init__(
        self,
        dataset: tf.data.Dataset,
        forward: Callable[[Tensors], Tensors],
        strategy: tf.distribute.Strategy | None = None,
        padding_values: Mapping[str, float] | None = None,
    ) -> None:
        self._strategy = strategy or tf.distribute.get_strategy()
        replicas = self._strategy.num_replicas_in_sync
        fills = dict(padding_values or {})
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        batches = dataset.map(lambda batch: _padded(batch, replicas, fills)).prefetch(2)
        batches = batches.with_options(options)
        if replicas > 1:
            batches = self._strategy.experimental_distribute_dataset(batches)
        self._batches: Any = batches

        @tf.function(reduce_retracing=True)
        def on_replicas(batch: Tensors) -> Any:
            return self._strategy.run(forward, args=(batch,))

        self.forward = on_replicas

    def map(self, function: Callable[[Batch], Result]) -> Iterator[Result]:
        """Yields what `function` returns for each batch, in order.

        Args:
            function: Called in a thread, with one batch after the other.
        """
        parts_of = self._strategy.experimental_local_results
        with ThreadPoolExecutor(max_workers=1) as executor:
            waiting: deque[Future[Result]] = deque()
            for inputs in self._batches:
                values = {**inputs, **self.forward(inputs)}
                is_example = parts_of(values.pop(_IS_EXAMPLE))
                batch = Batch({key: parts_of(value) for key, value in values.items()}, is_example)
                waiting.append(executor.submit(function, batch))
                if len(waiting) > 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def run(self, evaluators: Sequence[Evaluator], draw: bool = False) -> dict[str, float]:
        """Does one pass over the data.

        Args:
            evaluators: All of them get every batch.
            draw: Whether the evaluators collect what `Evaluator.panel` draws. Defaults to False.

        Returns:
            The figures of all evaluators.

        Raises:
            ValueError: If the dataset is empty.
        """
        for evaluator in evaluators:
            evaluator.reset()
            if draw:
                evaluator.start_panel()

        def process(batch: Batch) -> int:
            for evaluator in evaluators:
                evaluator.process(batch)
            return batch.num_examples

        if sum(self.map(process)) == 0:
            raise ValueError(
                f"`dataset` should hold at least one {evaluators[0].noun}. Received: none."
            )
        return {
            name: value for evaluator in evaluators for name, value in evaluator.result().items()
        }


def decode_text(encoded: Any) -> str:
    """Returns the text of a row of bytes, as `Inference` hands out strings.

    Args:
        encoded: (256,) uint8, filled up with 0.

    Example:

    >>> from keras_has.evaluation.inference import decode_text
    >>> decode_text(np.frombuffer(b"cat_1" + bytes(251), "uint8"))
    'cat_1'
    """
    return encoded.tobytes().rstrip(b"\0").decode("utf-8", errors="replace")


def _padded(batch: Tensors, multiple: int, fills: Mapping[str, float]) -> Tensors:
    """Pads a batch to a multiple of the number of replicas and marks which rows are examples."""
    entries = {key: value for key, value in batch.items() if isinstance(value, tf.Tensor)}
    count = tf.shape(next(iter(entries.values())))[0]
    missing = -count % multiple
    padded = {_IS_EXAMPLE: tf.range(count + missing) < count}
    for key, value in entries.items():
        if value.dtype == tf.string:
            value = tf.io.decode_raw(value, tf.uint8, fixed_length=_TEXT_BYTES)
        paddings = [[0, missing]] + [[0, 0]] * (len(value.shape) - 1)
        fill = tf.cast(fills.get(key, 0), value.dtype)
        padded[key] = tf.pad(value, paddings, constant_values=fill)
    return padded
