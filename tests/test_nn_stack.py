"""Stacked training: a row equals itself in any stack, bit for bit, and the network trained by PyTorch to 1e-6."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zeroin.executors.perform import perform
from zeroin.nn import Task, loop, mlp, small_cnn
from zeroin.nn.export import newest
from zeroin.nn.loop import fresh
from zeroin.nn.recipe import OPTIMIZERS, recipe
from zeroin.nn.recording.replay import Recorded
from zeroin.nn.stacking import compiling
from zeroin.nn.stacking.equivalence import verdict
from zeroin.nn.stacking.spare_rows import ALIKE
from zeroin.nn.stacking.stack import joined, stack
from zeroin.nn.stacking.steps import BACKWARD, EACH
from zeroin.nn.stacking.updates import adam_by_row
from zeroin.types import Job, Kind

torch.set_num_threads(1)
FULL = {
    "lr": 0.01, "batch_size": 16, "layers": 2, "units": 12, "dropout": 0.3, "batchnorm": True, "schedule": "cosine",
    "warmup": 0.2, "weight_decay": 0.01, "label_smoothing": 0.1, "grad_clip": 1.0, "bn_momentum": 0.2,
}  # fmt: skip
EPOCHS = 15  # of 10 steps: 150


def data(n, seed, shape=(6,)):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, *shape)).astype(np.float32)
    flat = x.reshape(n, -1)
    return x, (flat[:, 0] * flat[:, 1] > 0).astype(int) + (flat[:, 2] > 1)


def task(build=lambda c: mlp(6, 3, c), n=157, shape=(6,), **kwargs):
    return Task(build=build, train=data(n, 0, shape), valid=data(50, 1, shape), **kwargs)


def configs(count, **changes):
    rng = np.random.default_rng(count)
    for i in range(count):
        yield FULL | {
            "lr": float(10 ** rng.uniform(-4, -1.5)), "dropout": float(rng.uniform(0, 0.6) * (i % 4 > 0)),
            "weight_decay": float(rng.uniform(0, 0.1) * (i % 3 > 0)), "label_smoothing": float(rng.uniform(0, 0.2)),
            "schedule": ("cosine", "linear", "constant", "wsd", "step")[i % 5], "warmup": float(rng.uniform(0, 0.3)),
            "grad_clip": float(rng.choice([0.0, 0.5, 2.0])), "beta1": float(rng.uniform(0.8, 0.95)),
            "bn_momentum": float(rng.uniform(0.05, 0.4)), "momentum": float(rng.uniform(0.5, 0.95)),
        } | changes  # fmt: skip


def members(problem, some, seeds=None):
    return [(c, s, fresh(problem, c, s)) for s, c in zip(seeds or range(100), some, strict=False)]


def outcome(one, row):
    """Everything of a row: weights, running statistics, state of the optimizer."""
    return one.state_dict(row) | {f"state {i}": s[row] for i, s in enumerate(one.state)}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# --- against PyTorch

QUICK = ("sgd", "rmsprop", "adamw", "nadam")


@pytest.mark.parametrize("order", [BACKWARD, EACH])
@pytest.mark.parametrize(
    "optimizer", [pytest.param(o, marks=() if o in QUICK else pytest.mark.slow) for o in OPTIMIZERS]
)
def test_a_row_equals_the_network_trained_by_pytorch(optimizer, order, tmp_path):
    mine = task(n=160)  # ten steps
    some = list(configs(3, optimizer=optimizer, layers=2))
    one = stack(mine.problem, members(mine.problem, some), order)
    losses = one.train_epoch(10)
    for row, config in enumerate(some):
        alone, train_loss = by_pytorch(mine.problem, row, config, tmp_path)
        stacked = one.state_dict(row)
        mine.network(config).load_state_dict(stacked, strict=True)
        for name, value in alone.items():
            assert torch.allclose(stacked[name].float(), value.float(), rtol=1e-5, atol=1e-6), name
        assert losses[row].item() == pytest.approx(train_loss, rel=1e-6)


def by_pytorch(problem, seed, config, folder):
    """Weights and mean loss after one epoch of the one-by-one loop."""
    seen = []
    job = Job(seed, seed, config, seed, 0, 1, Kind.SCREEN, "")
    perform(loop.objective(problem), job, folder, 0, 10, lambda o: seen.append(o) or True)
    return newest(folder / f"trial-{seed:05d}")["model"], seen[0].metrics["train_loss"]


# --- against itself


def test_a_product_is_the_same_at_any_place_in_memory():
    x, w = torch.randn(24, 15, 6), torch.randn(24, 7, 6).mT  # rows that begin at no multiple of a vector's length
    whole = torch.bmm(x, w)
    for a in (1, 5, 10):
        assert torch.equal(torch.bmm(x[a:].clone(), w[a:].clone()), whole[a:])


GRID = [("adamw", 21, 8)]  # eight epochs: the step is recorded under way
SLOW = [pytest.param(o, 64, EPOCHS, marks=pytest.mark.slow) for o in OPTIMIZERS]  # 150 steps in stacks of up to 64


@pytest.mark.parametrize(("optimizer", "count", "epochs"), [*GRID, *SLOW])
def test_a_row_is_the_same_in_any_stack_at_any_place(optimizer, count, epochs):
    problem = task().problem
    some = members(problem, configs(count, optimizer=optimizer))
    whole = stack(problem, some)
    parts = [stack(problem, part) for part in (some[:2], some[2:5], some[5:13][::-1], some[20:21])]
    stacks = [whole, *parts]
    losses = {id(s): [s.train_epoch(EPOCHS) for _ in range(epochs)] for s in stacks}
    places = {0: (parts[0], 0), 1: (parts[0], 1), 2: (parts[1], 0), 4: (parts[1], 2), 20: (parts[3], 0)}
    places |= {5 + i: (parts[2], 7 - i) for i in range(8)}
    for row, (other, place) in places.items():
        assert same(outcome(whole, row), outcome(other, place)), row
        for a, b in zip(losses[id(whole)], losses[id(other)], strict=True):
            assert a[row] == b[place]
        assert whole.judge(problem.valid)[row] == other.judge(problem.valid)[place]


def test_refilled_and_compacted_stacks_change_no_row():
    problem = task().problem
    some = members(problem, configs(12))
    unbroken = stack(problem, some)
    for _ in range(6):
        unbroken.train_epoch(8)
    first = stack(problem, some[:6])
    for _ in range(2):
        first.train_epoch(8)
    refilled = joined([first.select([5, 1, 3]), stack(problem, some[6:9])])  # rows of different age
    for _ in range(4):
        refilled.train_epoch(8)
    for place, row in enumerate((5, 1, 3)):
        assert same(outcome(refilled, place), outcome(unbroken, row))
    compacted = refilled.select([4])
    for _ in range(2):
        compacted.train_epoch(8)
    assert same(outcome(compacted, 0), outcome(unbroken, 7))


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_batch_norm_of_few_channels_is_the_same_in_any_stack(channels, affine):
    def build(_config):
        norm = nn.BatchNorm2d(channels, affine=affine)
        return nn.Sequential(nn.Conv2d(1, channels, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(36 * channels, 3))

    problem = task(build, n=48, shape=(1, 8, 8)).problem
    some = members(problem, configs(8, batch_size=8))
    alone, few, whole = (stack(problem, some[:count]) for count in (1, 3, 8))
    for one in (alone, few, whole):
        for _ in range(2):
            one.train_epoch(2)
    assert same(outcome(alone, 0), outcome(whole, 0))
    assert same(outcome(few, 2), outcome(whole, 2))


class OverTime(nn.Module):
    """Batch norm of [B, T, C]; of such memory PyTorch's kernel adds to what is in that of its results."""

    def __init__(self):
        super().__init__()
        self.inside, self.norm, self.out = nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)

    def forward(self, x):
        return self.out(self.norm(self.inside(x).transpose(1, 2)).transpose(1, 2)).mean(1)


