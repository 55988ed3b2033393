"""Copying a network, tracing it, and replacing modules in it."""

import copy
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.utils._pytree import tree_map

from zeroin.errors import TaskError
from zeroin.nn.modes import switched
from zeroin.nn.norms.normlayers import ChannelsLast
from zeroin.nn.norms.trace import Example, Node, Trace, arguments_of, record, tensors
from zeroin.nn.randomness import seeded
from zeroin.wording import first_line

FIRST = ("layer", "activation")  # the names that the first module of a pair can have
RESHAPING = ("flatten", "reshape")  # called by `ChannelsLast`
ASKS = (
    "a network runs the same functions before and after; this one asks its layers what they are: "
    "change the norms in its code."
)
STOPS = (
    "a network runs with norms behind its layers or without; changed, this one stops with '{}': "
    "change the norms in its code."
)
SIZES = (32, 28, 8, 64, 224, 16, 96, 299)  # image sizes that are tried if no example is given


def copied(model: nn.Module) -> nn.Module:
    """A deep copy of a network.

    Raises:
        TaskError: as for `check_in_sight`, or it cannot be copied.
    """
    check_in_sight(model)
    kept = [t for m in model.modules() for t in tensors(vars(m)) if not t.is_leaf]  # weights that prune computed
    try:
        return copy.deepcopy(model, {id(t): t.detach().clone() for t in kept})
    except (RuntimeError, TypeError) as error:
        raise TaskError(
            f"a network is copied before it is changed; this one says '{first_line(error)}': "
            f"detach tensors that it keeps, or build it anew and pass that."
        ) from error


def check_in_sight(model: nn.Module) -> None:
    """Check that the layers of a network can be seen.

    Raises:
        TaskError: it is not a network, has uninitialised lazy layers, or is compiled by torch.jit.
    """
    if not isinstance(model, nn.Module):
        raise TaskError(f"a network is a torch.nn.Module; got a {type(model).__name__}: pass the model itself.")
    modules = dict(model.named_modules())
    lazy = [p for p, m in modules.items() if isinstance(m, LazyModuleMixin) and _unshaped(m)]
    if lazy:
        raise TaskError(f"lazy layers must be initialised; {', '.join(lazy)} are not: call model(x[:2]) once before.")
    hidden = next((p for p, m in modules.items() if isinstance(m, torch.jit.ScriptModule)), None)
    if hidden is not None:
        raise TaskError(
            f"the layers of a network must be in sight; torch.jit hides those of {hidden or 'this one'}: "
            f"give the network that it was made from, and compile the result."
        )


def _unshaped(module: Any) -> bool:
    return bool(module.has_uninitialized_params())


def seen(model: nn.Module, example: Example | None) -> tuple[Trace, Example, tuple[str, ...]]:
    """Trace one forward pass; returns the trace, the example that was used, and a note if it was guessed.

    Raises:
        TaskError: the pass depends on the values of the inputs, or returns no tensor.
    """
    given = guessed_example(model) if example is None else example
    trace = record(model, given)
    if trace.read:
        raise TaskError(
            f"which layers run may not depend on the values of the inputs; forward calls {', '.join(trace.read)} on "
            f"them: put the norms into its code, or use torch.where in place of `if`."
        )
    if not trace.outputs:
        raise TaskError(
            "what a network returns must be in sight; this one returns no tensors, or in an object of its own: "
            "return a tensor, tuple, list, dict or dataclass."
        )
    if example is None and isinstance(given, Tensor):
        note = f"inputs of shape {list(given.shape)} were assumed; other shapes: give example=x[:2]"
        return trace, given, (note,)
    return trace, given, ()


def guessed_example(model: nn.Module) -> Tensor:
    """Two inputs of zeros that a network takes, found by trying what its first layer could take.

    Raises:
        TaskError: none was found.

    >>> guessed_example(nn.Sequential(nn.Flatten(), nn.Linear(6, 2))).shape
    torch.Size([2, 6])
    """
    for shape, whole in _candidates(model):
        first = next(iter(model.parameters()))
        example = torch.zeros(shape, dtype=torch.long if whole else first.dtype, device=first.device)
        try:
            record(model, example)
        except TaskError:
            continue
        return example
    raise TaskError(
        "a network is run to see where to normalise; the inputs of this one could not be guessed: "
        "give one mini-batch of them, example=x[:2]."
    )


