"""In which mode a network runs: training, evaluation, or evaluation on the statistics of each mini-batch; and what a
look at it must leave as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from zeroin.nn.layers import BATCHNORMS


@contextmanager
def modes_kept(model: nn.Module) -> Iterator[None]:
    """Each module's own mode afterwards, whatever is set within."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def buffers_kept(model: nn.Module) -> Iterator[None]:
    """The numbers of all buffers afterwards as they were, whatever is run within."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(before[name])


@contextmanager
def as_in_evaluation(model: nn.Module) -> Iterator[None]:
    """Evaluation mode within; each module's own mode afterwards."""
    with modes_kept(model):
        model.eval()
        yield


@contextmanager
def on_batches(model: nn.Module) -> Iterator[None]:
    """Evaluation mode but for the batch norms, which use each mini-batch's statistics and keep their running ones."""
    norms = [m for m in model.modules() if isinstance(m, BATCHNORMS)]
    kept = [(m.momentum, m.num_batches_tracked) for m in norms]
    with as_in_evaluation(model):
        try:
            for norm in norms:
                norm.training, norm.momentum, norm.num_batches_tracked = True, 0.0, None
            yield
        finally:
            for norm, (momentum, tracked) in zip(norms, kept, strict=True):
                norm.momentum, norm.num_batches_tracked = momentum, tracked
