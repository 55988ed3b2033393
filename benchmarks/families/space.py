"""Hyperparameters on their right scale, and points of the unit cube."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Value: TypeAlias = float | int | str
Config: TypeAlias = Mapping[str, Value]

Kind: TypeAlias = Literal["float", "int", "choice"]
Scale: TypeAlias = Literal["linear", "log", "one_minus_log"]


@dataclass(frozen=True)
class Dim:
    """One hyperparameter. `value` and `unit` map the unit interval to its values, on its scale, and back."""

    name: str
    kind: Kind
    low: float = 0.0
    high: float = 1.0
    scale: Scale = "linear"
    options: tuple[str, ...] = ()
    when: tuple[str, str] | None = None  # active only where config[when[0]] == when[1]

    @property
    def is_plain_int(self) -> bool:
        return self.kind == "int" and self.scale == "linear"

    def _forward(self, x: float) -> float:
        match self.scale:
            case "log":
                return math.log(x)
            case "one_minus_log":
                return -math.log1p(-x)
            case _:
                return x

    def _backward(self, t: float) -> float:
        match self.scale:
            case "log":
                return math.exp(t)
            case "one_minus_log":
                return -math.expm1(-t)
            case _:
                return t

    def value(self, u: float) -> Value:
        """The value at place `u` of the unit interval."""
        if self.kind == "choice":
            return self.options[min(int(u * len(self.options)), len(self.options) - 1)]
        if self.is_plain_int:
            return int(min(self.high, math.floor(self.low + u * (self.high - self.low + 1))))
        low, high = self._forward(self.low), self._forward(self.high)
        x = min(max(self._backward(low + u * (high - low)), self.low), self.high)
        return round(x) if self.kind == "int" else x

    def unit(self, value: Value) -> float:
        """The place of `value` in the unit interval; the inverse of `value`."""
        if self.kind == "choice":
            return (self.options.index(str(value)) + 0.5) / len(self.options)
        if self.is_plain_int:
            return (float(value) - self.low + 0.5) / (self.high - self.low + 1)
        low, high = self._forward(self.low), self._forward(self.high)
        return (self._forward(float(value)) - low) / (high - low)


def config_at(dims: Sequence[Dim], u: Sequence[float] | Array) -> dict[str, Value]:
    """The config at a point of the unit cube."""
    return {d.name: d.value(float(x)) for d, x in zip(dims, u, strict=True)}


def place_of(dims: Sequence[Dim], config: Config) -> Array:
    """The point of the unit cube where a config lies."""
    return np.array([d.unit(config[d.name]) for d in dims])
