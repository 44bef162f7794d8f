"""The base class of the layers that hide."""

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_has.layers.replica_seed_generator import ReplicaSeedGenerator
from keras_has.ops import hiding
from keras_has.ops.seeded_noise import seeded_uniform

Tensor = Any

_SEED_STATE = "seed_generator_state"


class HidingLayer(keras.Layer):
    """Keeps the probability, the fill and the random generator in variables saved with the model.

    These variables are state, like the seeds of Keras' random layers, and no weights: `weights`,
    `get_weights` and `set_weights` leave them out, so that weights can be exchanged between models
    with and without the layer. `.keras` and `.weights.h5` files contain them.

    Subclasses define what is hidden, and where.

    Args:
        hide_probability: Probability in [0, 1] that a part is hidden, or several.
        fill_value: Value of hidden elements: a number, one per channel, or "mean".
        seed: Integer, or None.
        whole_every: n to leave the examples 0, n, 2n, ... of each batch whole; 0 for none.
        **kwargs: `name` and `dtype`.

    Raises:
        ValueError: If `hide_probability`, `fill_value` or `whole_every` is invalid.
    """

    def __init__(
        self,
        hide_probability: Any,
        fill_value: Any,
        seed: Any,
        whole_every: int = 0,
        **kwargs: Any,
    ) -> None:
        # Outputs have the dtype of the inputs: a mixed-precision policy must not cast them.
        super().__init__(autocast=False, **kwargs)
        hide_probability = np.array(hiding.check_hide_probabilities(hide_probability), "float32")
        self.fill_value = hiding.check_fill_value(fill_value)
        self.seed = seed
        if not isinstance(whole_every, int) or whole_every < 0 or whole_every == 1:
            raise ValueError(
                "`whole_every` should be 0, or an int of at least 2. "
                f"Received: whole_every={whole_every}"
            )
        self.whole_every = whole_every
        self.seed_generator = ReplicaSeedGenerator(seed)
        self.probability = self.add_weight(
            name="hide_probability",
            shape=hide_probability.shape,
            dtype="float32",
            initializer=keras.initializers.Constant(hide_probability),
            trainable=False,
            autocast=False,
        )
        self.mean: Any = None
        self._is_adapted = False
        self._has_warned = False

    @property
    def weights(self) -> list[keras.Variable]:
        """An empty list: all variables of the layer are state."""
        return []

    @property
    def hide_probability(self) -> Any:
        """The probability that a part is hidden; assign to it to change it during training.

        Several are a tuple; a number assigned to them replaces them all.
        """
        # The variable is float32. The shortest decimal form of a value gives 0.3 back as 0.3.
        values = values_of(self.probability)
        if values.ndim == 0:
            return float(str(np.float32(values)))
        return tuple(float(str(value)) for value in values)

    @hide_probability.setter
    def hide_probability(self, value: Any) -> None:
        checked = hiding.check_hide_probabilities(value)
        shape = tuple(self.probability.shape)
        if np.shape(checked) not in ((), shape):
            wanted = f"{shape[0]} numbers, as before, or one" if shape else "a number, as before"
            raise ValueError(
                f"`hide_probability` should be {wanted}. Received: hide_probability={value}"
            )
        self.probability.assign(np.broadcast_to(np.array(checked, "float32"), shape))

    def adapt_mean(self, batches: Iterable[np.ndarray], noun: str) -> None:
        """Computes the mean over all axes but the last, of all batches, for `fill_value="mean"`.

        Args:
            batches: Arrays of any rank, channels last.
            noun: What `data` should contain, for error messages.

        Raises:
            ValueError: If `fill_value` is not "mean", or the data is empty or not finite.
        """
        if self.fill_value != "mean":
            raise ValueError(
                '`adapt` computes the fill of `fill_value="mean"`. '
                f"This layer has fill_value={self.fill_value}"
            )
        sums: Any = 0.0
        count = 0
        channels: set[int] = set()
        for batch in batches:
            channels.add(batch.shape[-1])
            if len(channels) > 1:
                raise ValueError(
                    "`data` should have the same number of channels throughout. "
                    f"Received: {sorted(channels)}"
                )
            sums = sums + batch.sum(axis=tuple(range(batch.ndim - 1)), dtype=np.float64)
            count += batch.size // batch.shape[-1]
        if count == 0:
            raise ValueError(f"`data` should hold at least one {noun}. Received none.")
        mean = np.asarray(sums / count)
        if not np.all(np.isfinite(mean)):
            raise ValueError(f"`data` should be finite. Received: mean per channel={mean}")
        self.create_mean(len(mean))
        self.mean.assign(mean.astype("float32"))
        self._is_adapted = True

    def create_mean(self, channels: int) -> None:
        """Creates the variable of the mean, or checks that it has as many channels."""
        if self.mean is None:
            # NaN stands for "not adapted yet", so that the state is saved with the value.
            self.mean = self.add_weight(
                name="mean",
                shape=(channels,),
                dtype="float32",
                initializer=keras.initializers.Constant(float("nan")),
                trainable=False,
                autocast=False,
            )
        elif self.mean.shape != (channels,):
            raise ValueError(
                f"`data` should have {self.mean.shape[0]} channels, as before. Received: {channels}"
            )

    def check_adapted(self) -> None:
        """Checks that the mean is known where it is needed; it may have been set by weights.

        Raises:
            ValueError: If `adapt` was not called.
        """
        if self.fill_value != "mean":
            return
        if not self._is_adapted and self.mean is not None:
            with _out_of_the_graph():
                if _is_traced_by_jax(self.mean):
                    return  # Values are not available while JAX traces a step.
                self._is_adapted = _is_known(self.mean)
        if not self._is_adapted:
            raise ValueError(
                '`fill_value="mean"` needs the mean of the dataset: call '
                f"`layer.adapt(dataset)` on layer '{self.name}' before training."
            )

    def warn_if_mapped(self, training: bool | None) -> None:
        """Warns, once, if a `Dataset.map` calls the layer without `training`, which hides nothing.

        Args:
            training: As passed to the layer, or to the model that contains it.
        """
        if training is not None or self._has_warned or not _is_in_dataset_function():
            return
        self._has_warned = True
        warnings.warn(
            f"`{type(self).__name__}` is called in a dataset's function without `training` and "
            "hides nothing. Pass `training=True` to hide: "
            "`dataset.map(lambda x: layer(x, training=True))`; for masks that do not depend on "
            "the parallelism use `keras_has.data.hide_images` or "
            "`keras_has.data.hide_video_segments`. If nothing should be hidden, pass "
            "`training=False`.",
            stacklevel=3,
        )

    def noise_source(
        self, inputs: Tensor, hiding_seed: Any, is_batch: bool
    ) -> Callable[[tuple], Tensor]:
        """Returns the function from a shape to float32 noise in [0, 1), 1 for what stays whole.

        Args:
            inputs: The tensors; they determine whether TensorFlow or the Keras backend is used.
            is_batch: Whether `inputs` are a batch, of which `whole_every` leaves some whole.
            hiding_seed: (B, 2) or, for a single example, (2,) integers, from which each example's
                noise is derived; or None for the layer's own generator.
        """
        if self.whole_every and is_batch:
            draw = self.noise_source(inputs, hiding_seed, is_batch=False)
            return lambda shape: self._keep_whole(draw(shape), hiding.tensor_namespace(inputs))
        if hiding_seed is not None:
            xp = hiding.tensor_namespace(inputs)
            seeds = hiding_seed
            if xp is not ops:
                import tensorflow as tf

                seeds = tf.convert_to_tensor(seeds)
            else:
                seeds = ops.convert_to_tensor(seeds)
            if len(seeds.shape) == 1:
                seeds = seeds[None]
            return lambda shape: seeded_uniform(seeds, shape[1], xp)
        is_foreign = keras.backend.backend() != "tensorflow" and hiding.is_tensorflow_tensor(inputs)
        return self.uniform_in_tensorflow if is_foreign else self.uniform

    def _keep_whole(self, noise: Tensor, xp: Any) -> Tensor:
        is_whole = xp.arange(xp.shape(noise)[0], dtype="int32") % self.whole_every == 0
        return xp.where(xp.expand_dims(is_whole, 1), xp.cast(1.0, "float32"), noise)

    def uniform(self, shape: tuple) -> Tensor:
        """Draws float32 noise in [0, 1) with the layer's own generator."""
        return keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)

    def uniform_in_tensorflow(self, shape: tuple) -> Tensor:
        """Draws noise in a `tf.data` pipeline while Keras runs on another backend."""
        import tensorflow as tf

        return tf.random.uniform(tf.stack(shape), seed=self.seed)

    def read(self, variable: Any, xp: Any) -> Tensor:
        """Returns a variable for use with the functions `xp`, see `hiding.tensor_namespace`."""
        # TensorFlow cannot read the variables of another backend; it gets their values.
        is_own = xp is ops or keras.backend.backend() == "tensorflow"
        return ops.convert_to_tensor(variable) if is_own else values_of(variable)

    def fill(self, xp: Any) -> Tensor:
        """Returns the fill, a scalar or one value per channel, for use with the functions `xp`."""
        return (
            self.read(self.mean, xp) if self.fill_value == "mean" else np.asarray(self.fill_value)
        )

    def save_own_variables(self, store: Any) -> None:
        """Saves the state, the random generator's included, so that a run can be resumed."""
        super().save_own_variables(store)
        store[_SEED_STATE] = values_of(self.seed_generator.state)

    def load_own_variables(self, store: Any) -> None:
        """Loads the state; a mean that was adapted stays adapted.

        The file of a model without the layer has no state: then the layer keeps its own.
        """
        names = store.keys()  # a group of an HDF5 file has no other way to list them
        if not names:
            return
        super().load_own_variables({name: store[name] for name in names if name != _SEED_STATE})
        if _SEED_STATE in names:
            self.seed_generator.state.assign(np.asarray(store[_SEED_STATE]))
        if self.mean is not None:
            self._is_adapted = _is_known(self.mean)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` needs to rebuild the layer."""
        config = super().get_config()
        config.update(
            hide_probability=self.hide_probability,
            fill_value=self.fill_value,
            seed=self.seed,
            whole_every=self.whole_every,
        )
        return config


def check_training(training: Any) -> None:
    """Raises a ValueError if `training` is a tensor, as where a dataset of pairs is mapped."""
    if hasattr(training, "shape") and "bool" not in str(training.dtype):
        raise ValueError(
            "`training` should be True, False or None. Received: a tensor of "
            f"{training.dtype}. If a layer is mapped over pairs of inputs and labels, write "
            "`dataset.map(lambda x, y: (layer(x, training=True), y))`."
        )


def values_of(variable: Any) -> np.ndarray:
    """Returns the values of a variable."""
    # Through a tensor: converted directly, Keras 3.15 makes NumPy 2 warn.
    return ops.convert_to_numpy(ops.convert_to_tensor(variable))


def _is_known(variable: Any) -> bool:
    """Whether a variable holds numbers; it is empty until a graph has initialized it."""
    value = values_of(variable)
    return value.size > 0 and bool(np.all(np.isfinite(value)))


def _is_in_dataset_function() -> bool:
    """Whether TensorFlow traces a function for `Dataset.map` or another method of datasets."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        return False
    # TensorFlow has no public query; it names these graphs "Dataset_map_..." and so on.
    name = getattr(tensorflow.compat.v1.get_default_graph(), "name", "")
    return str(name).startswith("Dataset_")


def _is_traced_by_jax(variable: Any) -> bool:
    if keras.backend.backend() != "jax":
        return False
    import jax

    return isinstance(ops.convert_to_tensor(variable), jax.core.Tracer)


def elements_of(data: Any) -> Iterator[Any]:
    """Yields the inputs from whatever `adapt` accepts: arrays, tensors, dicts of them.

    Args:
        data: An array or tensor, or an iterable of such, of dicts, or of tuples whose first entry
            is one of these.

    Raises:
        ValueError: If `data` is an endless `tf.data.Dataset`.
    """
    if hasattr(data, "shape"):  # an array or a tensor
        yield data
        return
    if hasattr(data, "cardinality") and int(data.cardinality()) == -1:  # tf.data.INFINITE
        raise ValueError(
            "`data` should be finite. Received: an endless dataset, such as `repeat()` returns. "
            "Give `dataset.take(batches)`."
        )
    for element in data:
        yield element[0] if isinstance(element, (tuple, list)) else element


def as_array(tensor: Any) -> np.ndarray:
    """Returns any tensor or array as a NumPy array."""
    if hiding.is_tensorflow_tensor(tensor):
        return np.asarray(tensor)
    return ops.convert_to_numpy(tensor)


@contextlib.contextmanager
def _out_of_the_graph() -> Iterator[None]:
    """Lets a variable be read while TensorFlow traces a function."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    with tf.init_scope():
        yield
