"""DEHB 0.1: differential evolution in the unit cube + Hyperband; promoted configs go on where they stood."""

import tempfile

import numpy as np
from dehb import DEHB
from loguru import logger

from adaptor import ETA, Resumable, run_peer, shortest
from families import config_at
from ledger import Ledger


def search(ledger: Ledger, _setting: str) -> None:
    logger.remove()
    task = ledger.task
    resumable = Resumable(ledger)
    with tempfile.TemporaryDirectory() as folder:
        optimizer = DEHB(
            cs=None,
            configspace=False,
            dimensions=len(task.dims),
            min_fidelity=shortest(task.max_epochs),
            max_fidelity=task.max_epochs,
            eta=ETA,
            seed=ledger.seed,
            n_workers=1,
            save_freq="end",
            output_path=folder,
        )
        logger.remove()
        while True:
            job = optimizer.ask()
            config = config_at(task.dims, np.asarray(job["config"], float))
            until = max(1, round(float(job["fidelity"])))
            optimizer.tell(job, {"fitness": resumable.train(config, until), "cost": until})


if __name__ == "__main__":
    run_peer(search)
