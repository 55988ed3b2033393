"""Tune a ready-made task with zeroin; appends a line of JSON at each better trial. See time_to_target.py."""

import argparse
import multiprocessing
import os
import time
from pathlib import Path

import torch
from timing import Account

import zeroin as zi
from zeroin.executors.checkpoint import trial_folder
from zeroin.history import incumbent
from zeroin.nn import loop
from zeroin.nn.export import newest
from zeroin.playbook import Playbook, shipped
from zeroin.study import Study
from zeroin.tasks import load
from zeroin.types import Ended, Status


def of_workers() -> float:
    """CPU seconds of the processes that this one started."""
    ticks = 0
    for process in multiprocessing.active_children():
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def others(task: str, folder: Path) -> Playbook:
    """A playbook of the lessons that come with zeroin, without this task's own."""
    book = Playbook(folder / "playbook.db", shipped=False)
    book.learn(*(lesson for lesson in shipped() if lesson.name != task))
    return book


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--task", required=True)
    add("--way", choices=("zeroin", "playbook"), required=True)
    add("--seed", type=int, required=True)
    add("--seconds", type=float, required=True)
    add("--folder", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    task = load(given.task)
    problem = task.problem
    book = others(given.task, given.folder) if given.way == "playbook" else False
    last = [None]
    found = []  # tested when the study is over: its workers would train on meanwhile, in time that does not count
    account = Account(given.folder / "trials.jsonl", lambda: time.process_time() + of_workers())

    def listen(study: Study, event: object) -> None:
        best = incumbent(study.history)
        if not isinstance(event, Ended) or best is None or (best.number, best.loss) == last[0]:
            return
        if best.status is Status.RUNNING:  # it is tested when its job ends, as Optuna's trials are
            return
        last[0] = (best.number, best.loss)
        told = account.now() | {"valid": -best.loss}
        found.append((told, best.config, newest(trial_folder(study.folder, best.number))["best"]["weights"]))

    zi.tune(
        task, epochs=60 * task.max_epochs, minutes=given.seconds / 60, seed=given.seed, store=given.folder / "z.db",
        playbook=book, confirm=0, listen=listen, workers=2,
    )  # fmt: skip
    for told, config, weights in found:
        model = task.network(config)
        model.load_state_dict(weights)
        account.write(told | {"test": loop.evaluate(problem, model, problem.test)[0]})


if __name__ == "__main__":
    main()