@pytest.mark.parametrize("build", [lambda c: OverTime(), lambda c: mlp(30, 3, c)], ids=["over time", "mlp"])
def test_a_stack_that_has_diverged_leaves_no_wrong_recording(build):
    x = np.random.default_rng(0).normal(size=(23, 5, 6)).astype(np.float32)
    problem = Task(build=build, train=(x, x[:, 0, :3]), valid=(x, x[:, 0, :3]), loss="mse", metric="loss").problem
    healthy, sick = members(problem, [{"lr": lr, "batch_size": 8} for lr in (0.01, 1e30)])
    alone, gone = stack(problem, [healthy]), stack(problem, [sick])
    after = stack(problem, [healthy], common=gone.layout)
    for one in (alone, gone, after):  # one after another in the same memory, as in a study
        for _ in range(3):
            one.train_epoch(10)
    assert not gone.p.isfinite().any()
    assert same(outcome(alone, 0), outcome(after, 0))
    is_recorded = {isinstance(step, Recorded) for step in gone.layout.recorded.values()}
    assert is_recorded == {"norm.weight" not in gone.layout.shapes}


def test_a_diverged_row_leaves_the_others_alone():
    problem = task().problem
    some = list(configs(4, optimizer="sgd"))
    healthy = stack(problem, members(problem, some))
    some[2] = some[2] | {"lr": 1e30, "grad_clip": 0.0}
    sick = stack(problem, members(problem, some))
    for _ in range(3):
        healthy.train_epoch(10)
        loss = sick.train_epoch(10)
    assert loss.isfinite().tolist() == [True, True, False, True]
    assert all(same(outcome(healthy, i), outcome(sick, i)) for i in (0, 1, 3))


