"""Networks put together at random: a row is the same in any stack bit for bit, or none is trained in stacks."""

import random
from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from test_nn_equivalence import Fn
from test_nn_stack import configs, members, outcome, same
from zeroin.nn import Task
from zeroin.nn.recipe import OPTIMIZERS
from zeroin.nn.stacking.equivalence import verdict
from zeroin.nn.stacking.stack import joined, stack

torch.set_num_threads(1)
EPOCHS = 3  # of four steps: two before one is recorded
LOSSES = {
    "cross_entropy": "cross_entropy",
    "focal": lambda out, y: (1 - torch.softmax(out, 1).gather(1, y[:, None])[:, 0]) * F.cross_entropy(out, y),
    "log_cosh": lambda out, y: torch.log(torch.cosh((out[:, 0] - y).clamp(-9, 9))),
    "bce": lambda out, y: F.binary_cross_entropy_with_logits(out[:, 0], (y > 0).float()),
}
ACTIVATIONS = (
    nn.ReLU,
    nn.GELU,
    nn.SiLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.ELU,
    nn.Softplus,
    nn.Mish,
    nn.Hardswish,
    nn.LogSigmoid,
)


def scale(*shape):
    return nn.Parameter(torch.randn(*shape) * 0.3)


def tied(n):
    first, second = nn.Linear(n, n), nn.Linear(n, n)
    second.weight = first.weight
    return nn.Sequential(first, nn.Tanh(), second)


def counted(self, x):
    self.seen += 1
    return x / (1 + 0.01 * self.seen)


def with_count(model):
    model.register_buffer("seen", torch.zeros(()))
    return model


def image(size, layers):
    """Layers for images [B, 1, size, size], put between a Linear and a Flatten."""
    return lambda n: nn.Sequential(
        nn.Linear(n, size * size), nn.Unflatten(1, (1, size, size)), *layers(), nn.Flatten(), nn.LazyLinear(n)
    )


BLOCKS = {  # name: network [B, n] -> [B, n]
    "linear": lambda n: nn.Linear(n, n),
    "activation": lambda n: random.choice(ACTIVATIONS)(),
    "prelu": nn.PReLU,
    "layer norm": nn.LayerNorm,
    "rms norm": nn.RMSNorm,
    "group norm": lambda n: nn.GroupNorm(3, n),
    "batch norm": nn.BatchNorm1d,
    "bare batch norm": lambda n: nn.BatchNorm1d(n, affine=False, track_running_stats=False),
    "dropout": lambda n: nn.Dropout(0.2),
    "residual": lambda n: Fn(lambda s, x: x + s.b(F.gelu(s.a(x))), a=nn.Linear(n, 5), b=nn.Linear(5, n)),
    "tied": tied,
    "glu": lambda n: nn.Sequential(nn.Linear(n, 2 * n), nn.GLU()),
    "experts": lambda n: Fn(lambda s, x: s.a(x) * torch.sigmoid(s.b(x)), a=nn.Linear(n, n), b=nn.Linear(n, 1)),
    "counted": lambda n: with_count(Fn(counted)),
    "softmax": lambda n: nn.Softmax(1),
    "statistics": lambda n: Fn(lambda s, x: x / (1 + x.std(1, keepdim=True)) + x.logsumexp(1, keepdim=True)),
    "mini-batch": lambda n: Fn(lambda s, x: (x - x.mean(0)) / (1 + x.norm(dim=0)) + (1 + 0.1 * x).prod(0)),
    "powers": lambda n: Fn(lambda s, x: x.abs().add(0.1).pow(1.7) + torch.sin(x) + torch.expm1(-x.abs())),
    "coarse": lambda n: Fn(lambda s, x: torch.sigmoid(x.bfloat16()).float()),
    "double": lambda n: Fn(lambda s, x: torch.log1p(x.double().exp()).float()),
    "sorted": lambda n: Fn(lambda s, x: x.sort(1)[0].cumsum(1)),
    "distances": lambda n: Fn(lambda s, x: ((x[:, None] - s.w) ** 2).sum(-1), w=scale(n, n)),
    "constant": lambda n: Fn(lambda s, x: x + (torch.linspace(-1, 1, 12).view(3, 4) @ s.w).sum(0), w=scale(4, n)),
    "in place": lambda n: Fn(lambda s, x: (x * 1.5).add_(1).tanh_()),
    "attention": lambda n: Fn(
        lambda s, x: torch.softmax(s.q(x)[:, :, None] * s.k(x)[:, None], -1).matmul(x[..., None])[..., 0],
        q=nn.Linear(n, n), k=nn.Linear(n, n),
    ),
    "few channels": image(4, lambda: [nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 3, 2)]),
    "dilated": image(5, lambda: [nn.Conv2d(1, 8, 2, dilation=2, padding=1), nn.SiLU(), nn.Conv2d(8, 3, 3, groups=1)]),
    "depthwise": image(4, lambda: [nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3, groups=4), nn.MaxPool2d(2)]),
    "pooled": image(5, lambda: [nn.Conv2d(1, 3, 2), nn.MaxPool2d(3, 2, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 9, 2)]),
    "odd channels": image(4, lambda: [nn.Conv2d(1, random.choice([1, 3, 5]), 2), random.choice(ACTIVATIONS)(),
                                      nn.AdaptiveAvgPool2d(2), nn.LazyConv2d(7, 1),
                                      nn.Softplus(), nn.AvgPool2d(2)]),
    "heads": lambda n: nn.Sequential(nn.Linear(n, 12), nn.Unflatten(1, (3, 4)), Fn(
        lambda s, x: s.a(x, x, x, need_weights=False)[0], a=nn.MultiheadAttention(4, 2, batch_first=True)),
        nn.Flatten(), nn.Linear(12, n)),
    "one pixel": image(3, lambda: [nn.Conv2d(1, 4, 3), nn.ConvTranspose2d(4, 3, 1)]),
    "wave": lambda n: nn.Sequential(nn.Unflatten(1, (1, n)), nn.Conv1d(1, 8, 3, padding=1), nn.AdaptiveMaxPool1d(1),
                                    nn.Flatten(), nn.Linear(8, n)),
    "noise": lambda n: Fn(lambda s, x: x + torch.randn_like(x)),
    "branch": lambda n: Fn(lambda s, x: x if x.mean() > 0 else -x),
    "complex": lambda n: Fn(lambda s, x: torch.fft.fft(x).abs()),
}  # fmt: skip
REFUSED = {"noise", "branch", "complex"}


