"""What data a function holds, so that the same function of other data is known for another task."""

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

DEEP = 4  # so far into objects that hold others
MANY = 20  # items of a collection that are looked at
ROWS = 100  # of an array or a table; more would tell little
LONG = 10_000  # characters of a word


def held(objective: Any, *, numbers: bool = True) -> str:
    """A short hash of the data that a function holds; empty if there are none that can be told.

    These are what `partial` gave it, what it captured, its defaults, what it reads of its module, and of an object
    its attributes: numbers, words, arrays and tables, and whatever holds such. The hash is the same in every process.

    Args:
        objective: the function.
        numbers: whether single numbers count, which may be a task's place in a list, or what a run has counted.

    >>> held(lambda config: config["x"]), held(partial(print, "cifar")) == held(partial(print, "mnist"))
    ('', False)
    """
    found: list[str | int | float] = []
    with suppress(Exception):  # it only serves to recognise a task, and objects raise what they like
        found += _of_function(objective, DEEP)
    words = [repr(one) for one in found if numbers or isinstance(one, str)]
    return hashlib.sha256("; ".join(words).encode()).hexdigest()[:8] if words else ""


def _of_function(function: Any, deep: int) -> Iterator[str | int | float]:
    while isinstance(function, partial):
        yield from _of((function.args, function.keywords), deep)
        function = function.func
    function = inspect.unwrap(function)
    yield from _of(getattr(function, "__self__", None) if inspect.ismethod(function) else None, deep)
    if not inspect.isroutine(function):
        yield from _of(function, deep)
    with suppress(TypeError, ValueError):  # a built-in, or one that is not yet complete
        read = inspect.getclosurevars(function)
        yield from _of({**read.globals, **read.nonlocals, "": function.__defaults__}, deep)


def _of(value: Any, deep: int) -> Iterator[str | int | float]:
    """What can be told of a value; nothing of modules, classes and what is too deep."""
    if isinstance(value, str | int | float):
        yield value[:LONG] if isinstance(value, str) else value
    elif isinstance(value, Path):
        yield str(value)
    elif deep == 0 or value is None or inspect.ismodule(value) or inspect.isclass(value):
        return
    elif hasattr(value, "__array__"):
        with suppress(Exception):  # what lies on a GPU, or cannot be cut
            some = np.ascontiguousarray(value[:ROWS] if np.shape(value) else value)
            told = repr(some.tolist()).encode() if some.dtype.hasobject else some.tobytes()
            yield f"{np.shape(value)} {some.dtype} {hashlib.sha256(told).hexdigest()}"
    elif isinstance(value, Mapping):
        for _, each in sorted(list(value.items())[:MANY], key=lambda item: str(item[0])):
            yield from _of(each, deep - 1)
    elif isinstance(value, list | tuple):
        for each in value[:MANY]:
            yield from _of(each, deep - 1)
    elif inspect.isroutine(value) or isinstance(value, partial):
        yield from _of_function(value, deep - 1)
    elif hasattr(value, "__dict__"):
        yield from _of(dict(vars(value)), deep - 1)
    else:
        slots = getattr(value, "__slots__", ())
        names = [slots] if isinstance(slots, str) else slots
        yield from _of({name: getattr(value, name, None) for name in names}, deep - 1)
