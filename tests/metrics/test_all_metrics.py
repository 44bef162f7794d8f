"""What holds for every metric: exact counts however the images come, and round trips."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_has import metrics
from keras_has.ops.boxes import box_iou

pytestmark = pytest.mark.backends

NEW = {
    "gt_known_loc": metrics.GTKnownLocalization,
    "gt_known_loc_at_0.3": lambda: metrics.GTKnownLocalization(0.3),
    "top1_loc": metrics.Top1Localization,
    "top5_loc": metrics.Top5Localization,
    "top1_clas": metrics.Top1Classification,
    "curve": lambda: metrics.LocalizationCurve(thresholds=(0.1, 0.2, 0.3, 0.5)),
}
only_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a matter of TensorFlow"
)


@pytest.fixture(params=NEW)
def new(request):
    return NEW[request.param]


def inputs(metric, images, part=slice(None)):
    is_curve = isinstance(metric, metrics.LocalizationCurve)
    y_pred = images.y_pred_curve if is_curve else images.y_pred
    return (
        {key: values[part] for key, values in images.y_true.items()},
        {key: values[part] for key, values in y_pred.items()},
    )


def counts(metric):
    # `np.asarray` of a tensor: of a variable, NumPy 2 would warn.
    values = [keras.ops.convert_to_tensor(variable) for variable in metric.variables]
    return [np.asarray(value).tolist() for value in values]


def counts_of_all_at_once(new, images):
    metric = new()
    metric.update_state(*inputs(metric, images))
    return counts(metric)


# Few different sizes: JAX compiles every operation anew for each.
@pytest.mark.parametrize("cuts", [[10], [5, 15], [1, 6, 11, 16], list(range(1, 20))], ids=str)
def test_any_split_into_batches_gives_the_same_counts(new, images, cuts):
    metric = new()
    for start, stop in zip([0, *cuts], [*cuts, 20], strict=True):
        metric.update_state(*inputs(metric, images, slice(start, stop)))
    assert counts(metric) == counts_of_all_at_once(new, images)


@pytest.mark.parametrize("dtype", ["float32", "bool", "int64"])
def test_padding_of_weight_0_does_not_count_whatever_it_holds(new, images, dtype):
    metric = new()
    places = np.array([0, 2, 3, 4, 6, 7, 8, 9])  # Padding between the images, and after the last.
    for start in (0, 8, 16):
        y_true, y_pred = inputs(metric, images, slice(start, start + 8))
        filled = places[: len(y_true["label"])]
        padded_true = {"label": np.full(10, -1), "boxes": np.zeros((10, 3, 4), "float32")}
        padded_true["boxes"][:] = [0, 0, 10, 10]
        padded_pred = {
            key: np.full((10, *values.shape[1:]), np.nan, "float32")
            for key, values in y_pred.items()
        }
        for padded, values in ((padded_true, y_true), (padded_pred, y_pred)):
            for key in padded:
                padded[key][filled] = values[key]
        weight = np.isin(np.arange(10), filled).astype(dtype)
        metric.update_state(padded_true, padded_pred, sample_weight=weight)
    assert counts(metric) == counts_of_all_at_once(new, images)


def test_merging_adds_the_counts_of_metrics_that_saw_parts(new, images):
    parts = [new(), new(), new()]
    for metric, part in zip(parts, (slice(0, 5), slice(5, 15), slice(15, 20)), strict=True):
        metric.update_state(*inputs(metric, images, part))
    expected = [np.sum(each, axis=0).tolist() for each in zip(*map(counts, parts), strict=True)]
    first, *others = parts
    first.merge_state(others)
    assert counts(first) == expected


def test_merging_parts_of_an_even_number_of_boxed_images_is_seeing_all_at_once(new, images):
    boxed = np.cumsum(np.any(images.y_true["boxes"][..., 2] > 0, axis=1))
    middle = next(part for part in (5, 10, 15) if boxed[part - 1] % 2 == 0)
    parts = [new(), new()]
    for metric, part in zip(parts, (slice(middle), slice(middle, None)), strict=True):
        metric.update_state(*inputs(metric, images, part))
    parts[0].merge_state(parts[1:])
    assert counts(parts[0]) == counts_of_all_at_once(new, images)


def test_merging_with_another_metric_is_refused_and_changes_nothing(new, images):
    metric = new()
    metric.update_state(*inputs(metric, images))
    before = counts(metric)
    others = [metrics.GTKnownLocalization(0.1), metrics.LocalizationCurve(thresholds=[0.5])]
    for other in others:
        with pytest.raises(ValueError, match="`metrics`"):
            metric.merge_state([new(), other])
    assert counts(metric) == before


def test_a_reset_metric_starts_again(new, images):
    metric = new()
    metric.update_state(*inputs(metric, images))
    metric.reset_state()
    metric.update_state(*inputs(metric, images))
    assert counts(metric) == counts_of_all_at_once(new, images)


def test_without_an_image_the_result_is_nan(new):
    result = new().result()
    values = result.values() if isinstance(result, dict) else [result]
    assert all(np.isnan(float(value)) for value in values)


def test_counts_are_integers_that_do_not_stop_at_2_to_the_24(new, images):
    metric = new()
    for variable in metric.variables:
        assert variable.dtype in ("int32", "int64")
        variable.assign(np.full(variable.shape, 2**24, variable.dtype))
    metric.update_state(*inputs(metric, images))
    once = new()
    once.update_state(*inputs(once, images))
    for total, part in zip(counts(metric), counts(once), strict=True):
        np.testing.assert_array_equal(np.asarray(total) - 2**24, part)


def test_configuration_and_serialization_round_trip(new):
    metric = new()
    config = metric.get_config()
    assert type(metric).from_config(config).get_config() == config
    saved = keras.saving.serialize_keras_object(metric)
    loaded = keras.saving.deserialize_keras_object(saved)
    assert type(loaded) is type(metric)
    assert loaded.get_config() == config
    for argument, value in config.items():
        assert getattr(loaded, argument) == value


def test_names_say_everything():
    assert [NEW[name]().name for name in ("gt_known_loc", "top1_loc", "top5_loc", "top1_clas")] == [
        "gt_known_loc",
        "top1_loc",
        "top5_loc",
        "top1_clas",
    ]
    assert metrics.LocalizationCurve().name == "gt_known_loc_curve"


def test_stateless_updates_give_the_same_counts(new, images):
    metric = new()
    update = metric.stateless_update_state
    if keras.backend.backend() == "jax":
        import jax

        update = jax.jit(update)
    state = [keras.ops.convert_to_tensor(variable) for variable in metric.variables]
    for part in (slice(10), slice(10, 20)):
        state = update(state, *inputs(metric, images, part))
    metric_counts = [np.asarray(value).tolist() for value in state]
    assert metric_counts == counts_of_all_at_once(new, images)


@only_tensorflow
def test_a_graph_of_unknown_batch_size_gives_the_same_counts(new, images):
    import tensorflow as tf

    metric = new()

    def of_any_length(values):
        return tf.TensorSpec([None, *values.shape[1:]], values.dtype)

    y_true, y_pred = inputs(metric, images)
    signature = tuple({k: of_any_length(v) for k, v in each.items()} for each in (y_true, y_pred))
    update = tf.function(metric.update_state, input_signature=signature, autograph=False)
    for start, stop in ((0, 3), (3, 12), (12, 20)):
        update(*inputs(metric, images, slice(start, stop)))
    assert counts(metric) == counts_of_all_at_once(new, images)


@only_tensorflow
def test_replicas_sum_their_counts(new, images, two_replicas):
    import tensorflow as tf

    strategy = two_replicas
    with strategy.scope():
        metric = new()
    parts = [inputs(metric, images, part) for part in (slice(10), slice(10, 20))]
    batches = strategy.experimental_distribute_values_from_function(
        lambda context: parts[context.replica_id_in_sync_group]
    )
    apart = [new(), new()]
    for each, part in zip(apart, parts, strict=True):
        each.update_state(*part)
    for _ in range(2):
        strategy.run(tf.function(metric.update_state, autograph=False), args=batches)
    expected = [2 * (np.array(a) + b) for a, b in zip(*map(counts, apart), strict=True)]
    if isinstance(metric, metrics.LocalizationCurve):  # A replica goes on dealing where it was.
        boxed = np.sum(expected[0])
        np.testing.assert_array_equal(np.sum(counts(metric)[0]), boxed)
        np.testing.assert_array_equal(
            np.sum(counts(metric)[1], axis=0), np.sum(expected[1], axis=0)
        )
        assert metric.result()["gt_known_loc_best"] == np.sum(expected[1], axis=0).max() / boxed
    else:
        assert counts(metric) == [each.tolist() for each in expected]
        whole = new()
        whole.update_state(*inputs(metric, images))
        assert float(metric.result()) == float(whole.result())


def test_every_figure_equals_a_loop_over_the_images(images):
    box_right, class_right, among_5, boxed = [], [], [], []
    for image in range(20):
        probabilities = images.y_pred["probabilities"][image]
        order = sorted(range(8), key=lambda index: (-probabilities[index], index))
        label, is_nan = images.y_true["label"][image], np.isnan(probabilities).any()
        class_right.append(not is_nan and order[0] == label)
        among_5.append(not is_nan and label in order[:5])
        true = [box for box in images.y_true["boxes"][image] if box[2] > box[0]]
        boxed.append(bool(true))
        predicted = images.y_pred["boxes"][image]
        box_right.append(any(box_iou(predicted, box) > 0.5 for box in true))
    box_right, class_right, among_5, boxed = map(np.array, (box_right, class_right, among_5, boxed))
    expected = {
        "gt_known_loc": box_right[boxed].mean(),
        "top1_loc": (box_right & class_right)[boxed].mean(),
        "top5_loc": (box_right & among_5)[boxed].mean(),
        "top1_clas": class_right.mean(),
    }
    assert 0 < expected["top1_loc"] < expected["top5_loc"] < expected["gt_known_loc"] < 1
    for name, value in expected.items():
        metric = NEW[name]()
        metric.update_state(*inputs(metric, images))
        assert float(metric.result()) == pytest.approx(value, abs=1e-6)


def test_the_metrics_can_be_imported_without_opencv_and_without_a_foreign_tensorflow():
    program = (
        "import os, sys; sys.modules['cv2'] = None;"
        "os.environ.get('KERAS_BACKEND') in ('jax', 'torch')"
        " and sys.modules.update(tensorflow=None);"
        "import keras_has.metrics"
    )
    subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], check=True, cwd=Path(__file__).resolve().parents[2]
    )


def test_a_metric_of_a_strategy_updated_outside_of_its_replicas_says_so(two_replicas):
    """Sums over replicas would come out wrong there."""
    with two_replicas.scope():
        metric = metrics.Top1Classification()
    true, found = {"label": [0, 0]}, {"probabilities": [[0.9, 0.1], [0.1, 0.9]]}
    with pytest.raises(RuntimeError, match="`strategy.run`"):
        metric.update_state(true, found)
    with two_replicas.scope(), pytest.raises(RuntimeError, match="`strategy.run`"):
        metric.update_state(true, found)
