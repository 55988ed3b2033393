"""The check, before a stack is used, that it computes the same as its networks alone, on one mini-batch."""

import copy
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from zeroin.nn.data import InMemory, edges, order
from zeroin.nn.dropout import begin_step, dropouts, keys
from zeroin.nn.layers import BATCHNORMS
from zeroin.nn.loop import evaluate, fresh
from zeroin.nn.modes import switched
from zeroin.nn.problem import Problem, loss_of, two_examples
from zeroin.nn.randomness import seeded
from zeroin.nn.recipe import recipe
from zeroin.nn.recording.python_state import changed, hooks_gradients, python_state
from zeroin.nn.recording.recorder import same
from zeroin.nn.stacking.aliasing import Call, noted, told_apart
from zeroin.nn.stacking.batch import Batch
from zeroin.nn.stacking.grouping import signature
from zeroin.nn.stacking.layout import Layout
from zeroin.nn.stacking.operations import Watching
from zeroin.nn.stacking.stack import Stack, stack
from zeroin.nn.stacking.steps import BACKWARD, EACH
from zeroin.types import Config
from zeroin.wording import first_line

AGREE = 1e-3  # tolerance, relative to the largest number: kernels round differently, but errors are far larger
LEAST = 1e-4  # as if the largest number were at least this,
OF_ALL = 1e-3  # or in a gradient so much of the largest in any: of a bias in front of a norm it is rounding alone
SEEDS = (1, 2)
LEAVES_OUT = torch.ops.aten._nested_tensor_from_mask_left_aligned.default
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
    if not (isinstance(problem.train, InMemory) and isinstance(problem.valid, InMemory)):
        return Verdict(None, "its data are read as they are needed")
    model = fresh(problem, config, SEEDS[0])
    why = _unfit(model)
    if not why and _calls(problem, switched(model, False), lambda func, _: func is LEAVES_OUT):
        why = "when judged, its TransformerEncoder leaves padding out (unless it has enable_nested_tensor=False)"
    if why:
        return Verdict(None, why)
    # The faster order gives the padding a gradient, in mini-batches that have some.
    orders = (EACH,) if _calls(problem, switched(model, True), _pads) else (BACKWARD, EACH)
    reasons = []
    for which in orders:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                one, models = _pair(problem, config, which)
                why = _difference(problem, one, models)
                if why and _agrees_in_double(problem, config, which):
                    why = ""
            except Exception as error:  # vmap and networks raise what they like; it is a reason, not a failure
                said = (words for raised, words in IN_WORDS.items() if raised in str(error))
                why = next(said, f"stacked it stops with '{first_line(error)}'")
            else:
                slow = next((str(w.message) for w in warned if "performance drop" in str(w.message)), "")
                if slow:  # and sometimes wrong
                    why = f"a part of it has no stacked form ({slow.split('for ')[-1].split('.')[0]})"
        if not why:
            return Verdict(which, layout=one.layout)
        reasons.append(why)
    return Verdict(None, reasons[0])  # the other order may stop at less, as at `one_hot`


def _pair(problem: Problem, config: Config, which: str) -> tuple[Stack, list[nn.Module]]:
    """Two networks of a config, and a stack of them."""
    models = [switched(fresh(problem, config, seed), True) for seed in SEEDS]
    if len({signature(model, recipe(config), config) for model in models}) > 1:
        raise RuntimeError("two of one config hold different things beside their tensors")
    return stack(problem, [(config, seed, model) for seed, model in zip(SEEDS, models, strict=True)], which), models


def _difference(problem: Problem, one: Stack, models: Sequence[nn.Module]) -> str:
    """What differs between a stack and its networks alone, in words; empty if nothing does.

    A mini-batch of each size is compared, because a network may treat fewer examples differently (`if len(x) > 1`).
    """
    cuts = {b - a: (a, b) for a, b in edges(len(problem.train), one.rows[0].how.batch_size)}
    return next(filter(None, (_differs(problem, one, models, cut) for cut in cuts.values())), "")


def _differs(problem: Problem, one: Stack, models: Sequence[nn.Module], cut: tuple[int, int]) -> str:
    data, how = problem.train, one.rows[0].how
    assert isinstance(data, InMemory)
    chosen = torch.stack([order(seed, 0, len(data))[slice(*cut)] for seed in SEEDS])
    x, y = data.x[chosen], data.y[chosen]  # [2, B, ...]
    examples, judged = (x, y, how.label_smoothing), InMemory(x[0], y[0])
    # What a network sets up when it is first called is there since its operations were looked at.
    before, began = python_state(problem, one.layout.base), {n: b.clone() for n, b in one.buffers.items()}
    one.layout.base.train()
    with noted(one.layout.base) as calls:
        loss, g = one.gradients(_batch(one, *examples), one.keys(1)[0], one.momenta())
    why = changed(before, python_state(problem, one.layout.base))
    if why:
        return why
    drawn = [layer.uses for layer in dropouts(one.layout.base)]
    scores, after = _scores(one, judged), {n: b.clone() for n, b in one.buffers.items()}
    if drawn != [layer.uses for layer in dropouts(one.layout.base)]:
        return "it drops out when it is judged"
    if cut[0] == 0 and not _repeats(one, examples, began, (loss, g)):  # of the first mini-batch alone, to save time
        return "the same mini-batch again gives another loss: it keeps a count elsewhere than in its buffers"
    for row, (seed, model) in enumerate(zip(SEEDS, models, strict=True)):
        alone = _alone(problem, model, (x[row].clone(), y[row]), how.label_smoothing, seed)
        stacked = {"loss": loss[row]} | {name: value[row] for name, value in one.layout.tree(g).items()}
        found = [v for name, v in alone.items() if name != "loss" and v is not None and v.numel()]
        largest = max((float(v.abs().max()) for v in found), default=0.0)
        for name, value in (alone | dict(model.named_buffers())).items():
            if value is None:
                return f"{name} has no part in its loss"
            ours = stacked[name] if name in stacked else after[name][row]
            least = max(LEAST, OF_ALL * largest) if name in stacked else LEAST
            if not _agree(ours, value, least) and not name.endswith(".key"):
                return f"stacked, {name} differs from what the network computes alone"
        weights = one.state_dict(row)
        if not all(_agree(weights[name], value) for name, value in model.state_dict().items()):
            return "it changes its own parameters"
        if not _agree(torch.tensor(scores[row]), torch.tensor(evaluate(problem, model, judged)[1])):
            return "stacked, its validation loss differs from what the network computes alone"
    return told_apart(_own_calls(copy.deepcopy(models[0]), x[0]), calls)


