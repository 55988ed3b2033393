"""Kernels of 2-d convolutions in channels-last memory, where they take as little as half the time on a CPU."""

from collections.abc import Callable
from contextlib import suppress

from torch import channels_last, nn

from zeroin.nn.problem import Problem, loss_of, two_examples
from zeroin.nn.randomness import seeded


def laid_out(problem: Problem, model: nn.Module, another: Callable[[], nn.Module]) -> nn.Module:
    """A network with its kernels so where it then trains on a CPU, which is tried on another one of its kind."""
    if _matters(problem, model) and _trains(problem, another()):
        _lay_out(model)
    return model


def _matters(problem: Problem, model: nn.Module) -> bool:
    """Whether a network has such kernels, and is trained on a CPU."""
    return problem.device == "cpu" and any(p.dim() == 4 for p in model.parameters())


def _trains(problem: Problem, model: nn.Module) -> bool:
    """Whether a network, of which nothing else is wanted, trains so; it does not if it calls `view` on the results."""
    _lay_out(model)
    model.train()
    with seeded(0, "cpu"), suppress(RuntimeError, ValueError):  # whatever it is: if not the layout, training tells
        x, y = two_examples(problem.train)
        loss_of(problem.loss, model(x), y).backward()  # type: ignore[no-untyped-call]
        return True
    return False


def _lay_out(model: nn.Module) -> None:
    """Put the kernels so."""
    for p in model.parameters():
        if p.dim() == 4:  # by `to`: `contiguous` leaves kernels of one channel as they are
            p.data = p.data.to(p.dtype, memory_format=channels_last)
