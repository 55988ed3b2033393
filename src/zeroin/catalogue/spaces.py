"""Spaces made from the catalogue: those hyperparameters that the optimizer has and that the budget can tune."""

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from zeroin.catalogue.entries import CATALOGUE, OPTIMIZERS, Entry
from zeroin.catalogue.names import lookup
from zeroin.errors import SpaceError
from zeroin.space import SCALES, Choice, Float, Hyperparameter, Int, Space
from zeroin.space.params import changed, offered
from zeroin.space.plain import Allowed, When, is_number
from zeroin.types import Value

Asked: TypeAlias = Hyperparameter | tuple[Value, ...] | Value


def space(optimizer: str | Iterable[str] = "adamw", trainings: float | None = None, **include: Asked) -> Space:
    """A space from the catalogue: those hyperparameters of the optimizer that the budget can tune, and those named.

    Args:
        optimizer: one of `OPTIMIZERS`, which is fixed; or several to choose from. Hyperparameters that only some of
            them have are active only with those; ranges that differ are joined into one that covers them all.
        trainings: how many full trainings the budget pays for. Of Adam's hyperparameters, following the Tuning
            Playbook, lr is always tuned, beta1 from 10 trainings on, eps from 25, beta2 from 100. None: all of them.
        **include: by name of an entry: True adds it, False or None leaves it out, `(low, high)` adds it with that range
            (a tuple of options for a Choice), a number or option fixes it, a Float, Int or Choice takes its place.
            units="per_layer" makes units_1, units_2, ..., each active where there are that many layers.

    Returns:
        The space, in the order of the catalogue.

    Raises:
        SpaceError: a name or an optimizer is unknown, the optimizer does not have a hyperparameter, or a range is
            impossible.

    >>> list(space("adamw", trainings=12, layers=True, units=(32, 256)))
    ['optimizer', 'lr', 'beta1', 'layers', 'units']
    >>> space("sgd", lr=(1e-3, 3.0), batch_size=64).default
    {'optimizer': 'sgd', 'lr': 0.01, 'batch_size': 64}

    Source: Deep Learning Tuning Playbook, "How should Adam's hyperparameters be tuned?".
    """
    chosen = _optimizers(optimizer)
    if trainings is not None and not (isinstance(trainings, int | float) and trainings > 0):
        raise SpaceError(
            f"trainings counts full trainings; trainings={trainings!r}: use trainings=30, or leave it out."
        )
    for name in include:
        lookup(name)
    fixed = chosen[0] if len(chosen) == 1 else None
    options = OPTIMIZERS if fixed else chosen
    params: dict[str, Hyperparameter] = {"optimizer": Choice(*options, default=chosen[0], fixed=fixed)}
    for name, entry in CATALOGUE.items():
        asked = include.get(name, True)
        if name == "optimizer" or asked is False or asked is None:
            continue
        owners = _owners(entry, chosen, name in include, trainings)
        if not owners:
            continue
        param = _asked(entry, _covering(*owners.values()), asked)
        own = asked.when or {} if isinstance(asked, Float | Int | Choice) else {}
        param = changed(param, when={**_conditions(entry, tuple(owners), chosen, params), **own} or None)
        params |= _per_layer(params, param) if name == "units" and asked == "per_layer" else {name: param}
    return Space(**params)


def defaults(optimizer: str = "adamw") -> dict[str, Value]:
    """The catalogue's default values of the hyperparameters that an optimizer has.

    Args:
        optimizer: one of `OPTIMIZERS`.

    Returns:
        Values by name, in the order of the catalogue.

    Raises:
        SpaceError: an unknown optimizer.

    >>> {name: defaults("adam")[name] for name in ("lr", "beta1", "beta2", "eps", "weight_decay")}
    {'lr': 0.001, 'beta1': 0.9, 'beta2': 0.999, 'eps': 1e-08, 'weight_decay': 0.0}

    Source: each entry's own.
    """
    (name,) = _optimizers((optimizer,))
    params = {entry.name: entry.param_for(name) for entry in CATALOGUE.values()}
    return {"optimizer": name} | {n: p.start for n, p in params.items() if p is not None and n != "optimizer"}


def unasked(space: Space) -> tuple[str, ...]:
    """The names of the numbers in a space whose range is the catalogue's, because the user gave none.

    Args:
        space: made by `space` above.

    Returns:
        Names in the order of the space.

    >>> unasked(space("adam", trainings=5, batch_size=(8, 64), dropout=True))
    ('lr', 'dropout')
    """
    numbers = {n: p for n, p in space.params.items() if n in CATALOGUE and not isinstance(p, Choice) and p.limits}
    own = {n: [p for o in OPTIMIZERS if (p := CATALOGUE[n].param_for(o))] for n in numbers}
    return tuple(n for n, param in numbers.items() if any(p.range == param.range for p in own[n]))


def _optimizers(optimizer: str | Iterable[str]) -> tuple[str, ...]:
    several = isinstance(optimizer, Iterable) and not isinstance(optimizer, str)
    names = tuple(dict.fromkeys(optimizer)) if several else (optimizer,)
    for name in names or ("",):
        if name not in OPTIMIZERS:
            near = difflib.get_close_matches(str(name).lower(), OPTIMIZERS, n=1, cutoff=0.4) or ["adamw"]
            raise SpaceError(f"an optimizer is one of {', '.join(OPTIMIZERS)}; got {name!r}: use {near[0]!r}.")
    return names  # type: ignore[return-value]  # all are in OPTIMIZERS


