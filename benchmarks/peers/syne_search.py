"""Syne Tune 0.16 BOHB: asynchronous halving by stopping, kernel-density proposals; one worker."""

import datetime
import logging

import numpy as np
from syne_tune import config_space as cs
from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer.baselines import BOHB
from syne_tune.optimizer.scheduler import SchedulerDecision

from adaptor import ETA, config_of, run_peer
from families import Dim
from ledger import Ledger


def domain(dim: Dim) -> cs.Domain:
    if dim.kind == "choice":
        return cs.choice(list(dim.options))
    return cs.randint(int(dim.low), int(dim.high)) if dim.is_plain_int else cs.uniform(0.0, 1.0)


def search(ledger: Ledger, _setting: str) -> None:
    logging.disable(logging.CRITICAL)
    np.random.seed(ledger.seed)  # noqa: NPY002 - brackets are drawn from the global generator
    task = ledger.task
    scheduler = BOHB(
        {d.name: domain(d) for d in task.dims},
        metric="loss",
        time_attr="epoch",
        max_t=task.max_epochs,
        reduction_factor=ETA,
        random_seed=ledger.seed,
    )
    number = 0
    while True:
        trial = Trial(number, scheduler.suggest().config, datetime.datetime.now())
        number += 1
        scheduler.on_trial_add(trial)
        training = ledger.open(config_of(task.dims, trial.config))
        for epoch in range(1, task.max_epochs + 1):
            result = {"loss": ledger.told(training, epoch), "epoch": epoch}
            if scheduler.on_trial_result(trial, result) == SchedulerDecision.STOP:
                break
        scheduler.on_trial_remove(trial)


if __name__ == "__main__":
    run_peer(search)