def cnn(config):
    return small_cnn(1, 8, 3, config)


@pytest.mark.parametrize("order", [BACKWARD, EACH])
@pytest.mark.parametrize(("build", "shape"), [(lambda c: mlp(6, 3, c), (6,)), (cnn, (1, 8, 8))], ids=["mlp", "cnn"])
def test_a_recorded_step_is_the_step(build, shape, order, monkeypatch):
    problem = task(build, n=48, shape=shape).problem
    some = list(configs(3))
    plain, recorded = (stack(problem, members(problem, some), order) for _ in range(2))
    monkeypatch.setattr("zeroin.nn.stacking.steps.WARM", -1)  # never
    for _ in range(3):
        plain.train_epoch(3)
    monkeypatch.undo()
    for _ in range(3):
        recorded.train_epoch(3)
    assert all(isinstance(found, Recorded) for found in recorded.layout.recorded.values())
    assert all(same(outcome(plain, row), outcome(recorded, row)) for row in range(3))


def test_a_step_recorded_without_dropout_is_not_used_where_there_is_some():
    problem = task(n=48).problem
    without = stack(problem, members(problem, configs(3, dropout=0.0)))
    some = list(configs(3, dropout=0.3))
    first, second = (
        stack(problem, members(problem, some), common=without.layout),
        stack(problem, members(problem, some)),
    )
    for one in (without, first, second):
        for _ in range(3):
            one.train_epoch(3)
    assert all(same(outcome(first, row), outcome(second, row)) for row in range(3))


def test_a_step_is_recorded_only_where_being_watched_changes_nothing():
    problems = [task(build, n=64).problem for build in (lambda _: Odd(), lambda _: Product())]
    found = [verdict(problem, {"batch_size": 16}) for problem in problems]
    assert [one.layout is not None and one.layout.replays for one in found] == [True, False]
    one = stack(problems[1], members(problems[1], [{"batch_size": 16}] * 2), common=found[1].layout)
    one.train_epoch(1)
    assert not any(isinstance(step, Recorded) for step in one.layout.recorded.values())


def test_sums_that_feel_their_place_are_recorded_as_they_are():
    """The biases of kernels on one pixel: written into their place among the gradients they were summed otherwise."""
    build = lambda _: nn.Sequential(nn.Unflatten(1, (6, 1, 1)), nn.ConvTranspose2d(6, 3, 1), nn.Flatten())  # noqa: E731
    problem = task(build, n=80).problem
    one = stack(problem, members(problem, configs(9, batch_size=5)))
    one.train_epoch(1)
    assert any(isinstance(step, Recorded) for step in one.layout.recorded.values())


class Odd(nn.Module):
    """Activations of other kernels, and sizes that are no multiple of a vector's."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.norm, self.drop = nn.Linear(6, 7), nn.Linear(7, 3), nn.LayerNorm(7), nn.Dropout(0.1)

    def forward(self, x):
        h = self.drop(F.gelu(self.a(x)))
        return self.b(self.drop(torch.tanh(self.norm(F.silu(h)))))


class Tempered(nn.Module):
    """Functions of few numbers of a row, whose last few are computed by another formula."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.t = nn.Linear(6, 8), nn.Linear(6, 3), nn.Parameter(torch.tensor(0.3))

    def forward(self, x):
        spread = self.a(x).std(1, keepdim=True).pow(1.7)
        return self.b(x) * F.softplus(self.t) * spread * torch.sigmoid(self.a(x).mean())


