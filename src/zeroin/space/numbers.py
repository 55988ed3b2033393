"""Numeric hyperparameters, `Float` and `Int`: each maps its values to the unit interval and back.

The unit interval spans the *legal limits* on the hyperparameter's scale; the range that is searched is a part of it.
The coarse round draws uniformly from the unit interval, so the scale also says how values are distributed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zeroin.errors import SpaceError
from zeroin.space.bounds import check_default, check_range, make_plain, power_near, shown
from zeroin.space.plain import OUTSIDE, When, data_of, is_number, number, tidy, written
from zeroin.space.scales import SCALES, Array, Scale, ends
from zeroin.types import Range, Value

ZERO_SHARE = 0.1  # of the unit interval stands for the exact zero of a log-scaled Float(zero=True)


@dataclass(frozen=True, slots=True, repr=False)
class Float:
    """A real number between `low` and `high`, drawn uniformly on `scale`.

    Args:
        low, high: the range to search, both ends included.
        scale: "linear", "log", "log2", "one_minus_log" (1 - x is log-uniform: for momentum and betas) or "logit".
        default: a good value to start with; None: the middle of the range on its scale.
        zero: also try exactly 0, which a log scale cannot reach, in a tenth of the draws.
        limits: how far the search may move the range if the best lies on its edge; None: not at all.
        when: {other: value, or several in a tuple or a range}: only active where the other hyperparameter has one of
            these values.
        fixed: hold it at this value. What was observed at other values still counts.

    Raises:
        SpaceError: the scale does not allow the range, the default or the limits.

    >>> Float(1e-4, 1.0, scale="log").value(0.5)
    0.01
    """

    low: float
    high: float
    scale: str = "linear"
    default: float | None = None
    zero: bool = False
    limits: tuple[float, float] | None = None
    when: When | None = None
    fixed: float | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        check_range(self)
        if self.zero and self.scale not in ("log", "log2"):
            raise SpaceError(
                f"zero=True adds an exact zero to a log scale; {shown(self)}: leave zero=True out, or set scale='log'."
            )
        check_default(self, zero=self.zero)

    def __repr__(self) -> str:
        return written(shown(self), self.to_json())

    @property
    def legal(self) -> tuple[float, float]:
        """How far the range may move; if there is an exact zero below it, only upwards."""
        low, high = self.limits or (self.low, self.high)
        return (self.low if self.zero else low, high)

    @property
    def held(self) -> bool:
        """Whether it is held at one value."""
        return self.fixed is not None

    @property
    def start(self) -> float:
        """The default, or the middle of the range on its scale."""
        if self.fixed is not None:
            return self.fixed
        return self.default if self.default is not None else self.value(sum(self.span(self.range)) / 2)

    @property
    def range(self) -> Range:
        """The declared range in values; one point where fixed."""
        return (self.low, self.high) if self.fixed is None else (self.fixed, self.fixed)

    def value(self, unit: float) -> float:
        """The value at a point of the unit interval."""
        if self.fixed is not None:
            return self.fixed
        floor = ZERO_SHARE if self.zero else 0.0
        if self.zero and unit < floor:
            return 0.0
        low, high = self.legal
        a, b = ends(self.scale, low, high)
        value = float(SCALES[self.scale].inverse(a + (unit - floor) / (1.0 - floor) * (b - a)))
        return min(max(tidy(value), low), high)

    def values(self, within: Range) -> Sequence[Value] | None:  # noqa: ARG002  called as the others' is
        """All values of a range; None, because there are infinitely many, unless it is held."""
        return None if self.fixed is None else (self.fixed,)

    def unit(self, value: Value) -> float:
        """The point of a value; outside 0..1 for a value beyond the legal limits, and for one that is not a number."""
        if not is_number(value):
            return -OUTSIDE
        x = number(value)
        if self.zero and x == 0.0:
            return ZERO_SHARE / 2
        floor = ZERO_SHARE if self.zero else 0.0
        return floor + (1.0 - floor) * _place(SCALES[self.scale], x, *self.legal)

    def span(self, range: Range) -> tuple[float, float]:
        """The part of the unit interval that corresponds to a range of values (and to the zero, if there is one)."""
        low, high = (self.unit(v) for v in range)
        return (0.0 if self.zero and self.fixed is None else low, high)

    def snap(self, units: Array) -> Array:
        """Points moved to where their values lie, for an array of any shape."""
        if self.fixed is not None:
            return np.full_like(units, self.unit(self.fixed))
        return np.where(units < ZERO_SHARE, ZERO_SHARE / 2, units) if self.zero else units

    def allows(self, value: Value) -> bool:
        """Whether a value may stand in a config: a legal number, or the exact zero."""
        if not is_number(value) or not math.isfinite(number(value)):
            return False
        return self.legal[0] <= number(value) <= self.legal[1] or (self.zero and value == 0)

    def to_json(self) -> dict[str, Any]:
        """As plain data; fields at their usual value are left out."""
        return _data(self, zero=self.zero or None)


@dataclass(frozen=True, slots=True, repr=False)
class Int:
    """A whole number between `low` and `high`, drawn on `scale`.

    Args:
        low, high: the range to search, both ends included.
        scale: "linear", "log", or "log2" for powers of two only (16, 32, 64, ...).
        default, limits, when, fixed: as for `Float`.

    Raises:
        SpaceError: a number is not whole, or the scale does not allow the range, the default or the limits.

    >>> Int(16, 512, scale="log2").value(0.999)
    512
    """

    low: int
    high: int
    scale: str = "linear"
    default: int | None = None
    limits: tuple[int, int] | None = None
    when: When | None = None
    fixed: int | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        named = [(name, getattr(self, name)) for name in ("low", "high", "default", "fixed")]
        for name, value in (*named, *(("limits", limit) for limit in self.limits or ())):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise SpaceError(f"an Int has whole numbers; {name}={value!r}: use Float, or int({value!r}).")
        if self.scale not in ("linear", "log", "log2"):
            raise SpaceError(f"an Int is on scale linear, log or log2; {shown(self)}: use Float for '{self.scale}'.")
        check_range(self)
        if self.scale == "log2":
            for value in (self.low, self.high, *self.legal):
                if value & (value - 1):
                    raise SpaceError(
                        f"log2 counts in powers of two; {shown(self)}: use {power_near(value)} instead of {value}."
                    )
        check_default(self, powers=self.scale == "log2")

    def __repr__(self) -> str:
        return written(shown(self), self.to_json())

    @property
    def legal(self) -> tuple[int, int]:
        """How far the range may move."""
        return self.limits or (self.low, self.high)

    @property
    def held(self) -> bool:
        """Whether it is held at one value."""
        return self.fixed is not None

    @property
    def start(self) -> int:
        """The default, or the middle of the range on its scale."""
        if self.fixed is not None:
            return self.fixed
        return self.default if self.default is not None else self.value(sum(self.span(self.range)) / 2)

    @property
    def range(self) -> Range:
        """The declared range in values; one point where fixed."""
        return (self.low, self.high) if self.fixed is None else (self.fixed, self.fixed)

    def value(self, unit: float) -> int:
        """The value at a point of the unit interval."""
        if self.fixed is not None:
            return self.fixed
        return int(self._values(np.asarray(unit)))

    def values(self, within: Range) -> Sequence[Value]:
        """All values of a range, in ascending order."""
        low, high = (int(number(v)) for v in within)
        if self.fixed is not None:
            return (self.fixed,)
        if self.scale == "log2":
            return [1 << power for power in range(low.bit_length() - 1, high.bit_length())]
        return range(low, high + 1)

    def unit(self, value: Value) -> float:
        """The point of a value, the middle of its cell; below 0 for a value that the scale does not allow."""
        if not is_number(value):
            return -OUTSIDE
        a, b = self._ends(self.legal)
        x = number(value)
        scale = SCALES[self.scale]
        return (scale.forward(x) - a) / (b - a) if scale.allows(x) else -OUTSIDE

    def span(self, range: Range) -> tuple[float, float]:
        """The part of the unit interval that holds a range of values, whole cells."""
        (a, b), (low, high) = self._ends(self.legal), self._ends(range)
        if self.fixed is not None:
            return self.unit(self.fixed), self.unit(self.fixed)
        return (low - a) / (b - a), (high - a) / (b - a)

    def snap(self, units: Array) -> Array:
        """Points moved to where their values lie, for an array of any shape."""
        if self.fixed is not None:
            return np.full_like(units, self.unit(self.fixed))
        a, b = self._ends(self.legal)
        return np.asarray((SCALES[self.scale].forward(self._values(units)) - a) / (b - a))

    def allows(self, value: Value) -> bool:
        """Whether a value may stand in a config: a legal whole number, on log2 a power of two."""
        if not is_number(value) or not number(value).is_integer():
            return False
        whole = int(number(value))
        return self.legal[0] <= whole <= self.legal[1] and (self.scale != "log2" or not whole & (whole - 1))

    def to_json(self) -> dict[str, Any]:
        """As plain data; fields at their usual value are left out."""
        return _data(self)

    def _values(self, units: Array) -> Array:
        a, b = self._ends(self.legal)
        t = a + units * (b - a)
        whole = np.exp2(np.rint(t)) if self.scale == "log2" else np.rint(SCALES[self.scale].inverse(t))
        low, high = self.legal
        return np.clip(whole, float(low), float(high))  # NumPy 1 makes objects of whole ends of 64 bits and more

    def _ends(self, range: Range) -> tuple[float, float]:
        # Half a cell beyond each end, so that the first and the last value are as likely as the others.
        low, high = (number(v) for v in range)
        if self.scale == "log2":
            return math.log2(low) - 0.5, math.log2(high) + 0.5
        return ends(self.scale, low - 0.5, high + 0.5)


def _data(param: Float | Int, **more: Value) -> dict[str, Any]:
    return data_of(
        type=type(param).__name__.lower(), low=param.low, high=param.high, scale=param.scale, default=param.default,
        fixed=param.fixed, limits=param.limits, **more, when=param.when,
    )  # fmt: skip


def _place(scale: Scale, value: float, low: float, high: float) -> float:
    if not scale.allows(value):
        return -OUTSIDE if value <= scale.above else 1.0 + OUTSIDE
    a, b = ends(scale.name, low, high)
    return (float(scale.forward(value)) - a) / (b - a)
