"""Training one network: a function of (config, seed) with the same result however it is divided into jobs."""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from zeroin.executors.run import Run
from zeroin.nn.channels_last import laid_out
from zeroin.nn.checking import check_batchnorm, check_outputs
from zeroin.nn.data import Data, edges, order
from zeroin.nn.dropout import counted, keys
from zeroin.nn.gradients import Gradients
from zeroin.nn.modes import switched
from zeroin.nn.networks import network
from zeroin.nn.norms.recalibration import EXAMPLES, recalibrate
from zeroin.nn.optimizer import Optimizer
from zeroin.nn.problem import Problem, judged, two_examples
from zeroin.nn.randomness import seeded
from zeroin.nn.recipe import Recipe, clip, recipe
from zeroin.nn.recording.python_state import PythonState, changed, python_state
from zeroin.nn.state import Best, Weights, save, saved, unsaved
from zeroin.rng import seed_of
from zeroin.types import Config

EVALUATED = 256  # examples evaluated at once; the same in stacks, as a network's output may depend on the mini-batch
CHECKED = 16  # steps between two checks whether the loss is finite
KEPT = 8  # networks of paused trials that are kept in memory
SMALL = 1 << 18  # parameters of a network that is kept; loading a larger one is little beside its epochs


@dataclass(slots=True)
class Training:
    """A network in training, by a recipe and on a problem; `epoch` counts the epochs done."""

    problem: Problem
    how: Recipe
    model: nn.Module
    opt: Optimizer
    gradients: Gradients
    epoch: int = 0
    best: Best = field(default_factory=Best)

    @classmethod
    def of(cls, problem: Problem, model: nn.Module, how: Recipe, epochs: float = math.inf) -> "Training":
        """The training of a network (its dropout counted) before its first epoch; `epochs` is how many will follow."""
        return cls(problem, how, model, Optimizer(model, how), _gradients(problem, model, how, epochs))


