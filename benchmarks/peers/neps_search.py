"""NePS 0.17 PriorBand. Priors are the middles of the ranges, held with low confidence, as nothing else is known."""

import logging
import random

import neps
import numpy as np
import torch

from adaptor import ETA, Resumable, config_of, run_peer, shortest
from families import Dim
from ledger import Ledger


def parameter(dim: Dim):  # type: ignore[no-untyped-def]
    if dim.kind == "choice":
        return neps.HPOCategorical(list(dim.options), prior=dim.options[0], prior_confidence="low")
    if dim.is_plain_int:
        middle = int(dim.low + dim.high) // 2
        return neps.HPOInteger(int(dim.low), int(dim.high), prior=middle, prior_confidence="low")
    return neps.HPOFloat(0.0, 1.0, prior=0.5, prior_confidence="low")


def search(ledger: Ledger, _setting: str) -> None:
    logging.disable(logging.CRITICAL)
    random.seed(ledger.seed)
    np.random.seed(ledger.seed)  # noqa: NPY002 - NePS draws from the global generators
    torch.manual_seed(ledger.seed)
    task = ledger.task
    resumable = Resumable(ledger)
    space = {d.name: parameter(d) for d in task.dims}
    space["epochs"] = neps.HPOInteger(shortest(task.max_epochs), task.max_epochs, is_fidelity=True)
    optimizer = neps.AskAndTell(neps.algorithms.priorband(neps.SearchSpace(space), eta=ETA))
    while True:
        trial = optimizer.ask()
        loss = resumable.train(config_of(task.dims, trial.config), int(trial.config["epochs"]))
        optimizer.tell(trial.metadata.id, loss)


if __name__ == "__main__":
    run_peer(search)
