"""Putting norms behind activations: as a pair that replaces the activation's module, or in a torch.fx graph."""

from typing import Any

import torch.fx
from torch import nn

from zeroin.errors import TaskError
from zeroin.nn.modes import modes_kept, switched
from zeroin.nn.norms.candidates import Candidate
from zeroin.nn.norms.normlayers import Settings, make, matched
from zeroin.nn.norms.surgery import pair, put
from zeroin.nn.norms.trace import Trace
from zeroin.wording import first_line


def behind_calls(
    model: nn.Module, trace: Trace, chosen: list[Candidate], how: Settings
) -> tuple[nn.Module, dict[str, str]]:
    """Put a norm behind the activation that follows each candidate. Biases stay, because the norm does not cancel them.

    Returns:
        The network (of torch.fx where a functional or shared activation needs it), and what was done by layer.

    Raises:
        TaskError: torch.fx cannot trace the network, or traces other code in training than at evaluation.
    """
    changes = {candidate.node.name: f"{how.kind} norm after the activation" for candidate in chosen}
    chosen = list({id(candidate.following.activation): candidate for candidate in reversed(chosen)}.values())[::-1]
    if all(_own_module(trace, candidate) for candidate in chosen):
        for candidate in chosen:
            activation = candidate.following.activation
            assert activation is not None
            assert activation.module is not None
            put(model, activation.name, pair(activation.module, _norm(candidate, how), "activation"))
        return model, changes
    traced = _symbolic(model)
    for candidate in chosen:
        call = _activation_of(traced, trace, candidate)
        name = candidate.node.name.replace(".", "_") + "_norm"
        traced.add_submodule(name, _norm(candidate, how))
        with traced.graph.inserting_after(call):
            norm = traced.graph.call_module(name, (call,))
        call.replace_all_uses_with(norm)
        norm.args = (call,)
    traced.recompile()
    return traced, changes


def _own_module(trace: Trace, candidate: Candidate) -> bool:
    activation = candidate.following.activation
    return activation is not None and activation.module is not None and len(trace.calls(activation.module)) == 1


def _norm(candidate: Candidate, how: Settings) -> nn.Module:
    activation = candidate.following.activation
    assert activation is not None
    axes = len(activation.before)
    return matched(make(how, candidate.channels, axes, candidate.channels_last), candidate.layer)


def _symbolic(model: nn.Module) -> torch.fx.GraphModule:
    """The network as a graph, which must be the same in training and at evaluation.

    Raises:
        TaskError: it is not, or there is none.
    """
    was = model.training
    codes = []
    for mode in (not was, was):
        try:
            with modes_kept(model):
                traced = torch.fx.symbolic_trace(switched(model, mode))
        except Exception as error:  # torch.fx runs the user's code on proxies: it may raise anything
            raise TaskError(
                f"a norm behind a functional activation needs a network that torch.fx can trace; it says "
                f"'{first_line(error)}': use position='before', or modules such as nn.ReLU()."
            ) from error
        codes.append(traced.code)
    if codes[0] != codes[1]:
        raise TaskError(
            "a norm behind a functional activation needs a forward that is the same in training and at evaluation; "
            "this one asks self.training: use position='before', or nn.Dropout in place of F.dropout."
        )
    return traced


def _activation_of(traced: torch.fx.GraphModule, trace: Trace, candidate: Candidate) -> Any:
    """The graph's node of the activation that follows a layer: both the graph and the trace have calls in order."""
    wanted = candidate.following.activation
    assert wanted is not None
    alike = [n for n in trace.nodes if n.name == wanted.name and (n.module is None) == (wanted.module is None)]
    ops = ("call_function", "call_method") if wanted.module is None else ("call_module",)
    calls = [n for n in traced.graph.nodes if n.op in ops and _name(n.target) == wanted.name]
    if len(calls) != len(alike):
        raise TaskError(
            f"a norm stands behind an activation; torch.fx does not find that of {candidate.node.name}: "
            f"use position='before'."
        )
    return calls[alike.index(wanted)]


def _name(target: Any) -> str:
    return target if isinstance(target, str) else getattr(target, "__name__", "")