def _gradients(problem: Problem, model: nn.Module, how: Recipe, epochs: float) -> Gradients:
    return Gradients(problem, model, how, epochs * max(1, len(problem.train) // how.batch_size))


@dataclass(slots=True)
class Paused:
    """Networks of paused trials in this process, by trial: a trial's next job continues with it and its recording.

    The result is bit for bit that of its checkpoint, which other processes and a resumed study load. So a network with
    a state outside of its tensors, which no checkpoint holds, is not kept once that has changed; nor is it used after
    that, as where `build` has set a variable, which the code of all networks reads, for the config of another trial.
    """

    kept: dict[int, tuple[Training, PythonState]] = field(default_factory=dict)

    def take(self, run: Run) -> Training | None:
        """The network where the run begins, if it is here: another process may have trained it meanwhile."""
        now, left = self.kept.pop(run.trial, (None, None))
        if now is None or left is None or now.epoch != run.start:
            return None
        return None if changed(left, python_state(now.problem, now.model, generators=False)) else now

    def put(self, run: Run, now: Training, before: PythonState | None) -> None:
        """Keep a network for the trial's next job, if it has one, and no more than the last few.

        Args:
            run: the job that ends.
            now: the training so far.
            before: the state outside of tensors as the job began; None: the network is too large to be kept.
        """
        if before is None or run.epoch == run.max_epochs:
            return
        left = python_state(now.problem, now.model, generators=False)
        if changed(before, left):
            return
        self.kept[run.trial] = now, left
        while len(self.kept) > KEPT:
            del self.kept[next(iter(self.kept))]


def objective(problem: Problem) -> Callable[[Config, Run], None]:
    """An objective f(config, run) that trains a network and reports the validation metric each epoch.

    It also reports `train_loss` (the mean over the epoch, as trained) and `valid_loss`, and if the run is final, `test`
    and `test_loss` of the best epoch so far. A loss that is not finite ends the trial.
    """

    return partial(train, problem, Paused())


def train(problem: Problem, paused: Paused, config: Config, run: Run) -> None:
    """Train a config as far as the run asks; see `objective`."""
    with one_thread():
        for _ in by_epoch(problem, config, run, paused):
            pass


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit PyTorch to one thread: on small networks a second one costs far more time than it saves."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def by_epoch(problem: Problem, config: Config, run: Run, paused: Paused | None = None) -> Iterator[None]:
    """`train`, with a pause after each epoch."""
    how = recipe(config)
    now = paused.take(run) if paused else None
    if now is None:
        now = _resumed(problem, config, how, run)
    elif not now.gradients.records:  # too few steps were to come
        now.gradients = _gradients(problem, now.model, how, run.stop - run.start)
    is_small = sum(p.numel() for p in now.model.parameters()) <= SMALL
    before = python_state(problem, now.model, generators=False) if paused and is_small else None
    for epoch in run.epochs():
        train_loss = train_epoch(now, run.seed, run.max_epochs)
        metric, valid_loss = math.nan, math.nan
        if math.isfinite(train_loss):
            metric, valid_loss = evaluate(problem, now.model, problem.valid)
        if not (math.isfinite(metric) and math.isfinite(valid_loss)):
            run.report(math.nan)
            return
        now.best = better(problem, now.best, now.epoch, (metric, valid_loss), partial(_copy, now.model))
        test = tested(problem, now.best, lambda: now.model) if run.final else {}
        run.report(metric, train_loss=train_loss, valid_loss=valid_loss, **test)
        if run.saving:
            tensors = now.model.state_dict(), now.opt.state_dict(), unsaved(now.model)
            save(problem, run, now.epoch, now.best, tensors)
        assert now.epoch == epoch + 1
        yield
    if paused:
        paused.put(run, now, before)


def train_epoch(now: Training, seed: int, max_epochs: int) -> float:
    """Train for one epoch, and return the mean loss, which is not finite if training diverged.

    The order of the data, dropout and the learning rate are functions of (seed, epoch, step), not of global state.
    """
    problem, how = now.problem, now.how
    count = len(problem.train)
    cuts = edges(count, how.batch_size)
    total = max_epochs * len(cuts)
    step = now.epoch * len(cuts)
    now.model.train()
    now.gradients.begin_epoch()
    drawn = keys([(seed, step)], len(cuts), len(now.gradients.drops))[:, 0].to(problem.device)
    # Layers may draw for themselves.
    with seeded(seed_of(seed, "dropout", now.epoch), problem.device), torch.no_grad():
        sum_ = torch.zeros((), device=problem.device)
        for i, (x, y) in enumerate(problem.train.batches(order(seed, now.epoch, count), cuts)):
            loss = now.gradients(x, y, drawn[i])
            clip(now.gradients.trained, how.grad_clip)
            now.opt.step(how.lr_at(step + i, total))
            sum_ += loss * len(x)
            if i % CHECKED == CHECKED - 1 and not math.isfinite(sum_.item()):
                break
        loss_ = sum_.item() / count
        if problem.recalibrate and math.isfinite(loss_):
            recalibrate(now.model, problem, examples=EXAMPLES)
    now.epoch += 1
    return loss_


@torch.no_grad()
def evaluate(problem: Problem, model: nn.Module, data: Data) -> tuple[float, float]:
    """The (metric, loss) of a network over a whole data set, in evaluation mode."""
    model.eval()
    cuts = edges(len(data), EVALUATED)
    outputs, targets = [], []
    # What a set or a network draws is the same each time: all epochs and configs are judged alike, in any process.
    with seeded(0, problem.device):
        for x, y in data.batches(torch.arange(len(data)), cuts):
            outputs.append(model(x))
            targets.append(y)
    return judged(problem, torch.cat(outputs), torch.cat(targets))


def fresh(problem: Problem, config: Config, seed: int) -> nn.Module:
    """The untrained network of a trial, its dropout counted."""
    return counted(network(problem.build, config, seed)).to(problem.device)


def alone(problem: Problem, config: Config, seed: int) -> nn.Module:
    """`fresh`, laid out in memory as a network that is trained one by one is."""
    another = partial(fresh, problem, config, seed)
    return laid_out(problem, another(), another)


def begin(problem: Problem, config: Config, run: Run, how: Recipe) -> tuple[nn.Module, dict[str, Any] | None]:
    """A trial's network as a job begins: untrained, or as its checkpoint has it, whose other contents come second.

    Whether such a network fits is tried on another one: what this does when it is first called, such as to set its
    scales by the examples that it is given, it is to do with its first mini-batch.

    Raises:
        TaskError: it does not fit the data or the loss, which is the user's mistake and stops the study.
    """
    tried, (x, y) = switched(fresh(problem, config, run.seed), False), two_examples(problem.train)
    with torch.no_grad():
        check_outputs(problem, tried(x), y)
    check_batchnorm(problem, tried, how.batch_size)
    model, state = fresh(problem, config, run.seed), saved(run)
    if state:
        model.load_state_dict(state["model"])
        for name, buffer in unsaved(model).items():
            buffer.copy_(state.get("buffers", {}).get(name, buffer))
    return model, state


def _resumed(problem: Problem, config: Config, how: Recipe, run: Run) -> Training:
    """The training at the epoch at which the run begins: that of its checkpoint, or the first."""
    model, state = begin(problem, config, run, how)
    laid_out(problem, model, partial(fresh, problem, config, run.seed))
    now = Training.of(problem, model, how, run.stop - run.start)
    if state:
        now.opt.load_state_dict(state["optimizer"])
        now.epoch, now.best = state["epoch"], Best(**state["best"])
    return now


def better(
    problem: Problem, best: Best, epoch: int, scores: tuple[float, float], weights: Callable[[], Weights]
) -> Best:
    """The best epoch so far, after another one with `scores` (metric, loss); `weights` copies that one's weights."""
    rank = (problem.sign * scores[0], scores[1])
    return Best(rank, epoch, weights()) if rank < best.rank else best


def tested(problem: Problem, best: Best, network: Callable[[], nn.Module]) -> dict[str, float]:
    """The test scores of the best epoch, computed once; the network keeps its weights."""
    if problem.test is None or best.weights is None:
        return {}
    if best.test is None:
        model = network()
        standing = _copy(model)
        model.load_state_dict(best.weights)
        best.test = evaluate(problem, model, problem.test)
        model.load_state_dict(standing)
    return {"test": best.test[0], "test_loss": best.test[1]}


def _copy(model: nn.Module) -> Weights:
    state = model.state_dict()  # with the versions of its modules
    for name, value in state.items():  # tensors, but for what `get_extra_state` gives; `deepcopy` is ten times as slow
        state[name] = value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)
    return state
