"""Evaluating the networks of a stack: all rows on the same inputs, with running or recalibrated batch statistics."""

from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from zeroin.nn.data import InMemory
from zeroin.nn.modes import switched
from zeroin.nn.norms.recalibration import BATCH, EXAMPLES, Moments, equal_edges, mixed
from zeroin.nn.precision import exact
from zeroin.nn.stacking.kernels import Stacking
from zeroin.nn.stacking.layout import Layout, running


def forward(layout: Layout, p: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
    """The outputs of the base network for inputs [B, ...], with the tensors of one row."""
    own = p | buffers
    own |= {other: own[name] for other, name in layout.tied.items()}
    with Stacking():
        # Left to tie weights itself, it would not give back those of a module that has two names.
        out: Tensor = functional_call(layout.base, own, (x,), tie_weights=False)
    return out


def outputs(layout: Layout, p: Tensor, buffers: dict[str, Tensor], x: Tensor) -> Tensor:
    """The outputs [M, B, ...] of all rows, with parameters p [M, P], for the same inputs [B, ...]."""

    def row(*given: Any) -> Tensor:  # of a `partial`, which has no name, PyTorch 2.6 would write out all tensors
        return forward(layout, *given)

    tree = layout.tree(p)
    if not layout.convolves:
        return vmap(row)(tree, buffers, x.expand(len(p), *x.shape))
    # One row at a time: for many examples its convolutions are enough work, and they always use the same kernel.
    rows = [({n: t[i] for n, t in tree.items()}, {n: b[i] for n, b in buffers.items()}) for i in range(len(p))]
    # Each has its own copy of the inputs, which it may write into.
    return torch.stack([forward(layout, own, kept, x.clone()) for own, kept in rows])


@torch.no_grad()
def recalibrate(layout: Layout, p: Tensor, buffers: dict[str, Tensor], data: InMemory) -> None:
    """Replace moving averages by the statistics of the training data, as `recalibration.recalibrate` does."""
    base, kept = switched(layout.base, False), {n: b.clone() for n, b in buffers.items()}
    for name in layout.norms:
        base.get_submodule(name).training = True
    found = {name: Moments() for name in layout.norms}
    rows = mixed(len(data), EXAMPLES).to(data.x.device)
    for a, b in equal_edges(len(rows), BATCH):
        outputs(layout, p, buffers, data.x[rows[a:b]])
        for name, moments in found.items():
            count = int(base.get_submodule(name).values)  # type: ignore[arg-type]
            mean, variance = (exact(buffers[key]) for key in running(name))  # of the mini-batch alone
            moments.merge(count, mean, variance * (count - 1))
    for name, value in kept.items():
        buffers[name].copy_(value)
    for name, moments in found.items():
        assert moments.mean is not None
        for key, value in zip(running(name), (moments.mean, moments.variance()), strict=True):
            buffers[key].copy_(value)
