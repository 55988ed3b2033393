"""Putting normalisation into a network, taking it out, or exchanging it, without changing the network's code.

A layer is replaced in the tree of modules by a pair (layer, norm). So its output is normalised however `forward` calls
it: in a Sequential, by name, in a loop, with functional activations, in a residual sum. Only behind a functional
activation that is not enough, and `torch.fx` is used. It is not used elsewhere because a symbolic trace fixes
`self.training` forever, for dropout too.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from zeroin.errors import TaskError
from zeroin.nn.layers import LAYERS, NORMS
from zeroin.nn.norms.candidates import Candidate, candidates, channels_of
from zeroin.nn.norms.normlayers import KINDS, ChannelsLast, Settings, make, matched
from zeroin.nn.norms.rewire import behind_calls
from zeroin.nn.norms.surgery import check_still_runs, copied, pair, put, seen, take_out
from zeroin.nn.norms.trace import Example, Trace

POSITIONS = ("before", "after")


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to a layer, given by its path ("" if it was left alone), and why."""

    layer: str
    done: str
    why: str


@dataclass(frozen=True, slots=True)
class Changed:
    """What was done to a network, layer by layer; `str` puts it into words.

    Args:
        changes: one for each layer concerned, in the order in which they run.
        notes: further remarks.
    """

    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    @property
    def done(self) -> tuple[Change, ...]:
        """The changes without the layers that were left alone."""
        return tuple(c for c in self.changes if c.done)

    def __str__(self) -> str:
        words = [f"{c.layer}: {c.done or 'left alone'} ({c.why})" for c in self.changes]
        return "\n".join([*words, *self.notes]) or "nothing to do"


def insert_batchnorm(
    model: nn.Module,
    example: Example | None = None,
    *,
    kind: str = "batch",
    position: str = "before",
    momentum: float | None = 0.1,
    eps: float = 1e-5,
    groups: int | None = None,
    anyway: bool = False,
) -> tuple[nn.Module, Changed]:
    """Put normalisation behind every hidden layer: z = W a (+ b), norm, activation.

    Hidden layers are Linear and convolutional layers whose outputs go through an activation before the next layer or
    the output. A layer in front of a batch norm loses its bias, which subtracting the mean would cancel anyway.

    Args:
        model: any network; it is not changed.
        example: a mini-batch of its inputs (a tuple if there are several), which is needed to see the order of the
            layers and the shapes; None: it is guessed from the first layer.
        kind: "batch", "group" or "layer".
        position: "before" or "after" the activation.
        momentum: the share of the newest mini-batch in the running statistics, as in PyTorch; None: a plain average.
        eps: added to the variance.
        groups: of a group norm, reduced until they divide the channels; None: 32, or behind a Linear as many as leave
            16 channels in each.
        anyway: whether to add norms even if the network already has some; layers followed by a norm are left alone.

    Returns:
        The new network, on the same device, with the same dtype and in the same mode; and a report of what was done.

    Raises:
        TaskError: the forward pass depends on the values of its inputs, the network does not take the example, it has
            lazy modules or cannot be copied, or its code depends on the types of its layers.

    >>> net, report = insert_batchnorm(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)))
    >>> print(report)
    0: batch norm before the activation, bias dropped (hidden layer of 8 channels)
    2: left alone (leads to the output)
    inputs of shape [2, 4] were assumed; other shapes: give example=x[:2]

    Source: Ioffe & Szegedy 2015, arXiv 1502.03167, section 3.2.
    """
    how = Settings(kind, momentum, eps, groups)
    if position not in POSITIONS:
        raise TaskError(f"position is before or after the activation; got {position!r}: use position='before'.")
    result = copied(model)
    trace, example, notes = seen(result, example)
    own = sorted({type(m).__name__ for m in model.modules() if isinstance(m, NORMS)})
    own += sorted({n.name for n in trace.nodes if n.module is None and n.is_norm})
    if own and not anyway:
        return result, Changed((), (f"left alone: it has {', '.join(own)} of its own; anyway=True adds to them",))
    found = candidates(trace)
    chosen = [candidate for candidate in found if not candidate.reason]
    if position == "before":
        changes = {candidate.node.name: _normalise(result, candidate, how) for candidate in chosen}
        added = len(chosen)
    else:
        result, changes = behind_calls(result, trace, chosen, how)
        added = len({id(candidate.following.activation) for candidate in chosen})
    check_still_runs(result, example, trace, added)
    return result, Changed(tuple(_told(candidate, changes) for candidate in found), notes)


def remove_batchnorm(model: nn.Module, example: Example | None = None) -> tuple[nn.Module, Changed]:
    """Take every normalisation layer out; a layer without bias in front of a batch norm gets a bias of zeros.

    This changes the function that the network computes. `fold` takes trained batch norms out without changing it.

    Args:
        model: any network; it is not changed.
        example: as for `insert_batchnorm`.

    Returns:
        The new network, and a report of what was done.

    Raises:
        TaskError: as for `insert_batchnorm`.

    >>> net, _ = insert_batchnorm(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)))
    >>> print(remove_batchnorm(net)[0])
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
      (2): Linear(in_features=8, out_features=2, bias=True)
    )
    """
    return swap_norm(model, "none", example)


