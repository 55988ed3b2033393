"""What the code of a network can reach beside its tensors, and so might change."""

import sys
import types
from collections import deque
from collections.abc import Iterator
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zeroin.nn.recording.content import OF_A_CLASS, PLAIN, UNLIKE, attributes, cell, content, parts

CACHED = type(lru_cache(lambda: None))
WRAPPED: Any = (  # attributes that hold what a callable is bound to or calls
    ((types.MethodType, types.BuiltinFunctionType, types.MethodWrapperType), "__self__"),
    (CACHED, "__wrapped__"),
    ((partial, cached_property), "func"),
)
CODE = (  # values that are code; what they read is looked at separately
    type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType, types.MethodWrapperType,
    types.WrapperDescriptorType, types.MethodDescriptorType, types.ClassMethodDescriptorType,
    types.GetSetDescriptorType, types.MemberDescriptorType, types.CodeType, staticmethod, classmethod, property,
    cached_property, CACHED, torch._ops.OpOverload, torch._ops.OpOverloadPacket, torch.jit.ScriptFunction,
)  # fmt: skip
OURS = frozenset({"builtins", "torch", "numpy", "zeroin"})
MANY, LARGE = 1000, 100_000


def surroundings(model: nn.Module, *others: Any) -> dict[str, str]:
    """The data that the code of a network can reach and might change, by name, written out.

    They may be in its classes, in closures, in global variables of its file, in objects and in modules.

    Args:
        model: the network.
        others: functions and objects that are called together with it, such as a loss.
    """
    known = parts(model)
    called = [(type(one).__qualname__, one, frozenset[str]()) for one in others if callable(one)]
    waiting = [(type(m).__qualname__, v, frozenset[str]()) for m in model.modules() for v in (type(m), *_held(m))]
    waiting += called
    found: dict[str, str] = {}
    seen: dict[tuple[int, frozenset[str]], Any] = {}  # with the values, so that no id is used twice
    while waiting:
        name, value, names = waiting.pop()
        key = id(value), names if isinstance(value, types.ModuleType) else frozenset()
        if key in seen:
            continue
        seen[key] = value
        waiting += [(n or name, v, more) for n, v, more in _reached(value, names)]
        if not isinstance(value, CODE) and id(value) not in known:
            found[name if name not in found else f"{name} ({len(found)})"] = _said(value, known)
        if len(seen) > MANY:  # too much to look at again and again
            return found | {"more than can be looked at": repr(next(UNLIKE))}
    return found


def _held(module: nn.Module) -> list[Any]:
    """The attributes of a module that are not plain values, hooks included."""
    return [v for v in attributes(module).values() if not isinstance(v, PLAIN)]


def _reached(value: Any, names: frozenset[str]) -> Iterator[tuple[str, Any, frozenset[str]]]:
    """What can be reached from a value, by name; `names` are those that its code may read from modules."""
    inner = _function(value)
    if inner is not None and _is_foreign(inner):
        names = frozenset(_names(inner.__code__))
        cells = dict(zip(inner.__code__.co_freevars, map(cell, inner.__closure__ or ()), strict=True))
        read = (
            {n: inner.__globals__[n] for n in sorted(names) if n.isidentifier() and n in inner.__globals__}
            | cells
            | vars(inner)
        )
        defaults = dict(enumerate((*(inner.__defaults__ or ()), *(inner.__kwdefaults__ or {}).values())))
        yield from ((f"{n} of {inner.__qualname__}", v, names) for n, v in (read | defaults).items())
    elif isinstance(value, types.ModuleType):
        if value.__name__.partition(".")[0] not in OURS:
            yield from ((f"{n} of {value.__name__}", vars(value)[n], names) for n in sorted(names) if n in vars(value))
    elif isinstance(value, type):
        if _is_foreign(value):
            own = ((c, n, v) for c in value.__mro__ if _is_foreign(c) for n, v in vars(c).items())
            yield from ((f"{c.__qualname__}.{n}", v, names) for c, n, v in own if _function(v) or not _is_pythons(n))
    elif isinstance(value, dict | list | tuple | set) and len(value) <= MANY:
        items = value.values() if isinstance(value, dict) else value
        yield from (("", v, names) for v in items if not isinstance(v, (*PLAIN, Tensor)))
    elif not isinstance(value, (*PLAIN, Tensor, np.ndarray)):
        yield "", type(value), names
        if _is_foreign(type(value)):
            yield from (("", v, names) for v in getattr(value, "__dict__", {}).values())
    held = next((getattr(value, name) for kinds, name in WRAPPED if isinstance(value, kinds)), None)
    if held is not None:
        yield "", held, names


def _is_pythons(name: str) -> bool:
    """Whether an attribute of a class is set by Python, such as `__dataclass_fields__`."""
    return name in OF_A_CLASS or (name.startswith("__") and name.endswith("__"))


def _function(value: Any) -> types.FunctionType | None:
    """The function behind a method, a property or a function; None for anything else."""
    if isinstance(value, types.MethodType | staticmethod | classmethod):
        value = value.__func__
    inner = value.fget if isinstance(value, property) else value
    return inner if isinstance(inner, types.FunctionType) else None


def _names(code: types.CodeType) -> set[str]:
    """The global names and attributes that code reads, nested functions included."""
    inner = [_names(const) for const in code.co_consts if isinstance(const, types.CodeType)]
    return set(code.co_names).union(*inner)


def _said(value: Any, known: dict[int, tuple[int, Any]]) -> str:
    """The content of data as text; large data sets are only sampled."""
    if isinstance(value, Tensor) and value.numel() > MANY:
        return repr((id(value), value._version))
    if isinstance(value, np.ndarray) and value.size > LARGE:
        value = value.flat[:: value.size // MANY]
    if isinstance(value, list | dict | set | deque | tuple) and len(value) > MANY:
        return repr(len(value))
    return repr(content(value, dict(known)))


def _is_foreign(code: Any) -> bool:
    """Whether a class or function belongs neither to Python, nor to PyTorch or NumPy, nor to zeroin."""
    root = (code.__module__ or "").partition(".")[0]
    return root not in OURS and root not in sys.stdlib_module_names
