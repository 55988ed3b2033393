"""What a value of any kind holds, written out, so that two values can be compared that act alike but are not the same.

Networks of one class may still differ: in an object they were given, in what a function or a class made within `build`
closes over, in a tensor that is no buffer. A stack calls the layers of one of them for all.
"""

import copyreg
import hashlib
import itertools
import sys
import types
import weakref
from collections import deque
from collections.abc import Iterator, Sized
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zeroin.nn.networks import KNOWN, Asked

PLAIN = (bool, int, float, complex, str, bytes, type(None))
DATA = (*PLAIN, list, dict, set, deque, itertools.count, Tensor, np.ndarray)
MANY = 1000
ACTIVATIONS = "activations"  # of a transformed step: a later step that reads them stops
UNLIKE = itertools.count()
OF_TORCH = frozenset(vars(nn.Module())) | {"_is_full_backward_hook"}
HOOKS = ("_forward_pre_hooks", "_forward_hooks")
OF_A_CLASS = frozenset({"__dict__", "__weakref__", "__doc__", "__module__", "_abc_impl"})


def content(value: Any, seen: dict[int, tuple[int, Any]] | None = None) -> Any:
    """A value as nested tuples whose `repr` is equal for equal values; what is not known is like nothing else.

    Args:
        value: an attribute of a network.
        seen: what is known already, by id, with a number that is written in its place; it is kept, so that no id is
            used twice.

    >>> content([1, {"a": torch.ones(2)}]) == content([1, {"a": torch.ones(2)}])
    True
    >>> content(lambda x: x + len("a")) == content(lambda x: x + len("ab"))
    False
    """
    seen = {} if seen is None else seen
    if isinstance(value, PLAIN):
        return value
    if id(value) in seen:
        return "number", seen[id(value)][0]
    seen[id(value)] = len(seen), value
    inner = partial(content, seen=seen)
    if isinstance(value, weakref.ref):  # which recurrent layers have of their parameters
        return "reference", inner(value())
    if isinstance(value, Tensor) and torch._C._functorch.is_functorch_wrapped_tensor(value):
        return ACTIVATIONS
    if isinstance(value, tuple | list):
        return type(value).__qualname__, tuple(map(inner, value))
    if isinstance(value, dict):
        return type(value).__qualname__, tuple((inner(k), inner(v)) for k, v in value.items())
    if isinstance(value, Asked):
        # What the training loop applies is asked for in building if at all; all else perhaps not before training.
        names = value.names.union(value.config) - (set(KNOWN) - value.names)
        return "config", tuple((name, inner(value.config.get(name))) for name in sorted(names))
    if isinstance(value, types.ModuleType):
        return "module", value.__name__
    if isinstance(value, types.FunctionType):
        code = value.__code__
        held = value.__defaults__, value.__kwdefaults__, tuple(map(_cell, value.__closure__ or ())), vars(value)
        written = code.co_code.hex(), repr(code.co_consts), code.co_names
        return value.__module__, value.__qualname__, written, inner(held)
    if isinstance(value, types.MethodType):
        return "method", inner(value.__func__), inner(value.__self__)
    if isinstance(value, type):
        own = {} if _is_named(value) else {k: v for k, v in vars(value).items() if k not in OF_A_CLASS}
        return value.__module__, value.__qualname__, inner(own), inner(value.__bases__ if own else ())
    if isinstance(value, staticmethod | classmethod | property):
        return type(value).__qualname__, inner([getattr(value, n, None) for n in ("__func__", "fget", "fset", "fdel")])
    try:
        return _numbers(value) if isinstance(value, Tensor | np.ndarray) else _reduced(value, inner)
    except Exception:  # an object that cannot be copied
        return "unlike anything", next(UNLIKE)


def _is_named(value: type) -> bool:
    """Whether a class is the one of its name in its file, as those are not which were made within a function."""
    found: Any = sys.modules.get(value.__module__)
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


def parts(model: nn.Module) -> dict[int, tuple[int, Any]]:
    """The modules, parameters and buffers of a network, as `content` takes what is known."""
    return {id(part): (i, part) for i, part in enumerate((*model.modules(), *model.parameters(), *model.buffers()))}


