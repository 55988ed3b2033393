"""Identifying an objective function by its name, its code and its data, so that a resumed study notices a change."""

import ast
import hashlib
import inspect
import sys
import textwrap
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from zeroin.executors.held import held
from zeroin.types import Value

PLAIN = (str, int, float, Path)  # arguments that are the same in every process


def measure_of(objective: Any) -> dict[str, Value]:
    """What the scores of an objective measure: for a Task what it says itself, for a function its name, code and data.

    Of the data that a function holds, words, arrays and tables count; numbers may be what a run has counted.

    >>> measure_of(lambda config: config["x"])["objective"]
    '<lambda>'
    """
    told = getattr(objective, "measure", None)
    if isinstance(told, dict):  # a callable of the user's may have something else of that name
        return told
    hashes = {"code": code_of(objective), "held": held(objective, numbers=False)}
    return {"objective": _name_of(objective), **{fact: found for fact, found in hashes.items() if found}}


def code_of(objective: Any) -> str:
    """A short hash of a function's source without comments and layout; empty if it has none.

    The functions that it calls are not part of it. The bytecode is used for a lambda, whose source is that of a whole
    statement, and for a function typed at a prompt, whose source is not available.
    """
    function = function_of(objective)
    if not _name_of(objective).endswith("<lambda>"):
        with suppress(OSError, TypeError):
            text = textwrap.dedent(inspect.getsource(function if hasattr(function, "__qualname__") else type(function)))
            with suppress(SyntaxError):  # what a decorator made of it
                text = ast.dump(ast.parse(text))
            return _hash(text + _given(objective))
    compiled = getattr(function, "__code__", None)
    return "" if compiled is None else _hash(_written(compiled) + _given(objective))


def measure_with_file(objective: Any) -> dict[str, Value]:
    """`measure_of`, for a function with its file as well, which distinguishes it from others of the same name."""
    measure = measure_of(objective)
    if "objective" not in measure:
        return measure
    module = sys.modules.get(getattr(function_of(objective), "__module__", ""))
    arguments = _given(objective)
    words = [f"{measure['objective']}({arguments})" if arguments else str(measure["objective"])]
    words += [f"in {Path(file).stem}" for file in [getattr(module, "__file__", None)] if file]
    if "<lambda>" in words[0]:  # it has no name: it is what it does
        words += [str(measure["code"])] if "code" in measure else []
    return {**measure, "function": " ".join(words)}


def _name_of(objective: Any) -> str:
    function = function_of(objective)
    return str(getattr(function, "__qualname__", type(function).__name__))


def _given(objective: Any) -> str:
    """The plain arguments that `partial` holds: the same function of other data is another objective.

    >>> _given(partial(print, "cifar", sep=partial, end="!"))
    "'cifar', end='!'"
    """
    words: list[str] = []
    while isinstance(objective, partial):
        words += [_word(value) for value in objective.args if _is_plain(value)]
        words += [f"{name}={_word(value)}" for name, value in sorted(objective.keywords.items()) if _is_plain(value)]
        objective = objective.func
    return ", ".join(words)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, PLAIN)


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_word, value))}]"
    return repr(str(value) if isinstance(value, Path) else value)


def function_of(objective: Any) -> Any:
    """The function that is called in the end, without `partial` and decorators around it."""
    while isinstance(objective, partial):
        objective = objective.func
    return inspect.unwrap(objective)


def _written(value: Any) -> str:
    """A constant or bytecode as text that is the same in every process."""
    if inspect.iscode(value):
        return _written((value.co_code, value.co_names, value.co_consts))
    if isinstance(value, tuple):
        return f"({', '.join(map(_written, value))})"
    if isinstance(value, frozenset):  # its order is another one in each process
        return f"{{{', '.join(sorted(map(_written, value)))}}}"
    return repr(value)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
