"""Categorical hyperparameters: `Choice` maps its options to cells of the unit interval and back."""

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import numpy as np

from zeroin.errors import SpaceError
from zeroin.space.plain import OUTSIDE, When, data_of, plain, plain_when, written
from zeroin.space.scales import Array
from zeroin.types import Range, Value


class Choice:
    """One of several options: bool, int, float, str or None.

    Args:
        options: two or more, all different.
        ordered: whether neighbouring options are similar (small, medium, large); then the search treats it as a number.
        default: a good option to start with; None: the first.
        when: as for `Float`.
        fixed: hold it at this option; `...`, or None if that is not an option: it is not held.

    Raises:
        SpaceError: there are fewer than two options, one stands there twice, or one cannot be stored in a file.

    >>> Choice("sgd", "adamw").value(0.7)
    'adamw'
    """

    __slots__ = ("_keys", "default", "fixed", "options", "ordered", "when")

    def __init__(
        self,
        *options: Value,
        ordered: bool = False,
        default: Value = None,
        when: When | None = None,
        fixed: Value | EllipsisType = ...,
    ) -> None:
        options = tuple(plain(option) for option in options)
        self.options: tuple[Value, ...] = options
        self.ordered, self.when = ordered, plain_when(when)
        self.default: Value = plain(default)
        self.fixed: Value | EllipsisType = ... if fixed is None and None not in options else plain(fixed)
        if len(options) == 1 and isinstance(options[0], list | tuple) and options[0]:
            inside = ", ".join(map(repr, options[0]))
            raise SpaceError(f"options are written one by one; Choice({options[0]!r}): use Choice({inside}).")
        for option in options:
            if option != option:
                raise SpaceError(f"an option equals itself; {_show(options)}: give {option!r} a name, such as 'none'.")
            if not isinstance(option, Value):
                raise SpaceError(
                    f"an option is a bool, int, float, str or None; {option!r} is a {type(option).__name__}: "
                    f"give it a name, and look the name up in your own code."
                )
        self._keys = {key(option): i for i, option in enumerate(options)}
        if len(options) < 2:
            raise SpaceError(
                f"a Choice has two or more options; {_show(options)}: write a constant into your own code instead."
            )
        if len(self._keys) < len(options):
            raise SpaceError(f"the options of a Choice differ; {_show(options)}: leave the duplicate out.")
        for name, value in (("default", default), ("fixed", fixed)):
            if value is not None and value is not ... and not self.allows(plain(value)):
                raise SpaceError(
                    f"a {name} is one of the options; {name}={value!r} in {_show(options)}: use {options[0]!r}."
                )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choice) and self._facts == other._facts

    __hash__ = None  # type: ignore[assignment]  # like Float and Int: `when` is a mapping

    def __repr__(self) -> str:
        return written(_show(self.options), self.to_json())

    @property
    def held(self) -> bool:
        """Whether it is held at one option, which may be None."""
        return self.fixed is not ...

    @property
    def start(self) -> Value:
        """The option it is held at, the default, or the first."""
        if not isinstance(self.fixed, EllipsisType):
            return self.fixed
        return self.options[0] if self.default is None else self.default

    @property
    def range(self) -> Range:
        """The options; one where fixed."""
        return (self.start,) if self.held else self.options

    def value(self, unit: float) -> Value:
        """The option at a point of the unit interval; beyond its ends, the nearest."""
        if self.held:
            return self.start
        return self.options[max(0, min(int(unit * len(self.options)), len(self.options) - 1))]

    def values(self, within: Range) -> Sequence[Value]:
        """All values of a range: its options."""
        return (self.start,) if self.held else within

    def unit(self, value: Value) -> float:
        """The point of an option, the middle of its cell; below 0 for a value that is not an option."""
        place = self._keys.get(key(value))
        return -OUTSIDE if place is None else (place + 0.5) / len(self.options)

    def span(self, range: Range) -> tuple[float, float]:  # noqa: ARG002  called as a number's is
        """The whole unit interval, or a single point if it is held."""
        return (self.unit(self.start), self.unit(self.start)) if self.held else (0.0, 1.0)

    def snap(self, units: Array) -> Array:
        """Points moved to the middle of their option's cell, for an array of any shape."""
        if self.held:
            return np.full_like(units, self.unit(self.start))
        return (np.minimum(np.floor(units * len(self.options)), len(self.options) - 1) + 0.5) / len(self.options)

    def allows(self, value: Value) -> bool:
        """Whether a value may stand in a config: one of the options."""
        return isinstance(value, Value) and key(value) in self._keys  # a list has no key

    def to_json(self) -> dict[str, Any]:
        """As plain data; fields at their usual value are left out."""
        fields = data_of(default=self.default, when=self.when) | ({"fixed": self.fixed} if self.held else {})
        return {"type": "choice", "options": list(self.options), "ordered": self.ordered, **fields}

    @property
    def _facts(self) -> tuple[object, ...]:
        return list(self._keys), self.ordered, key(self.default), key(self.fixed), self.when


def key(value: Value | EllipsisType) -> tuple[str, Value | EllipsisType]:
    """A key by which options are compared: with their type, because True is not the option 1."""
    return type(value).__name__, value


def _show(options: Sequence[Value]) -> str:
    """The options alone, for errors."""
    return f"Choice({', '.join(map(repr, options))})"
