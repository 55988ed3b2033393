"""Which tensors of a network share memory, alone and in a stack. It matters if the network writes in place.

Images have another memory layout in a stack, so what is a view alone (`flatten`, `contiguous`) may be a copy there. And
dropout with a rate of 0 returns its input itself, otherwise a copy. A difference in results need not show at once: an
in-place clamp may change nothing in one mini-batch and something in the next.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from zeroin.nn.dropout import CountedDropout
from zeroin.nn.layers import BATCHNORMS

HOOK = "register_hook"


@dataclass(frozen=True, slots=True)
class Call:
    """A function that the network called.

    Args:
        name: of the function.
        memories: of its tensor arguments, by number.
        written: the indices of the arguments that it wrote to.
        made: the memories of its results.
    """

    name: str
    memories: tuple[int, ...]
    written: tuple[int, ...]
    made: tuple[int, ...]


class _Noting(TorchFunctionMode):
    """Records the functions of PyTorch that layers and the user's own code call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.kept: list[Tensor] = []  # so that no two have the same memory
        self.is_within = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.call(func, *args, **kwargs or {})

    def call(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function, and record it unless it is called by a function that is recorded."""
        if self.is_within:
            return func(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            given = [plain(value) for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
            before = [tensor._version for tensor in given]
        self.is_within = True
        try:
            out = func(*args, **kwargs)
        finally:
            self.is_within = False
        name = getattr(func, "__name__", "forward")  # of layers that a stack replaces
        if isinstance(out, Tensor | tuple | list) or name in (HOOK, "__setitem__"):  # else it asks for a shape
            with torch._C.DisableTorchFunction():
                made = [plain(value) for value in tree_leaves(out) if isinstance(value, Tensor)]
                memories, own = (tuple(t.untyped_storage()._cdata for t in some) for some in (given, made))
                written = tuple(i for i, tensor in enumerate(given) if tensor._version != before[i])
            self.calls.append(Call(name, memories, written, own))
            self.kept += given + made
        return out


@contextmanager
def noted(model: nn.Module) -> Iterator[list[Call]]:
    """Record what a network calls in its forward pass; layers that a stack replaces count as one call each."""
    noting, forward = _Noting(), model.forward

    def watched(*args: Any, **kwargs: Any) -> Any:
        with noting:
            return forward(*args, **kwargs)

    others = [m for m in model.modules() if isinstance(m, BATCHNORMS | CountedDropout) and m is not model]
    kept = [(m, vars(m).get("forward")) for m in (model, *others)]
    for module, _ in kept:
        module.forward = watched if module is model else partial(noting.call, module.forward)
    try:
        yield noting.calls
    finally:
        for module, own in kept:
            del module.forward
            if own is not None:
                module.forward = own


def overlapping(model: nn.Module) -> list[tuple[str, str]]:
    """Names of tensors in the same memory that are not one, where at least one of them is trained.

    What is done to one of them is then done to the other, as after `a.weight.data = b.weight.data.T`.
    """
    spans = sorted(
        (t.data_ptr(), t.data_ptr() + _extent(t), name, t.requires_grad)
        for name, t in (*model.named_parameters(), *model.named_buffers())
        if t.layout is torch.strided and t.numel()
    )
    found, furthest = [], (0, 0, "", False)
    for span in spans:
        if span[0] < furthest[1] and (span[3] or furthest[3]):
            found.append((furthest[2], span[2]))
        furthest = max(furthest, span, key=lambda one: one[1])
    return found


def _extent(x: Tensor) -> int:
    """Bytes from the first to the last number of a tensor."""
    return (sum((size - 1) * step for size, step in zip(x.shape, x.stride(), strict=True)) + 1) * x.itemsize


def told_apart(alone: Sequence[Call], stacked: Sequence[Call]) -> str:
    """What a network does differently in a stack, in words, even if its results were the same; empty: nothing."""
    names, others = ([call.name for call in calls] for calls in (alone, stacked))
    if names.count(HOOK) != others.count(HOOK):  # a tensor that vmap has wrapped may say that it needs no gradient
        return "a hook on a tensor's gradient is not set in a stack"
    if not any(call.written for call in (*alone, *stacked)):
        return ""
    if names != others:
        return "it writes in place and calls other functions in a stack"
    born, born_there = _births(alone), _births(stacked)
    for i, (one, other) in enumerate(zip(alone, stacked, strict=True)):
        for k in {*one.written, *other.written}:
            for own, there in _later(alone[i + 1 :], stacked[i + 1 :]):
                sees, sees_there = own == one.memories[k], there == other.memories[k]
                # What was made after the write, be it a view or a copy, holds what was written.
                if sees != sees_there and (born_there[there] if sees else born[own]) < i:
                    return "it writes in place into what it reads again by another name, such as a view of an image"
    return ""


def _births(calls: Sequence[Call]) -> dict[int, int]:
    """The index of the call that created each memory; -1: it existed before."""
    found: dict[int, int] = {}
    for i, call in enumerate(calls):
        for memory in call.memories:
            found.setdefault(memory, -1)
        for memory in call.made:
            found.setdefault(memory, i)
    return found


def _later(alone: Sequence[Call], stacked: Sequence[Call]) -> Iterator[tuple[int, int]]:
    """The memories of each argument of these calls, alone and in a stack."""
    for one, other in zip(alone, stacked, strict=True):
        yield from zip(one.memories, other.memories, strict=False)


def plain(value: Tensor) -> Tensor:
    """The plain tensor inside the wrappers of vmap and grad."""
    while torch._C._functorch.is_functorch_wrapped_tensor(value):
        value = torch._C._functorch.get_unwrapped(value)
    return value