def parts(draw):
    """Names of the blocks and of the loss, a mini-batch's size, and a width."""
    chosen, loss = draw.choices(sorted(BLOCKS), k=draw.randint(1, 3)), draw.choice(sorted(LOSSES))
    return chosen, loss, draw.choice([3, 8, 16]), draw.choice([3, 6, 9])


def covering(count, *, refused, seeds=600):
    """Seeds of networks, each with the most pairs of things that no network before it has together."""
    pairs, seen = {}, set()
    for seed in range(seeds):
        draw = random.Random(seed)
        chosen, loss, batch, n = parts(draw)
        if refused == bool(REFUSED.intersection(chosen)):
            things = *sorted(chosen), loss, f"{batch} examples", f"{n} wide", draw.choice(OPTIMIZERS)
            pairs[seed] = set(combinations(things, 2))
    for _ in range(count):
        seen |= pairs.pop(best := max(pairs, key=lambda seed: len(pairs[seed] - seen)))
        yield best


SEEDS = [*covering(62, refused=False), *covering(10, refused=True)]  # more pairs than 150 seeds in a row have
slow = partial(pytest.param, marks=pytest.mark.slow)
QUICK = SEEDS[8:10] + SEEDS[62:]  # a second each, and those that are refused


def put_together(seed, draw):
    """Names of the blocks and of the loss, a mini-batch's size, a function that builds the network, and data (x, y)."""
    chosen, loss, batch, n = parts(draw)

    def build(_config):
        random.seed(seed)
        return nn.Sequential(nn.Linear(6, n), *(BLOCKS[name](n) for name in chosen), nn.Linear(n, 3))

    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3 * batch + 4, 6)).astype(np.float32)
    y = rng.integers(0, 3, len(x)) if loss in ("cross_entropy", "focal") else rng.normal(size=len(x)).astype(np.float32)
    y[:3] = [0, 1, 2]
    return chosen, loss, batch, build, (x, y)


@pytest.mark.parametrize("seed", [seed if seed in QUICK else slow(seed) for seed in SEEDS])
def test_a_network_put_together_at_random(seed):
    draw = random.Random(seed)
    chosen, loss, batch, build, (x, y) = put_together(seed, draw)
    task = Task(build=build, train=(x, y), valid=(x, y), loss=LOSSES[loss], metric="loss", normalise=False)
    problem, some = task.problem, list(configs(9, optimizer=draw.choice(OPTIMIZERS), batch_size=batch))
    found = verdict(problem, some[0])
    assert (found.order is None) == bool(found.why)
    if found.order is None or REFUSED.intersection(chosen):
        assert found.order is None or not REFUSED.intersection(chosen)
        return

    layout = replace(found.layout, recorded={}, workspaces={})  # of all stacks, as in a study

    def fresh(rows):
        all_of_them = members(problem, some)
        return stack(problem, [all_of_them[i] for i in rows], found.order, layout)

    whole, parts = fresh(range(9)), [draw.sample(range(9), k) for k in (1, 3, 8)]
    stacks = [whole, *map(fresh, parts)]
    for one in stacks:
        for _ in range(EPOCHS):
            one.train_epoch(EPOCHS)
    for one, rows in zip(stacks[1:], parts, strict=True):
        for place, row in enumerate(rows):
            assert same(outcome(one, place), outcome(whole, row)), (chosen, loss, rows, place)
    first = fresh([3, 1])
    first.train_epoch(EPOCHS)
    refilled = joined([fresh([7]), first.select([1])])
    for _ in range(EPOCHS - 1):
        refilled.train_epoch(EPOCHS)
    assert same(outcome(refilled, 1), outcome(whole, 1)), (chosen, loss, "refilled")
    task.network(some[0]).load_state_dict(whole.state_dict(0), strict=True)
