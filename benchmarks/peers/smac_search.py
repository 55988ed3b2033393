"""SMAC 2.4. Settings: hpo (random forest, full trainings), mf (Hyperband; promoted configs go on where they stood)."""

import logging
import tempfile
from pathlib import Path

import smac
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, Integer, UniformFloatHyperparameter
from smac.runhistory.dataclasses import TrialValue

from adaptor import ETA, Resumable, config_of, run_peer, shortest
from families import Dim
from ledger import Ledger


def hyperparameter(dim: Dim):  # type: ignore[no-untyped-def]
    if dim.kind == "choice":
        return CategoricalHyperparameter(dim.name, dim.options)
    if dim.is_plain_int:
        return Integer(dim.name, (int(dim.low), int(dim.high)))
    return UniformFloatHyperparameter(dim.name, 0.0, 1.0)


def facade_of(ledger: Ledger, setting: str, folder: str) -> smac.facade.AbstractFacade:
    task = ledger.task
    space = ConfigurationSpace(seed=ledger.seed)
    space.add([hyperparameter(d) for d in task.dims])
    trainings = ledger.budget // task.max_epochs
    common = {
        "name": "study",
        "output_directory": Path(folder),
        "deterministic": task.truth is None,
        "seed": ledger.seed,
    }
    if setting == "mf":
        scenario = smac.Scenario(
            space, n_trials=100_000, min_budget=shortest(task.max_epochs), max_budget=task.max_epochs, **common
        )
        first = min(10 * len(task.dims), 5 * trainings // 4)  # SMAC's rule: a quarter of the trials expected at most
        return smac.MultiFidelityFacade(
            scenario,
            _unused,
            intensifier=smac.MultiFidelityFacade.get_intensifier(scenario, eta=ETA),
            initial_design=smac.MultiFidelityFacade.get_initial_design(scenario, n_configs=first),
            logging_level=False,
            overwrite=True,
        )
    scenario = smac.Scenario(space, n_trials=trainings, **common)
    return smac.HyperparameterOptimizationFacade(scenario, _unused, logging_level=False, overwrite=True)


def _unused(config: object, seed: int = 0, budget: float = 0.0) -> float:
    raise NotImplementedError("the study is driven by ask and tell")


def search(ledger: Ledger, setting: str) -> None:
    logging.disable(logging.CRITICAL)
    resumable = Resumable(ledger)
    with tempfile.TemporaryDirectory() as folder:
        facade = facade_of(ledger, setting, folder)
        while True:
            info = facade.ask()
            config = config_of(ledger.task.dims, dict(info.config))
            loss = resumable.train(config, round(info.budget)) if setting == "mf" else ledger.full(config)
            facade.tell(info, TrialValue(cost=loss))


if __name__ == "__main__":
    run_peer(search)
