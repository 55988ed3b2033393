"""What a network keeps beside its tensors: a step that changes any of it cannot be shared by rows, nor run again."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from zeroin.nn.dropout import CountedDropout
from zeroin.nn.layers import BATCHNORMS
from zeroin.nn.problem import Problem
from zeroin.nn.randomness import generator_states
from zeroin.nn.recording.content import ACTIVATIONS, PLAIN, attributes, content, parts, surroundings

STEERED = ("idle", "uses", "values")  # attributes by which a stack and its dropout and batch norm layers speak


@dataclass(frozen=True, slots=True)
class PythonState:
    """Attributes of each layer and parameter by name; what the code of network and loss reads; the generators."""

    own: list[dict[str, Any]]
    code: dict[str, str]
    generators: Any


def python_state(problem: Problem, model: nn.Module, *, generators: bool = True) -> PythonState:
    """What a network keeps now; what a stack steers is left out, and without `generators` so are the generators."""
    known = parts(model)
    own = [
        {n: v if isinstance(v, PLAIN) else repr(content(v, dict(known))) for n, v in attributes(m).items()}
        for m in model.modules()
    ]
    own += [vars(p) and {n: repr(content(v, dict(known))) for n, v in vars(p).items()} for p in model.parameters()]
    for module, held in zip(model.modules(), own, strict=False):
        for name in STEERED if isinstance(module, BATCHNORMS | CountedDropout) else ():
            held.pop(name, None)
    return PythonState(own, surroundings(model, problem.loss), generator_states() if generators else None)


def changed(before: PythonState, after: PythonState) -> str:
    """What has changed since, in words; empty: nothing."""
    for own, now in zip(before.own, after.own, strict=True):
        if any(now.get(name) not in (value, repr(ACTIVATIONS)) for name, value in own.items()):
            return "it changes attributes of its own while it trains, or has some that cannot be compared"
    if before.generators != after.generators:
        return "it draws random numbers as it trains"
    other = next((name for name, value in before.code.items() if after.code.get(name) != value), "")
    return f"its code changes {other} while it trains" if other else ""


def hooks_gradients(model: nn.Module) -> bool:
    """Whether code of the user's is called with gradients, as hooks on parameters and layers are."""
    hooked = any(p._backward_hooks or p._post_accumulate_grad_hooks for p in model.parameters() if p.requires_grad)
    return hooked or any(m._backward_hooks or m._backward_pre_hooks for m in model.modules())
