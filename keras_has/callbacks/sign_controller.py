"""The rule by which a hide probability follows a statistic of the training."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class SignController:
    """Moves a value by a fixed step towards the point where a statistic equals its target.

        value + step * sign(statistic - target), limited to [lowest, highest]

    The statistic is expected to fall as the value rises, such as the accuracy on hidden images.
    Steps are bounded, so one wrong statistic does little harm; a statistic of NaN changes nothing.
    The distance to the root ends up at most one step for an exact statistic.

    Args:
        target: The statistic to reach.
        step: How far the value moves, above 0.
        lowest: The smallest value. Defaults to `0.0`.
        highest: The largest value. Defaults to `1.0`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> controller = SignController(target=0.9, step=0.02)
    >>> round(controller.next_value(0.5, statistic=0.95), 2)
    0.52
    >>> round(controller.next_value(0.5, statistic=0.7), 2)
    0.48

    Reference:
        [Karras et al., 2020](https://arxiv.org/abs/2006.06676), who control the strength of the
        augmentation of a discriminator in this way (StyleGAN2-ADA).
    """

    target: float
    step: float
    lowest: float = 0.0
    highest: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.target):
            raise ValueError(f"`target` should be finite. Received: target={self.target}")
        if not 0 < self.step <= 1:
            raise ValueError(f"`step` should be in (0, 1]. Received: step={self.step}")
        if not 0 <= self.lowest <= self.highest <= 1:
            raise ValueError(
                "`lowest` and `highest` should be in [0, 1], in this order. "
                f"Received: lowest={self.lowest}, highest={self.highest}"
            )

    def next_value(self, value: float, statistic: float) -> float:
        """Returns the value after one step.

        Args:
            value: The present value.
            statistic: The statistic that was measured with it; NaN if there is none.
        """
        direction = (statistic > self.target) - (statistic < self.target)  # 0 for NaN
        return min(max(value + direction * self.step, self.lowest), self.highest)
