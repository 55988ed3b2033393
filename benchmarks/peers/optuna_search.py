"""Optuna 5. Settings: tpe, gp, hyperband (TPE + HyperbandPruner), naive (TPE; only lr on a log scale)."""

import optuna

from adaptor import run_peer
from families import Dim, Scale, Value
from ledger import Ledger


def suggested(trial: optuna.Trial, dim: Dim) -> Value:
    """A value on our scale, in Optuna's own terms."""
    if dim.kind == "choice":
        return str(trial.suggest_categorical(dim.name, dim.options))
    log = dim.scale == "log"
    if dim.kind == "int":
        return trial.suggest_int(dim.name, int(dim.low), int(dim.high), log=log)
    if dim.scale == "one_minus_log":
        return 1.0 - trial.suggest_float(f"1-{dim.name}", 1 - dim.high, 1 - dim.low, log=True)
    return trial.suggest_float(dim.name, dim.low, dim.high, log=log)


def naively(dim: Dim) -> Dim:
    """The scale a newcomer would choose."""
    scale: Scale = "log" if dim.name in ("lr", "learning_rate") else "linear"
    return Dim(dim.name, dim.kind, dim.low, dim.high, scale, dim.options, dim.when)


def search(ledger: Ledger, setting: str) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    task = ledger.task
    dims = [naively(d) for d in task.dims] if setting == "naive" else list(task.dims)
    halving = optuna.pruners.HyperbandPruner(1, task.max_epochs)
    pruner = halving if setting == "hyperband" else optuna.pruners.NopPruner()
    study = optuna.create_study(sampler=sampler_of(ledger, setting), pruner=pruner)

    def objective(trial: optuna.Trial) -> float:
        training = ledger.open({d.name: suggested(trial, d) for d in dims})
        if setting != "hyperband":
            return ledger.told(training, task.max_epochs)
        for epoch in range(1, task.max_epochs + 1):
            trial.report(ledger.told(training, epoch), epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return ledger.tellable(training.loss)

    study.optimize(objective)


def sampler_of(ledger: Ledger, setting: str) -> optuna.samplers.BaseSampler:
    if setting == "gp":
        return optuna.samplers.GPSampler(seed=ledger.seed, deterministic_objective=ledger.task.truth is None)
    return optuna.samplers.TPESampler(seed=ledger.seed)


if __name__ == "__main__":
    run_peer(search)
