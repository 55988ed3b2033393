"""Why a network cannot be stacked, as far as it can be seen without a stack."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from zeroin.nn.layers import BATCHNORMS
from zeroin.nn.modes import switched
from zeroin.nn.problem import Problem, two_examples
from zeroin.nn.randomness import seeded
from zeroin.nn.recording.python_state import hooks_gradients
from zeroin.nn.stacking.aliasing import overlapping
from zeroin.nn.stacking.operations import Watching

LEAVES_OUT = torch.ops.aten._nested_tensor_from_mask_left_aligned.default


def unfit(problem: Problem, model: nn.Module) -> str:
    """Why a network cannot be stacked, in words; empty if nothing speaks against it."""
    tensors = [p for p in model.parameters() if p.requires_grad]
    if any(p.dtype != torch.float32 for p in tensors):
        return f"its parameters are {', '.join(sorted({str(p.dtype).removeprefix('torch.') for p in tensors}))}"
    if hooks_gradients(model):
        return "it has hooks on gradients"
    if any(type(m).get_extra_state is not nn.Module.get_extra_state for m in model.modules()):
        return "it keeps more than tensors in its state"
    own = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
    if any(id(tensor) not in own for tensor in model.state_dict(keep_vars=True).values()):
        return "its state_dict holds more than its parameters and buffers"
    if shared := overlapping(model):
        return f"{' and '.join(shared[0])} are in the same memory, without being one parameter"
    if any(isinstance(m, BATCHNORMS) and not _is_usual(m) for m in model.modules()):
        return "it has a batch norm with a forward of its own"
    if _calls(problem, switched(model, False), lambda func, _: func is LEAVES_OUT):
        return "when judged, its TransformerEncoder leaves padding out (unless it has enable_nested_tensor=False)"
    return ""


def pads(problem: Problem, model: nn.Module) -> bool:
    """Whether a network calls an embedding with a padding index as it trains."""
    return _calls(problem, switched(model, True), _is_padded)


def _is_usual(norm: nn.Module) -> bool:
    return type(norm).forward is BATCHNORMS.forward and "forward" not in vars(norm)


def _calls(problem: Problem, model: nn.Module, wanted: Callable[[Any, Sequence[Any]], bool]) -> bool:
    """Whether a network calls an operation for which `wanted(operation, arguments)` is true."""
    found = False

    def see(func: Any, args: Sequence[Any], _out: Any) -> None:
        nonlocal found
        found |= wanted(func, args)

    x, _ = two_examples(problem.train)
    with Watching(see), torch.no_grad(), seeded(0), suppress(Exception):  # what stops here is told by the comparison
        model(x)
    return found


def _is_padded(func: Any, args: Sequence[Any]) -> bool:
    return func is torch.ops.aten.embedding.default and len(args) > 2 and args[2] >= 0
