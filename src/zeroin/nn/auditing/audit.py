"""The audit of a network or a task: what is wrong with it, with measured evidence and the remedy."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, default_collate

from zeroin.checked import is_whole
from zeroin.errors import TaskError
from zeroin.nn.auditing import rules_batchnorm, rules_signal, rules_statistics
from zeroin.nn.auditing.findings import SEVERITIES, Audit, Finding
from zeroin.nn.auditing.measure import SEEN, Measured, Subject, Unknown, measure
from zeroin.nn.checking import check
from zeroin.nn.data import check_finite, edges
from zeroin.nn.layers import BATCHNORMS
from zeroin.nn.loop import Training, one_thread, train_epoch
from zeroin.nn.problem import loss_of
from zeroin.nn.randomness import seeded
from zeroin.nn.recipe import recipe
from zeroin.nn.sets import drawn, evenly, taken
from zeroin.nn.task import Task
from zeroin.types import Config

Rule = Callable[[Measured], Iterator[Finding]]

RULES: dict[str, Rule] = {  # causes come before their consequences
    "mini-batch of one": rules_statistics.last_batch,
    "training mode at evaluation": rules_statistics.mode,
    "inputs not normalised": rules_signal.inputs,
    "init does not fit the activation": rules_signal.init,
    "batch norm on the output": rules_batchnorm.on_output,
    "momentum convention": rules_statistics.momentum,
    "small mini-batches": rules_statistics.small_batches,
    "dropout before batch norm": rules_statistics.dropout_before,
    "weight decay on γ and β": rules_batchnorm.decay,
    "bias before batch norm": rules_batchnorm.bias,
    "γ near zero": rules_batchnorm.gamma,
    "dead ReLUs": rules_signal.dead,
    "activations": rules_signal.signal,
    "gradients": rules_signal.gradients,
    "statistics after weight averaging": rules_statistics.averaged,
    "running statistics stale": rules_statistics.stale,
}
AT_FIRST = ("init does not fit the activation", "activations", "gradients", "inputs not normalised")
FOLLOWS = {  # by rule, its possible causes: it is reported after them, and not as graver than they are
    "running statistics stale": (
        "momentum convention", "training mode at evaluation", "dropout before batch norm", "small mini-batches",
        "statistics after weight averaging", "batch norm on the output",
    ),
    "activations": ("init does not fit the activation", "inputs not normalised", "dead ReLUs"),
    "gradients": ("init does not fit the activation", "inputs not normalised", "dead ReLUs", "activations"),
    "dead ReLUs": ("inputs not normalised", "init does not fit the activation"),
}  # fmt: skip


def audit(
    target: nn.Module | Task,
    data: Any = None,
    *,
    valid: tuple[Tensor, Tensor] | None = None,
    config: Config | None = None,
    loss: str | Callable[[Tensor, Tensor], Tensor] = "cross_entropy",
    batch_size: int | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    evaluate: Callable[[], Any] | None = None,
    fresh: bool = False,
    epochs: int = 3,
    seed: int = 0,
) -> Audit:
    """Look for common mistakes with batch normalisation, and for signals and gradients that vanish or explode.

    Nothing is changed.

    Args:
        target: a network; or a `Task`, whose network is examined when it is new, and again after some epochs.
        data: for a network, its training inputs as it takes them: (X, y), X, or a DataLoader.
        valid: for a network, (X, y) on which to measure its loss.
        config: for a task; None: the default of its space.
        loss: for a network: "cross_entropy", "mse", or f(output, target) -> tensor.
        batch_size: for a network, that of its training; a DataLoader has its own.
        optimizer: for a network, the one that trains it, to check its weight decay.
        evaluate: for a network, your function (without arguments) that evaluates it, to see in which mode it runs.
        fresh: for a network, whether it is untrained.
        epochs, seed: for a task, of its training.

    Returns:
        The findings, the gravest first; none if nothing is wrong. `print` it; `.picture()` shows the activations.

    Raises:
        TaskError: there are no data, or the network does not take them.

    >>> net = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    >>> print(audit(net, (torch.randn(200, 4), torch.randint(0, 3, (200,)))).findings[0].rule)
    bias before batch norm

    Source: docs/batch-normalisation.md names the paper behind each rule.
    """
    if not is_whole(epochs, 0):
        raise TaskError(f"epochs are counted from 0, for no training; epochs={epochs!r}: use epochs=3.")
    with one_thread(), seeded(seed):
        if isinstance(target, Task):
            return _of_task(target, config, epochs, seed)
        subject = _subject(target, data, valid, _loss(loss), batch_size)
        subject = replace(subject, optimizer=optimizer, evaluate=evaluate, fresh=fresh)
        return _judge(subject, None)


def _of_task(task: Task, config: Config | None, epochs: int, seed: int) -> Audit:
    """Examine the network of a config when it is new, and after the training loop has trained it for some epochs."""
    config = config if config is not None else task.space_for(1.0).default if task.space is not None else {}
    problem, how = task.problem, recipe(config)
    check(problem, config, len(problem.train))  # too small a mini-batch is a finding
    model = task.network(config, seed).to(problem.device)
    cuts = edges(len(problem.train), how.batch_size)
    x, y = _some(problem.train)
    beginning = Subject(
        copy.deepcopy(model), x, y, _some(problem.valid), partial(loss_of, problem.loss), how.batch_size,
        min(b - a for a, b in cuts), fresh=True,
    )  # fmt: skip
    now = Training.of(problem, model, how)
    trained = None
    if beginning.smallest != 1 or not any(isinstance(m, BATCHNORMS) for m in model.modules()):
        for _ in range(epochs):
            train_epoch(now, seed, max(epochs, task.max_epochs))
        trained = replace(beginning, model=now.model, optimizer=now.opt, fresh=False)
    return _judge(beginning, trained)


def _some(data: Any) -> tuple[Tensor, Tensor]:
    """At most `SEEN` examples of a set, evenly chosen."""
    rows = evenly(len(data), SEEN)
    pair: tuple[Tensor, Tensor] = next(iter(data.batches(rows, [(0, len(rows))])))
    return pair


def _loss(loss: str | Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    if not callable(loss) and loss not in ("cross_entropy", "mse"):
        raise TaskError(f"a loss is cross_entropy, mse or a function; got {loss!r}: use loss='mse'.")
    return partial(loss_of, loss)


def _subject(
    model: nn.Module, data: Any, valid: Any, loss: Callable[[Tensor, Tensor], Tensor], batch_size: int | None
) -> Subject:
    smallest = batch_size
    if isinstance(data, DataLoader):
        data, batch_size, smallest = _loaded(data)
    elif batch_size is not None and not is_whole(batch_size, 1):
        raise TaskError(f"batch_size is counted from 1; batch_size={batch_size!r}: leave it out, or use 64.")
    x, y = map(taken, data if isinstance(data, tuple | list) and len(data) == 2 else (data, None))
    if not isinstance(x, Tensor) or not x.dim() or len(x) < 2:
        what = f"shape {list(x.shape)}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
        raise TaskError(
            f"an audit measures on two examples or more, an array or a tensor; got {what}: "
            f"use audit(model, (x_train, y_train)), or a Task."
        )
    check_finite("training inputs", x)
    valid = None if valid is None else tuple(map(taken, valid))
    if valid is not None and not (len(valid) == 2 and all(isinstance(part, Tensor) for part in valid)):
        raise TaskError(
            f"a validation set is (X, y), two arrays or tensors; got {len(valid)} of {type(valid[0]).__name__}: "
            f"use audit(..., valid=(x_valid, y_valid))."
        )
    return Subject(model, x, y, valid, loss, batch_size, smallest)


def _loaded(loader: DataLoader[Any]) -> tuple[Any, int | None, int]:
    """Examples of a loader, evenly chosen, and how many there are in its mini-batches and in the smallest of them."""
    if isinstance(loader.dataset, IterableDataset):
        raise TaskError(
            f"an audit chooses examples evenly; a {type(loader.dataset).__name__} has no numbered ones: "
            f"use audit(model, (x_train, y_train))."
        )
    batch_size = getattr(loader.batch_sampler, "batch_size", None)
    batches: Any = [loader.sampler] if loader.batch_sampler is None else loader.batch_sampler
    numbers = drawn(batches, 0, len(loader.dataset))  # type: ignore[arg-type]
    count = len(numbers)  # that its sampler chooses
    left = 0 if batch_size is None or getattr(loader.batch_sampler, "drop_last", False) else count % batch_size
    whole = loader.batch_size is not None or loader.batch_sampler is not None  # else it gives examples one by one
    collate = loader.collate_fn if whole else default_collate
    found = collate([loader.dataset[numbers[i]] for i in evenly(count, SEEN).tolist()])
    found = found[0] if isinstance(found, tuple | list) and len(found) == 1 else found
    return found, batch_size, min(left or count, batch_size or count)


def _judge(first: Subject, later: Subject | None) -> Audit:
    """Apply all rules: those of `AT_FIRST` to the new network, the others to the trained one if there is one."""
    beginning = measure(first)
    trained = beginning if later is None else measure(later)
    found: list[tuple[str, Finding]] = []
    checked, skipped = [], []
    for name, rule in RULES.items():
        try:
            for finding in rule(beginning if name in AT_FIRST else trained):
                found.append((name, finding))  # noqa: PERF401  it may raise after one, which counts all the same
            checked.append(name)
        except Unknown as reason:
            skipped.append((name, str(reason)))
    return Audit(_sorted(found), tuple(checked), tuple(skipped), beginning.levels, beginning.gradients)


def _sorted(found: list[tuple[str, Finding]]) -> tuple[Finding, ...]:
    """Findings in order of severity; those explained by others come last, and are no graver than these."""
    order = list(RULES)
    causes: list[tuple[str, Finding]] = []
    effects: list[tuple[str, Finding]] = []
    for name, finding in found:
        grades = [f.severity for cause, f in found if cause in FOLLOWS.get(name, ())]
        if grades:
            limit = max(min(map(SEVERITIES.index, grades)), SEVERITIES.index(finding.severity))
            effects.append((name, replace(finding, severity=SEVERITIES[limit])))
        else:
            causes.append((name, finding))

    def rank(item: tuple[str, Finding]) -> tuple[int, int]:
        return SEVERITIES.index(item[1].severity), order.index(item[0])

    return tuple(finding for _, finding in [*sorted(causes, key=rank), *sorted(effects, key=rank)])