def attributes(module: nn.Module) -> dict[str, Any]:
    """What a module has beside its parameters, buffers and children, by name; hooks too, but those on gradients."""
    own = {name: value for name, value in sorted(vars(module).items()) if name not in OF_TORCH}
    return own | {name: list(getattr(module, name).values()) for name in HOOKS}


def surroundings(model: nn.Module, *others: Any) -> dict[str, str]:
    """Data that the code of a network reads and might change, by name: of its classes, closures and files.

    Args:
        model: the network.
        others: what is called with it, such as a loss: functions and objects.
    """
    called = [one for one in others if callable(one)]
    classes = {c for one in (*model.modules(), *called) for c in type(one).__mro__ if _is_foreign(c)}
    values = [v for c in classes for v in vars(c).values()] + [v for m in model.modules() for v in vars(m).values()]
    functions = [f for f in map(_function, (*values, *called)) if f]
    found = {f"{c.__qualname__}.{n}": v for c in classes for n, v in vars(c).items() if n not in OF_A_CLASS}
    seen: set[types.CodeType] = set()
    while functions:
        one = functions.pop()
        if one.__code__ in seen or not _is_foreign(one):
            continue
        seen.add(one.__code__)
        named = {n: one.__globals__[n] for n in _names(one.__code__) if n in one.__globals__}
        named |= dict(zip(one.__code__.co_freevars, map(_cell, one.__closure__ or ()), strict=True))
        functions += [f for f in map(_function, named.values()) if f]
        found |= {f"{n} of {one.__qualname__}": v for n, v in (named | vars(one)).items()}
        for each in (v for v in named.values() if isinstance(v, type) and _is_foreign(v)):
            found |= {f"{each.__qualname__}.{n}": v for n, v in vars(each).items() if n not in OF_A_CLASS}
    known = parts(model)
    data = {name: value for name, value in found.items() if isinstance(value, DATA)}
    data |= {type(one).__qualname__: one for one in called if not isinstance(one, types.FunctionType)}
    said = {name: [_said(value, known) for _ in range(2)] for name, value in data.items()}
    return {name: once for name, (once, again) in said.items() if once == again}  # what is like nothing is left out


def _function(value: Any) -> types.FunctionType | None:
    """The function that is called in the end by a method, a property or a function itself."""
    inner = next((f for name in ("__func__", "fget") if (f := getattr(value, name, None))), value)
    return inner if isinstance(inner, types.FunctionType) else None


def _names(code: types.CodeType) -> set[str]:
    """Names of a file that code reads, functions within it included."""
    inner = [_names(const) for const in code.co_consts if isinstance(const, types.CodeType)]
    return set(code.co_names).union(*inner)


def _said(value: Any, known: dict[int, tuple[int, Any]]) -> str:
    """The content of data; of very many numbers, such as a data set, a sample."""
    if isinstance(value, Tensor) and value.numel() > MANY:
        return repr((id(value), value._version))
    if isinstance(value, np.ndarray) and value.size > MANY:
        value = value.flat[:: value.size // MANY]
    if isinstance(value, Sized) and not isinstance(value, Tensor | np.ndarray | str | bytes) and len(value) > MANY:
        return repr(len(value))
    return repr(content(value, dict(known)))


def _is_foreign(code: Any) -> bool:
    """Whether a class or function is neither Python's, nor PyTorch's, nor ours."""
    return (code.__module__ or "").partition(".")[0] not in ("builtins", "torch", "numpy", "zeroin")


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _numbers(value: Any) -> Any:
    """A tensor or an array by all of its numbers."""
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        return "array", repr(value.tolist())
    flat = torch.as_tensor(value).detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return str(value.dtype), tuple(value.shape), hashlib.blake2b(flat.tobytes(), digest_size=16).hexdigest()


def _reduced(value: Any, inner: Any) -> Any:
    """An object by what pickle would keep of it."""
    reduced = copyreg.dispatch_table.get(type(value))
    parts = reduced(value) if reduced else value.__reduce_ex__(2)
    if isinstance(parts, str):
        return getattr(value, "__module__", ""), parts
    return tuple(inner(list(part) if isinstance(part, Iterator) else part) for part in parts)
