"""Whether a stack of a network computes what the network computes alone: tried on one mini-batch before it is used."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from zeroin.nn.batch import Batch
from zeroin.nn.data import InMemory, edges, order
from zeroin.nn.dropout import CountedDropout, begin_step, dropouts, keys
from zeroin.nn.grouping import PLAIN
from zeroin.nn.layout import is_running
from zeroin.nn.optim import recipe
from zeroin.nn.problem import Problem, loss_of
from zeroin.nn.stack import BACKWARD, EACH, Stack, fresh, stack
from zeroin.types import Config

AGREE = 1e-3  # of the largest gradient; kernels round differently, what is wrong is wrong by far more
SEEDS = (1, 2)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The order of vmap and grad in which a stack is right; None: in neither, and why."""

    order: str | None
    why: str = ""


def verdict(problem: Problem, config: Config) -> Verdict:
    """Compare two rows of a stack with the same two networks alone: loss, gradients and buffers of one mini-batch.

    Then it is judged once: what stops there would stop after each epoch.
    """
    if not isinstance(problem.train, InMemory):
        return Verdict(None, "its data are read as they are needed")
    model = fresh(problem, config, SEEDS[0])
    padded = any(getattr(m, "padding_idx", None) is not None for m in model.modules())
    # The faster order gives the padding a gradient, in mini-batches that have some.
    orders = (EACH,) if padded else (BACKWARD, EACH)
    why = ""
    for which in orders:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                why = _difference(problem, config, which)
                if why and _agrees_in_double(problem, config, which):
                    why = ""
            except Exception as error:  # vmap and networks raise what they like; it is a reason, not a failure
                why = f"stacked it stops with '{first_line(error)}'"
        slow = next((str(w.message) for w in warned if "performance drop" in str(w.message)), "")
        if not why and slow:
            why = f"a part of it has no stacked form ({slow.split('for ')[-1].split('.')[0]})"
        if not why:
            return Verdict(which)
    return Verdict(None, why)


def _difference(problem: Problem, config: Config, which: str, dtype: torch.dtype | None = None) -> str:
    """What differs, in words; nothing where nothing does. With a `dtype` numbers of the mini-batch are turned to it."""
    data = problem.train
    assert isinstance(data, InMemory)
    how = recipe(config)
    a, b = edges(len(data), how.batch_size)[0]
    chosen = torch.stack([order(seed, 0, len(data))[a:b] for seed in SEEDS])
    x, y = (t[chosen].to(dtype if t.is_floating_point() else None) for t in (data.x, data.y))  # [2, B, ...]
    one = stack(problem, [(config, seed, fresh(problem, config, seed)) for seed in SEEDS], which)
    attributes = _attributes(one.layout.base)
    one.layout.base.train()
    more = len(one.p) - len(SEEDS)
    index = torch.tensor([*range(len(SEEDS)), *[0] * more])
    batch = Batch(x[index], y[index], torch.full((len(one.p),), how.label_smoothing).to(one.p))
    loss, g = one.gradients(batch, one.keys(1)[0], one.momenta())
    if _attributes(one.layout.base) != attributes:
        return "it changes attributes of its own while it trains"
    for row, seed in enumerate(SEEDS):
        model = fresh(problem, config, seed)
        alone = _alone(problem, model, (x[row], y[row]), how.label_smoothing, seed)
        stacked = {"loss": loss[row]} | _by_name(one, g, row)
        for name, value in (alone | dict(model.named_buffers())).items():
            found = stacked[name] if name in stacked else one.buffers[name][row]
            if not _agree(found, value) and not name.endswith(".key"):
                return f"stacked, {name} differs from what the network computes alone"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # slow is good enough where no gradient is asked for
        one.judge(InMemory(x[0], y[0]))  # by other kernels of PyTorch's, of which a GRU's raises
    return ""


def _agrees_in_double(problem: Problem, config: Config, which: str) -> bool:
    """Whether nothing differs in double precision: in single, a number within rounding of a ReLU's kink may."""
    precise = replace(problem, build=lambda config: problem.build(config).double())
    try:
        return not _difference(precise, config, which, torch.double)
    except Exception:  # a network may know single precision alone
        return False


def _alone(problem: Problem, model: nn.Module, batch: Any, smooth: float, seed: int) -> dict[str, Tensor]:
    model.train()
    drops = dropouts(model)
    begin_step(drops, keys([(seed, 0)], 1, len(drops))[0, 0].to(problem.device))
    with torch.random.fork_rng(devices=[]):
        loss = loss_of(problem.loss, model(batch[0]), batch[1], smooth)
        loss.backward()  # type: ignore[no-untyped-call]
    found = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    return {"loss": loss.detach()} | {n: torch.zeros(()) if g is None else g for n, g in found.items()}


def _by_name(one: Stack, g: Tensor, row: int) -> dict[str, Tensor]:
    return {name: value[row] for name, value in one.layout.tree(g).items()}


def _agree(a: Tensor, b: Tensor) -> bool:
    if not a.is_floating_point():
        return bool((a == b).all())
    scale = max(float(b.abs().max()), 1e-4) if b.numel() else 1.0
    return bool(((a - b).abs() <= AGREE * scale).all())


def _attributes(model: nn.Module) -> list[Any]:
    return [
        {k: v for k, v in vars(m).items() if isinstance(v, PLAIN)}
        for m in model.modules()
        if not (isinstance(m, CountedDropout) or is_running(m))
    ]


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
