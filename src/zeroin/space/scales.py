"""Scales: a scale maps values to the real line such that equal steps there matter equally.

A value drawn "uniformly on a scale" is `inverse(t)`, with `t` uniform between `forward(low)` and `forward(high)`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scale:
    """A strictly increasing map to the real line, with its inverse and the open interval where it is defined.

    `forward` and `inverse` take and return floats or arrays of any shape.
    """

    name: str
    forward: Callable[[Any], Any]
    inverse: Callable[[Any], Any]
    above: float
    below: float
    rule: str  # what must hold for a range on this scale
    words: str

    def allows(self, value: float) -> bool:
        """Whether the scale is defined at `value`."""
        return self.above < value < self.below


LINEAR = Scale("linear", lambda x: x, lambda t: t, -np.inf, np.inf, "finite numbers", "linear scale")
LOG = Scale("log", np.log, np.exp, 0.0, np.inf, "low > 0", "log scale")
LOG2 = Scale("log2", np.log2, np.exp2, 0.0, np.inf, "low > 0", "powers of two")
# For momentum and the betas, 1 - 10^r with r uniform: from 0.9 to 0.99 is as far as from 0.99 to 0.999.
ONE_MINUS_LOG = Scale(
    "one_minus_log",
    lambda x: -np.log1p(-np.asarray(x)),
    lambda t: -np.expm1(-t),
    -np.inf,
    1.0,
    "high < 1",
    "log scale of 1 − x",
)
LOGIT = Scale(
    "logit",
    lambda x: np.log(x) - np.log1p(-np.asarray(x)),
    lambda t: 1.0 / (1.0 + np.exp(-t)),
    0.0,
    1.0,
    "0 < low and high < 1",
    "logit scale",
)

SCALES: dict[str, Scale] = {s.name: s for s in (LINEAR, LOG, LOG2, ONE_MINUS_LOG, LOGIT)}


@lru_cache(maxsize=1024)  # called for every encoding of every config
def ends(scale: str, low: float, high: float) -> tuple[float, float]:
    """The ends of a range on the real line of a scale."""
    return float(SCALES[scale].forward(low)), float(SCALES[scale].forward(high))
