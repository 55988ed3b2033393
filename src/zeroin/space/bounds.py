"""Checks of a number's range, limits and default; each error ends with a remedy to paste."""

import math
import sys
from typing import TYPE_CHECKING

from zeroin.errors import SpaceError
from zeroin.space.plain import is_number, plain, plain_when, tidy
from zeroin.space.scales import SCALES, ends

if TYPE_CHECKING:
    from zeroin.space.numbers import Float, Int  # which import this file

LARGEST = sys.float_info.max


def make_plain(param: "Float | Int") -> None:
    """Convert the fields to Python's own types, so that a stored hyperparameter equals the declared one.

    Raises:
        SpaceError: limits are not two numbers, or `when` is no condition.
    """
    for name in ("low", "high", "default", "fixed"):
        object.__setattr__(param, name, plain(getattr(param, name)))
    object.__setattr__(param, "when", plain_when(param.when))
    if param.limits is not None:
        limits = tuple(plain(v) for v in param.limits) if isinstance(param.limits, list | tuple) else ()
        if len(limits) != 2 or not all(is_number(v) for v in limits):
            raise SpaceError(
                f"limits are two numbers; limits={param.limits!r}: use limits=({param.low!r}, {param.high!r})."
            )
        object.__setattr__(param, "limits", limits)


def shown(param: "Float | Int") -> str:
    """The range alone, for errors.

    >>> from zeroin.space import Float
    >>> shown(Float(0.1, 1.0, scale="log", default=0.5))
    "Float(0.1, 1.0, scale='log')"
    """
    return f"{type(param).__name__}({param.low!r}, {param.high!r}{_scaled(param)})"


def _scaled(param: "Float | Int") -> str:
    return "" if param.scale == "linear" else f", scale={param.scale!r}"


def check_range(param: "Float | Int") -> None:
    """Check that low is below high, that the scale allows both, and that the limits enclose them.

    Raises:
        SpaceError: one of these does not hold.
    """
    kind = type(param).__name__
    for name in ("low", "high"):
        value = getattr(param, name)
        if not is_number(value) or not math.isfinite(value):
            raise SpaceError(f"{name} is a finite number; {shown(param)}: write the range as {kind}(1, 10).")
    if param.scale not in SCALES:
        raise SpaceError(f"a scale is one of {', '.join(SCALES)}; scale={param.scale!r}: use scale='log'.")
    if param.low >= param.high:
        swapped = f"use {kind}({param.high!r}, {param.low!r}{_scaled(param)})"
        alone = f"to hold it, widen the range and add fixed={param.low!r}"
        raise SpaceError(f"low is below high; {shown(param)}: {swapped if param.low > param.high else alone}.")
    if tidy(param.low) == tidy(param.high):
        raise SpaceError(f"low is below high in twelve digits; {shown(param)}: search what is added to {param.low!r}.")
    scale = SCALES[param.scale]
    for name, (low, high) in (("range", (param.low, param.high)), ("limits", param.legal)):
        if not (scale.allows(low) and scale.allows(high)):
            raise SpaceError(f"scale {scale.name} needs {scale.rule}; {name} {low!r}..{high!r}: {_remedy(param)}.")
        if low > param.low or high < param.high:
            raise SpaceError(
                f"limits enclose the range; limits={param.limits!r} of {shown(param)}: "
                f"use limits=({min(low, param.low)!r}, {max(high, param.high)!r})."
            )
    lowest, highest = ends(param.scale, *map(float, param.legal))
    if not math.isfinite(highest - lowest):
        raise SpaceError(f"a range is at most {LARGEST:.2g} wide; {shown(param)}: search a narrower one.")


def check_default(param: "Float | Int", *, zero: bool = False, powers: bool = False) -> None:
    """Check that the default lies in the range, or is the exact zero beside it, and that a fixed value is legal.

    Args:
        param: the number.
        zero: whether it has an exact zero.
        powers: whether its values are powers of two.

    Raises:
        SpaceError: one of these does not hold.
    """
    for name in ("default", "fixed"):
        value = getattr(param, name)
        if value is None:
            continue
        inside = is_number(value) and (param.low <= value <= param.high or (zero and value == 0))
        if not (param.allows(value) and (inside or name == "fixed")):
            near = min(max(value, param.low), param.high) if is_number(value) and value == value else param.low
            rule = f"a {name}{' value' if name == 'fixed' else ''} lies in its range"
            if powers:
                near, rule = power_near(near), f"{rule} and is a power of two"
            raise SpaceError(f"{rule}; {name}={value!r} in {shown(param)}: use {near!r}.")


def power_near(value: float) -> int:
    """The power of two that is nearest on its scale."""
    return int(2 ** round(math.log2(value)))


def _remedy(param: "Float | Int") -> str:
    if param.scale in ("log", "log2"):
        if type(param).__name__ == "Int":
            return f"use Int(1, {max(param.high, 2)!r}, scale={param.scale!r})"
        high = param.high if param.high > 0 else 1.0
        return f"use Float({high * 1e-5:g}, {high!r}, scale={param.scale!r}, zero=True) to keep the exact zero"
    if param.scale == "one_minus_log":
        return f"use Float({min(param.low, 0.9)!r}, 0.999, scale='one_minus_log')"
    return f"use Float(0.01, 0.99, scale={param.scale!r})"
