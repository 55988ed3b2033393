"""The state of a network outside of its tensors. If a step changes it, the step can neither be stacked nor recorded."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from zeroin.nn.dropout import CountedDropout
from zeroin.nn.layers import BATCHNORMS
from zeroin.nn.problem import Problem
from zeroin.nn.randomness import generator_states
from zeroin.nn.recording.content import ACTIVATIONS, PLAIN, attributes, content, parts
from zeroin.nn.recording.surroundings import surroundings

STEERED = ("idle", "uses", "values")  # attributes that a stack sets on its dropout and batch norm layers


@dataclass(frozen=True, slots=True)
class PythonState:
    """The state of a network outside of its tensors."""

    own: list[dict[str, Any]]  # attributes by name, of each layer and parameter
    code: dict[str, str]  # what the code of the network and the loss can read
    generators: Any  # the states of the global random generators


def python_state(problem: Problem, model: nn.Module, *, generators: bool = True) -> PythonState:
    """The current state, without the attributes that a stack sets, and if so asked without the generators."""
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
    """What has changed between two states, in words; empty: nothing."""
    for own, now in zip(before.own, after.own, strict=True):
        if any(now.get(name) not in (value, repr(ACTIVATIONS)) for name, value in own.items()):
            return "it changes attributes of its own while it trains, or has some that cannot be compared"
    if before.generators != after.generators:
        return "it draws random numbers as it trains"
    other = next((name for name, value in before.code.items() if after.code.get(name) != value), "")
    return f"its code changes {other} while it trains" if other else ""


def hooks_gradients(model: nn.Module) -> bool:
    """Whether a network has hooks on gradients, of parameters or of layers."""
    hooked = any(p._backward_hooks or p._post_accumulate_grad_hooks for p in model.parameters() if p.requires_grad)
    return hooked or any(m._backward_hooks or m._backward_pre_hooks for m in model.modules())
