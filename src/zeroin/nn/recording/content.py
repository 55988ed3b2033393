"""The content of any value, written out, so that values can be compared that are different objects but act alike.

A stack calls the layers of one network on behalf of all, so its networks must not differ in anything but tensors.
Networks of the same class may still differ: in an object that they were given, in what a function or a class made
within `build` closes over, in a tensor that is not a buffer.
"""

import copyreg
import hashlib
import itertools
import sys
import types
import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zeroin.nn.networks import KNOWN, Asked

PLAIN = (bool, int, float, complex, str, bytes, type(None))
ACTIVATIONS = "activations"  # stands for tensors of a step under vmap; a later step that reads them would fail
UNLIKE = itertools.count()
OF_TORCH = frozenset(vars(nn.Module())) | {"_is_full_backward_hook"}
HOOKS = ("_forward_pre_hooks", "_forward_hooks")
OF_A_CLASS = frozenset({"__dict__", "__weakref__", "__doc__", "__module__", "_abc_impl"})


def content(value: Any, seen: dict[int, tuple[int, Any]] | None = None) -> Any:
    """A value as nested tuples whose `repr` is equal for equal contents; what cannot be compared equals nothing.

    Args:
        value: an attribute of a network.
        seen: objects that were met before, by id, with the number that stands for them. The objects are kept in it, so
            that no id is used twice.

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
        held = value.__defaults__, value.__kwdefaults__, tuple(map(cell, value.__closure__ or ())), vars(value)
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
    """Whether a class can be found by its name in its module; classes made within a function cannot."""
    found: Any = sys.modules.get(value.__module__)
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


def parts(model: nn.Module) -> dict[int, tuple[int, Any]]:
    """The modules, parameters and buffers of a network, in the form in which `content` takes known objects."""
    return {id(part): (i, part) for i, part in enumerate((*model.modules(), *model.parameters(), *model.buffers()))}


def attributes(module: nn.Module) -> dict[str, Any]:
    """The attributes of a module apart from parameters, buffers and children, by name; forward hooks included."""
    held = vars(module)
    own = {name: held[name] for name in sorted(held.keys() - OF_TORCH)}
    return own | {name: list(getattr(module, name).values()) for name in HOOKS}


def cell(held: Any) -> Any:
    """What a cell of a closure holds."""
    try:
        return held.cell_contents
    except ValueError:  # not filled yet
        return None


def _numbers(value: Any) -> Any:
    """A hash of all numbers of a tensor or an array."""
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        return "array", repr(value.tolist())
    flat = torch.as_tensor(value).detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return str(value.dtype), tuple(value.shape), hashlib.blake2b(flat.tobytes(), digest_size=16).hexdigest()


def _reduced(value: Any, inner: Any) -> Any:
    """An object by what pickle would store of it."""
    reduced = copyreg.dispatch_table.get(type(value))
    parts = reduced(value) if reduced else value.__reduce_ex__(2)
    if isinstance(parts, str):
        return getattr(value, "__module__", ""), parts
    return tuple(inner(list(part) if isinstance(part, Iterator) else part) for part in parts)
