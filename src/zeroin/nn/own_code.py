"""The code of a network, a loss and a metric that are the user's, as a hash: whether it is another than before."""

import hashlib
import inspect
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from torch import nn

from zeroin.executors.code import code_of, function_of

LIBRARIES = ("torch", "zeroin", "builtins")  # whose code changes with their version, not by the user's hand


def own_code(functions: Iterable[Any], model: nn.Module | None) -> str:
    """A short hash of the code of functions, and of the classes of a network's modules; empty where none is one's own.

    What they call is not seen.

    >>> own_code([nn.CrossEntropyLoss()], nn.Linear(2, 2))
    ''
    """
    codes = [code_of(f) for f in functions if _is_own(function_of(f))]
    kinds = {type(m) for m in model.modules() if _is_own(m)} if model else set()
    for kind in sorted(kinds, key=lambda kind: (kind.__module__, kind.__qualname__)):
        with suppress(OSError, TypeError):  # typed in, it is nowhere to be read
            codes.append(inspect.getsource(kind))
    return hashlib.sha256("\n".join(codes).encode()).hexdigest()[:16] if any(codes) else ""


def _is_own(it: Any) -> bool:
    module = getattr(it, "__module__", "") or ""
    return module.partition(".")[0] not in LIBRARIES