def log_cosh(output, target):
    return torch.log(torch.cosh(output[:, 0] - target))


def few_channels(_config):
    """Kernels that oneDNN picks by the number of groups, and images of one pixel, whose biases are sums of columns."""
    first = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 8, 2, dilation=2, padding=1), nn.ReLU())
    return nn.Sequential(first, nn.AvgPool2d(2), nn.ConvTranspose2d(8, 3, 1), nn.Flatten(), nn.Linear(3, 3))


def odd_channels(_config):
    """Channels of which those of several rows share a vector."""
    return nn.Sequential(nn.Conv2d(1, 7, 2), nn.SiLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(28, 3))


def wide(_config):
    """More parameters than an update in passes is for."""
    return nn.Sequential(nn.Linear(6, 150), nn.ReLU(), nn.Linear(150, 150), nn.Linear(150, 3))


def volume(_config):
    return nn.Sequential(nn.Conv3d(1, 3, 2), nn.MaxPool3d(2), nn.Conv3d(3, 4, 1), nn.Flatten(), nn.Linear(4, 3))


class Product(nn.Module):
    """A product over the mini-batch: while its operations are watched PyTorch takes its gradient by another formula."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 4), nn.Linear(4, 3)

    def forward(self, x):
        x = self.a(x)
        return self.b(x + (1 + 0.1 * x).prod(0))


class Coarse(nn.Module):
    """A sigmoid of numbers of 16 bits, of which a vector holds twice as many."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.b(torch.sigmoid(self.a(x).bfloat16()).float())


def without_statistics(_config):
    norms = nn.BatchNorm1d(7, track_running_stats=False), nn.BatchNorm1d(7, affine=False)
    return nn.Sequential(nn.Linear(6, 7), norms[0], nn.SiLU(), nn.Linear(7, 7), norms[1], nn.Linear(7, 3))


@pytest.mark.parametrize(
    ("build", "shape", "loss"),
    [
        (cnn, (1, 8, 8), "cross_entropy"),
        (wide, (6,), "cross_entropy"),
        (few_channels, (1, 4, 4), "cross_entropy"),
        (odd_channels, (1, 4, 4), "cross_entropy"),
        (volume, (1, 4, 4, 4), "cross_entropy"),
        (lambda _: Coarse(), (6,), "cross_entropy"),
        (lambda _: Odd(), (6,), "cross_entropy"),
        (lambda _: Tempered(), (6,), "cross_entropy"),
        (without_statistics, (6,), "cross_entropy"),
        (lambda _: nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 1)), (6,), log_cosh),
    ],
    ids=[
        "cnn",
        "wide",
        "few channels",
        "odd channels",
        "volume",
        "coarse",
        "odd",
        "tempered",
        "without statistics",
        "own loss",
    ],
)
def test_other_networks_are_the_same_in_any_stack(build, shape, loss):
    problem = task(build, n=77, shape=shape, loss=loss, metric="loss").problem
    some = members(problem, configs(9, batch_size=16))
    whole = stack(problem, some)
    parts = [stack(problem, some[:2]), stack(problem, some[2:5]), stack(problem, some[5:])]
    for one in (whole, *parts):
        for _ in range(3):  # of four full mini-batches
            one.train_epoch(3)
    row = 0
    for part in parts:
        for place in range(len(part.rows)):
            assert same(outcome(whole, row), outcome(part, place)), row
            row += 1


def test_a_row_without_decay_is_the_same_beside_rows_that_decay():
    still, decaying = recipe(FULL | {"weight_decay": 0.0}), recipe(FULL)

    def trained(hows):
        torch.manual_seed(0)
        p, m, v = torch.randn(1, 99).repeat(2, 1), torch.zeros(2, 99), torch.zeros(2, 99)
        for step in range(1, 200):
            now = {"count": torch.full((2, 1), float(step)), "lr": torch.full((2, 1), 0.01)}
            adam_by_row(p, torch.randn(1, 99).repeat(2, 1), (m, v), now, hows, 91)
        return torch.stack([p, m, v])[:, 0]

    assert torch.equal(trained([still, still]), trained([still, decaying]))