def _repeats(
    one: Stack, examples: tuple[Tensor, Tensor, float], began: dict[str, Tensor], found: tuple[Tensor, Tensor]
) -> bool:
    """Whether a mini-batch gives the same loss again; a step can be recorded only if it does so while it is watched."""

    def again() -> tuple[Tensor, Tensor]:
        one.layout.base.train()
        for name, buffer in one.buffers.items():
            buffer.copy_(began[name])
        return one.gradients(_batch(one, *examples), one.keys(1)[0], one.momenta())

    loss, g = found
    with Watching(lambda *_: None):
        watched = again()
    replays = one.layout.replays and same(watched[0], loss) and same(watched[1], g)
    one.layout = replace(one.layout, replays=replays)
    return same(watched[0], loss) or same(again()[0], loss)


def _unfit(model: nn.Module) -> str:
    """Why a network cannot be stacked, in words, as far as it can be seen without running it."""
    tensors = [p for p in model.parameters() if p.requires_grad]
    if any(p.dtype != torch.float32 for p in tensors):
        return f"its parameters are {', '.join(sorted({str(p.dtype).removeprefix('torch.') for p in tensors}))}"
    if hooks_gradients(model):
        return "it has hooks on gradients"
    if any(type(m).get_extra_state is not nn.Module.get_extra_state for m in model.modules()):
        return "it keeps more than tensors in its state"
    own = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
    if any(id(tensor) not in own for tensor in model.state_dict(keep_vars=True).values()):
        return "its state_dict holds more than its parameters and buffers"
    if any(isinstance(m, BATCHNORMS) and not _is_usual(m) for m in model.modules()):
        return "it has a batch norm with a forward of its own"
    return ""


def _is_usual(norm: nn.Module) -> bool:
    return type(norm).forward is BATCHNORMS.forward and "forward" not in vars(norm)


def _calls(problem: Problem, model: nn.Module, wanted: Callable[[Any, Sequence[Any]], bool]) -> bool:
    """Whether a network calls an operation for which `wanted(operation, arguments)` is true."""
    found = False

    def see(func: Any, args: Sequence[Any], _out: Any) -> None:
        nonlocal found
        found |= wanted(func, args)

    x, _ = two_examples(problem.train)
    with Watching(see), torch.no_grad(), seeded(0), suppress(Exception):  # what stops here is told by `_difference`
        model(x)
    return found


def _pads(func: Any, args: Sequence[Any]) -> bool:
    """Whether an operation is an embedding with a padding index."""
    return func is torch.ops.aten.embedding.default and len(args) > 2 and args[2] >= 0


def _batch(one: Stack, x: Tensor, y: Tensor, smooth: float) -> Batch:
    """Copies of mini-batches [2, B, ...], which a network may write into, and for spare rows the first again."""
    index = torch.tensor([*range(len(SEEDS)), *[0] * (len(one.p) - len(SEEDS))])
    return Batch(x[index], y[index], torch.full((len(one.p),), smooth).to(one.p))


def _scores(one: Stack, data: InMemory) -> list[float]:
    """Validation losses of the rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # slow is good enough where no gradient is asked for
        return [loss for _, loss in one.judge(data)]  # by other kernels of PyTorch's, of which a GRU's raises


def _agrees_in_double(problem: Problem, config: Config, which: str) -> bool:
    """Whether nothing differs in double precision.

    In single precision, rounding may decide on which side of a ReLU's kink a number is.
    """
    assert isinstance(problem.train, InMemory)
    cuts = edges(len(problem.train), recipe(config).batch_size)
    count = sum({b - a: b - a for a, b in (cuts[0], cuts[-1])}.values())  # its mini-batches have the same sizes
    x, y = problem.train.x[:count], problem.train.y[:count]
    try:
        x, y = (t.double() if t.is_floating_point() else t for t in (x, y))
        precise = replace(problem, build=lambda config: problem.build(config).double(), train=InMemory(x, y))
        return not _difference(precise, *_pair(precise, config, which))
    except Exception:  # a network, or a device, may know single precision alone
        return False


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