def swap_norm(
    model: nn.Module,
    kind: str,
    example: Example | None = None,
    *,
    groups: int | None = None,
    momentum: float | None = 0.1,
) -> tuple[nn.Module, Changed]:
    """Exchange every normalisation layer for one of another kind; γ, β and statistics are kept if their shapes agree.

    Args:
        model: any network; it is not changed.
        kind: "batch", "group", "layer", or "none" to take them out.
        example: as for `insert_batchnorm`.
        groups, momentum: of the new layers; they keep the eps of the old ones.

    Returns:
        The new network, and a report of what was done. Norms inside a module of torch.nn, such as a
        TransformerEncoderLayer, are left alone.

    Raises:
        TaskError: as for `insert_batchnorm`.

    >>> net, report = swap_norm(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), "group")
    >>> type(net[1]).__name__, net[1].num_groups
    ('GroupNorm', 2)

    Source: Wu & He 2018, arXiv 1803.08494 (group norm); Ba et al. 2016, arXiv 1607.06450 (layer norm).
    """
    if kind not in (*KINDS, "none"):
        raise TaskError(f"a norm is one of {', '.join(KINDS)}, none; got {kind!r}: use swap_norm(model, 'group').")
    result = copied(model)
    trace, example, notes = seen(result, example)
    changes = []
    for path, norm in [(p, m) for p, m in result.named_modules() if isinstance(m, NORMS)]:
        how = None if kind == "none" else Settings(kind, momentum, float(norm.eps or 1e-5), groups)
        changes.append(_exchange(result, trace, path, norm, how))
    check_still_runs(result, example, trace, 0)
    return result, Changed(tuple(changes), notes if changes else ("it has no normalising layer",))


def _normalise(model: nn.Module, candidate: Candidate, how: Settings) -> str:
    layer, shape = candidate.layer, candidate.node.shape
    norm = matched(make(how, candidate.channels, len(shape), candidate.channels_last), layer)
    dropped = how.kind == "batch" and layer.bias is not None
    if dropped:
        layer.register_parameter("bias", None)
    put(model, candidate.node.name, pair(layer, norm))
    return f"{how.kind} norm before the activation" + (", bias dropped" if dropped else "")


def _told(candidate: Candidate, changes: dict[str, str]) -> Change:
    done = changes.get(candidate.node.name, "")
    return Change(candidate.node.name, done, candidate.reason or f"hidden layer of {candidate.channels} channels")


def _exchange(model: nn.Module, trace: Trace, path: str, norm: nn.Module, how: Settings | None) -> Change:
    was = type(norm).__name__
    if not path:
        return Change(path, "", f"{was} is the whole network")
    calls = trace.calls(norm)
    if not calls:
        return Change(path, "", f"{was} within a module of torch.nn, or never used")
    call, owner = calls[0], path.rpartition(".")[0]
    wrapped = isinstance(model.get_submodule(owner), ChannelsLast)
    if wrapped:  # which takes [N, T, C], and gives the norm what it flattened
        path, call = owner, next(n for n in trace.nodes if n.index in call.sources)
    if how is None:
        _give_bias(trace, call.sources)
        take_out(model, path)
        return Change(path, f"{was} taken out", f"of {len(call.before)} axes")
    channels, last = _channels(norm, call.before, wrapped)
    new = make(how, channels, len(call.before), last)
    _carry(model, norm, new)
    put(model, path, new)
    return Change(path, f"{was} exchanged for {how.kind} norm", f"{channels} channels")


def _channels(norm: nn.Module, shape: tuple[int, ...], wrapped: bool) -> tuple[int, bool]:
    """How many channels a norm has, and whether they are the last axis; `wrapped`: it is in a `ChannelsLast`."""
    count = getattr(norm, "num_features", getattr(norm, "num_channels", None))
    if count is not None:
        return int(count), wrapped
    whole = len(norm.normalized_shape) == len(shape) - 1 and len(shape) > 2  # type: ignore[arg-type]
    return (shape[1], False) if whole else (shape[-1], True)  # LayerNorm and RMSNorm: over the last axes


def _give_bias(trace: Trace, sources: tuple[int, ...]) -> None:
    for node in trace.nodes:
        layer = node.module
        if node.index in sources and isinstance(layer, LAYERS) and layer.bias is None:
            layer.bias = nn.Parameter(next(layer.parameters()).new_zeros(channels_of(layer)))


def _carry(model: nn.Module, norm: nn.Module, new: nn.Module) -> None:
    """Give a new norm the mode and the kind of numbers of an old one, and all of its tensors that fit."""
    like = next(t for t in (*norm.parameters(), *model.parameters(), *new.parameters()) if t.is_floating_point())
    new.train(norm.training).to(device=like.device, dtype=like.dtype)
    inner: Any = new.norm if isinstance(new, ChannelsLast) else new
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        old, to = getattr(norm, name, None), getattr(inner, name, None)
        if isinstance(old, Tensor) and isinstance(to, Tensor) and old.shape == to.shape:
            to.data.copy_(old.detach())
