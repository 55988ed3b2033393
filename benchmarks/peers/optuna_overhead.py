"""Trivial trials with Optuna, in its own environment; writes one line of JSON. See overhead.py."""

import argparse
import json
import time
import warnings
from pathlib import Path

import optuna
from optuna.storages.journal import JournalFileBackend


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--storage", choices=("sqlite", "journal"), required=True)
    parser.add_argument("--sampler", choices=("RandomSampler", "QMCSampler"), required=True)
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")

    def trivial(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.suggest_float("lr", 1e-5, 1, log=True)
        return x

    began, before = time.perf_counter(), time.process_time()
    storage = (
        optuna.storages.RDBStorage(f"sqlite:///{given.folder}/optuna.db")
        if given.storage == "sqlite"
        else optuna.storages.JournalStorage(JournalFileBackend(str(given.folder / "optuna.log")))
    )
    study = optuna.create_study(storage=storage, sampler=getattr(optuna.samplers, given.sampler)(seed=given.seed))
    study.optimize(trivial, n_trials=given.trials)
    wall, after = time.perf_counter() - began, time.process_time()
    print(json.dumps({"wall": wall, "cpu": after - before}))


if __name__ == "__main__":
    main()
