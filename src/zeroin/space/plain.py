"""Values as a file keeps them (numbers, strings, booleans, None), and how a hyperparameter is written."""

import sys
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from zeroin.errors import SpaceError
from zeroin.types import Value

OUTSIDE = 0.1  # how far beyond the unit interval an observation lies whose value the scale does not know

When: TypeAlias = Mapping[str, Value | tuple[Value, ...]]


def plain(value: Any) -> Any:
    """NumPy's scalars as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def plain_when(when: Any) -> When | None:
    """A condition in Python's own types.

    Raises:
        SpaceError: it is no mapping, or asks for no value at all.
    """
    if when is None:
        return None
    if not isinstance(when, Mapping):
        raise SpaceError(f"`when` is {{other: value or tuple of values}}; when={when!r}: use when={{'name': value}}.")
    for name, values in when.items():
        if isinstance(values, list | tuple) and not values:
            raise SpaceError(
                f"`when` asks for a value or several; when={{{name!r}: {values!r}}} has none: leave it out."
            )
    return {k: tuple(map(plain, v)) if isinstance(v, list | tuple) else plain(v) for k, v in when.items()}


def several(allowed: Value | tuple[Value, ...]) -> tuple[Value, ...]:
    """The values of which `when` asks for one."""
    return allowed if isinstance(allowed, tuple) else (allowed,)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it counts, and is not too large for a float; True and False do not count."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or -sys.float_info.max <= value <= sys.float_info.max


def number(value: Value) -> float:
    """A value that is known to be a number."""
    assert isinstance(value, int | float), f"not a number: {value!r}"
    return float(value)


def tidy(value: float) -> float:
    """Twelve digits: 0.01 rather than 0.010000000000000002, and the same on every machine's exp()."""
    return float(f"{value:.12g}")


def data_of(**fields: Any) -> dict[str, Any]:
    """Fields of a hyperparameter as plain data, without those that are None."""
    data = {name: value for name, value in fields.items() if value is not None}
    if "when" in data:
        data["when"] = {k: list(v) if isinstance(v, tuple) else v for k, v in data["when"].items()}
    return data


def written(shown: str, data: Mapping[str, Any]) -> str:
    """The line that makes a hyperparameter: what is `shown` of it in errors, and what else differs from the usual.

    >>> written("Float(0.1, 1.0)", {"type": "float", "low": 0.1, "high": 1.0, "default": 0.5})
    'Float(0.1, 1.0, default=0.5)'
    """
    more = {k: v for k, v in data.items() if k not in ("type", "low", "high", "scale", "options") and v is not False}
    fields = "".join(f", {name}={tuple(value) if name == 'limits' else value!r}" for name, value in more.items())
    return f"{shown[:-1]}{fields})"
