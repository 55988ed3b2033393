"""What an objective is, as far as it can be seen: its name, and its code."""

import ast
import hashlib
import inspect
import textwrap
from contextlib import suppress
from functools import partial
from typing import Any

from zeroin.types import Value


def measure_of(objective: Any) -> dict[str, Value]:
    """What the scores of an objective are scores of: what a Task says of itself; of a function its name and its code.

    The code is that of the function alone, without comments and layout, as a short hash; what it calls and the data it
    reads are not seen.

    >>> measure_of(lambda config: config["x"])["objective"]
    '<lambda>'
    """
    told: dict[str, Value] | None = getattr(objective, "measure", None)
    if told is not None:
        return told
    while isinstance(objective, partial):
        objective = objective.func
    function = inspect.unwrap(objective)
    name = str(getattr(function, "__qualname__", type(function).__name__))
    if name.endswith("<lambda>"):  # its source is that of the whole statement, with the budget of the search
        inside = function.__code__
        plain = [const for const in inside.co_consts if not inspect.iscode(const)]
        return {"objective": name, "code": _hash(repr((inside.co_code, inside.co_names, plain)))}
    try:
        text = textwrap.dedent(inspect.getsource(function if hasattr(function, "__qualname__") else type(function)))
    except (OSError, TypeError):  # typed in, or of another language
        return {"objective": name}
    with suppress(SyntaxError):  # what a decorator made of it
        text = ast.dump(ast.parse(text))
    return {"objective": name, "code": _hash(text)}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