def _owners(entry: Entry, chosen: tuple[str, ...], named: bool, trainings: float | None) -> dict[str, Hyperparameter]:
    """Those of the chosen optimizers for which the entry is tuned, with the hyperparameter as each has it."""
    owners = {o: p for o in chosen if (p := entry.param_for(o)) is not None}
    if named and not owners:
        use = next(iter(entry.by_optimizer))
        raise SpaceError(
            f"{entry.name} belongs to {', '.join(entry.by_optimizer)}; optimizer={', '.join(chosen)!r} has none: "
            f"use optimizer={use!r}, or leave {entry.name} out."
        )
    if named:
        return owners
    enough = entry.worth is not None and (trainings is None or trainings >= entry.worth)
    return {o: p for o, p in owners.items() if enough and o not in entry.unasked}


def _covering(first: Hyperparameter, *others: Hyperparameter) -> Hyperparameter:
    """One hyperparameter that covers the ranges and limits of all, with the first's default."""
    for other in others:
        if not isinstance(first, Choice) and not isinstance(other, Choice):
            limits = (min(first.legal[0], other.legal[0]), max(first.legal[1], other.legal[1]))
            first = changed(first, low=min(first.low, other.low), high=max(first.high, other.high), limits=limits)
    return first


def _asked(entry: Entry, param: Hyperparameter, asked: Asked) -> Hyperparameter:
    """The hyperparameter as the user asked for it."""
    if isinstance(asked, Float | Int | Choice):
        return asked
    if asked is True or (entry.name == "units" and asked == "per_layer"):
        return _affordable(entry, param)
    values = asked if isinstance(asked, tuple) else (asked,)
    if not isinstance(param, Choice):
        return _numbers(entry, param, values, isinstance(asked, tuple))
    for value in values:
        if not param.allows(value):
            near = difflib.get_close_matches(str(value), map(str, param.options), n=1) or [str(param.options[0])]
            raise SpaceError(
                f"{entry.name} is one of {', '.join(map(str, param.options))}; {entry.name}={value!r}: use {near[0]}, "
                f"or {entry.name}=Choice(...) with options that your own code understands."
            )
    return Choice(*values) if isinstance(asked, tuple) else changed(param, fixed=asked)


def _numbers(entry: Entry, param: Float | Int, values: tuple[Value, ...], is_range: bool) -> Hyperparameter:
    """A number's range, or its one fixed value; the limits widen as far as need be."""
    lowest, highest = entry.possible
    numbers = [v for v in values if is_number(v) and lowest <= v <= highest]
    if len(numbers) < len(values) or len(values) != 1 + is_range:
        bounds = f" in {lowest:g}..{highest:g}" if entry.possible != (-math.inf, math.inf) else ""
        raise SpaceError(
            f"{entry.name} takes a number or (low, high){bounds}; {entry.name}={values if is_range else values[0]!r}: "
            f"use {entry.name}=({param.low!r}, {param.high!r})."
        )
    if isinstance(param, Float):
        numbers = [float(v) for v in numbers]
    real = [v for v in numbers if SCALES[param.scale].allows(v)]  # Float and Int say themselves what the scale needs
    limits = (min(*param.legal, *real), max(*param.legal, *real))
    if not is_range:
        power = param.scale != "log2" or not int(numbers[0]) & (int(numbers[0]) - 1)
        return changed(param, fixed=numbers[0], limits=limits, scale=param.scale if power else "log")
    low, high = numbers
    zero = isinstance(param, Float) and param.zero
    if zero and real == numbers:
        limits = (low, limits[1])  # the zero is next below low
    stays = param.default is not None and (low <= param.default <= high or (zero and param.default == 0))
    ranged = changed(param, low=low, high=high, limits=limits, default=param.default if stays else None)
    return _affordable(entry, ranged)


def _affordable(entry: Entry, param: Hyperparameter) -> Hyperparameter:
    """Limited where values cost: a search that counts epochs does not see what one takes."""
    if not entry.costs or isinstance(param, Choice) or param.held:
        return param
    (lowest, highest), large = param.legal, entry.costs == "large"
    return changed(param, limits=(lowest, param.high) if large else (param.low, highest))


def _conditions(
    entry: Entry, owners: tuple[str, ...], chosen: tuple[str, ...], params: Mapping[str, Hyperparameter]
) -> dict[str, Allowed]:
    """When it is active: only under its optimizers, and under those values of the others that are in the space."""
    when: dict[str, Allowed] = {"optimizer": owners} if len(owners) < len(chosen) else {}
    for parent, allowed in (entry.param.when or {}).items():
        if values := offered(allowed, params.get(parent)):
            when[parent] = values
    return when


def _per_layer(params: dict[str, Hyperparameter], units: Hyperparameter) -> dict[str, Hyperparameter]:
    """units_1 .. units_n for the deepest network of the space; layers can then not go beyond its range."""
    layers = params.get("layers")
    if not isinstance(layers, Int):
        raise SpaceError(f"units='per_layer' needs layers, an Int, in the space; layers={layers!r}: add layers=(1, 4).")
    if layers.held:
        return {f"units_{i}": units for i in range(1, layers.start + 1)}
    deep = {"layers": changed(layers, limits=None)}
    for i in range(1, layers.high + 1):
        when: When = {**(units.when or {}), "layers": range(max(i, layers.low), layers.high + 1)}
        deep[f"units_{i}"] = changed(units, when=when)
    return deep