def _candidates(model: nn.Module) -> Iterable[tuple[tuple[int, ...], bool]]:
    for module in model.modules():
        if isinstance(module, nn.Linear):
            yield (2, module.in_features), False
        elif isinstance(module, nn.Embedding):
            yield (2, 8), True
        elif isinstance(module, nn.RNNBase):
            yield (2, 8, module.input_size), False
        elif isinstance(module, nn.modules.conv._ConvNd):
            axes = len(module.kernel_size)
            yield from (((2, module.in_channels, *[size] * axes), False) for size in SIZES)
        else:
            continue
        return


def put(model: nn.Module, path: str, module: nn.Module) -> None:
    """Replace the module with this path, also where it stands under other names."""
    old = model.get_submodule(path)
    for owner in list(model.modules()):
        for name, child in list(owner._modules.items()):
            if child is old:
                owner._modules[name] = module


def pair(first: nn.Module, norm: nn.Module, name: str = "layer") -> nn.Sequential:
    """A layer or an activation, and a norm behind it, as one module; `name`, one of `FIRST`, is that of the former."""
    return nn.Sequential(OrderedDict([(name, first), ("norm", norm)])).train(first.training)


def take_out(model: nn.Module, path: str) -> None:
    """Take a norm out: a `pair` becomes its first module again; any other norm becomes an Identity."""
    owner, _, name = path.rpartition(".")
    if isinstance(model.get_submodule(owner), ChannelsLast):
        path, (owner, _, name) = owner, owner.rpartition(".")
    whole = model.get_submodule(owner)
    ours = isinstance(whole, nn.Sequential) and list(whole._modules) in ([first, "norm"] for first in FIRST)
    if owner and ours and name == "norm":  # a network that is itself a pair stays one
        put(model, owner, next(iter(whole.children())))
    else:
        put(model, path, nn.Identity())


def check_still_runs(model: nn.Module, example: Example, before: Trace, added: int) -> None:
    """Check that a changed network can be trained and differs only by norms, of which at least `added` are new.

    Raises:
        TaskError: it does not.
    """
    after = _recorded(model, example)
    if _steps(before) != _steps(after) or sum(n.is_norm for n in after.nodes) < added:
        raise TaskError(ASKS)
    try:
        _train_once(copied(model), example)
    except Exception as error:  # the user's code may raise anything
        raise TaskError(STOPS.format(first_line(error))) from error


def check_calls_the_same(model: nn.Module, example: Example, before: Trace) -> None:
    """Check that a network without some of its norms calls all other layers and functions as before.

    Raises:
        TaskError: it does not.
    """
    old, new = ([n for n in trace.nodes if n.name not in RESHAPING] for trace in (before, _recorded(model, example)))
    if _types(old) != _types(new):
        raise TaskError(ASKS)


def _recorded(model: nn.Module, example: Example) -> Trace:
    try:
        return record(model, example)
    except TaskError as error:
        raise TaskError(STOPS.format(first_line(error))) from error


def _steps(trace: Trace) -> list[str]:
    """The layers and activations that were called."""
    return _types(n for n in trace.nodes if n.is_weighted or n.is_activation or isinstance(n.module, nn.Module))


def _types(nodes: Iterable[Node]) -> list[str]:
    """What was called, by type because paths differ, without norms."""
    kept = [n for n in nodes if not (n.is_norm or isinstance(n.module, nn.Identity))]
    return [type(n.module).__name__ if n.module is not None else n.name for n in kept]


def _train_once(model: nn.Module, example: Example) -> None:
    """A forward and a backward pass in training mode, on at least two examples."""

    def twice(x: Any) -> Any:
        return torch.cat([x, x]) if isinstance(x, Tensor) and x.dim() and len(x) == 1 else x

    arguments = tree_map(twice, arguments_of(example))
    with seeded(0):
        first, *_ = tensors(switched(model, True)(*arguments))
        if first.requires_grad:
            first.float().sum().backward()  # type: ignore[no-untyped-call]
