"""The state of a trial's training, as its checkpoint folder keeps it."""

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from zeroin.executors.run import Lost, Run
from zeroin.nn.problem import Problem

STATE = "state.pt"  # in a trial's checkpoint folder

Weights: TypeAlias = dict[str, Tensor]


@dataclass(slots=True)
class Best:
    """The best epoch so far: `rank` is (signed metric, validation loss), lower is better; `test` (metric, loss)."""

    rank: tuple[float, float] = (math.inf, math.inf)
    epoch: int = 0
    weights: Weights | None = None
    test: tuple[float, float] | None = None


def unsaved(model: nn.Module) -> Weights:
    """Buffers that the state_dict does not contain, by name; training may change them like the others."""
    held = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name not in held}


def save(problem: Problem, run: Run, epoch: int, best: Best, tensors: tuple[Weights, dict[str, Any], Weights]) -> None:
    """Write a trial's state after an epoch to its checkpoint folder.

    Args:
        problem: that is trained.
        run: of the trial.
        epoch: how many epochs were trained.
        best: the best of them.
        tensors: the state_dicts of the network and of the optimizer, and the buffers that the former does not contain.
    """
    norm = problem.normalisation
    state = {
        "epoch": epoch,
        "config": run.config,
        "seed": run.seed,
        "model": tensors[0],
        "optimizer": tensors[1],
        "buffers": tensors[2],
        "best": {"rank": best.rank, "epoch": best.epoch, "weights": best.weights, "test": best.test},
        "metric": problem.sign * best.rank[0],
        "normalisation": None if norm is None else {"mean": norm.mean, "scale": norm.scale},
    }
    with (run.checkpoint / STATE).open("wb") as file:  # torch does not say why it could not write to one of its own
        torch.save(state, file)


def saved(run: Run) -> dict[str, Any] | None:
    """The state that `save` wrote; None in the first epoch, from which the run begins anew where that state is gone."""
    with suppress(Lost):
        if run.start and (run.checkpoint / STATE).is_file():
            # To the CPU, from where each tensor goes to its place: Apple's GPUs have no doubles for normalisation.
            state: dict[str, Any] = torch.load(run.checkpoint / STATE, map_location="cpu", weights_only=True)
            if state["epoch"] == run.start:
                return state
    run.begin_anew()
    return None
