"""The control rule alone, against known and against hostile responses of a network."""

import hypothesis
import hypothesis.strategies as st
import pytest

from keras_has.callbacks.sign_controller import SignController


def run(controller, value, response, steps):
    values = [value]
    for _ in range(steps):
        values.append(controller.next_value(values[-1], response(values[-1])))
    return values


@hypothesis.given(
    start=st.floats(0, 1),
    root=st.floats(0.05, 0.95),
    slope=st.floats(0.1, 10),
    step=st.floats(0.01, 0.1),
)
def test_the_value_reaches_the_root_of_a_known_response_from_any_start(start, root, slope, step):
    controller = SignController(target=0.9, step=step)
    values = run(controller, start, lambda p: 0.9 - slope * (p - root), steps=int(1 / step) + 2)
    assert abs(values[-1] - root) <= step + 1e-9
    assert abs(values[-2] - root) <= step + 1e-9


@hypothesis.given(
    start=st.floats(0.1, 0.6),
    statistics=st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60),
    step=st.floats(0.001, 1),
)
def test_hostile_statistics_never_lead_out_of_the_bounds_or_move_more_than_a_step(
    start, statistics, step
):
    controller = SignController(0.9, step, lowest=0.1, highest=0.6)
    value = start
    for statistic in statistics:
        following = controller.next_value(value, statistic)
        assert 0.1 <= following <= 0.6
        assert abs(following - value) <= step + 1e-12
        value = following


def test_the_value_follows_a_response_that_changes():
    controller = SignController(0.9, 0.02)
    first = run(controller, 0.0, lambda p: 1.0 - 0.2 * p, steps=60)  # root 0.5
    assert first[-1] == pytest.approx(0.5, abs=0.021)
    second = run(controller, first[-1], lambda p: 1.0 - 0.5 * p, steps=60)  # root 0.2
    assert second[-1] == pytest.approx(0.2, abs=0.021)
    third = run(controller, second[-1], lambda p: 1.0 - 0.25 * p, steps=60)  # root 0.4
    assert third[-1] == pytest.approx(0.4, abs=0.021)


def test_a_saturated_ratio_ends_at_the_upper_bound_and_a_missing_one_changes_nothing():
    controller = SignController(0.9, 0.02, highest=0.6)
    assert run(controller, 0.5, lambda p: 1.0, steps=50)[-1] == 0.6
    assert run(controller, 0.33, lambda p: float("nan"), steps=5) == [0.33] * 6
    assert controller.next_value(0.5, 0.9) == 0.5


@hypothesis.given(seed=st.integers(0, 10**6))
@hypothesis.settings(max_examples=25)
def test_noise_of_a_few_percent_keeps_the_value_near_the_root(seed):
    import numpy as np

    random = np.random.default_rng(seed)
    controller = SignController(0.9, 0.02)
    values = run(controller, 0.0, lambda p: 1.0 - 0.2 * p + random.normal(0, 0.04), steps=400)
    assert abs(np.mean(values[200:]) - 0.5) < 0.12


@pytest.mark.parametrize(
    "arguments",
    [
        {"target": float("nan"), "step": 0.1},
        {"target": 0.9, "step": 0},
        {"target": 0.9, "step": 0.1, "lowest": 0.5, "highest": 0.4},
        {"target": 0.9, "step": 0.1, "highest": 1.5},
    ],
)
def test_invalid_arguments_are_named(arguments):
    with pytest.raises(ValueError, match="`(target|step|lowest)`"):
        SignController(**arguments)
