"""The check, before a stack is used, that it computes the same as its networks alone, on one mini-batch."""

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from zeroin.nn.data import Data, InMemory, edges, order
from zeroin.nn.dropout import begin_step, dropouts, keys
from zeroin.nn.loop import evaluate, fresh
from zeroin.nn.modes import switched
from zeroin.nn.problem import Problem, loss_of
from zeroin.nn.recipe import recipe
from zeroin.nn.recording.python_state import changed, python_state
from zeroin.nn.recording.recorder import same
from zeroin.nn.stacking.aliasing import Call, noted, told_apart
from zeroin.nn.stacking.batch import Batch
from zeroin.nn.stacking.grouping import signature
from zeroin.nn.stacking.layout import Layout, is_running
from zeroin.nn.stacking.operations import Watching
from zeroin.nn.stacking.stack import Stack, stack
from zeroin.nn.stacking.steps import BACKWARD, EACH
from zeroin.nn.stacking.unfit import pads, unfit
from zeroin.types import Config
from zeroin.wording import first_line

AGREE = 1e-3  # tolerance, relative to the largest number: kernels round differently, but errors are far larger
LEAST = 1e-4  # as if the largest number were at least this,
OF_ALL = 1e-3  # or in a gradient so much of the largest in any: of a bias in front of a norm it is rounding alone
SEEDS = (1, 2)
BLENDED = 0.5  # momentum of batch norms: with a config's 0 or 1 it would not show that one is called twice in a step
ON_DEMAND = "its data are read as they are needed"
DIFFERS = "stacked, {} differs from what the network computes alone"
LOOKS = "it looks at the value of a tensor, as .item(), if and packed sequences do"
IN_WORDS = {  # what vmap says of networks as they are often written
    "called random operation": "it draws random numbers as it trains, be it by dropout of attention weights",
    "calling .item() on a Tensor": LOOKS,
    "in some data-dependent control flow": LOOKS,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The order of vmap and grad in which a stack is correct, with its layout; or None and the reason."""

    order: str | None
    why: str = ""
    layout: Layout | None = field(default=None, repr=False)


def verdict(problem: Problem, config: Config) -> Verdict:
    """Compare two rows of a stack with the same two networks alone: loss, gradients, buffers and validation loss.

    State outside of tensors, and random draws, would be shared by all rows, so they must not change either.
    """
    if not problem.is_in_memory:
        return Verdict(None, ON_DEMAND)
    model = fresh(problem, config, SEEDS[0])
    if why := unfit(problem, model):
        return Verdict(None, why)
    # The faster order gives the padding a gradient, in mini-batches that have some.
    orders = (EACH,) if pads(problem, model) else (BACKWARD, EACH)
    reasons = []
    for which in orders:
        found = _verdict_on(problem, config, which)
        if found.order:
            return found
        reasons.append(found.why)
    return Verdict(None, reasons[0])  # the other order may stop at less, as at `one_hot`


def _verdict_on(problem: Problem, config: Config, which: str) -> Verdict:
    """The verdict on one order of vmap and grad."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            pair, models = _pair(problem, config, which)
            why = _difference(problem, pair, models)
            if why and _agrees_in_double(problem, config, which):
                why = ""
        except Exception as error:  # vmap and networks raise what they like; it is a reason, not a failure
            said = (words for raised, words in IN_WORDS.items() if raised in str(error))
            return Verdict(None, next(said, f"stacked it stops with '{first_line(error)}'"))
    slow = next((str(w.message) for w in warned if "performance drop" in str(w.message)), "")
    if slow:  # and sometimes wrong
        why = f"a part of it has no stacked form ({slow.split('for ')[-1].split('.')[0]})"
    return Verdict(None, why) if why else Verdict(which, layout=pair.layout)


def _pair(problem: Problem, config: Config, which: str) -> tuple[Stack, list[nn.Module]]:
    """Two networks of a config, and a stack of them."""
    models = [switched(fresh(problem, config, seed), True) for seed in SEEDS]
    if len({signature(model, recipe(config), config) for model in models}) > 1:
        raise RuntimeError("two of one config hold different things beside their tensors")
    for norm in (module for model in models for module in model.modules() if is_running(module)):
        norm.momentum = BLENDED  # type: ignore[assignment]
    return stack(problem, [(config, seed, model) for seed, model in zip(SEEDS, models, strict=True)], which), models


def _difference(problem: Problem, pair: Stack, models: Sequence[nn.Module]) -> str:
    """What differs between a stack and its networks alone, in words; empty if nothing does.

    A mini-batch of each size is compared, because a network may treat fewer examples differently (`if len(x) > 1`).
    """
    cuts: dict[int, tuple[int, int]] = {}
    for a, b in edges(len(problem.train), pair.rows[0].how.batch_size):
        cuts.setdefault(b - a, (a, b))
    return next(filter(None, (_differs(problem, pair, models, cut) for cut in cuts.values())), "")


def _differs(problem: Problem, pair: Stack, models: Sequence[nn.Module], cut: tuple[int, int]) -> str:
    data, smooth = problem.train, pair.rows[0].how.label_smoothing
    assert isinstance(data, InMemory)
    chosen = torch.stack([order(seed, 0, len(data))[slice(*cut)] for seed in SEEDS])
    x, y = data.x[chosen], data.y[chosen]  # [2, B, ...]
    is_first, examples = cut[0] == 0, (x, y, smooth)
    # A single example may be judged otherwise than alone, or not at all: so all are, but once.
    judged = problem.valid if is_first else InMemory(x[0], y[0])
    assert isinstance(judged, InMemory)
    # What a network sets up when it is first called is there since its operations were looked at.
    before, began = python_state(problem, pair.layout.base), {n: b.clone() for n, b in pair.buffers.items()}
    with noted(pair.layout.base) as calls:
        loss, g = _gradients(pair, *examples)
    if why := changed(before, python_state(problem, pair.layout.base)):
        return why
    drawn = [layer.uses for layer in dropouts(pair.layout.base)]
    scores, buffers = _scores(pair, judged), {n: b.clone() for n, b in pair.buffers.items()}
    if drawn != [layer.uses for layer in dropouts(pair.layout.base)]:
        return "it drops out when it is judged"
    if is_first and not _repeats(pair, examples, began, (loss, g)):  # of the first mini-batch alone, to save time
        return "the same mini-batch again gives another loss: it keeps a count elsewhere than in its buffers"
    for row, (seed, model) in enumerate(zip(SEEDS, models, strict=True)):
        held = list(model.buffers())
        alone = _alone(problem, model, (x[row].clone(), y[row]), smooth, seed)
        stacked = {"loss": loss[row]} | {name: value[row] for name, value in pair.layout.tree(g).items()}
        if why := _step_differs(alone, stacked):
            return why
        for name, buffer in model.named_buffers():
            if not _agree(buffers[name][row], buffer) and not name.endswith(".key"):  # of dropout: a draw is a seed's
                return DIFFERS.format(name)
            if all(buffer is not one for one in held):  # even if it holds the same numbers in this mini-batch
                return f"it puts another tensor in place of {name}"
        weights = pair.state_dict(row)
        if not all(_agree(weights[name], value) for name, value in model.state_dict().items()):
            return "it changes its own parameters"
        if not _agree(torch.tensor(scores[row]), torch.tensor(evaluate(problem, model, judged)[1])):
            return DIFFERS.format("its validation loss")
    return told_apart(_own_calls(copy.deepcopy(models[0]), x[0]), calls)


def _step_differs(alone: dict[str, Tensor | None], stacked: dict[str, Tensor]) -> str:
    """Which of the loss and the gradients, of a network alone and of its row, differs, in words."""
    gradients = [v for name, v in alone.items() if name != "loss" and v is not None and v.numel()]
    largest = max((float(v.abs().max()) for v in gradients), default=0.0)
    for name, value in alone.items():
        if value is None:
            return f"{name} has no part in its loss"
        if not _agree(stacked[name], value, max(LEAST, OF_ALL * largest)):
            return DIFFERS.format(name)
    return ""


def _gradients(pair: Stack, x: Tensor, y: Tensor, smooth: float) -> tuple[Tensor, Tensor]:
    """Losses and gradients of a stack that trains on mini-batches [2, B, ...]; for spare rows the first again."""
    pair.layout.base.train()
    index = torch.tensor([*range(len(SEEDS)), *[0] * (len(pair.p) - len(SEEDS))])  # a copy: it may be written into
    batch = Batch(x[index], y[index], torch.full((len(pair.p),), smooth).to(pair.p))
    return pair.steps.gradients(batch, pair.keys(1)[0])


def _repeats(
    pair: Stack, examples: tuple[Tensor, Tensor, float], began: dict[str, Tensor], found: tuple[Tensor, Tensor]
) -> bool:
    """Whether a mini-batch gives the same loss again; a step can be recorded only if it does so while it is watched."""

    def again() -> tuple[Tensor, Tensor]:
        for name, buffer in pair.buffers.items():
            buffer.copy_(began[name])
        return _gradients(pair, *examples)

    loss, g = found
    with Watching(lambda *_: None):
        watched = again()
    replays = pair.layout.replays and same(watched[0], loss) and same(watched[1], g)
    pair.layout = replace(pair.layout, replays=replays)
    return same(watched[0], loss) or same(again()[0], loss)


def _scores(pair: Stack, data: InMemory) -> list[float]:
    """Validation losses of the rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # slow is good enough where no gradient is asked for
        return [loss for _, loss in pair.judge(data)]  # by other kernels of PyTorch's, of which a GRU's raises


def _agrees_in_double(problem: Problem, config: Config, which: str) -> bool:
    """Whether nothing differs in double precision.

    In single precision, rounding may decide on which side of a ReLU's kink a number is.
    """
    cuts = edges(len(problem.train), recipe(config).batch_size)
    count = sum({b - a: b - a for a, b in (cuts[0], cuts[-1])}.values())  # its mini-batches have the same sizes
    try:
        train, valid = _in_double(problem.train, count), _in_double(problem.valid, len(problem.valid))
        precise = replace(problem, build=lambda config: problem.build(config).double(), train=train, valid=valid)
        return not _difference(precise, *_pair(precise, config, which))
    except Exception:  # a network, or a device, may know single precision alone
        return False


def _in_double(data: Data, count: int) -> InMemory:
    assert isinstance(data, InMemory)
    return InMemory(*(t[:count].double() if t.is_floating_point() else t[:count] for t in (data.x, data.y)))


def _alone(problem: Problem, model: nn.Module, batch: Any, smooth: float, seed: int) -> dict[str, Tensor | None]:
    switched(model, True).zero_grad()
    drops = dropouts(model)
    begin_step(drops, keys([(seed, 0)], 1, len(drops))[0, 0].to(problem.device))
    with torch.random.fork_rng(devices=[]):
        loss = loss_of(problem.loss, model(batch[0]), batch[1], smooth)
        loss.backward()  # type: ignore[no-untyped-call]
    return {"loss": loss.detach()} | {n: p.grad for n, p in model.named_parameters() if p.requires_grad}


def _own_calls(model: nn.Module, x: Tensor) -> list[Call]:
    """The calls of a network alone, in a further forward pass, so that what it sets up in the first one exists."""
    for layer in dropouts(switched(model, True)):
        layer.idle = True  # at rate 0 it gives its input itself, beside rows of other rates a copy
    with torch.random.fork_rng(devices=[]), noted(model) as calls:
        model(x)
    return calls


def _agree(a: Tensor, b: Tensor, least: float = LEAST) -> bool:
    if not a.is_floating_point():
        return bool((a == b).all())
    scale = max(float(b.abs().max()), least) if b.numel() else 1.0
    return bool(((a - b).abs() <= AGREE * scale).all())
