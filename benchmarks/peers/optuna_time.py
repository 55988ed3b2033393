"""Tune a ready-made task with Optuna, in its own environment; appends a line of JSON a trial. See time_to_target.py."""

import argparse
import json
import math
import warnings
from pathlib import Path

import optuna
import torch
from optuna.storages.journal import JournalFileBackend
from timing import Account
from torch.utils.data import DataLoader, TensorDataset

from zeroin.nn import loop
from zeroin.nn.data import InMemory
from zeroin.nn.loop import Training, fresh
from zeroin.nn.problem import Problem, loss_of
from zeroin.nn.recipe import recipe
from zeroin.space import Choice, Float, Int, Space
from zeroin.tasks import load


def suggested(trial: optuna.Trial, space: Space) -> dict:
    """A config of the space, on its scales, in Optuna's own terms."""
    config = {}
    for name, p in space.params.items():
        if p.held:
            config[name] = p.fixed
        elif isinstance(p, Choice):
            config[name] = trial.suggest_categorical(name, list(p.range))
        elif isinstance(p, Int) and p.scale == "log2":
            config[name] = 2 ** trial.suggest_int(f"log2 {name}", p.low.bit_length() - 1, p.high.bit_length() - 1)
        elif isinstance(p, Int):
            config[name] = trial.suggest_int(name, p.low, p.high, log=p.scale == "log")
        elif isinstance(p, Float) and p.zero and trial.suggest_categorical(f"{name} = 0", [False, True]):
            config[name] = 0.0
        elif p.scale == "one_minus_log":
            config[name] = 1.0 - trial.suggest_float(f"1 - {name}", 1 - p.high, 1 - p.low, log=True)
        else:
            config[name] = trial.suggest_float(name, p.low, p.high, log=p.scale == "log")
    return space.check(config)


def default(space: Space) -> dict:
    """The space's default config in the terms of `suggested`: peers are told where zeroin begins."""
    params = {}
    for name, p in space.params.items():
        value = space.default[name]
        if p.held:
            continue
        if isinstance(p, Int) and p.scale == "log2":
            params[f"log2 {name}"] = value.bit_length() - 1
            continue
        if isinstance(p, Float) and p.zero:
            params[f"{name} = 0"] = value == 0
            if value == 0:
                continue
        inverse = isinstance(p, Float) and p.scale == "one_minus_log"
        params |= {f"1 - {name}": 1.0 - value} if inverse else {name: value}
    return params


class Plain:
    """Training as it is usually written: a DataLoader, PyTorch's optimizer as it comes, a schedule by epoch."""

    def __init__(self, problem: Problem, config: dict, seed: int, epochs: int) -> None:
        torch.manual_seed(seed)
        self.problem, self.how, self.model = problem, recipe(config), fresh(problem, config, seed)
        h, p = self.how, self.model.parameters()
        if h.optimizer in ("adam", "adamw"):
            kind = torch.optim.AdamW if h.optimizer == "adamw" else torch.optim.Adam
            self.opt = kind(p, lr=h.lr, betas=(h.beta1, h.beta2), eps=h.eps, weight_decay=h.weight_decay)
        else:
            self.opt = torch.optim.SGD(p, lr=h.lr, momentum=h.momentum, weight_decay=h.weight_decay)
        cosine = h.schedule == "cosine"
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, epochs) if cosine else None
        self.loader = DataLoader(
            TensorDataset(problem.train.x, problem.train.y), batch_size=h.batch_size, shuffle=True, drop_last=True
        )

    def epoch(self) -> None:
        self.model.train()
        for x, y in self.loader:
            self.opt.zero_grad()
            loss_of(self.problem.loss, self.model(x), y, self.how.label_smoothing).backward()
            self.opt.step()
        if self.schedule:
            self.schedule.step()


class Fast:
    """Training by zeroin's one-by-one loop."""

    def __init__(self, problem: Problem, config: dict, seed: int, epochs: int) -> None:
        self.problem, self.how, self.seed, self.epochs = problem, recipe(config), seed, epochs
        self.model = loop.alone(problem, config, seed)
        self.now = Training.of(problem, self.model, self.how)

    def epoch(self) -> None:
        loop.train_epoch(self.now, self.seed, self.epochs)


def trained_on(training: Plain | Fast, trial: optuna.Trial, epochs: int) -> tuple[float, dict, int, bool]:
    """Train to the end, or until Optuna prunes: the best score, its weights, the epochs, whether it was pruned."""
    best, weights, problem = None, {}, training.problem
    for epoch in range(epochs):
        training.epoch()
        score = -problem.sign * loop.evaluate(problem, training.model, problem.valid)[0]
        if score != score:
            raise optuna.TrialPruned
        if best is None or score > best:
            best = score
            weights = {k: v.detach().clone() for k, v in training.model.state_dict().items()}
        trial.report(score, epoch)
        if trial.should_prune():
            return best, weights, epoch + 1, True
    return best, weights, epochs, False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--task", required=True)
    add("--way", choices=("plain", "hyperband"), required=True)
    add("--seed", type=int, required=True)
    add("--seconds", type=float, required=True)
    add("--folder", type=Path, required=True)
    add("--trainings", type=float, default=float("inf"), help="full trainings after which to stop")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    task = load(given.task)
    problem, space, epochs = task.problem, task.space_for(40.0), task.max_epochs
    assert isinstance(problem.train, InMemory)
    file = given.folder / "trials.jsonl"
    account = Account(file)
    way = Plain if given.way == "plain" else Fast

    def objective(trial: optuna.Trial) -> float:
        training = way(problem, suggested(trial, space), given.seed * 100_000 + trial.number, epochs)
        best, weights, trained, pruned = trained_on(training, trial, epochs)
        with account.line() as told:
            training.model.load_state_dict(weights)
            test = loop.evaluate(problem, training.model, problem.test)[0]
            told |= {"valid": best, "test": test, "epochs": trained}
        if math.isfinite(given.trainings):
            lines = map(json.loads, file.read_text().splitlines())
            if sum(one["epochs"] for one in lines) >= given.trainings * epochs:
                trial.study.stop()
        if pruned:
            raise optuna.TrialPruned
        return best

    pruner = {"pruner": optuna.pruners.HyperbandPruner(1, epochs, 3)} if given.way == "hyperband" else {}
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(given.folder / "optuna.log"))),
        study_name="s", load_if_exists=True, direction="maximize", **pruner,
    )  # fmt: skip
    study.enqueue_trial(default(space), skip_if_exists=True)
    study.optimize(objective, timeout=given.seconds)


if __name__ == "__main__":
    main()
