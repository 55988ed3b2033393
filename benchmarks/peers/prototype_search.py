"""The prototype of zeroin's search, source of its published figures; `--prototype` says where the file lies."""

import importlib.util
import os
from typing import Any

from adaptor import run_peer
from families import Dim
from ledger import Ledger

SCALES = {"linear": "lin", "log": "log", "one_minus_log": "1-log"}


def prototype() -> Any:
    spec = importlib.util.spec_from_file_location("search_prototype", os.environ["ZEROIN_PROTOTYPE"])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def search(ledger: Ledger, setting: str) -> None:
    module, task = prototype(), ledger.task

    def parameter(dim: Dim) -> Any:
        if dim.kind == "choice":
            return module.Cat(dim.name, dim.options)
        kind = module.Int if dim.kind == "int" else module.Num
        return kind(dim.name, dim.low, dim.high, SCALES[dim.scale])

    epochs = 1 if setting == "full" else task.max_epochs
    searcher = module.Search([parameter(d) for d in task.dims], epochs=epochs, seed=ledger.seed)
    trainings = {}
    while True:
        job = searcher.ask()
        if job.trial.id not in trainings:
            trainings[job.trial.id] = ledger.open(searcher.values(job.u))
        until = task.max_epochs if setting == "full" else job.epoch
        searcher.tell(job, ledger.train(trainings[job.trial.id], until))


if __name__ == "__main__":
    run_peer(search)
