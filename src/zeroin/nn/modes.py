"""Context managers for the mode of a network: training, evaluation, or evaluation with mini-batch statistics.

They leave the network as it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from zeroin.nn.layers import BATCHNORMS

M = TypeVar("M", bound=nn.Module)


def switched(model: M, training: bool) -> M:
    """A network, set to training or evaluation mode; a `train` of the user's own may forget to return it."""
    model.train(training)
    return model


@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Restore the mode of every module afterwards."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def buffers_kept(model: nn.Module) -> Iterator[None]:
    """Restore the values of all buffers afterwards."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(before[name])


@contextmanager
def as_in_evaluation(model: nn.Module) -> Iterator[None]:
    """Set evaluation mode, and restore the mode of every module afterwards."""
    with modes_kept(model):
        model.eval()
        yield


@contextmanager
def on_batches(model: nn.Module) -> Iterator[None]:
    """Set evaluation mode, except that batch norms use mini-batch statistics; their running ones do not change."""
    norms = [m for m in model.modules() if isinstance(m, BATCHNORMS)]
    kept = [(m.momentum, m.num_batches_tracked) for m in norms]
    with as_in_evaluation(model):
        try:
            for norm, (_, tracked) in zip(norms, kept, strict=True):
                norm.training, norm.momentum = True, 0.0
                norm.num_batches_tracked = None if tracked is None else tracked.clone()  # SyncBatchNorm wants one
            yield
        finally:
            for norm, (momentum, tracked) in zip(norms, kept, strict=True):
                norm.momentum, norm.num_batches_tracked = momentum, tracked