ELEMENTWISE = {
    "add": lambda x, y: torch.add(x, y, alpha=0.3),
    "rsub": lambda x, y: torch.rsub(x, y, alpha=0.3),
    "mul": torch.mul,
    "div": torch.div,
    "leaky_relu": lambda x, y: F.leaky_relu(x, 0.1),
    "hardtanh": lambda x, y: F.hardtanh(x),
    "sqrt": lambda x, y: x.abs().sqrt(),
    "rsqrt": lambda x, y: x.abs().rsqrt(),
    "reciprocal": lambda x, y: x.reciprocal(),
    "addcmul": lambda x, y: torch.addcmul(x, x, y, value=0.3),
    "addcdiv": lambda x, y: torch.addcdiv(x, x, y, value=0.3),
    "lerp": lambda x, y: torch.lerp(x, y, 0.3),
    "mse_loss": lambda x, y: F.mse_loss(x, y, reduction="none"),
    "huber_loss": lambda x, y: F.huber_loss(x, y, reduction="none"),
    "smooth_l1_loss": lambda x, y: F.smooth_l1_loss(x, y, reduction="none"),
    "remainder": torch.remainder,
    "fmod": torch.fmod,
    "_prelu_kernel": lambda x, y: F.prelu(x, torch.tensor(0.3)),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_operations_that_need_no_spare_rows_round_alike_one_by_one(name):
    assert name in ALIKE
    x, y = torch.randn(2, 99)
    one_by_one = [ELEMENTWISE[name](x[i : i + 1].clone(), y[i : i + 1].clone()) for i in range(99)]
    assert torch.equal(ELEMENTWISE[name](x, y), torch.cat(one_by_one))


# --- compiled


def test_where_there_is_no_compiler_a_stack_goes_on_uncompiled(monkeypatch, caplog):
    monkeypatch.setenv("PATH", "")
    compiling.obstacle.cache_clear()
    compiling.tell.cache_clear()
    rows = members(task().problem, list(configs(2)))
    wanted, one = stack(task().problem, rows), stack(task(compile=True).problem, rows)
    for each in (wanted, one):
        each.train_epoch(EPOCHS)
    compiling.obstacle.cache_clear()
    assert same(outcome(one, 1), outcome(wanted, 1))
    assert "uncompiled, because there is no C++ compiler: install g++" in caplog.text
    assert len(caplog.records) == 1


def test_what_cannot_be_compiled_is_trained_as_it_is(monkeypatch, caplog):
    monkeypatch.setattr(torch, "compile", lambda *_, **__: lambda *_: 1 / 0)
    compiling.tell.cache_clear()
    rows = members(task().problem, list(configs(2)))
    wanted, one = stack(task().problem, rows), stack(task(compile=True).problem, rows)
    for each in (wanted, one):
        each.train_epoch(EPOCHS)
    assert same(outcome(one, 0), outcome(wanted, 0))
    assert "the compiler stops with 'division by zero'" in caplog.text


def test_a_compiled_step_is_checked_before_it_is_used(monkeypatch, caplog):
    monkeypatch.setattr(torch, "compile", lambda graph, **_: lambda p, *rest: graph(p.add_(0.01), *rest))
    compiling.tell.cache_clear()
    one = stack(task(compile=True).problem, members(task().problem, list(configs(2))))
    one.train_epoch(EPOCHS)
    assert "uncompiled, because the compiled step gives another result" in caplog.text


@pytest.mark.slow  # a compiler takes its time
@pytest.mark.parametrize(
    "changes",
    [{"optimizer": "adamw", "layers": 1}, {"optimizer": "nesterov", "layers": 2, "grad_clip": None}],
    ids=["adamw", "nesterov"],
)  # with clipped gradients PyTorch 2.13's compiler stops at Nesterov's momentum
def test_a_compiled_row_is_the_same_in_any_stack_and_close_to_uncompiled(changes):
    problem = task(compile=True, n=160).problem
    rows = members(problem, list(configs(6, **changes)))  # each loop between products is compiled anew
    few, many = stack(problem, rows[2:4]), stack(problem, rows)
    one = stack(problem, rows[:1])  # which drops nothing and whose weights do not decay
    plain = stack(task(n=160).problem, rows)
    for _ in range(EPOCHS):
        for each in (few, many, one, plain):
            each.train_epoch(EPOCHS)
    assert all(layout.compiled and None not in layout.compiled.values() for layout in (few.layout, many.layout))
    assert same(outcome(few, 1), outcome(many, 3))
    assert same(outcome(one, 0), outcome(many, 0))
    assert torch.allclose(many.p, plain.p, atol=1e-3)
