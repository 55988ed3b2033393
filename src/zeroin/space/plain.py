"""Values as files can hold them (numbers, strings, booleans, None), and hyperparameters as plain data and as code."""

import json
import sys
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from zeroin.errors import SpaceError
from zeroin.types import Config, Value

OUTSIDE = 0.1  # how far outside the unit interval a value is placed that the scale does not allow

Allowed: TypeAlias = Value | tuple[Value, ...] | range
When: TypeAlias = Mapping[str, Allowed]


def plain(value: Any) -> Any:
    """A value with NumPy scalars converted to Python's own types."""
    return value.item() if isinstance(value, np.generic) else value


def plain_when(when: Any) -> When | None:
    """A condition in Python's own types; None where it asks for nothing.

    Raises:
        SpaceError: it is not a mapping, or asks for no value at all.
    """
    if when is None:
        return None
    if not isinstance(when, Mapping):
        raise SpaceError(f"`when` is {{other: value or tuple of values}}; when={when!r}: use when={{'name': value}}.")
    for name, values in when.items():
        if isinstance(values, list | tuple | range) and not values:
            raise SpaceError(
                f"`when` asks for a value or several; when={{{name!r}: {values!r}}} has none: leave it out."
            )
    return {
        k: tuple(map(plain, v)) if isinstance(v, list | tuple | range) else plain(v) for k, v in when.items()
    } or None


def several(allowed: Allowed) -> tuple[Value, ...]:
    """The values that `when` allows, as a tuple."""
    return tuple(allowed) if isinstance(allowed, tuple | range) else (allowed,)


def config_key(config: Config) -> str:
    """A key that is equal for equal configs; with their types, because True is not the option 1."""
    return json.dumps(dict(config), sort_keys=True)


def same_config(a: Config, b: Config) -> bool:
    """Whether two configs are equal, also by the types of their values.

    >>> same_config({"o": 1}, {"o": True})
    False
    """
    return a == b and config_key(a) == config_key(b)


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number that fits into a float; True and False are not numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or -sys.float_info.max <= value <= sys.float_info.max


def number(value: Value) -> float:
    """A value that is known to be a number."""
    assert isinstance(value, int | float), f"not a number: {value!r}"
    return float(value)


def tidy(value: float) -> float:
    """Round to twelve digits: 0.01 rather than 0.010000000000000002, and alike whatever machine computed exp()."""
    return float(f"{value:.12g}")


def data_of(**fields: Any) -> dict[str, Any]:
    """The fields of a hyperparameter as plain data, without those that are None."""
    data = {name: value for name, value in fields.items() if value is not None}
    if "when" in data:
        data["when"] = {k: list(v) if isinstance(v, tuple) else v for k, v in data["when"].items()}
    return data


def written(shown: str, data: Mapping[str, Any]) -> str:
    """The code that makes a hyperparameter: what errors show of it, followed by the fields that are not at default.

    >>> written("Float(0.1, 1.0)", {"type": "float", "low": 0.1, "high": 1.0, "default": 0.5})
    'Float(0.1, 1.0, default=0.5)'
    """
    told = ("type", "low", "high", "scale", "options")
    more = {k: v for k, v in data.items() if k not in told and (k, v) != ("ordered", False)}
    fields = "".join(f", {name}={tuple(value) if name == 'limits' else value!r}" for name, value in more.items())
    return f"{shown[:-1]}{fields})"
