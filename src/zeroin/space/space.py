"""`Space`: all hyperparameters by name, and the map between configs and points of the unit cube."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from keyword import iskeyword
from typing import Any

import numpy as np

from zeroin.errors import SpaceError
from zeroin.space import table
from zeroin.space.choice import Choice
from zeroin.space.numbers import Float, Int
from zeroin.space.params import Hyperparameter, changed, from_json, offered
from zeroin.space.plain import Allowed, is_number, plain, several
from zeroin.space.scales import Array
from zeroin.types import Config, Range, Value


class Space:
    """Hyperparameters by name; immutable. A config is a dict of the values of those that are active.

    Args:
        **params: `Float`, `Int` or `Choice` by name.

    Raises:
        SpaceError: there is no hyperparameter, or a `when` names an unknown one, an impossible value, or itself.

    >>> space = Space(lr=Float(1e-4, 1.0, scale="log"), layers=Int(1, 3))
    >>> space.config(np.array([0.5, 0.1]))
    {'lr': 0.01, 'layers': 1}
    """

    __slots__ = ("_conditional", "_order", "params")

    def __init__(self, /, **params: Hyperparameter) -> None:
        if not params:
            raise SpaceError(
                "a space has at least one hyperparameter; got none: use Space(lr=Float(1e-5, 1.0, scale='log'))."
            )
        for name, param in params.items():
            if not isinstance(param, Float | Int | Choice):
                raise SpaceError(f"a hyperparameter is Float, Int or Choice; {name}={param!r}: use Float(low, high).")
        self.params: Mapping[str, Hyperparameter] = dict(params)
        self._order = _parents_first(self.params)
        self._conditional = any(param.when for param in params.values())

    def __len__(self) -> int:
        return len(self.params)

    def __iter__(self) -> Iterator[str]:
        return iter(self.params)

    def __getitem__(self, name: str) -> Hyperparameter:
        if name not in self.params:
            raise SpaceError(f"the space has {', '.join(self)}; {name!r} is none of them: check the spelling.")
        return self.params[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.params == other.params

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        if all(name.isidentifier() and not iskeyword(name) for name in self.params):
            return f"Space({', '.join(f'{k}={v!r}' for k, v in self.params.items())})"
        return f"Space(**{self.params!r})"  # names that Python takes in quotes alone

    def __str__(self) -> str:
        """A table with the range, scale, default, limits and condition of each hyperparameter."""
        return table.text(self.params)

    @property
    def default(self) -> dict[str, Value]:
        """The config with every active hyperparameter at its default."""
        return self._active({name: param.start for name, param in self.params.items()})

    @property
    def searched(self) -> tuple[str, ...]:
        """The names of the hyperparameters that are searched: those neither held nor inactive in every config.

        >>> held = Choice("sgd", "adamw", fixed="sgd")
        >>> Space(optimizer=held, lr=Float(0, 1), beta2=Float(0, 1, when={"optimizer": "adamw"})).searched
        ('lr',)
        """
        possible: dict[str, bool] = {}
        for name in self._order:
            parents = [(self.params[q], q, allowed) for q, allowed in (self.params[name].when or {}).items()]
            possible[name] = all(possible[q] and (not p.held or _is_one(p, p.start, v)) for p, q, v in parents)
        return tuple(name for name, param in self.params.items() if possible[name] and not param.held)

    @property
    def has_default(self) -> bool:
        """Whether the user named a default for a hyperparameter that is searched."""
        return any(p.default is not None and not p.held for p in self.params.values())

    def config(self, units: Array) -> dict[str, Value]:
        """The config at a point of the unit cube, shape [D]."""
        values = {name: p.value(float(u)) for (name, p), u in zip(self.params.items(), units, strict=True)}
        return self._active(values) if self._conditional else values

    def configs(self, ranges: Mapping[str, Range]) -> Iterator[dict[str, Value]] | None:
        """All configs of the ranges, one by one; None if a Float is searched, as there are infinitely many.

        >>> space = Space(o=Choice("a", "b"), n=Int(1, 3, when={"o": "b"}))
        >>> list(space.configs(space.ranges))
        [{'o': 'a'}, {'o': 'b', 'n': 1}, {'o': 'b', 'n': 2}, {'o': 'b', 'n': 3}]
        """
        values: dict[str, Sequence[Value]] = {}
        for name, param in self.params.items():
            found = param.values(ranges[name])
            if found is None and name in self.searched:
                return None
            values[name] = found or ()  # none is needed of one that no config has
        return self._grown({}, self._order, values)

    def units(self, config: Config) -> Array:
        """The point of a config, shape [D]; inactive hyperparameters stand at their default."""
        return np.array(
            [p.unit(config[n] if n in config else p.start) for n, p in self.params.items()]  # noqa: SIM401  start costs
        )

    def snap(self, units: Array) -> Array:
        """Points [n, D] moved to the points of their configs: whole numbers, options, defaults of inactive ones."""
        out = np.stack([p.snap(units[:, j]) for j, p in enumerate(self.params.values())], axis=1)
        names = list(self.params)
        for name in self._order:  # parents first, so that a grandchild of an inactive one is inactive too
            param = self.params[name]
            if not param.when:
                continue
            active = np.ones(len(out), bool)
            for parent, allowed in param.when.items():
                places = [self.params[parent].unit(v) for v in several(allowed)]
                active &= np.isclose(out[:, [names.index(parent)]], places, rtol=0.0, atol=1e-9).any(axis=1)
                active &= ~np.isnan(out[:, names.index(parent)])
            out[~active, names.index(name)] = np.nan
        for j, param in enumerate(self.params.values()):
            if param.when:
                out[np.isnan(out[:, j]), j] = param.unit(param.start)
        return out

    def span(self, ranges: Mapping[str, Range]) -> Array:
        """The box [D, 2] of the unit cube that holds the ranges."""
        return np.array([p.span(ranges[name]) for name, p in self.params.items()])

    @property
    def ranges(self) -> dict[str, Range]:
        """The declared ranges in values, by name."""
        return {name: p.range for name, p in self.params.items()}

    def check(self, config: Config) -> dict[str, Value]:
        """A config, checked and completed: active hyperparameters that it does not name get their default.

        Raises:
            SpaceError: a name is unknown, or a value is one that its hyperparameter cannot have.

        >>> Space(lr=Float(1e-4, 1.0, scale="log"), layers=Int(1, 3)).check({"layers": 2})
        {'lr': 0.01, 'layers': 2}
        """
        if not isinstance(config, Mapping):
            raise SpaceError(
                f"a config is a dict of values by name; got {config!r}: use {{{next(iter(self))!r}: ...}}."
            )
        config = {name: plain(value) for name, value in config.items()}
        for name, value in config.items():
            if name not in self.params:
                raise SpaceError(
                    f"a config names hyperparameters of the space; {name!r} is none of {', '.join(self)}: leave it out."
                )
            if not self.params[name].allows(value):
                raise SpaceError(
                    f"a value lies within the legal limits; {name}={value!r} does not fit {self.params[name]!r}: "
                    f"use {name}={self.params[name].start!r}."
                )
        whole = {name: int(v) for name, v in config.items() if isinstance(self.params[name], Int)}
        return self._active({name: p.start for name, p in self.params.items()} | config | whole)

    def set(self, name: str, *range: Value) -> "Space":
        """The space with another range, or other options, for one hyperparameter; what was observed still counts.

        The search stays within the new range: limits that were wider are dropped, and so are other hyperparameters that
        are only active for values that are no longer there.

        Args:
            name: of the hyperparameter.
            range: low and high of a number; the options of a choice. A single option fixes it, as `fix` does. A number
                that may be exactly 0 beside its range may have it in the range too: its low end stays.

        Returns:
            A new space.

        Raises:
            SpaceError: there is no such hyperparameter, or it cannot have this range.

        >>> Space(lr=Float(1e-4, 1.0, scale="log")).set("lr", 1e-3, 1e-2)
        Space(lr=Float(0.001, 0.01, scale='log'))
        """
        param, range = self[name], tuple(map(plain, range))
        if isinstance(param, Choice):
            if len(range) == 1:
                return self.fix(name, range[0])
            default = param.default if param.default in range else None
            return self._with(name, changed(param, options=range, default=default, fixed=...))
        if len(range) != 2 or not all(map(is_number, range)):
            raise SpaceError(
                f"a range is low..high; {name}={range!r}: use {name}={param.low!r}..{param.high!r}, or fix it."
            )
        low, high = (int(v) if isinstance(param, Int) and float(v).is_integer() else v for v in range)  # type: ignore[arg-type]
        if isinstance(param, Float) and param.zero and low == 0 and high > param.low:  # type: ignore[operator]
            low = param.low
        if low == high:
            return self.fix(name, low)
        fields: dict[str, Any] = {"low": low, "high": high, "fixed": None, "limits": None}
        zero = isinstance(param, Float) and param.zero and param.default == 0  # stays, below any range
        if param.default is not None and not zero and not low <= param.default <= high:  # type: ignore[operator]
            fields["default"] = None
        return self._with(name, replace(param, **fields))

    def fix(self, name: str, value: Value) -> "Space":
        """The space with one hyperparameter held at a value; what was observed at other values still counts.

        Args:
            name: of the hyperparameter.
            value: to hold it at.

        Returns:
            A new space.

        Raises:
            SpaceError: there is no such hyperparameter, or it cannot have this value.

        >>> Space(layers=Int(1, 3)).fix("layers", 2).default
        {'layers': 2}
        """
        param, value = self[name], plain(value)
        if param.allows(value):
            return Space(**{**self.params, name: changed(param, fixed=value)})
        if isinstance(param, Choice):
            raise SpaceError(f"{name} is one of {param.options}; {value!r} is not: use {param.options[0]!r}.")
        kind = "power of two" if param.scale == "log2" and isinstance(param, Int) else type(param).__name__
        raise SpaceError(
            f"a fixed value is a legal {kind}, {param.legal[0]:g}..{param.legal[1]:g}; "
            f"{name}={value!r}: use {name}={param.start!r}."
        )

    def renamed(self, names: Mapping[str, str]) -> "Space":
        """The space with other names for some hyperparameters, also where a `when` asks about them.

        Raises:
            SpaceError: two would have one name.

        >>> list(Space(lr=Float(1e-5, 1.0, scale="log"), layers=Int(1, 3)).renamed({"lr": "learning_rate"}))
        ['learning_rate', 'layers']
        """
        new: dict[str, Hyperparameter] = {}
        for name, param in self.params.items():
            when = {names.get(parent, parent): allowed for parent, allowed in (param.when or {}).items()}
            if (other := names.get(name, name)) in new:
                raise SpaceError(f"each hyperparameter has a name of its own; {other!r} would be two: use another.")
            new[other] = changed(param, when=when) if when else param
        return Space(**new)

    def to_json(self) -> dict[str, Any]:
        """Plain data, in order; `Space.from_json` reads it."""
        return {name: p.to_json() for name, p in self.params.items()}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "Space":
        """The inverse of `to_json`."""
        return Space(**{name: from_json(p) for name, p in data.items()})

    def _with(self, name: str, new: Hyperparameter) -> "Space":
        """The space with one hyperparameter exchanged; conditions on values that it no longer has are dropped."""
        left: dict[str, Hyperparameter] = {}
        for other in self._order:
            param = new if other == name else self.params[other]
            when = dict(param.when or {})
            for parent, allowed in when.items():
                kept = offered(allowed, left.get(parent))
                when[parent] = allowed if kept == several(allowed) else kept
            if () not in when.values():
                left[other] = param if when == (param.when or {}) else changed(param, when=when)
        return Space(**{other: left[other] for other in self.params if other in left})

    def _active(self, values: dict[str, Value]) -> dict[str, Value]:
        active: dict[str, Value] = {}
        for name in self._order:
            if self._is_active(name, active):
                active[name] = values[name]
        return {name: active[name] for name in self.params if name in active}

    def _is_active(self, name: str, parents: Config) -> bool:
        when = self.params[name].when or {}
        return all(q in parents and _is_one(self.params[q], parents[q], allowed) for q, allowed in when.items())

    def _grown(
        self, config: dict[str, Value], names: Sequence[str], values: Mapping[str, Sequence[Value]]
    ) -> Iterator[dict[str, Value]]:
        """All configs that extend one by values of further hyperparameters, which come after those they depend on."""
        if not names:
            yield {name: config[name] for name in self.params if name in config}
            return
        name, *others = names
        for more in ({name: v} for v in values[name]) if self._is_active(name, config) else [{}]:
            yield from self._grown({**config, **more}, others, values)


def _is_one(param: Hyperparameter, value: Value, allowed: Allowed) -> bool:
    exact = isinstance(param, Choice)  # an option True is not the option 1
    return any(value == v and (type(value) is type(v) or not exact) for v in several(allowed))


def _check_parents(name: str, params: Mapping[str, Hyperparameter]) -> None:
    """Check that what the `when` of a hyperparameter asks for can be."""
    for parent, allowed in (params[name].when or {}).items():
        if parent not in params:
            raise SpaceError(
                f"`when` names another hyperparameter of the space; {name} has when={{{parent!r}: ...}}: "
                f"use one of {', '.join(p for p in params if p != name) or 'none, there is no other'}."
            )
        impossible = [value for value in several(allowed) if not params[parent].allows(value)]
        if impossible:
            raise SpaceError(
                f"`when` asks for a value that {parent} can have; {name} has when={{{parent!r}: {impossible[0]!r}}}: "
                f"use a value of {params[parent]!r}."
            )


def _parents_first(params: Mapping[str, Hyperparameter]) -> list[str]:
    """Names such that a hyperparameter comes after those that its `when` asks about."""
    for name in params:
        _check_parents(name, params)
    order: list[str] = []
    while len(order) < len(params):
        ready = [n for n, p in params.items() if n not in order and all(q in order for q in (p.when or {}))]
        if not ready:
            loop = ", ".join(n for n in params if n not in order)
            raise SpaceError(f"`when` is not circular; {loop} depend on each other: leave out one `when`.")
        order += ready
    return order
