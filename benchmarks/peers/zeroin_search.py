"""zeroin itself, in the current environment.

Settings: mf (epoch by epoch, its default), full (full trainings only), a number K (as mf, K jobs asked for at once and
all their results waited for). What it knows of how losses still fall was learned from LCBench's curves, so that it goes
without there (benchmarks/outlook.py measures it, each task's own curves left out).
"""

from typing import Any

import zeroin as zi
from adaptor import run_peer
from families import Config, Dim, Task, Value
from ledger import Ledger, Training
from zeroin.search import Zoom


def parameter(dim: Dim) -> zi.Float | zi.Int | zi.Choice:
    when = dict([dim.when]) if dim.when else None
    if dim.kind == "choice":
        return zi.Choice(*dim.options, when=when)
    if dim.kind == "int":
        return zi.Int(int(dim.low), int(dim.high), scale=dim.scale, when=when)
    return zi.Float(dim.low, dim.high, scale=dim.scale, when=when)


def complete(task: Task, config: Config) -> dict[str, Value]:
    """`config` with a value for the hyperparameters that are inactive in it, as the tables need one."""
    return {d.name: config.get(d.name, d.value(0.5)) for d in task.dims}


def in_batches(ledger: Ledger, space: zi.Space, slots: int, searcher: Zoom) -> None:
    """Asks for as many jobs as there are slots, and tells all results before it asks again."""
    task, trainings = ledger.task, dict[int, Training]()
    study = zi.Study(space, max_epochs=task.max_epochs, store=None, seed=ledger.seed, searcher=searcher)
    while jobs := study.ask(slots):
        for job in jobs:
            if job.start == 0:
                trainings[job.trial] = ledger.open(complete(task, job.config))
        for job in jobs:
            study.tell(job, [ledger.train(trainings[job.trial], epoch) for epoch in range(job.start + 1, job.stop + 1)])


def search(ledger: Ledger, setting: str) -> None:
    task = ledger.task
    space = zi.Space(**{d.name: parameter(d) for d in task.dims})
    searcher = Zoom(outlook=None) if task.family.startswith("lcbench") else Zoom()
    if setting.isdigit():
        in_batches(ledger, space, int(setting), searcher)
        return
    epochs = ledger.budget
    ledger.budget *= 2  # zeroin keeps its own account; the report cuts off what is beyond
    common: dict[str, Any] = {"store": None, "playbook": False, "seed": ledger.seed, "searcher": searcher}
    if setting == "full" or task.max_epochs == 1:
        zi.tune(lambda config: ledger.full(complete(task, config)), space, trials=epochs // task.max_epochs, **common)
        return
    paused: dict[tuple[tuple[str, Value], ...], Training] = {}

    def objective(config: Config, run: Any) -> None:
        key = tuple(sorted(config.items()))
        if run.start == 0 or key not in paused:
            paused[key] = ledger.open(complete(task, config))
        training = paused[key]
        for epoch in run.epochs():
            run.report(ledger.train(training, epoch + 1))

    zi.tune(objective, space, max_epochs=task.max_epochs, epochs=epochs, **common)


if __name__ == "__main__":
    run_peer(search)
